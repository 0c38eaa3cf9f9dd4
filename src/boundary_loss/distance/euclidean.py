"""Exact Euclidean distance to a mask, batched, on any device."""

import math
from typing import Any

import numpy as np
import torch

from boundary_loss.distance import engine
from boundary_loss.distance.axes import dims_of_mask
from boundary_loss.distance.layout import (
    Array,
    Spacing,
    SpacingTable,
    as_mask,
    as_torch_dtype,
    checked_limit,
    spacing_array,
    spacing_table,
)
from boundary_loss.distance.maps import Maps


def euclidean_distance(
    mask: Array,
    spacing_mm: Spacing = None,
    *,
    spatial_dims: int | None = None,
    dtype: Any = np.float32,
    max_distance: float | None = None,
) -> Array:
    """Return the exact distance of every voxel's centre to the centre of the nearest foreground voxel.

    Equals SciPy's ``distance_transform_edt(mask == 0, sampling=spacing_mm)`` for each map of a batch.

    Args:
        mask: (X, Y[, Z]) NumPy array or tensor; not 0 is foreground. With ``spatial_dims``, (..., X, Y[, Z]).
        spacing_mm: distance between voxel centres along each spatial axis, in mm; 1 if not given.
            (B, D) numbers give each item of a batch (B, ...) its own.
        spatial_dims: how many of the last axes are space, 1 to 3; the axes before them are a batch.
            Not given, every axis is space, as in SciPy; with (B, D) numbers of spacing, every axis but the first.
        dtype: float32 or float64.
        max_distance: mm; longer distances are reported as this, and are not searched for.

    Returns:
        Distances in mm, same shape, and same kind and device as the mask: 0 on the foreground,
        and inf (or ``max_distance``) throughout a map without foreground.

    Raises:
        ValueError: a shape, spacing or type that does not fit.

    >>> euclidean_distance(np.array([[0, 0, 1], [0, 0, 0]]), spacing_mm=[2.0, 1.0])
    array([[2.      , 1.      , 0.      ],
           [2.828427, 2.236068, 2.      ]], dtype=float32)
    """
    voxels, from_numpy = as_mask(mask)
    maps, table = _flat_maps(voxels, spacing_mm, spatial_dims)
    limit = checked_limit(max_distance)
    distances = engine.distances_to(Maps(maps), table, as_torch_dtype(dtype), limit=limit)
    if not math.isinf(limit):
        distances.clamp_(max=limit)  # maps without foreground
    distances = distances.reshape(voxels.shape)
    return distances.numpy() if from_numpy else distances


def nearest_foreground(mask: Array, spacing_mm: Spacing = None, *, spatial_dims: int | None = None) -> Array:
    """Return the index of every voxel's nearest foreground voxel (the feature transform).

    Arguments as of :func:`euclidean_distance`.

    Returns:
        (..., D, X, Y[, Z]) integer index along each of the D spatial axes; -1 in a map without foreground.
        If several voxels are equally near, the index of one of them.

    >>> nearest_foreground(np.array([0, 0, 1, 0]))
    array([[2, 2, 2, 2]])
    """
    voxels, from_numpy = as_mask(mask)
    maps, table = _flat_maps(voxels, spacing_mm, spatial_dims)
    dims = maps.ndim - 1
    found = engine.nearest(maps, table).reshape(*voxels.shape[: voxels.ndim - dims], dims, *maps.shape[1:])
    return found.numpy() if from_numpy else found


def _flat_maps(
    voxels: torch.Tensor, spacing_mm: Spacing, spatial_dims: int | None
) -> tuple[torch.Tensor, SpacingTable]:
    """Return the masks as (N, X, Y[, Z]) maps, and their spacing."""
    spacing = spacing_array(spacing_mm)
    dims = dims_of_mask(voxels.shape, spacing, spatial_dims)
    lead, space = voxels.shape[: voxels.ndim - dims], voxels.shape[voxels.ndim - dims :]
    return voxels.reshape(lead.numel(), *space), spacing_table(spacing, lead, dims)


