/* Slices altered to learn from: mirrored, deformed, recoloured and with noise, each read once and written once.
 *
 * What is drawn comes from the caller. Sums and noise do not depend on the number of threads.
 */
#include <stdlib.h>

#include "arithmetic.h"
#include "spline.h"

typedef struct {
    const float *images;   /* (B, C, X, Y) */
    const uint8_t *labels; /* (B, X, Y) */
    int64_t C, X, Y;
    const uint8_t *mirrored; /* (B, 2) along X, along Y, before all else */
    const double *affine;    /* (B, 2, 3) or null: where pixel (x, y) comes from is a + b x + c y along each axis */
    const float *control;    /* (B, 2, G, H) or null: cubic B-spline control points, in pixels along each axis */
    int64_t G, H;
    const double *knots;     /* (B, 2) a pixel's share of the control points' distance */
    const float *recolour;   /* (B, 3, C) or null: gamma, contrast, brightness */
    const float *deviation;  /* (B,) or null: of the noise */
    const uint32_t *stream;  /* (B, 2) what numbers the noise's stream */
    float *altered_images;
    uint8_t *altered_labels;
    int failed;
} Slices;

/* What one row of an altered slice is made of. */
typedef struct {
    int32_t *tap[4]; /* (Y,) the four pixels around the place that a pixel comes from, */
    float *share[4]; /* (Y,) and each one's part; none of those outside the slice */
    float *outside;  /* (Y,) the part of what is outside */
    int32_t *closest; /* (Y,) the pixel nearest to the place, or -1 outside */
    float *from_x, *from_y; /* (Y,) the place */
    float *weight[4]; /* (Y,) of the four control points that move a pixel, */
    int32_t *first;   /* (Y,) of which this is the first */
    float *moving;    /* (2, H + 4) control points, summed over X */
    float *value;     /* (Y,) */
    float *sums;      /* (C, Y) of the columns of each modality */
    float *least;     /* (C,) */
} Row;

/* ---- where a pixel comes from ---------------------------------------------------------------------------------- */

/* Adds to the places of row x what the control points move them. */
BL_WIDE static void bend_row(const Slices *s, int64_t item, int64_t x, const Row *row) {
    float weight[4];
    const int32_t first = spline_weights(x, s->knots[2 * item], s->G, weight);
    for (int64_t axis = 0; axis < 2; axis++) {
        const float *control = s->control + (2 * item + axis) * s->G * s->H;
        float *moving = row->moving + axis * (s->H + 4);
        for (int64_t h = 0; h < s->H + 4; h++) moving[h] = 0;
        for (int64_t k = 0; k < 4 && first + k < s->G; k++) {
            for (int64_t h = 0; h < s->H; h++) moving[h] += weight[k] * control[(first + k) * s->H + h];
        }
    }
    const float *restrict along_x = row->moving, *restrict along_y = row->moving + s->H + 4;
    const float *restrict a = row->weight[0], *restrict b = row->weight[1], *restrict c = row->weight[2],
                *restrict d = row->weight[3];
    const int32_t *restrict points = row->first;
    float *restrict from_x = row->from_x, *restrict from_y = row->from_y;
    for (int64_t y = 0, end; y < s->Y; y = end) { /* between two control points, the four are the same */
        const int32_t h = points[y];
        const float x0 = along_x[h], x1 = along_x[h + 1], x2 = along_x[h + 2], x3 = along_x[h + 3];
        const float y0 = along_y[h], y1 = along_y[h + 1], y2 = along_y[h + 2], y3 = along_y[h + 3];
        for (end = y + 1; end < s->Y && points[end] == h;) end++;
        for (int64_t i = y; i < end; i++) {
            from_x[i] += a[i] * x0 + b[i] * x1 + c[i] * x2 + d[i] * x3;
            from_y[i] += a[i] * y0 + b[i] * y1 + c[i] * y2 + d[i] * y3;
        }
    }
}

BL_INLINE int32_t within(int32_t i, int32_t last) {
    i = i > 0 ? i : 0;
    return i < last ? i : last;
}

