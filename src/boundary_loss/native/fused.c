/* The sums of the fused losses, and the gradient of the logits from the gradients of the sums, on the CPU.
 *
 * With s = softmax of the logits x over the K classes, g = 1 where the label is the class, and maps φ, per image and
 * class: Σ s g, Σ s^p, Σ g, Σ s φ; and, where costs c of the classes are given, per image Σ c_y (−log s_y), y the class
 * of the voxel. Backward, with u_k = ∂loss/∂s_k: ∂loss/∂x_k = s_k (u_k − Σ_j s_j u_j) + c_y (s_k − [k = y]).
 *
 * The work goes by tiles, TILE voxels of all classes, which stay in the first cache: no probability is stored beyond
 * them. Each piece of an image has sums of its own, float32 in a fixed number of lanes, which are added in double in a
 * fixed order: the bits depend neither on the number of threads nor on the processor.
 */
#include <stdlib.h>
#include <string.h>

#include "rows.h"

enum { TILE = 128, LANES = 16, PIECE = 1 << 14 }; /* voxels; PIECE a multiple of TILE, and that of LANES */

typedef struct {
    Tensor logits, labels, maps; /* maps.data is null without maps */
    Tensor out;                  /* the gradient */
    int64_t voxels, channels, classes, pieces, ignored, power;
    double *rows;          /* (B, pieces, 4 K + 1) sums of the pieces */
    const double *factors; /* (B, 3, K) gradients of the sums Σ s g, Σ s^p, Σ s φ */
    const double *costs;   /* null without cross-entropy; forward (K), backward (B, K) */
    char *scratch;
    size_t scratch_bytes; /* of one worker */
} Work;

/* −log s = log Σ_j exp(x_j − top) + (top − x). NaN where the total is, whose logarithm by its bits would be a number. */
BL_INLINE float negative_log(float total, float top, float x) {
    return 0.693147181f * log2_of(total) + (total - total) + (top - x);
}

/* From scores to probabilities, in place; for two classes with one exponential instead of two. `own`, which may be
 * null, goes from the score of each voxel's class to its −log s. */
BL_INLINE void softmax_of_pair(float *restrict s0, float *restrict s1, float *restrict own) {
    for (int i = 0; i < TILE; i++) {
        const int is_first = s0[i] > s1[i];
        const float high = is_first ? s0[i] : s1[i], low = is_first ? s1[i] : s0[i];
        const float small = exp_negative(low - high) + (high - high); /* NaN for infinity, as by the formula */
        const float most = 1 / (1 + small), least = small * most;
        if (own) own[i] = negative_log(1 + small, high, own[i]);
        s0[i] = is_first ? most : least;
        s1[i] = is_first ? least : most;
    }
}

BL_INLINE void softmax(int64_t K, float *restrict s, float *restrict own) {
    float top[TILE], total[TILE] = {0};
    for (int i = 0; i < TILE; i++) top[i] = s[i];
    for (int64_t k = 1; k < K; k++) {
        for (int i = 0; i < TILE; i++) top[i] = s[k * TILE + i] > top[i] ? s[k * TILE + i] : top[i];
    }
    for (int64_t k = 0; k < K; k++) {
        for (int i = 0; i < TILE; i++) {
            s[k * TILE + i] = exp_negative(s[k * TILE + i] - top[i]);
            total[i] += s[k * TILE + i];
        }
    }
    if (own) {
        for (int i = 0; i < TILE; i++) own[i] = negative_log(total[i], top[i], own[i]);
    }
    for (int i = 0; i < TILE; i++) total[i] = 1 / total[i];
    for (int64_t k = 0; k < K; k++) {
        for (int i = 0; i < TILE; i++) s[k * TILE + i] *= total[i];
    }
}

/* What each voxel has in the row of its class, where that is one. */
BL_INLINE void pick(int64_t K, const int32_t *restrict label, const float *restrict rows, float *restrict picked) {
    for (int32_t k = 0; k < K; k++, rows += TILE) { /* as wide as a label, which a vector's comparison needs */
        for (int i = 0; i < TILE; i++) {
            const float value = rows[i], before = picked[i];
            picked[i] = label[i] == k ? value : before;
        }
    }
}

/* Labels of a tile, and the probabilities, 0 for voxels that are not counted; voxels beyond `count` are such. `own`,
 * which may be null, gets −log s of each voxel's class, and anything where the label is no class. */
