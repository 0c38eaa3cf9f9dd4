/* Cubic B-splines of displacements (Rueckert et al. 1999). */
#ifndef BOUNDARY_LOSS_SPLINE_H
#define BOUNDARY_LOSS_SPLINE_H

#include "parallel.h"

/* The four control points about voxel i along an axis, from the one returned on, and their weights. The first control
 * point is one distance before voxel 0. Behind the last of `points` stand four that move nothing. */
BL_INLINE int32_t spline_weights(int64_t i, double knots, int64_t points, float weight[4]) {
    double at = (double)i * knots;
    at = at > 0 ? at : 0;
    at = at < (double)points ? at : (double)points;
    const int32_t first = (int32_t)at;
    const float u = (float)(at - first), v = 1 - u;
    weight[0] = v * v * v / 6;
    weight[1] = 2 / 3.f - u * u + u * u * u / 2;
    weight[2] = 2 / 3.f - v * v + v * v * v / 2;
    weight[3] = u * u * u / 6;
    return first;
}

#endif
