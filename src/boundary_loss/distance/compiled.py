"""Distances by the kernels in C (``native/edt.c``): exact, both sides at the price of one, in torch's threads."""

import ctypes
from typing import Any

import numpy as np
import torch

from boundary_loss.distance.layout import SpacingTable
from boundary_loss.distance.maps import Maps
from boundary_loss.native import library


def available() -> bool:
    return library() is not None


def measured(
    maps: Maps,
    spacing: SpacingTable,
    dtype: Any,
    *,
    signed: bool,
    faces: bool,
    limit: float,
    inside: float = 0.0,
    nowhere: float | np.ndarray = np.inf,
) -> np.ndarray:
    """What :mod:`boundary_loss.distance.cpu` promises. The labels are read as they are; no mask is made."""
    kernels = library()
    assert kernels is not None
    labels = maps.labels.contiguous()
    out = np.empty(maps.shape, dtype)
    classes = np.array(maps.classes, np.int64)
    table = np.ones((np.atleast_2d(spacing).shape[0], 3))
    table[:, 4 - maps.ndim :] = spacing
    absent = np.ascontiguousarray(np.broadcast_to(nowhere, len(maps)), np.float64)
    shape = np.ones(3, np.int64)
    shape[4 - maps.ndim :] = maps.shape[1:]
    status = kernels.bl_edt(
        ctypes.c_void_p(labels.data_ptr()), labels.element_size(), ctypes.c_int64(len(labels)),
        ctypes.c_int64(len(classes)), _pointer(classes), maps.inverted, maps.ignored is not None,
        ctypes.c_int64(maps.ignored or 0), _pointer(shape), _pointer(table), ctypes.c_int64(len(table)),
        signed, faces, ctypes.c_double(limit), ctypes.c_double(inside), _pointer(absent), _pointer(out),
        out.dtype == np.float64, torch.get_num_threads(),
    )  # fmt: skip
    if status != 0:
        raise MemoryError(f"distance maps of shape {maps.shape}")
    return out


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
