"""One entrance to the kernels: (N, ...) maps on any device, the same numbers to rounding."""

import importlib.util
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor

from boundary_loss.distance import cpu, minplus
from boundary_loss.distance.layout import SpacingTable


@cache
def has_triton() -> bool:
    """Whether our CUDA kernels can run; torch's CUDA builds bring Triton with them."""
    return importlib.util.find_spec("triton") is not None


def distances_to(masks: Tensor, spacing: SpacingTable, dtype: torch.dtype, *, faces: bool = False) -> Tensor:
    """Distance of each voxel to the nearest True voxel of its map.

    Args:
        masks: (N, ...) bool.
        spacing: (D,) or (N, D), mm.
        dtype: float32 or float64.
        faces: measure to the nearest point of the True voxels' boxes instead of to their centres.

    Returns:
        (N, ...) mm on the same device; 0 on True voxels, inf throughout a map that has none.
    """
    if masks.device.type == "cpu":
        return torch.from_numpy(cpu.distances_to(masks.numpy(), spacing, _numpy_type(dtype), faces=faces))
    if masks.is_cuda and dtype == torch.float32 and has_triton():
        from boundary_loss.distance import triton_edt

        return triton_edt.distances(masks, spacing, faces=faces, across=False)
    return minplus.distances_to(masks, spacing, dtype, faces=faces)


def distances_across(masks: Tensor, spacing: SpacingTable, dtype: torch.dtype, *, faces: bool = False) -> Tensor:
    """Distance of each voxel to the nearest voxel of the other kind (True to False, False to True).

    Shapes as in :func:`distances_to`; inf throughout a map that is all of one kind.
    """
    if masks.device.type == "cpu":
        return torch.from_numpy(cpu.distances_across(masks.numpy(), spacing, _numpy_type(dtype), faces=faces))
    if masks.is_cuda and dtype == torch.float32 and has_triton():
        from boundary_loss.distance import triton_edt

        return triton_edt.distances(masks, spacing, faces=faces, across=True)
    to_true = distances_to(masks, spacing, dtype, faces=faces)
    to_true += distances_to(~masks, spacing, dtype, faces=faces)  # everywhere one of the two is 0
    return to_true


def _numpy_type(dtype: torch.dtype) -> type:
    return np.float64 if dtype == torch.float64 else np.float32


def nearest(masks: Tensor, spacing: SpacingTable) -> Tensor:
    """The index of the nearest True voxel, (N, ...) bool -> (N, D, ...) int64; -1 in a map that has none."""
    if masks.device.type != "cpu":
        return minplus.nearest(masks, spacing)
    found = np.empty((len(masks), masks.ndim - 1, *masks.shape[1:]), np.int64)
    rows = np.broadcast_to(spacing, found.shape[:2])

    def fill(n: int) -> None:
        found[n] = cpu.nearest(masks[n].numpy(), rows[n])

    cpu.in_threads([partial(fill, n) for n in range(len(masks))], masks.numel())
    return torch.from_numpy(found)
