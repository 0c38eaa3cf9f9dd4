"""Exact distance maps by the kernels of ``edt.c``, of NumPy arrays: both sides at the price of one."""

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from boundary_loss.native import address, library


def available() -> bool:
    return library() is not None


def measured(
    labels: np.ndarray,
    spacing: np.ndarray | Sequence[float],
    dtype: Any,
    *,
    classes: Sequence[int] = (1,),
    inverted: bool = False,
    ignored: int | None = None,
    signed: bool = False,
    faces: bool = False,
    limit: float = np.inf,
    inside: float = 0.0,
    nowhere: float | np.ndarray = np.inf,
    threads: int = 1,
) -> np.ndarray:
    """Distance of each voxel to the nearest of a class, of B images and K classes; no mask is made.

    Args:
        labels: (B, ...) integers or bool, 1 to 3 axes of space.
        spacing: (D,) or (N, D) mm, N = B * K.
        dtype: float32 or float64.
        classes: K labels; True is 1.
        inverted: measure to what is not of the class
        ignored: nor of this label.
        signed: measure to the nearest voxel of the other kind, negative within the class.
        faces: measure to the nearest point of the voxels' boxes instead of to their centres.
        limit: mm; longer distances are given as this.
        inside: mm added to the negative distances.
        nowhere: or (N,); what a map holds that has nothing of the class, and if signed, minus this one that has
            nothing else.
        threads: how many may work.

    Returns:
        (N, ...) mm, item by item and class by class within each.

    Raises:
        MemoryError: it ran out.
    """
    kernels = library()
    assert kernels is not None, "ask available() first"
    labels = np.ascontiguousarray(labels)
    dims, numbers = labels.ndim - 1, np.array(classes, np.int64)
    out = np.empty((len(labels) * len(numbers), *labels.shape[1:]), dtype)
    table = np.ones((np.atleast_2d(spacing).shape[0], 3))
    table[:, 3 - dims :] = spacing
    shape = np.ones(3, np.int64)
    shape[3 - dims :] = labels.shape[1:]
    absent = np.ascontiguousarray(np.broadcast_to(nowhere, len(out)), np.float64)
    status = kernels.bl_edt(
        address(labels), labels.itemsize, ctypes.c_int64(len(labels)), ctypes.c_int64(len(numbers)), address(numbers),
        inverted, ignored is not None, ctypes.c_int64(ignored or 0), address(shape), address(table),
        ctypes.c_int64(len(table)), signed, faces, ctypes.c_double(limit), ctypes.c_double(inside), address(absent),
        address(out), out.dtype == np.float64, threads,
    )  # fmt: skip
    if status != 0:
        raise MemoryError(f"distance maps of shape {out.shape}")
    return out
