/* Rows of tensors, of several types and any strides, read into float32 and written from it. */
#ifndef BOUNDARY_LOSS_ROWS_H
#define BOUNDARY_LOSS_ROWS_H

#include <stdint.h>

#include "arithmetic.h"
#include "parallel.h"

/* As in losses/fused_compiled.py */
enum { FLOAT32, FLOAT64, BFLOAT16, FLOAT16, UINT8, INT8, INT16, INT32, INT64 };

/* (B, K, N), or (B, N), of which the stride of the class is not used. Strides count elements. */
typedef struct {
    void *data;
    int64_t image, class, voxel;
    int64_t type;
} Tensor;

/* ---- numbers of 16 bits, rounded to the nearest, ties to even --------------------------------------------------- */

BL_INLINE float from_bfloat16(uint16_t value) { return of_bits((int32_t)((uint32_t)value << 16)); }

BL_INLINE uint16_t to_bfloat16(float value) {
    const uint32_t bits = (uint32_t)bits_of(value), rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded);
}

BL_INLINE float from_float16(uint16_t value) {
    const int32_t size = (value & 0x7fff) << 13, sign = (int32_t)((uint32_t)(value & 0x8000) << 16);
    const int32_t finite = bits_of(of_bits(size) * 0x1p112f); /* float16 and float32 have different exponent biases */
    return of_bits(sign | (size >= 0x0f800000 ? size | 0x7f800000 : finite));
}

BL_INLINE uint16_t to_float16(float value) {
    const int32_t size = bits_of(value) & 0x7fffffff, sign = bits_of(value) >> 16 & 0x8000;
    const int32_t normal = (size - (112 << 23) + 0xfff + (size >> 13 & 1)) >> 13;
    const int32_t subnormal = bits_of(of_bits(size) + 0.5f) - 0x3f000000; /* whose last digits beside 0.5 remain */
    int32_t bits = size < 0x38800000 ? subnormal : normal;
    bits = size >= 0x47800000 ? 0x7c00 : bits;
    bits = size > 0x7f800000 ? 0x7e00 : bits;
    return (uint16_t)(sign | bits);
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

#define READ(TYPE, CONVERT)                                                                                           \
    {                                                                                                                 \
        const TYPE *from = (const TYPE *)tensor->data + start;                                                        \
        for (int64_t i = 0; i < count; i++) row[i] = CONVERT(from[i * stride]);                                       \
        break;                                                                                                        \
    }

BL_INLINE void read_strided(const Tensor *tensor, int64_t start, int64_t stride, int64_t count, float *restrict row) {
    switch (tensor->type) {
        case FLOAT64: READ(double, (float))
        case BFLOAT16: READ(uint16_t, from_bfloat16)
        case FLOAT16: READ(uint16_t, from_float16)
        default: READ(float, )
    }
}

/* `count` voxels of one class of one image. */
BL_WIDE static void read_row(const Tensor *tensor, int64_t b, int64_t k, int64_t first, int64_t count, float *row) {
    const int64_t start = b * tensor->image + k * tensor->class + first * tensor->voxel;
    if (tensor->voxel == 1) read_strided(tensor, start, 1, count, row); /* a loop of its own, which is faster */
    else if (tensor->voxel == 2) read_strided(tensor, start, 2, count, row);
    else read_strided(tensor, start, tensor->voxel, count, row);
}

#define WRITE(TYPE, CONVERT)                                                                                          \
    {                                                                                                                 \
        TYPE *to = (TYPE *)tensor->data + start;                                                                      \
        for (int64_t i = 0; i < count; i++) to[i * stride] = CONVERT(row[i]);                                         \
        break;                                                                                                        \
    }

BL_INLINE void write_strided(const Tensor *tensor, int64_t start, int64_t stride, int64_t count,
                             const float *restrict row) {
    switch (tensor->type) {
        case BFLOAT16: WRITE(uint16_t, to_bfloat16)
        case FLOAT16: WRITE(uint16_t, to_float16)
        default: WRITE(float, )
    }
}

BL_WIDE static void write_row(const Tensor *tensor, int64_t b, int64_t k, int64_t first, int64_t count,
                              const float *row) {
    const int64_t start = b * tensor->image + k * tensor->class + first * tensor->voxel;
    if (tensor->voxel == 1) write_strided(tensor, start, 1, count, row);
    else if (tensor->voxel == 2) write_strided(tensor, start, 2, count, row);
    else write_strided(tensor, start, tensor->voxel, count, row);
}

#define NO_CLASS (-1)
#define UNCOUNTED (-2)

#define READ_LABELS(TYPE, WIDE)                                                                                       \
    {                                                                                                                 \
        const TYPE *from = (const TYPE *)tensor->data + start;                                                        \
        const int fits = (WIDE)ignored == ignored; /* else no label is it */                                          \
        const WIDE none = fits ? (WIDE)ignored : NO_CLASS, limit = (WIDE)classes;                                     \
        const int32_t instead = fits ? UNCOUNTED : NO_CLASS;                                                          \
        for (int64_t i = 0; i < count; i++) {                                                                         \
            const WIDE label = from[i * stride];                                                                      \
            int32_t known = label >= 0 && label < limit ? (int32_t)label : NO_CLASS;                                  \
            known = label == none ? instead : known;                                                                  \
            least = known < least ? known : least;                                                                    \
            row[i] = known;                                                                                           \
        }                                                                                                             \
        break;                                                                                                        \
    }

BL_INLINE int read_labels_strided(const Tensor *tensor, int64_t start, int64_t stride, int64_t count, int64_t classes,
                                  int64_t ignored, int32_t *restrict row) {
    int32_t least = 0;
    switch (tensor->type) {
        case UINT8: READ_LABELS(uint8_t, int32_t)
        case INT8: READ_LABELS(int8_t, int32_t)
        case INT16: READ_LABELS(int16_t, int32_t)
        case INT32: READ_LABELS(int32_t, int32_t)
        default: READ_LABELS(int64_t, int64_t)
    }
    return least == UNCOUNTED;
}

/* Labels in 0 .. classes - 1; others are NO_CLASS, the ignored one is UNCOUNTED. Whether any is. */
BL_WIDE static int read_labels(const Tensor *tensor, int64_t b, int64_t first, int64_t count, int64_t classes,
                          int64_t ignored, int32_t *row) {
    const int64_t start = b * tensor->image + first * tensor->voxel;
    if (tensor->voxel == 1) return read_labels_strided(tensor, start, 1, count, classes, ignored, row);
    return read_labels_strided(tensor, start, tensor->voxel, count, classes, ignored, row);
}

#endif
