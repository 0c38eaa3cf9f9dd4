/* Elementary functions that a compiler turns into vector code, and that give the same bits on every processor. */
#ifndef BOUNDARY_LOSS_ARITHMETIC_H
#define BOUNDARY_LOSS_ARITHMETIC_H

#include <stdint.h>
#include <string.h>

#include "parallel.h"

BL_INLINE int32_t bits_of(float x) {
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

BL_INLINE float of_bits(int32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* To the nearest whole number, ties to the even one; |x| below 2^22. */
BL_INLINE float nearest(float x) {
    const float no_room_for_halves = 12582912; /* 1.5 * 2^23 */
    return (x + no_room_for_halves) - no_room_for_halves;
}

/* Binary logarithm of a normal x > 0: of x = m 2^e with m about 1, ln m = 2 artanh((m - 1) / (m + 1)) by its series. */
BL_INLINE float log2_of(float x) {
    const int32_t bits = bits_of(x), root_of_half = 0x3f3504f3;
    const int32_t e = (bits - root_of_half) >> 23;
    const float f = of_bits(bits - e * (1 << 23)) - 1;
    const float s = f / (f + 2), s2 = s * s;
    const float series = 1 + s2 * (1 / 3.f + s2 * (1 / 5.f + s2 * (1 / 7.f + s2 * (1 / 9.f))));
    return (float)e + 2.88539008f * s * series; /* 2 / ln 2 */
}

/* 2^x by the series of exp(x ln 2) about the nearest whole number; beyond float's range, its ends. */
BL_INLINE float exp2_of(float x) {
    x = x < -126 ? -126 : x;
    x = x > 127 ? 127 : x;
    const float n = nearest(x), f = (x - n) * 0.693147181f;
    const float series =
        1 + f * (1 + f * (1 / 2.f + f * (1 / 6.f + f * (1 / 24.f + f * (1 / 120.f + f * (1 / 720.f + f * (1 / 5040.f)))))));
    return of_bits(((int32_t)n + 127) * (1 << 23)) * series;
}

/* Cosine and sine of t turns, |t| <= 1/2: the series about the nearest quarter. */
BL_INLINE void cos_sin_of_turns(float t, float *cosine, float *sine) {
    const float quarters = nearest(4 * t), a = (t - quarters * 0.25f) * 6.28318531f, a2 = a * a;
    const float c = 1 - a2 * (1 / 2.f - a2 * (1 / 24.f - a2 * (1 / 720.f - a2 * (1 / 40320.f))));
    const float s = a * (1 - a2 * (1 / 6.f - a2 * (1 / 120.f - a2 * (1 / 5040.f - a2 * (1 / 362880.f)))));
    const int32_t q = (int32_t)quarters;
    const float along = (q & 1) ? s : c, across = (q & 1) ? c : s;
    *cosine = ((q + 1) & 2) ? -along : along;
    *sine = (q & 2) ? -across : across;
}

#endif