BL_INLINE void read_tile(const Work *work, int64_t b, int64_t first, int64_t count, int32_t *restrict label,
                         float *restrict s, float *restrict own) {
    const int64_t K = work->classes, constant = K - work->channels; /* one channel x stands for the scores (0, x) */
    const int uncounted = read_labels(&work->labels, b, first, count, K, work->ignored, label) || count < TILE;
    if (constant || count < TILE) memset(s, 0, (size_t)K * TILE * sizeof(float));
    for (int64_t i = count; i < TILE; i++) label[i] = UNCOUNTED;
    for (int64_t k = constant; k < K; k++) read_row(&work->logits, b, k - constant, first, count, s + k * TILE);
    if (own) pick(K, label, s, own);
    if (K == 2) softmax_of_pair(s, s + TILE, own);
    else softmax(K, s, own);
    if (!uncounted) return;
    for (int64_t k = 0; k < K; k++) {
        for (int i = 0; i < TILE; i++) s[k * TILE + i] = label[i] == UNCOUNTED ? 0 : s[k * TILE + i];
    }
}

/* Apart, so that the loops of the one are not slowed by the other's registers. */
BL_WIDE static void read_probabilities(const Work *work, int64_t b, int64_t first, int64_t count, int32_t *label,
                                       float *s) {
    read_tile(work, b, first, count, label, s, 0);
}

BL_WIDE static void read_with_entropy(const Work *work, int64_t b, int64_t first, int64_t count, int32_t *label,
                                      float *s, float *own) {
    memset(own, 0, TILE * sizeof(float));
    read_tile(work, b, first, count, label, s, own);
}

/* The cost of each voxel's class, 0 where the label is none. */
BL_INLINE void costs_of(int64_t K, const double *costs, const int32_t *restrict label, float *restrict cost) {
    for (int i = 0; i < TILE; i++) cost[i] = 0;
    for (int32_t k = 0; k < K; k++) {
        const float of_class = (float)costs[k];
        for (int i = 0; i < TILE; i++) cost[i] = label[i] == k ? of_class : cost[i];
    }
}

/* s^power, power >= 1 */
BL_INLINE void raise_to(int64_t power, const float *restrict s, float *restrict raised) {
    for (int i = 0; i < TILE; i++) raised[i] = s[i];
    for (int64_t n = 1; n < power; n++) {
        for (int i = 0; i < TILE; i++) raised[i] *= s[i];
    }
}

/* ---- forward ---------------------------------------------------------------------------------------------------- */

typedef struct {
    float both[LANES], predicted[LANES], boundary[LANES];
    int32_t true[LANES];
} Lanes;

/* Lane l of a sum takes the voxels l, l + LANES, .. of a tile. */
#define QUARTERS(value) ((value(l) + value(l + LANES)) + (value(l + 2 * LANES) + value(l + 3 * LANES)))

BL_INLINE void add_tile(Lanes *restrict sum, int32_t k, const int32_t *restrict label, const float *restrict s,
                        const float *restrict raised) {
#define BOTH(i) (label[i] == k ? s[i] : 0)
#define TRUE(i) (label[i] == k)
#define PREDICTED(i) raised[i]
    for (int part = 0; part < TILE; part += 4 * LANES, label += 4 * LANES, s += 4 * LANES, raised += 4 * LANES) {
        for (int l = 0; l < LANES; l++) {
            sum->both[l] += QUARTERS(BOTH);
            sum->true[l] += QUARTERS(TRUE);
            sum->predicted[l] += QUARTERS(PREDICTED);
        }
    }
}

BL_INLINE void add_map(Lanes *restrict sum, const float *restrict s, const float *restrict map) {
#define BOUNDARY(i) (s[i] * map[i])
    for (int part = 0; part < TILE; part += 4 * LANES, s += 4 * LANES, map += 4 * LANES) {
        for (int l = 0; l < LANES; l++) sum->boundary[l] += QUARTERS(BOUNDARY);
    }
}

BL_WIDE static void add_entropy(const Work *work, const int32_t *restrict label, const float *restrict own,
                                float *restrict entropy) {
    float weighed[TILE];
    const float *of = weighed;
    costs_of(work->classes, work->costs, label, weighed);
    for (int i = 0; i < TILE; i++) weighed[i] = label[i] >= 0 ? weighed[i] * own[i] : 0;
#define ENTROPY(i) of[i]
    for (int part = 0; part < TILE; part += 4 * LANES, of += 4 * LANES) {
        for (int l = 0; l < LANES; l++) entropy[l] += QUARTERS(ENTROPY);
    }
}

BL_INLINE void sum_tile(const Work *work, int64_t b, int64_t first, int64_t count, float *s, Lanes *sums,
                        float *entropy) {
    const int64_t K = work->classes;
    int32_t label[TILE];
    float raised[TILE], map[TILE], own[TILE];
    if (work->costs) {
        read_with_entropy(work, b, first, count, label, s, own);
        add_entropy(work, label, own, entropy);
    } else {
        read_probabilities(work, b, first, count, label, s);
    }
    for (int64_t k = 0; k < K; k++) {
        const float *row = s + k * TILE;
        if (work->power > 1) raise_to(work->power, row, raised);
        add_tile(&sums[k], (int32_t)k, label, row, work->power > 1 ? raised : row);
        if (work->maps.data) {
            for (int64_t i = count; i < TILE; i++) map[i] = 0;
            read_row(&work->maps, b, k, first, count, map);
            add_map(&sums[k], row, map);
        }
    }
}

