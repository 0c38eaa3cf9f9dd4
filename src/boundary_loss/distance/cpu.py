"""Exact Euclidean distances on the CPU: by the compiled kernels, or by NumPy and SciPy if there are none."""

import math
from typing import Any

import numpy as np
import torch

from boundary_loss.distance import plain
from boundary_loss.distance.layout import SpacingTable
from boundary_loss.distance.maps import Maps
from boundary_loss.native import distances as compiled


def distances_to(
    maps: Maps, spacing: SpacingTable, dtype: Any, *, faces: bool = False, limit: float = math.inf
) -> np.ndarray:
    """Do what :func:`boundary_loss.distance.engine.distances_to` does, on the CPU; (N, ...) mm."""
    if compiled.available():
        return _compiled(maps, spacing, dtype, faces=faces, limit=limit)
    return plain.distances_to(maps, spacing, dtype, faces=faces, limit=limit)


def signed(
    maps: Maps,
    spacing: SpacingTable,
    dtype: Any,
    *,
    faces: bool = False,
    limit: float = math.inf,
    inside: float = 0.0,
    nowhere: float | np.ndarray = math.inf,
) -> np.ndarray:
    """Do what :func:`boundary_loss.distance.engine.signed` does, on the CPU; (N, ...) mm."""
    if compiled.available():
        return _compiled(maps, spacing, dtype, signed=True, faces=faces, limit=limit, inside=inside, nowhere=nowhere)
    return plain.signed(maps, spacing, dtype, faces=faces, limit=limit, inside=inside, nowhere=nowhere)


def nearest(maps: Maps, spacing: SpacingTable) -> np.ndarray:
    """Return the index of each voxel's nearest True voxel, (N, D, ...) int64; -1 in a map that has none."""
    return plain.nearest(maps, spacing)


def _compiled(maps: Maps, spacing: SpacingTable, dtype: Any, **options: Any) -> np.ndarray:
    which: Any = {"classes": maps.classes, "inverted": maps.inverted, "ignored": maps.ignored}
    threads = torch.get_num_threads()
    return compiled.measured(maps.labels.numpy(), spacing, dtype, threads=threads, **which, **options)
