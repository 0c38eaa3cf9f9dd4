"""The nearest triangles by the kernel of ``triangles.c``, of NumPy arrays."""

import ctypes

import numpy as np

from boundary_loss.native import address, library


def available() -> bool:
    return library() is not None


def nearest(points: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each point to the nearest triangle, and the number of that triangle.

    Args:
        points: (N, 3) mm; fastest where those that follow each other lie near each other.
        corners: (M, 3, 3) mm, M > 0, the three corners of each triangle; two equal ones make a line segment.

    Returns:
        (N,) mm and (N,) int64.

    Raises:
        MemoryError: it ran out.
    """
    kernels = library()
    assert kernels is not None, "ask available() first"
    points, corners = (np.ascontiguousarray(values, np.float64) for values in (points, corners))
    distances, numbers = np.empty(len(points)), np.empty(len(points), np.int64)
    status = kernels.bl_nearest_triangles(
        address(points), ctypes.c_int64(len(points)), address(corners), ctypes.c_int64(len(corners)),
        address(distances), address(numbers),
    )  # fmt: skip
    if status != 0:
        raise MemoryError(f"a tree of {len(corners)} triangles")
    return distances, numbers