/* Pixels and weights of bilinear interpolation at the places of a row, and the nearest pixel. */
BL_WIDE static void take_row(const Slices *s, int64_t item, const Row *row) {
    const float *restrict from_x = row->from_x, *restrict from_y = row->from_y;
    int32_t *restrict tap_a = row->tap[0], *restrict tap_b = row->tap[1], *restrict tap_c = row->tap[2],
            *restrict tap_d = row->tap[3], *restrict closest = row->closest;
    float *restrict in_a = row->share[0], *restrict in_b = row->share[1], *restrict in_c = row->share[2],
          *restrict in_d = row->share[3], *restrict outside = row->outside;
    const float X = (float)s->X, Y = (float)s->Y;
    const int32_t last_x = (int32_t)s->X - 1, last_y = (int32_t)s->Y - 1, stride = (int32_t)s->Y;
    /* mirrored: pixel i is pixel last - i */
    const int32_t step_x = s->mirrored[2 * item] ? -stride : stride, step_y = s->mirrored[2 * item + 1] ? -1 : 1;
    const int32_t start = (step_x < 0 ? last_x * stride : 0) + (step_y < 0 ? last_y : 0);
    const int64_t count = s->Y;
#pragma GCC ivdep
    for (int64_t y = 0; y < count; y++) {
        float px = from_x[y], py = from_y[y];
        px = px > -1 ? px : -1; /* one pixel outside is as far as any */
        py = py > -1 ? py : -1;
        px = px < X ? px : X;
        py = py < Y ? py : Y;
        const int32_t i = (int32_t)(px + 1) - 1, j = (int32_t)(py + 1) - 1; /* floors */
        const float fx = px - (float)i, fy = py - (float)j;
        /* products, as branches are no vector code */
        const float part_x = (1 - fx) * (float)((i >= 0) & (i <= last_x)), rest_x = fx * (float)(i < last_x);
        const float part_y = (1 - fy) * (float)((j >= 0) & (j <= last_y)), rest_y = fy * (float)(j < last_y);
        const int32_t i0 = start + within(i, last_x) * step_x, i1 = start + within(i + 1, last_x) * step_x;
        const int32_t j0 = within(j, last_y) * step_y, j1 = within(j + 1, last_y) * step_y;
        tap_a[y] = i0 + j0;
        tap_b[y] = i0 + j1;
        tap_c[y] = i1 + j0;
        tap_d[y] = i1 + j1;
        in_a[y] = part_x * part_y;
        in_b[y] = part_x * rest_y;
        in_c[y] = rest_x * part_y;
        in_d[y] = rest_x * rest_y;
        outside[y] = 1 - (part_x + rest_x) * (part_y + rest_y);
        const int32_t ci = (int32_t)nearest(px), cj = (int32_t)nearest(py);
        const int32_t inside = (ci >= 0) & (ci <= last_x) & (cj >= 0) & (cj <= last_y);
        closest[y] = (start + ci * step_x + cj * step_y + 1) * inside - 1;
    }
}

static void place_row(const Slices *s, int64_t item, int64_t x, const Row *row) {
    const double *to_x = s->affine + 6 * item, *to_y = to_x + 3;
    const float start_x = (float)(to_x[0] + to_x[1] * (double)x), start_y = (float)(to_y[0] + to_y[1] * (double)x);
    const float step_x = (float)to_x[2], step_y = (float)to_y[2];
    for (int64_t y = 0; y < s->Y; y++) {
        row->from_x[y] = start_x + step_x * (float)y;
        row->from_y[y] = start_y + step_y * (float)y;
    }
    if (s->control) bend_row(s, item, x, row);
    take_row(s, item, row);
}

/* ---- what it becomes ------------------------------------------------------------------------------------------- */

BL_WIDE static float least_of(const float *plane, int64_t count) {
    float least[16];
    const int64_t whole = count / 16 * 16;
    for (int k = 0; k < 16; k++) least[k] = plane[0];
    for (int64_t i = 0; i < whole; i += 16) {
        for (int k = 0; k < 16; k++) least[k] = plane[i + k] < least[k] ? plane[i + k] : least[k];
    }
    for (int64_t i = whole; i < count; i++) least[0] = plane[i] < least[0] ? plane[i] : least[0];
    for (int k = 1; k < 16; k++) least[0] = least[k] < least[0] ? least[k] : least[0];
    return least[0];
}

