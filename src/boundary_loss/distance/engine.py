"""Chooses the kernel by device; all give the same distances to rounding."""

import importlib.util
import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

from boundary_loss.distance import cpu, minplus
from boundary_loss.distance.layout import SpacingTable
from boundary_loss.distance.maps import Maps


@cache
def has_triton() -> bool:
    """Return True if the CUDA kernels can run; torch's CUDA builds bring Triton with them."""
    return importlib.util.find_spec("triton") is not None


def distances_to(
    maps: Maps, spacing: SpacingTable, dtype: torch.dtype, *, faces: bool = False, limit: float = math.inf
) -> Tensor:
    """Return the distance of each voxel to the nearest True voxel of its map.

    Args:
        maps: N masks (...).
        spacing: (D,) or (N, D), mm.
        dtype: float32 or float64.
        faces: measure to the nearest point of the True voxels' boxes instead of to their centres.
        limit: mm; longer distances are given as this.

    Returns:
        (N, ...) mm on the same device; 0 on True voxels, inf throughout a map that has none.
    """
    labels = maps.labels
    if 0 in maps.shape:
        return torch.zeros(maps.shape, dtype=dtype, device=labels.device)
    if labels.device.type == "cpu":
        return torch.from_numpy(cpu.distances_to(maps, spacing, _numpy_type(dtype), faces=faces, limit=limit))
    if labels.is_cuda and dtype == torch.float32 and has_triton():
        from boundary_loss.distance import triton_edt

        return _limited(triton_edt.distances(maps, spacing, faces=faces, signed=False, limit=limit), limit)
    return _limited(minplus.distances_to(maps.masks(), spacing, dtype, faces=faces, limit=limit), limit)


def signed(
    maps: Maps,
    spacing: SpacingTable,
    dtype: torch.dtype,
    *,
    faces: bool = False,
    limit: float = math.inf,
    inside: float = 0.0,
    nowhere: float | np.ndarray = math.inf,
) -> Tensor:
    """Return the distance of each voxel to the nearest voxel of the other kind, negative on True voxels.

    Arguments as of :func:`distances_to`, and:

    Args:
        inside: mm added to the distances on True voxels.
        nowhere: value, or (N,), of a map without True voxels; a map without other voxels gets minus this.
    """
    labels = maps.labels
    if 0 in maps.shape:
        return torch.zeros(maps.shape, dtype=dtype, device=labels.device)
    if labels.device.type == "cpu":
        kind = _numpy_type(dtype)
        return torch.from_numpy(
            cpu.signed(maps, spacing, kind, faces=faces, limit=limit, inside=inside, nowhere=nowhere)
        )
    if labels.is_cuda and dtype == torch.float32 and has_triton():
        from boundary_loss.distance import triton_edt

        if math.isinf(limit):
            return triton_edt.distances(maps, spacing, faces=faces, signed=True, inside=inside, nowhere=nowhere)
        found = _limited(triton_edt.distances(maps, spacing, faces=faces, signed=True, limit=limit), limit)
    else:
        found = distances_to(maps, spacing, dtype, faces=faces, limit=limit)
        found -= distances_to(maps.others(), spacing, dtype, faces=faces, limit=limit)  # one is 0
    return finished(found, inside, nowhere)


def finished(signed: Tensor, inside: float, nowhere: float | np.ndarray) -> Tensor:
    """Replace the infinities of maps without a boundary by ``nowhere``, and add ``inside`` to negative values."""
    if inside:
        signed = torch.where(signed < 0, signed + inside, signed)
    if isinstance(nowhere, float):
        if math.isinf(nowhere):
            return signed
        absent: Tensor | float = nowhere
    else:
        absent = torch.as_tensor(nowhere).to(signed, non_blocking=True).view(-1, *[1] * (signed.ndim - 1))
    return torch.where(torch.isinf(signed), signed.sign() * absent + 0.0, signed)  # no -0


def nearest(masks: Tensor, spacing: SpacingTable) -> Tensor:
    """Return the index of the nearest True voxel, (N, ...) bool -> (N, D, ...) int64; -1 in a map that has none."""
    if masks.device.type != "cpu":
        return minplus.nearest(masks, spacing)
    return torch.from_numpy(cpu.nearest(Maps(masks), spacing))


def _limited(distances: Tensor, limit: float) -> Tensor:
    """Cut distances to the limit, beyond which kernels are not exact; maps that are infinite throughout stay so."""
    if math.isinf(limit) or not distances.numel():
        return distances
    nowhere = distances.abs().flatten(1).amin(dim=1).isinf().view(-1, *[1] * (distances.ndim - 1))
    return torch.where(nowhere, distances, distances.clamp(-limit, limit))


def _numpy_type(dtype: torch.dtype) -> type:
    return np.float64 if dtype == torch.float64 else np.float32
