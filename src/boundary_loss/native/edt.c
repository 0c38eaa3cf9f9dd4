/* Exact Euclidean distance maps of label images on the CPU, one-sided or signed.
 *
 * The squared distance is separable (Saito & Toriwaki, Pattern Recognition 1994): within the columns of one axis it is a
 * count of steps, and each further axis takes the lower envelope of parabolas along its lines (Meijster et al. 2000;
 * Felzenszwalb & Huttenlocher, Theory of Computing 2012).
 *
 * Both sides come at the price of one. A voxel holds its squared distance to the nearest voxel of the other kind,
 * negative inside the class. A line falls into runs of one kind. No voxel beyond the end of a run can be nearer to a
 * voxel of the run than the end is, which is of the other kind itself, at height 0: so each run has an envelope of its
 * own, and all runs of a line together cost what one side would.
 *
 * Voxels of equal sides are measured in whole steps: float32 holds their squares exactly, and the root, times
 * the side, is rounded once. Other spacings are measured in float64.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "parallel.h"

typedef struct {
    const void *labels; /* (B, X, Y, Z) integers of `bytes` bytes each */
    int bytes;
    int64_t class_count;
    const int64_t *classes;
    int inverted;      /* a map's voxels are those that are not of the class */
    int has_ignored;   /* nor, where inverted, of this label: */
    int64_t ignored;
    int64_t shape[3];
    const double *spacing; /* (3,), or (N, 3): a row a map */
    int64_t spacing_rows;
    int is_signed;
    int faces;    /* measure to the boxes of the voxels, half a step nearer than their centres */
    double limit; /* longer distances come out as this */
    double inside;         /* signed: added to the distances inside the map */
    const double *nowhere; /* (N,) what a map holds that has no boundary; minus this where it is full */
    void *out;    /* (N, X, Y, Z), N = B * class_count */
    int out_is_double;
} Maps;

/* The kind of each of `count` voxels: 1 where the map has it. */
#define KIND_LOOP(TYPE)                                                                                               \
    {                                                                                                                 \
        const TYPE *from = (const TYPE *)maps->labels + first;                                                        \
        const TYPE k = (TYPE)label;                                                                                   \
        if (!maps->inverted) {                                                                                        \
            for (int64_t i = 0; i < count; i++) kind[i] = from[i] == k;                                               \
        } else if (!maps->has_ignored) {                                                                              \
            for (int64_t i = 0; i < count; i++) kind[i] = from[i] != k;                                               \
        } else {                                                                                                      \
            const TYPE none = (TYPE)maps->ignored;                                                                    \
            for (int64_t i = 0; i < count; i++) kind[i] = (from[i] != k) & (from[i] != none);                         \
        }                                                                                                             \
    }

BL_INLINE void kinds(const Maps *maps, int64_t map, int64_t offset, int64_t count, uint8_t *kind) {
    const int64_t voxels = maps->shape[0] * maps->shape[1] * maps->shape[2];
    const int64_t first = map / maps->class_count * voxels + offset;
    const int64_t label = maps->classes[map % maps->class_count];
    switch (maps->bytes) {
        case 1: KIND_LOOP(uint8_t) break;
        case 2: KIND_LOOP(int16_t) break;
        case 4: KIND_LOOP(int32_t) break;
        default: KIND_LOOP(int64_t) break;
    }
}

#define REAL float
#define NAME(x) x##_float
#include "edt_passes.h"
#undef REAL
#undef NAME

#define REAL double
#define NAME(x) x##_double
#include "edt_passes.h"
#undef REAL
#undef NAME

/* Whether whole steps, halves for faces, and their squares are exact in float32. */
static int exact_in_float(const Maps *maps, const double *spacing) {
    double longest = 0;
    for (int axis = 0; axis < 3; axis++) {
        if (maps->shape[axis] > 1 && spacing[axis] != spacing[2]) return 0;
        longest += (double)maps->shape[axis] * (double)maps->shape[axis];
    }
    return longest * (maps->faces ? 4 : 1) < (1 << 24);
}

static const double *spacing_of(const Maps *maps, int64_t map) {
    return maps->spacing + (maps->spacing_rows == 1 ? 0 : 3 * map);
}

typedef struct {
    const Maps *maps;
    int failed;
} Batch;

static int one_map(const Maps *maps, int64_t map, int threads) {
    const double *spacing = spacing_of(maps, map);
    return exact_in_float(maps, spacing) ? measure_float(maps, map, spacing, threads)
                                         : measure_double(maps, map, spacing, threads);
}

static void whole_map(void *context, int64_t job, int worker) {
    Batch *batch = context;
    (void)worker;
    if (one_map(batch->maps, job, 1) != 0) __atomic_store_n(&batch->failed, 1, __ATOMIC_RELAXED);
}

/* Returns 0, or -1 where memory is short. */
BL_EXPORT int bl_edt(const void *labels, int bytes, int64_t images, int64_t class_count, const int64_t *classes,
                     int inverted, int has_ignored, int64_t ignored, const int64_t *shape, const double *spacing,
                     int64_t spacing_rows, int is_signed, int faces, double limit, double inside,
                     const double *nowhere, void *out, int out_is_double, int threads) {
    const Maps maps = {labels, bytes, class_count, classes, inverted, has_ignored, ignored,
                       {shape[0], shape[1], shape[2]}, spacing, spacing_rows, is_signed, faces, limit, inside,
                       nowhere, out, out_is_double};
    const int64_t count = images * class_count;
    if (count >= threads) { /* a map a thread: its passes then find it in the core's own cache */
        Batch batch = {&maps, 0};
        bl_parallel(count, threads, whole_map, &batch);
        return batch.failed ? -1 : 0;
    }
    for (int64_t map = 0; map < count; map++) {
        if (one_map(&maps, map, threads) != 0) return -1;
    }
    return 0;
}