BL_WIDE static void sum_piece(const Work *work, int64_t job, char *scratch) {
    const int64_t K = work->classes, b = job / work->pieces, start = job % work->pieces * PIECE;
    const int64_t end = start + PIECE < work->voxels ? start + PIECE : work->voxels;
    float *s = (float *)scratch;
    Lanes *sums = (Lanes *)(s + K * TILE);
    float entropy[LANES] = {0};
    memset(sums, 0, (size_t)K * sizeof(Lanes));
    for (int64_t first = start; first < end; first += TILE) {
        sum_tile(work, b, first, end - first < TILE ? end - first : TILE, s, sums, entropy);
    }
    double *result = work->rows + job * (4 * K + 1);
    result[4 * K] = 0;
    for (int l = 0; l < LANES; l++) result[4 * K] += entropy[l];
    for (int64_t k = 0; k < K; k++) {
        double both = 0, predicted = 0, boundary = 0;
        int64_t true = 0;
        for (int l = 0; l < LANES; l++) {
            both += sums[k].both[l];
            predicted += sums[k].predicted[l];
            boundary += sums[k].boundary[l];
            true += sums[k].true[l];
        }
        result[k] = both;
        result[K + k] = predicted;
        result[2 * K + k] = (double)true;
        result[3 * K + k] = boundary;
    }
}

/* ---- backward --------------------------------------------------------------------------------------------------- */

/* u of one class */
BL_INLINE void pull_of(const Work *work, int64_t b, int32_t k, const int32_t *restrict label,
                       const float *restrict raised, const float *restrict map, float *restrict u) {
    const double *factors = work->factors + b * 3 * work->classes + k;
    const float of_both = (float)factors[0], of_boundary = (float)factors[2 * work->classes];
    const float of_predicted = (float)((double)work->power * factors[work->classes]);
    const int has_map = work->maps.data != 0, is_power = work->power > 1;
    for (int i = 0; i < TILE; i++) {
        float pull = label[i] == k ? of_both : 0;
        pull += is_power ? of_predicted * raised[i] : of_predicted;
        if (has_map) pull += of_boundary * map[i];
        u[i] = pull;
    }
}

/* From s to the gradient, in place. */
BL_INLINE void pulled(int64_t K, float *restrict s, const float *restrict u) {
    if (K == 2) { /* s_0 s_1 (u_1 - u_0), and minus this */
        for (int i = 0; i < TILE; i++) {
            const float gradient = s[i] * s[TILE + i] * (u[TILE + i] - u[i]);
            s[i] = -gradient;
            s[TILE + i] = gradient;
        }
        return;
    }
    float mean[TILE] = {0};
    for (int64_t k = 0; k < K; k++) {
        for (int i = 0; i < TILE; i++) mean[i] += s[k * TILE + i] * u[k * TILE + i];
    }
    for (int64_t k = 0; k < K; k++) {
        for (int i = 0; i < TILE; i++) s[k * TILE + i] *= u[k * TILE + i] - mean[i];
    }
}

/* From s to the gradient, in place, the cross-entropy's included. */
BL_WIDE static void pulled_with_entropy(const Work *work, int64_t b, const int32_t *restrict label, float *restrict s,
                                        const float *restrict u) {
    const int64_t K = work->classes;
    float cost[TILE], mean[TILE] = {0};
    costs_of(K, work->costs + b * K, label, cost);
    if (K == 2) { /* as in pulled(); s_1 − 1 is −s_0, of which no digits cancel */
        for (int i = 0; i < TILE; i++) {
            const float of_dice = s[i] * s[TILE + i] * (u[TILE + i] - u[i]);
            const float gradient = of_dice + cost[i] * (label[i] == 1 ? -s[i] : s[TILE + i]);
            s[i] = -gradient;
            s[TILE + i] = gradient;
        }
        return;
    }
    for (int64_t k = 0; k < K; k++) {
        for (int i = 0; i < TILE; i++) mean[i] += s[k * TILE + i] * u[k * TILE + i];
    }
    for (int32_t k = 0; k < K; k++) {
        float *row = s + (int64_t)k * TILE;
        const float *pull = u + (int64_t)k * TILE;
        for (int i = 0; i < TILE; i++) {
            row[i] = row[i] * (pull[i] - mean[i]) + cost[i] * (row[i] - (float)(label[i] == k));
        }
    }
}

