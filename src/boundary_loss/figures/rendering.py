"""A picture of triangles: what of them is seen from one side, by a depth buffer, without a window or a GPU.

matplotlib's own 3D axes sort triangles by their centres, so that those behind show through.
"""

from dataclasses import dataclass

import numpy as np

_INSIDE = -1e-6
"""Pixels on the common side of two triangles belong to both, so that no gap is between them."""
_LIGHT = np.array([-0.35, 0.45, 0.82]) / np.linalg.norm([-0.35, 0.45, 0.82])
"""Towards the light: at the viewer's upper left."""
_AMBIENT, _SHINE, _GLOSS = 0.42, 0.16, 24


@dataclass(frozen=True)
class Seen:
    """What is seen at each pixel.

    ``face``: (H, W) int64, the triangle, -1 where there is none. ``weights``: (H, W, 3), barycentric coordinates there.
    """

    face: np.ndarray
    weights: np.ndarray

    def of(self, values: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """(V, C) values of vertices, interpolated: (H, W, C); those of the background mean nothing."""
        return np.einsum("hwc,hwci->hwi", self.weights, values[faces[self.face]])


def look(vertices: np.ndarray, faces: np.ndarray, origin: tuple[float, float], shape: tuple[int, int]) -> Seen:
    """Return the nearest triangle at the centre of each pixel, by parallel rays; only those that face the viewer.

    Args:
        vertices: (V, 3) to the right, upwards and towards the viewer, in pixels.
        faces: (F, 3), counterclockwise from outside a closed surface.
        origin: the lower left corner of the picture.
        shape: rows H, from the top, and columns W.
    """
    height, width = shape
    corners = vertices[faces] - [*origin, 0]
    (ax, ay, _), (bx, by, _), (cx, cy, _) = (corners[:, corner].T for corner in range(3))
    facing = np.flatnonzero((bx - ax) * (cy - ay) > (cx - ax) * (by - ay))
    corners = corners[facing]
    corners[..., 1] = height - corners[..., 1]
    first = np.floor(corners[..., :2].min(axis=1)).astype(np.int64)
    span = np.ceil(corners[..., :2].max(axis=1)).astype(np.int64) - first
    depth = np.full(height * width, -np.inf)
    face, weights = np.full(height * width, -1), np.zeros((height * width, 3))
    sides = 1 << np.ceil(np.log2(np.maximum(span.max(axis=1), 1))).astype(np.int64)
    for side in np.unique(sides):  # triangles of like size at a time
        own = np.flatnonzero(sides == side)
        for part in np.array_split(own, -(-len(own) * int(side) ** 2 // (1 << 21))):
            _draw(part, corners[part], first[part], int(side), width, depth, face, weights)
    face[face >= 0] = facing[face[face >= 0]]
    return Seen(face.reshape(shape), weights.reshape(*shape, 3))


def _draw(
    part: np.ndarray, corners: np.ndarray, first: np.ndarray, side: int, width: int, depth: np.ndarray,
    face: np.ndarray, weights: np.ndarray,
) -> None:  # fmt: skip
    """Enter triangles whose pixels lie in squares of ``side`` from their first pixels."""
    steps = np.arange(side)
    columns, rows = first[:, 0, None, None] + steps[None, None], first[:, 1, None, None] + steps[None, :, None]
    columns, rows = np.broadcast_arrays(columns, rows)
    (ax, ay), (bx, by), (cx, cy) = (corners[:, k, :2].T[:, :, None, None] for k in range(3))
    x, y = columns + 0.5, rows + 0.5
    area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
    second = ((x - ax) * (cy - ay) - (cx - ax) * (y - ay)) / area
    third = ((bx - ax) * (y - ay) - (x - ax) * (by - ay)) / area
    share = np.stack([1 - second - third, second, third], axis=-1)
    height = len(depth) // width
    hit = (share >= _INSIDE).all(axis=-1) & (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    triangle = np.nonzero(hit)[0]
    pixel, share = (rows * width + columns)[hit], share[hit]
    near = np.einsum("pc,pc->p", share, corners[triangle][..., 2])
    order = np.lexsort((near, pixel))
    last = np.append(pixel[order][1:] != pixel[order][:-1], True)[: len(order)]
    best = order[last]
    best = best[near[best] > depth[pixel[best]]]
    depth[pixel[best]], face[pixel[best]], weights[pixel[best]] = near[best], part[triangle[best]], share[best]


def shaded(colours: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Return colours (..., 3) in the light, by Blinn and Phong, given normals (..., 3) in the picture's axes."""
    lengths = np.linalg.norm(normals, axis=-1, keepdims=True)
    normals = normals / np.maximum(lengths, np.finfo(float).tiny)
    half = _LIGHT + np.array([0, 0, 1])  # between the light and the viewer
    diffuse = (normals @ _LIGHT).clip(0, 1)[..., None]
    gloss = (normals @ (half / np.linalg.norm(half))).clip(0, 1)[..., None] ** _GLOSS
    return (colours * (_AMBIENT + (1 - _AMBIENT) * diffuse) + _SHINE * gloss).clip(0, 1)
