/* What is shown of a volume, turned and bent: images linear, labels nearest, by one interpolation from the source.
 *
 * Beyond the source lie 0 and background. What is drawn comes from the caller; planes of x are the jobs, and no number
 * depends on how many threads share them.
 */
#include <stdlib.h>

#include "arithmetic.h"
#include "spline.h"

typedef struct {
    const float *image;    /* (C, source) */
    const uint8_t *labels; /* (source) */
    int64_t C;
    const int64_t *source, *shown; /* (3,) voxels */
    const double *affine;  /* (3, 4): voxel (x, y, z) comes from a + b x + c y + d z along each axis, in source voxels */
    const float *control;  /* (3, points) or null: cubic B-spline control points, in source voxels */
    const int64_t *points; /* (3,) */
    const double *knots;   /* (3,) a shown voxel's share of the control points' distance */
    float tie;             /* voxels added before labels are rounded, so that what lies half-way goes up */
    float *to;             /* (C, shown) */
    uint8_t *classes;      /* (shown) */
    int failed;
} Volume;

/* What one row along z is made of. */
typedef struct {
    float *from[3];    /* (Z,) the place that a voxel comes from, along each axis */
    float *part[3];    /* (Z,) the weight of the lower neighbour along each axis, 0 if it is outside, */
    float *rest[3];    /* (Z,) and that of the upper one */
    int32_t *low[3];   /* (Z,) where the lower neighbour lies along each axis, in voxels from the first, */
    int32_t *high[3];  /* (Z,) and the upper one */
    int32_t *closest;  /* (Z,) the voxel nearest to the place, or -1 outside */
    float *weight[4];  /* (Z,) of the four control points that move a voxel, */
    int32_t *first;    /* (Z,) of which this is the first */
    float *in_plane;   /* (3, H, I) control points, summed over x */
    float *in_row;     /* (3, I + 4) and over y */
    float *mixed;      /* (source Z,) four rows of the source, weighed */
} Row;

/* ---- where a voxel comes from ---------------------------------------------------------------------------------- */

static void bend_plane(const Volume *v, int64_t x, const Row *row) {
    const int64_t H = v->points[1], I = v->points[2];
    float weight[4];
    const int32_t first = spline_weights(x, v->knots[0], v->points[0], weight);
    for (int64_t axis = 0; axis < 3; axis++) {
        float *sums = row->in_plane + axis * H * I;
        memset(sums, 0, (size_t)(H * I) * sizeof *sums);
        for (int64_t k = 0; k < 4 && first + k < v->points[0]; k++) {
            const float *control = v->control + ((axis * v->points[0]) + first + k) * H * I;
            for (int64_t i = 0; i < H * I; i++) sums[i] += weight[k] * control[i];
        }
    }
}

/* Adds to the places of row y what the control points move them. */
BL_WIDE static void bend_row(const Volume *v, int64_t y, const Row *row) {
    const int64_t H = v->points[1], I = v->points[2], Z = v->shown[2];
    float weight[4];
    const int32_t first = spline_weights(y, v->knots[1], H, weight);
    const float *restrict a = row->weight[0], *restrict b = row->weight[1], *restrict c = row->weight[2],
                *restrict d = row->weight[3];
    for (int64_t axis = 0; axis < 3; axis++) {
        float *restrict sums = row->in_row, *restrict from = row->from[axis];
        memset(sums, 0, (size_t)(I + 4) * sizeof *sums);
        for (int64_t k = 0; k < 4 && first + k < H; k++) {
            const float *control = row->in_plane + (axis * H + first + k) * I;
            for (int64_t i = 0; i < I; i++) sums[i] += weight[k] * control[i];
        }
        for (int64_t z = 0, end; z < Z; z = end) { /* between two control points, the four are the same */
            const int32_t h = row->first[z];
            const float p = sums[h], q = sums[h + 1], r = sums[h + 2], s = sums[h + 3];
            for (end = z + 1; end < Z && row->first[end] == h;) end++;
            for (int64_t i = z; i < end; i++) from[i] += a[i] * p + b[i] * q + c[i] * r + d[i] * s;
        }
    }
}

static void place_row(const Volume *v, int64_t x, int64_t y, const Row *row) {
    for (int axis = 0; axis < 3; axis++) {
        const double *a = v->affine + 4 * axis;
        const float start = (float)(a[0] + a[1] * (double)x + a[2] * (double)y), step = (float)a[3];
        float *from = row->from[axis];
        for (int64_t z = 0; z < v->shown[2]; z++) from[z] = start + step * (float)z;
    }
    if (v->control) bend_row(v, y, row);
}