BL_WIDE static void sample_row(const Row *row, const float *restrict plane, float least, int64_t Y,
                               float *restrict value) {
    const int32_t *restrict a = row->tap[0], *restrict b = row->tap[1], *restrict c = row->tap[2],
                  *restrict d = row->tap[3];
    const float *restrict in_a = row->share[0], *restrict in_b = row->share[1], *restrict in_c = row->share[2],
                *restrict in_d = row->share[3], *restrict outside = row->outside;
    for (int64_t y = 0; y < Y; y++) {
        value[y] = in_a[y] * plane[a[y]] + in_b[y] * plane[b[y]] + in_c[y] * plane[c[y]] + in_d[y] * plane[d[y]] +
                   outside[y] * least;
    }
}

static void copy_row(const float *from, int64_t Y, int mirrored, float *to) {
    if (!mirrored) memcpy(to, from, (size_t)Y * sizeof *to);
    else for (int64_t y = 0; y < Y; y++) to[y] = from[Y - 1 - y];
}

/* x^gamma of what is above 0, and 0 of what is below, into `to`; added to the sums of the columns. */
BL_WIDE static void raise_row(const float *restrict value, int64_t Y, float gamma, float *restrict to,
                              float *restrict sums) {
    for (int64_t y = 0; y < Y; y++) {
        const float x = value[y], raised = exp2_of(gamma * log2_of(x));
        const float found = x > 0 ? raised : x <= 0 ? 0 : x; /* a NaN stays one */
        to[y] = found;
        sums[y] += found;
    }
}

/* value * slope + shift, and noise.
 *
 * Numbers 2n and 2n + 1 of the stream are the hash pcg3d of n and the stream's name (Jarzynski & Olano, Journal of
 * Computer Graphics Techniques 9(3), 2020); Box & Muller (1958) make two normal ones of them, for places n and half + n
 * of the plane. */
BL_WIDE static void add_noise(float *restrict low, float *restrict high, int64_t count, int64_t count_high,
                              uint32_t first, const uint32_t *stream, float slope, float shift, float deviation) {
    const uint32_t a = 1664525, b = 1013904223, key_y = stream[0] * a + b, key_z = stream[1] * a + b;
    for (int64_t i = 0; i < count; i++) {
        uint32_t x = (first + (uint32_t)i) * a + b, y = key_y, z = key_z;
        x += y * z, y += z * x, z += x * y;
        x ^= x >> 16, y ^= y >> 16, z ^= z >> 16;
        x += y * z, y += z * x;
        const float u = ((float)(int32_t)(x >> 9) + 0.5f) * 0x1p-23f, turns = (float)(int32_t)y * 0x1p-32f;
        const float radius = deviation * __builtin_sqrtf(-1.38629436f * log2_of(u)); /* 2 ln 2 */
        float cosine, sine;
        cos_sin_of_turns(turns, &cosine, &sine);
        low[i] = low[i] * slope + shift + radius * cosine;
        if (i < count_high) high[i] = high[i] * slope + shift + radius * sine;
    }
}

BL_WIDE static void scale_plane(float *plane, int64_t count, float slope, float shift) {
    for (int64_t i = 0; i < count; i++) plane[i] = plane[i] * slope + shift;
}

static void finish_plane(const Slices *s, int64_t item, int64_t c, const float *sums) {
    const int64_t voxels = s->X * s->Y, half = (voxels + 1) / 2;
    float *plane = s->altered_images + (item * s->C + c) * voxels;
    float slope = 1, shift = 0;
    if (s->recolour) {
        const float *recolour = s->recolour + 3 * item * s->C + c;
        double sum = 0;
        for (int64_t y = 0; y < s->Y; y++) sum += sums[y];
        slope = recolour[s->C];
        shift = (float)(sum / (double)voxels * (1 - (double)slope) + recolour[2 * s->C]); /* about the mean */
    }
    if (s->deviation) {
        add_noise(plane, plane + half, half, voxels - half, (uint32_t)(c * half), s->stream + 2 * item, slope, shift,
                  s->deviation[item]);
    } else if (s->recolour) scale_plane(plane, voxels, slope, shift);
}

/* ---- a slice --------------------------------------------------------------------------------------------------- */