def inside_distance(masks: torch.Tensor, spacing_mm: Spacing = None, *, dtype: Any = torch.float32) -> torch.Tensor:
    """Return the distance of each foreground voxel to the nearest background voxel, 0 outside.

    The original calls it ``one_hot2hd_dist``.

    Args:
        masks: (B, K, ...) tensor, not 0 is foreground; each mask on its own.
        spacing_mm: one number a spatial axis, or one such row an item; 1 if not given.

    Returns:
        (B, K, ...) mm, on the same device. A mask without foreground, or without background, gives zeros:
        it has no boundary to measure to.
    """
    spacing_mm = _spacing_of_classes(masks, spacing_mm)
    if (signed := _signed_if_halves(masks, spacing_mm, dtype)) is not None:
        return torch.stack([signed.clamp(min=0), signed.clamp_(max=0).abs_()], dim=1)
    maps, table = _maps_of_classes(masks, spacing_mm)
    distances = engine.distances_to(maps.others(), table, as_torch_dtype(dtype))
    return _zero_without_boundary(distances).view(masks.shape)


def either_distance(masks: torch.Tensor, spacing_mm: Spacing = None, *, dtype: Any = torch.float32) -> torch.Tensor:
    """Return the distance of each voxel to the nearest voxel of the other kind, positive inside too.

    Arguments and answer as of :func:`inside_distance`.
    """
    spacing_mm = _spacing_of_classes(masks, spacing_mm)
    if (signed := _signed_if_halves(masks, spacing_mm, dtype)) is not None:
        return signed.abs_().unsqueeze(1).repeat(1, 2, *[1] * (signed.ndim - 1))
    maps, table = _maps_of_classes(masks, spacing_mm)
    distances = engine.signed(maps, table, as_torch_dtype(dtype)).abs_()
    return _zero_without_boundary(distances).view(masks.shape)


def _signed_if_halves(masks: torch.Tensor, spacing_mm: Spacing, dtype: Any) -> torch.Tensor | None:
    """Return signed distances of the second of two complementary masks (argmax of two classes) by one transform.

    Returns:
        (B, ...) signed distances of the second class, 0 without boundary; None if the masks are not complementary,
        and on a GPU, where finding out would make the host wait.
    """
    if masks.device.type != "cpu" or masks.shape[1] != 2 or masks.dtype != torch.bool:
        return None
    if not torch.logical_xor(masks[:, 0], masks[:, 1]).all():
        return None
    maps, table = _flat_maps(masks[:, 1], spacing_mm, masks.ndim - 2)
    return engine.signed(Maps(maps), table, as_torch_dtype(dtype), nowhere=0.0)


def _spacing_of_classes(masks: torch.Tensor, spacing_mm: Spacing) -> SpacingTable | None:
    """Return the spacing of masks (B, K, ...), with one number for each spatial axis."""
    if masks.ndim < 3:
        raise ValueError(f"masks must be (B, K, ...), got shape {tuple(masks.shape)}")
    spacing = spacing_array(spacing_mm)
    if spacing is not None and spacing.shape[-1] != masks.ndim - 2:
        raise ValueError(
            f"spacing_mm has {spacing.shape[-1]} numbers, but masks (B, K, ...) have {masks.ndim - 2} spatial axes: "
            f"their shape is {tuple(masks.shape)}"
        )
    return spacing


def _maps_of_classes(masks: torch.Tensor, spacing_mm: Spacing) -> tuple[Maps, SpacingTable]:
    voxels, _ = as_mask(masks, "masks")
    flat, table = _flat_maps(voxels, spacing_mm, masks.ndim - 2)
    return Maps(flat), table


def _zero_without_boundary(distances: torch.Tensor) -> torch.Tensor:
    """Set maps (N, ...) that are infinite throughout to zero.

    The first voxel shows it, and it is tested on the device, so that the host does not wait.
    """
    nowhere = distances.flatten(1)[:, :1].isinf() if distances.numel() else distances.new_zeros(len(distances), 1)
    if distances.is_cuda or bool(nowhere.any()):
        distances.masked_fill_(nowhere.bool().view(-1, *[1] * (distances.ndim - 1)), 0)
    return distances