BL_INLINE float bounded(float place, float size) { /* one voxel outside is as far as any */
    place = place > -1 ? place : -1;
    return place < size ? place : size;
}

BL_INLINE int32_t within(int32_t i, int32_t last) {
    i = i > 0 ? i : 0;
    return i < last ? i : last;
}

/* Neighbours and weights along one axis at the places of a row. */
BL_WIDE static void take_axis(const float *restrict from, int64_t count, int32_t size, int32_t stride,
                              float *restrict part, float *restrict rest, int32_t *restrict low, int32_t *restrict high) {
    const int32_t last = size - 1;
#pragma GCC ivdep
    for (int64_t z = 0; z < count; z++) {
        const float place = bounded(from[z], (float)size);
        const int32_t i = (int32_t)(place + 1) - 1; /* floor */
        const float share = place - (float)i;
        part[z] = (1 - share) * (float)((i >= 0) & (i <= last)); /* products, as branches are no vector code */
        rest[z] = share * (float)(i < last);
        low[z] = within(i, last) * stride;
        high[z] = within(i + 1, last) * stride;
    }
}

BL_WIDE static void find_closest(const Volume *v, const Row *row) {
    const float *restrict px = row->from[0], *restrict py = row->from[1], *restrict pz = row->from[2];
    int32_t *restrict closest = row->closest;
    const int32_t X = (int32_t)v->source[0], Y = (int32_t)v->source[1], Z = (int32_t)v->source[2];
    const float half_up = 1.5f + v->tie;
    const int64_t count = v->shown[2];
#pragma GCC ivdep
    for (int64_t z = 0; z < count; z++) {
        const int32_t i = (int32_t)(bounded(px[z], (float)X) + half_up) - 1;
        const int32_t j = (int32_t)(bounded(py[z], (float)Y) + half_up) - 1;
        const int32_t k = (int32_t)(bounded(pz[z], (float)Z) + half_up) - 1;
        const int32_t inside = (i >= 0) & (i < X) & (j >= 0) & (j < Y) & (k >= 0) & (k < Z);
        closest[z] = ((i * Y + j) * Z + k + 1) * inside - 1;
    }
}

/* ---- what it becomes ------------------------------------------------------------------------------------------- */

BL_WIDE static void sample_row(const Row *row, const float *restrict image, int64_t count, float *restrict value) {
    const int32_t *restrict x0 = row->low[0], *restrict x1 = row->high[0], *restrict y0 = row->low[1],
                  *restrict y1 = row->high[1], *restrict z0 = row->low[2], *restrict z1 = row->high[2];
    const float *restrict px = row->part[0], *restrict rx = row->rest[0], *restrict py = row->part[1],
                *restrict ry = row->rest[1], *restrict pz = row->part[2], *restrict rz = row->rest[2];
    for (int64_t z = 0; z < count; z++) {
        const int32_t a = x0[z] + y0[z], b = x0[z] + y1[z], c = x1[z] + y0[z], d = x1[z] + y1[z], k = z0[z], l = z1[z];
        const float low = py[z] * (pz[z] * image[a + k] + rz[z] * image[a + l]) +
                          ry[z] * (pz[z] * image[b + k] + rz[z] * image[b + l]);
        const float high = py[z] * (pz[z] * image[c + k] + rz[z] * image[c + l]) +
                           ry[z] * (pz[z] * image[d + k] + rz[z] * image[d + l]);
        value[z] = px[z] * low + rx[z] * high;
    }
}

/* The four rows of the source about the place of a row that stays along z. */
BL_WIDE static void mix_rows(const Row *row, const float *image, int64_t Z, float *restrict mixed) {
    const float *restrict a = image + row->low[0][0] + row->low[1][0], *restrict b = image + row->low[0][0] + row->high[1][0],
                *restrict c = image + row->high[0][0] + row->low[1][0],
                *restrict d = image + row->high[0][0] + row->high[1][0];
    const float wa = row->part[0][0] * row->part[1][0], wb = row->part[0][0] * row->rest[1][0],
                wc = row->rest[0][0] * row->part[1][0], wd = row->rest[0][0] * row->rest[1][0];
    for (int64_t z = 0; z < Z; z++) mixed[z] = wa * a[z] + wb * b[z] + wc * c[z] + wd * d[z];
}