BL_INLINE void gradient_tile(const Work *work, int64_t b, int64_t first, int64_t count, float *s) {
    const int64_t K = work->classes, constant = K - work->channels;
    float *pull = s + K * TILE;
    int32_t label[TILE];
    float map[TILE] = {0}, raised[TILE];
    read_probabilities(work, b, first, count, label, s);
    for (int64_t k = 0; k < K; k++) {
        if (work->maps.data) read_row(&work->maps, b, k, first, count, map);
        if (work->power > 1) raise_to(work->power - 1, s + k * TILE, raised);
        pull_of(work, b, (int32_t)k, label, raised, map, pull + k * TILE);
    }
    if (work->costs) pulled_with_entropy(work, b, label, s, pull);
    else pulled(K, s, pull);
    for (int64_t k = constant; k < K; k++) write_row(&work->out, b, k - constant, first, count, s + k * TILE);
}

BL_WIDE static void gradient_piece(const Work *work, int64_t job, char *scratch) {
    const int64_t b = job / work->pieces, start = job % work->pieces * PIECE;
    const int64_t end = start + PIECE < work->voxels ? start + PIECE : work->voxels;
    for (int64_t first = start; first < end; first += TILE) {
        gradient_tile(work, b, first, end - first < TILE ? end - first : TILE, (float *)scratch);
    }
}

/* ---- both ------------------------------------------------------------------------------------------------------- */

static void sum_job(void *context, int64_t job, int worker) {
    const Work *work = context;
    sum_piece(work, job, work->scratch + (size_t)worker * work->scratch_bytes);
}

static void gradient_job(void *context, int64_t job, int worker) {
    const Work *work = context;
    gradient_piece(work, job, work->scratch + (size_t)worker * work->scratch_bytes);
}

static Work work_of(const Tensor *logits, const Tensor *labels, const Tensor *maps, const int64_t *shape,
                    int64_t ignored, int64_t power, int threads) {
    Work work = {.logits = *logits, .labels = *labels, .maps = *maps, .channels = shape[1], .voxels = shape[2],
                 .ignored = ignored, .power = power};
    work.classes = shape[1] > 1 ? shape[1] : 2;
    work.pieces = (shape[2] + PIECE - 1) / PIECE;
    work.scratch_bytes = (size_t)work.classes * (2 * TILE * sizeof(float) + sizeof(Lanes));
    work.scratch = aligned_alloc(64, work.scratch_bytes * (size_t)threads);
    return work;
}

/* (B, 4 K + 1) sums of (B, channels, N) logits: those of the classes, (4, K), and Σ c_y (−log s_y), 0 if `costs` (K) is
 * null; shape = {B, channels, N}. Returns 0, or -1 where memory is short. */
BL_EXPORT int bl_fused_sums(const Tensor *logits, const Tensor *labels, const Tensor *maps, const int64_t *shape,
                            int64_t ignored, int64_t power, const double *costs, double *sums, int threads) {
    Work work = work_of(logits, labels, maps, shape, ignored, power, threads);
    work.costs = costs;
    const int64_t jobs = shape[0] * work.pieces, size = 4 * work.classes + 1;
    work.rows = malloc((size_t)(jobs * size + 1) * sizeof(double));
    const int has_memory = work.scratch && work.rows;
    if (has_memory) {
        bl_parallel(jobs, threads, sum_job, &work);
        for (int64_t n = 0; n < shape[0] * size; n++) sums[n] = 0;
        for (int64_t n = 0; n < jobs * size; n++) sums[n / (work.pieces * size) * size + n % size] += work.rows[n];
    }
    free(work.rows);
    free(work.scratch);
    return has_memory ? 0 : -1;
}

/* The gradient of the logits from the (B, 3, K) gradients of Σ s g, Σ s^p and Σ s φ, and from (B, K) costs or null. */
BL_EXPORT int bl_fused_gradient(const Tensor *logits, const Tensor *labels, const Tensor *maps, const int64_t *shape,
                                int64_t ignored, int64_t power, const double *costs, const double *factors,
                                const Tensor *out, int threads) {
    Work work = work_of(logits, labels, maps, shape, ignored, power, threads);
    work.costs = costs;
    work.factors = factors;
    work.out = *out;
    const int has_memory = work.scratch != 0;
    if (has_memory) {
        const size_t bytes = out->type == FLOAT32 ? 4 : 2;
        bl_large_pages(out->data, (size_t)(shape[0] * shape[1] * shape[2]) * bytes);
        bl_parallel(shape[0] * work.pieces, threads, gradient_job, &work);
    }
    free(work.scratch);
    return has_memory ? 0 : -1;
}
