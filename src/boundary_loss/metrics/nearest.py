"""The nearest triangle, or line segment, to each of many points: with the compiled kernel, or with k-d trees."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from boundary_loss.native import triangles as compiled

_FIRST = 8
"""Triangles, by their centres, among which the nearest is sought first."""
_AT_ONCE = 1 << 19  # pairs of a point and a triangle


def nearest(points: NDArray[np.float64], corners: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the distance of each point to the nearest element, exactly, and the number of that element.

    Args:
        points: (N, D) mm, in 2D or 3D.
        corners: (M, D, D) mm, M > 0: of segments in 2D, of triangles in 3D.

    Returns:
        (N,) mm and (N,) int64.
    """
    if points.shape[1] == 2:
        points = np.pad(points, [(0, 0), (0, 1)])
        corners = np.pad(corners, [(0, 0), (0, 0), (0, 1)])[:, [0, 1, 1]]  # a triangle without area is a segment
    return compiled.nearest(points, corners) if compiled.available() else by_trees(points, corners)


def by_trees(
    points: NDArray[np.float64], corners: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The same without the kernel, of triangles: k-d trees of their centres, one for each order of size."""
    centres = corners.mean(axis=1)
    reach = np.linalg.norm(corners - centres[:, None], axis=2).max(axis=1)
    sizes = np.frexp(reach)[1]  # like sizes together: a few large triangles make no search long among the small ones
    found, numbers = np.full(len(points), np.inf), np.zeros(len(points), np.int64)
    for size in np.unique(sizes):
        own = np.flatnonzero(sizes == size)
        _approach(found, numbers, points, corners, own, cKDTree(centres[own]), reach[own].max())
    return found, numbers


def _approach(
    found: NDArray[np.float64],
    numbers: NDArray[np.int64],
    points: NDArray[np.float64],
    corners: NDArray[np.float64],
    own: NDArray[np.intp],
    tree: cKDTree,
    reach: float,
) -> None:
    """Lower the distances ``found`` to those to the triangles ``own``.

    Those with the nearest centres are tried, and twice as many where one that was left out could still be nearer.
    """
    left, count = np.arange(len(points)), min(_FIRST, len(own))
    while len(left):
        still = []
        for part in np.array_split(left, -(-len(left) * count // _AT_ONCE)):
            apart, places = tree.query(points[part], k=[*range(1, count + 1)])
            able = apart[:, 0] - reach < found[part]
            part, apart, tried = part[able], apart[able], own[places[able]]
            distances = np.linalg.norm(_offsets(points[part][:, None], corners[tried]), axis=-1)
            best = (np.arange(len(part)), distances.argmin(axis=1))
            nearer = distances[best] < found[part]
            found[part[nearer]], numbers[part[nearer]] = distances[best][nearer], tried[best][nearer]
            still.append(part[apart[:, -1] - reach < found[part]])
        left = np.concatenate(still) if count < len(own) else left[:0]
        count = min(2 * count, len(own))


def _offsets(points: NDArray[np.float64], triangles: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 3) from the nearest place in each triangle (..., 3, 3) to its point (..., 3)."""
    return points - np.einsum("...c,...ci->...i", nearest_weights(points, triangles), triangles)


def nearest_weights(points: NDArray[np.float64], triangles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Barycentric coordinates (..., 3) of the place in each triangle (..., 3, 3) that is nearest to its point (..., 3).

    That is the foot of the perpendicular if it lies inside, else the nearest place on one of the three sides.
    """
    a, b, c = (triangles[..., corner, :] for corner in range(3))
    u, v, w = b - a, c - a, points - a
    uu, uv, vv, wu, wv = (_dot(*pair) for pair in ((u, u), (u, v), (v, v), (w, u), (w, v)))
    area = uu * vv - uv * uv
    flat = area <= 1e-12 * uu * vv
    area = np.where(flat, 1.0, area)
    second, third = (vv * wu - uv * wv) / area, (uu * wv - uv * wu) / area
    best = np.stack([1 - second - third, second, third], axis=-1)
    inside = ~flat & (best >= 0).all(axis=-1)
    shortest = np.full(inside.shape, np.inf)
    for first, last in ((0, 1), (1, 2), (2, 0)):
        start, side = triangles[..., first, :], triangles[..., last, :] - triangles[..., first, :]
        share = _dot(points - start, side) / np.maximum(_dot(side, side), np.finfo(float).tiny)
        share = share.clip(0, 1)
        apart = points - start - share[..., None] * side
        nearer = ~inside & (_dot(apart, apart) < shortest)
        shortest = np.where(nearer, _dot(apart, apart), shortest)
        weights = np.zeros_like(best)
        weights[..., first], weights[..., last] = 1 - share, share
        best = np.where(nearer[..., None], weights, best)
    return best


def _dot(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.einsum("...i,...i->...", a, b)
