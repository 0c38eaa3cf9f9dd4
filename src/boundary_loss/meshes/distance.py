"""How far apart two surfaces lie."""

import numpy as np
from scipy.spatial import cKDTree

from boundary_loss.meshes.surface import Surface

_FIRST = 8
"""Triangles, by their centres, among which the nearest is sought first."""
_AT_ONCE = 1 << 19  # pairs of a vertex and a triangle


def signed_distances(surface: Surface, other: Surface) -> np.ndarray:
    """(V,) mm from each vertex to the other surface, negative within it."""
    centres = other.vertices[other.faces].mean(axis=1)
    reach = np.linalg.norm(other.vertices[other.faces] - centres[:, None], axis=2).max(axis=1)
    sizes = np.frexp(reach)[1]  # like sizes together: a few large triangles make no search long among the small ones
    found = np.full(len(surface.vertices), np.inf)
    for size in np.unique(sizes):
        own = np.flatnonzero(sizes == size)
        _approach(found, surface.vertices, own, cKDTree(centres[own]), reach[own].max(), other)
    return found


def _approach(
    found: np.ndarray, points: np.ndarray, own: np.ndarray, tree: cKDTree, reach: float, other: Surface
) -> None:
    """Lower the distances ``found`` (V,) of points (V, 3) to those to the triangles ``own``.

    Those with the nearest centres are tried, and twice as many where one that was left out could still be nearer.
    """
    left, count = np.arange(len(points)), min(_FIRST, len(own))
    while len(left):
        still = []
        for part in np.array_split(left, -(-len(left) * count // _AT_ONCE)):
            apart, nearest = tree.query(points[part], k=[*range(1, count + 1)])
            able = apart[:, 0] - reach < np.abs(found[part])
            part, apart, nearest = part[able], apart[able], nearest[able]
            distances = _to_nearest(points[part], own[nearest], other)
            nearer = np.abs(distances) < np.abs(found[part])
            found[part[nearer]] = distances[nearer]
            still.append(part[apart[:, -1] - reach < np.abs(found[part])])
        left = np.concatenate(still) if count < len(own) else left[:0]
        count = min(2 * count, len(own))


def _to_nearest(points: np.ndarray, faces: np.ndarray, other: Surface) -> np.ndarray:
    """(P,) mm from points (P, 3) to the nearest of the triangles ``faces`` (P, N); the normal there says the side."""
    corners = other.faces[faces]
    triangles = other.vertices[corners]
    weights = nearest_weights(points[:, None], triangles)
    offsets = points[:, None] - np.einsum("pnc,pnci->pni", weights, triangles)
    lengths = np.linalg.norm(offsets, axis=2)
    rows, nearest = np.arange(len(points)), lengths.argmin(axis=1)
    normals = np.einsum("pc,pci->pi", weights[rows, nearest], other.normals[corners[rows, nearest]])
    outside = np.einsum("pi,pi->p", offsets[rows, nearest], normals) >= 0
    return np.where(outside, 1, -1) * lengths[rows, nearest]


def nearest_weights(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Barycentric coordinates (..., 3) of the place in each triangle (..., 3, 3) that is nearest to its point (..., 3).

    That is the foot of the perpendicular if it lies inside, else the nearest place on one of the three sides.
    """
    a, b, c = (triangles[..., corner, :] for corner in range(3))
    u, v, w = b - a, c - a, points - a
    uu, uv, vv, wu, wv = (_dot(*pair) for pair in ((u, u), (u, v), (v, v), (w, u), (w, v)))
    area = np.maximum(uu * vv - uv * uv, np.finfo(float).tiny)
    second, third = (vv * wu - uv * wv) / area, (uu * wv - uv * wu) / area
    best = np.stack([1 - second - third, second, third], axis=-1)
    inside = (best >= 0).all(axis=-1)
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


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("...i,...i->...", a, b)