static void alter_row(const Slices *s, int64_t item, int64_t x, const Row *row) {
    const int64_t Y = s->Y, voxels = s->X * Y, from = s->mirrored[2 * item] ? s->X - 1 - x : x;
    const uint8_t *labels = s->labels + item * voxels;
    uint8_t *classes = s->altered_labels + item * voxels + x * Y;
    if (s->affine) {
        place_row(s, item, x, row);
        for (int64_t y = 0; y < Y; y++) classes[y] = row->closest[y] < 0 ? 0 : labels[row->closest[y]];
    } else {
        const int mirrored = s->mirrored[2 * item + 1];
        for (int64_t y = 0; y < Y; y++) classes[y] = labels[from * Y + (mirrored ? Y - 1 - y : y)];
    }
    for (int64_t c = 0; c < s->C; c++) {
        const float *plane = s->images + (item * s->C + c) * voxels;
        float *to = s->altered_images + (item * s->C + c) * voxels + x * Y, *value = s->recolour ? row->value : to;
        if (s->affine) sample_row(row, plane, row->least[c], Y, value);
        else copy_row(plane + from * Y, Y, s->mirrored[2 * item + 1], value);
        if (s->recolour) raise_row(value, Y, s->recolour[3 * item * s->C + c], to, row->sums + c * Y);
    }
}

/* `count` numbers of four bytes from the front of the scratch memory. */
static void *cut(char **scratch, int64_t count) {
    void *part = *scratch;
    *scratch += (count * 4 + 63) / 64 * 64;
    return part;
}

static Row row_in(const Slices *s, char *scratch) {
    Row row;
    for (int k = 0; k < 4; k++) {
        row.tap[k] = cut(&scratch, s->Y);
        row.share[k] = cut(&scratch, s->Y);
        row.weight[k] = cut(&scratch, s->Y);
    }
    row.outside = cut(&scratch, s->Y);
    row.closest = cut(&scratch, s->Y);
    row.from_x = cut(&scratch, s->Y);
    row.from_y = cut(&scratch, s->Y);
    row.first = cut(&scratch, s->Y);
    row.value = cut(&scratch, s->Y);
    row.moving = cut(&scratch, 2 * (s->H + 4));
    row.sums = cut(&scratch, s->C * s->Y);
    row.least = cut(&scratch, s->C);
    return row;
}

static void alter(void *context, int64_t item, int worker) {
    Slices *s = context;
    const int64_t voxels = s->X * s->Y;
    char *scratch = malloc((size_t)(4 * ((18 + s->C) * (s->Y + 16) + 2 * (s->H + 4) + 16 + s->C + 16)));
    (void)worker;
    if (!scratch) {
        __atomic_store_n(&s->failed, 1, __ATOMIC_RELAXED);
        return;
    }
    const Row row = row_in(s, scratch);
    memset(row.sums, 0, (size_t)(s->C * s->Y) * sizeof *row.sums);
    if (s->affine) {
        for (int64_t c = 0; c < s->C; c++) row.least[c] = least_of(s->images + (item * s->C + c) * voxels, voxels);
    }
    if (s->control) {
        for (int64_t y = 0; y < s->Y; y++) {
            float weight[4];
            row.first[y] = spline_weights(y, s->knots[2 * item + 1], s->H, weight);
            for (int k = 0; k < 4; k++) row.weight[k][y] = weight[k];
        }
    }
    for (int64_t x = 0; x < s->X; x++) alter_row(s, item, x, &row);
    for (int64_t c = 0; c < s->C; c++) finish_plane(s, item, c, row.sums + c * s->Y);
    free(scratch);
}

/* Returns 0, or -1 where memory is short. */
BL_EXPORT int bl_augment(const float *images, const uint8_t *labels, const int64_t *shape, const uint8_t *mirrored,
                         const double *affine, const float *control, const int64_t *points, const double *knots,
                         const float *recolour, const float *deviation, const uint32_t *stream, float *altered_images,
                         uint8_t *altered_labels, int threads) {
    Slices slices = {images, labels, shape[1], shape[2], shape[3], mirrored, affine, control, points[0], points[1], knots,
                     recolour, deviation, stream, altered_images, altered_labels, 0};
    bl_parallel(shape[0], threads, alter, &slices);
    return slices.failed ? -1 : 0;
}
