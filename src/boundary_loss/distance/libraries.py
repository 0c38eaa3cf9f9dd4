"""Which installed library measures what on the CPU: the one place that chooses, by what was measured.

=============================================================== ===================================================
what                                                            who (benchmarks/distances.py)
=============================================================== ===================================================
a plane (a 2D map, or a slice of a volume) of square pixels,    OpenCV where it is installed
no longer than ``LONGEST`` across; but of ``MANY`` pixels or
more only where some unknown run is long
any other plane where some unknown run is long                  SciPy's feature transform
both sides of a volume whose objects lie all over it, float32   the ``edt`` package where it is installed
everything else                                                 :mod:`boundary_loss.distance.parabolas`
=============================================================== ===================================================

All are exact, so that what is installed changes the time and not the numbers (but for the last bit of a float).
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

LONGEST = 1024  # voxels from corner to corner: up to here OpenCV's rounded distances give away the whole squares

MANY = 1 << 14  # pixels


@cache
def installed(name: str) -> ModuleType | None:
    """The module, or None where it is missing or does not load."""
    try:
        return import_module(name)
    except ImportError:
        return None


def squared_in_plane(mask: np.ndarray, spacing: np.ndarray, dtype: Any) -> np.ndarray:
    """Squared distance of each pixel to the nearest True one, (X, Y) bool that is not empty -> (X, Y) mm²."""
    cv2 = _opencv_for(mask.shape, spacing)
    if cv2 is None:
        return _squared_from_nearest(mask, spacing, dtype)
    return _squared_by_opencv(cv2, mask, spacing[0], dtype)


def is_fast_in(shape: Sequence[int], spacing: np.ndarray) -> bool:
    """Whether a plane is small enough for OpenCV to end before min-plus products could begin."""
    return math.prod(shape) < MANY and _opencv_for(shape, spacing) is not None


def _opencv_for(shape: Sequence[int], spacing: np.ndarray) -> ModuleType | None:
    squares = spacing[0] == spacing[1] and math.hypot(*shape) <= LONGEST
    return installed("cv2") if squares else None


def _squared_by_opencv(cv2: ModuleType, mask: np.ndarray, spacing: float, dtype: Any) -> np.ndarray:
    """Felzenszwalb & Huttenlocher's transform in C++, whose float distances are within one bit of the root."""
    rest = (~mask).view(np.uint8)
    distances = cv2.distanceTransform(rest, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    squared = np.rint(np.multiply(distances, distances, out=distances), out=distances).astype(dtype, copy=False)
    if spacing != 1:
        squared *= spacing * spacing
    return squared


def _squared_from_nearest(mask: np.ndarray, spacing: np.ndarray, dtype: Any) -> np.ndarray:
    """By SciPy's feature transform, whose integer steps are squared here in less time than SciPy takes for it."""
    indices = nearest(mask, spacing)
    total = np.zeros(mask.shape, dtype)
    for axis, index in enumerate(indices):
        own = np.arange(mask.shape[axis], dtype=np.int32).reshape([-1 if a == axis else 1 for a in range(mask.ndim)])
        steps = np.subtract(index, own, out=index).astype(dtype)
        steps *= spacing[axis]
        steps *= steps
        total += steps
    return total


def nearest(mask: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """The index of the nearest True voxel, (...) bool -> (D, ...) int32; -1 where there is none."""
    if not mask.any():
        return np.full((mask.ndim, *mask.shape), -1, np.int32)
    return distance_transform_edt(~mask, sampling=spacing, return_distances=False, return_indices=True)


@contextmanager
def opencv_in_one_thread() -> Iterator[None]:
    """While maps are measured in threads of our own, OpenCV starts none; a fork would not survive its pool either.

    0 threads is OpenCV's word for "in the caller's": 1 would wait for the pool to end, in a forked process for ever.
    """
    cv2 = installed("cv2")
    before = 1 if cv2 is None else cv2.getNumThreads()
    if cv2 is None or before <= 1:
        yield
        return
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def across_volume(mask: np.ndarray, spacing: np.ndarray) -> np.ndarray | None:
    """Distance of each voxel of a volume to the nearest of the other kind, float32, by ``edt``; None without it."""
    edt = installed("edt")
    if edt is None:
        return None
    kinds = np.ascontiguousarray(mask).view(np.uint8) + 1
    return edt.edt(kinds, anisotropy=tuple(spacing), parallel=torch.get_num_threads())