BL_WIDE static void sample_mixed(const Row *row, int64_t count, float *restrict value) {
    const int32_t *restrict low = row->low[2], *restrict high = row->high[2];
    const float *restrict part = row->part[2], *restrict rest = row->rest[2], *restrict mixed = row->mixed;
    for (int64_t z = 0; z < count; z++) value[z] = part[z] * mixed[low[z]] + rest[z] * mixed[high[z]];
}

static void *cut(char **scratch, int64_t count) { /* `count` numbers of four bytes from the front */
    void *part = *scratch;
    *scratch += (count * 4 + 63) / 64 * 64;
    return part;
}

static size_t scratch_bytes(const Volume *v) {
    const int64_t bent = v->control ? 3 * v->points[1] * v->points[2] + v->points[2] : 0;
    return (size_t)(4 * (21 * (v->shown[2] + 16) + bent + 4 + 32 + v->source[2] + 16));
}

static Row row_in(const Volume *v, char *scratch) {
    const int64_t Z = v->shown[2];
    Row row;
    for (int axis = 0; axis < 3; axis++) {
        row.from[axis] = cut(&scratch, Z);
        row.part[axis] = cut(&scratch, Z);
        row.rest[axis] = cut(&scratch, Z);
        row.low[axis] = cut(&scratch, Z);
        row.high[axis] = cut(&scratch, Z);
    }
    row.closest = cut(&scratch, Z);
    row.first = cut(&scratch, Z);
    for (int k = 0; k < 4; k++) row.weight[k] = cut(&scratch, Z);
    row.mixed = cut(&scratch, v->source[2]);
    row.in_row = cut(&scratch, v->control ? v->points[2] + 4 : 0);
    row.in_plane = cut(&scratch, v->control ? 3 * v->points[1] * v->points[2] : 0);
    return row;
}

static void deform_plane(void *context, int64_t x, int worker) {
    Volume *v = context;
    const int64_t Y = v->shown[1], Z = v->shown[2], voxels = v->source[0] * v->source[1] * v->source[2];
    const int32_t strides[3] = {(int32_t)(v->source[1] * v->source[2]), (int32_t)v->source[2], 1};
    const int upright = !v->control && v->affine[3] == 0 && v->affine[7] == 0; /* along z, x and y do not change */
    char *scratch = malloc(scratch_bytes(v));
    (void)worker;
    if (!scratch) {
        __atomic_store_n(&v->failed, 1, __ATOMIC_RELAXED);
        return;
    }
    const Row row = row_in(v, scratch);
    if (v->control) {
        bend_plane(v, x, &row);
        for (int64_t z = 0; z < Z; z++) {
            float weight[4];
            row.first[z] = spline_weights(z, v->knots[2], v->points[2], weight);
            for (int k = 0; k < 4; k++) row.weight[k][z] = weight[k];
        }
    }
    for (int64_t y = 0; y < Y; y++) {
        place_row(v, x, y, &row);
        for (int axis = 0; axis < 3; axis++) {
            take_axis(row.from[axis], upright && axis < 2 ? 1 : Z, (int32_t)v->source[axis], strides[axis], row.part[axis],
                      row.rest[axis], row.low[axis], row.high[axis]);
        }
        for (int64_t c = 0; c < v->C; c++) {
            float *value = v->to + ((c * v->shown[0] + x) * Y + y) * Z;
            if (upright) {
                mix_rows(&row, v->image + c * voxels, v->source[2], row.mixed);
                sample_mixed(&row, Z, value);
            } else sample_row(&row, v->image + c * voxels, Z, value);
        }
        find_closest(v, &row);
        uint8_t *classes = v->classes + (x * Y + y) * Z;
        for (int64_t z = 0; z < Z; z++) classes[z] = row.closest[z] < 0 ? 0 : v->labels[row.closest[z]];
    }
    free(scratch);
}

/* Returns 0, or -1 where memory is short. */
BL_EXPORT int bl_deform(const float *image, const uint8_t *labels, int64_t channels, const int64_t *source,
                        const int64_t *shown, const double *affine, const float *control, const int64_t *points,
                        const double *knots, double tie, float *to, uint8_t *classes, int threads) {
    Volume volume = {image, labels, channels, source, shown, affine, control, points, knots, (float)tie, to, classes, 0};
    bl_parallel(shown[0], threads, deform_plane, &volume);
    return volume.failed ? -1 : 0;
}
