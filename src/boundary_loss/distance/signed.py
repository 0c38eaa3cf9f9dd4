"""Signed distance maps: how far inside (negative) or outside (positive) of each class a voxel lies."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from boundary_loss.distance import engine
from boundary_loss.distance.layout import (
    ArrayT,
    Spacing,
    SpacingTable,
    as_tensor,
    as_torch_dtype,
    checked_limit,
    diagonals,
    spacing_array,
    spacing_table,
    spatial_dims_of,
)
from boundary_loss.distance.maps import Maps
from boundary_loss.encoding import among_all
from boundary_loss.shapes import IGNORED

CONVENTIONS = ("paper", "paper-int", "symmetric", "interface")
ABSENT = ("zero", "far")
NORMALISATIONS = (None, "maximum", "sides")


def signed_distance(
    segmentation: ArrayT,
    spacing_mm: Spacing = None,
    *,
    num_classes: int | None = None,
    classes: Sequence[int] | None = None,
    convention: str = "paper",
    absent: str = "zero",
    normalise: str | None = None,
    max_distance: float | None = None,
    ignore_index: int | None = IGNORED,
    ignore_unlabelled: bool = False,
    spatial_dims: int | None = None,
    dtype: Any = np.float32,
) -> ArrayT:
    """Signed distance map of each class: negative inside, positive outside, in mm.

    With ``out`` a voxel's distance to the nearest voxel of the class and ``in`` its distance to the nearest voxel
    that is not of the class (between centres), the conventions are

    ========== ============ ============ ==========================================================
    convention outside      inside
    ========== ============ ============ ==========================================================
    paper      out          -(in - 1)    Kervadec 2019: the inner edge is 0 at a spacing of 1 mm
    paper-int  the same, cut to whole numbers towards 0, as the original's integer maps
    symmetric  out          -in          jumps from -spacing to +spacing at the boundary
    interface  to the faces -to the faces  of the voxels' boxes between class and rest: 0 exactly there, at any spacing
    ========== ============ ============ ==========================================================

    The distance to the faces is from the voxel's centre to the nearest point of any box of the other kind,
    ``min over boxes of sqrt(sum over axes of (spacing * max(|steps| - 1/2, 0))^2)``.

    A class that is absent from an item has no boundary there. ``absent="zero"`` (the paper): its map is 0.
    ``absent="far"``: its map is the length of the item's diagonal, ``sqrt(sum (size * spacing)^2)``, so that false
    positives are penalised. A class that fills the item is treated alike: 0, or minus the diagonal.

    Args:
        segmentation: one-hot (..., K, X, Y[, Z]), or with ``num_classes`` integer labels (..., X, Y[, Z]).
        spacing_mm: mm between centres, one number a spatial axis, or (B, D) for each item its own; 1 if not given.
        num_classes: K; says that the segmentation holds labels.
        classes: the classes to compute; the maps of the others are zeros.
        normalise: ``"maximum"`` divides each map by its largest absolute value; ``"sides"`` divides the inside and
            the outside each by its own, so that both reach the ends of [-1, 1] (Xue et al., AAAI 2020).
        max_distance: mm; values are cut to +- this, before they are normalised. The transform ends there too.
        ignore_index: the label of voxels that are neither class nor rest: they get 0, and no distance is measured to
            them. None: no voxel is treated so.
        ignore_unlabelled: treat the voxels of a one-hot segmentation that have no class so. Otherwise they are the rest
            of every class, as where the background has no channel, or where classes overlap.
        spatial_dims: how many of the last axes are space; not given, the length of the spacing, and without
            a spacing all but the first of labels (B, ...) or the first two of one-hot (B, K, ...).
        dtype: float32 or float64.

    Returns:
        (..., K, X, Y[, Z]) of the same kind and on the same device.

    Raises:
        ValueError: an unknown option, label or class, or a shape, spacing or type that cannot be meant. Labels on
            CUDA are not looked at, which would make the device wait: there an unknown one is the rest of every class.

    >>> signed_distance(np.array([[0, 0, 1, 1]]), num_classes=2, spatial_dims=1)[0, 1]
    array([ 2.,  1.,  0., -1.], dtype=float32)
    """
    _known("convention", convention, CONVENTIONS)
    _known("absent", absent, ABSENT)
    _known("normalise", normalise, NORMALISATIONS)
    tensor, from_numpy = as_tensor(segmentation, "segmentation")
    spacing = spacing_array(spacing_mm)
    default = tensor.ndim - (2 if num_classes is None else 1)
    dims = spatial_dims_of(tensor.shape, spacing, spatial_dims, default)
    maps, ignored = _class_maps(tensor, dims, num_classes, classes, ignore_index, ignore_unlabelled)
    K = tensor.shape[-dims - 1] if num_classes is None else num_classes
    lead: torch.Size = tensor.shape[: tensor.ndim - dims - (num_classes is None)]
    space: torch.Size = tensor.shape[tensor.ndim - dims :]
    computed = K if classes is None else len(classes)
    table = spacing_table(spacing, (*lead, computed), dims)
    exact = torch.float64 if convention == "paper-int" else as_torch_dtype(dtype)  # a rounded 9 mm must not become 8
    limit = checked_limit(max_distance) + (1 if convention.startswith("paper") else 0)  # the paper adds 1 inside
    found = _signed_maps(maps, ignored, table, convention, absent, exact, limit).to(as_torch_dtype(dtype))
    if max_distance is not None:
        found = found.clamp(-max_distance, max_distance)
    if normalise is not None:
        found = _normalised(found, sides=normalise == "sides")
    found = found.reshape(*lead, computed, *space)
    found = among_all(found, classes, K, axis=len(lead))
    answer: Any = found.numpy() if from_numpy else found
    return answer


def one_hot2dist(seg: ArrayT, resolution: Sequence[float] | None = None, dtype: Any = np.float32) -> ArrayT:
    """Signed distance map of each class of one item, as the original's function of this name, in float.

    Args:
        seg: one-hot (K, X, Y[, Z]).
        resolution: mm along each axis; 1 if not given.
        dtype: an integer type gives the original's truncated maps (convention ``paper-int``).

    Returns:
        (K, X, Y[, Z]): EDT(outside)*outside - (EDT(inside) - 1)*inside; zeros for a class that is absent or alone.

    Raises:
        ValueError: not one-hot, or a shape that does not go with the resolution.
    """
    tensor, _ = as_tensor(seg, "seg")
    if tensor.ndim < 2 or not bool(((tensor != 0).sum(dim=0) <= 1).all()):
        raise ValueError(f"seg must be one-hot (K, X, Y[, Z]), got shape {tuple(tensor.shape)} or overlapping classes")
    spatial_dims = tensor.ndim - 1
    if not _is_integer(dtype):
        return signed_distance(seg, resolution, spatial_dims=spatial_dims, dtype=dtype)
    maps = signed_distance(seg, resolution, spatial_dims=spatial_dims, convention="paper-int", dtype=np.float64)
    return maps.to(dtype) if isinstance(maps, Tensor) else maps.astype(dtype)


def _is_integer(dtype: Any) -> bool:
    if isinstance(dtype, torch.dtype):
        return not (dtype.is_floating_point or dtype.is_complex or dtype == torch.bool)
    return np.issubdtype(np.dtype(dtype), np.integer)


def _known(name: str, value: str | None, known: Sequence[str | None]) -> None:
    if value not in known:
        raise ValueError(f"unknown {name} {value!r}; known: {', '.join(map(repr, known))}")


def _chosen(classes: Sequence[int] | None, K: int) -> tuple[int, ...]:
    if not isinstance(classes, Iterable | None):
        raise ValueError(f"classes must be a list, as [1], got {classes!r}")
    chosen = tuple(range(K) if classes is None else map(int, classes))
    if any(not 0 <= k < K for k in chosen):
        raise ValueError(f"classes {list(chosen)} are not all in 0..{K - 1}")
    return chosen


def _class_maps(
    tensor: Tensor,
    dims: int,
    num_classes: int | None,
    classes: Sequence[int] | None,
    ignore_index: int | None,
    ignore_unlabelled: bool,
) -> tuple[Maps, "_Ignored | None"]:
    """The maps of the chosen classes, and what of them is ignored; None if nothing is."""
    space = tensor.shape[tensor.ndim - dims :]
    if num_classes is not None:
        if tensor.is_floating_point() or tensor.dtype == torch.bool:
            raise ValueError(f"labels must be integers, got {tensor.dtype}; for one-hot leave num_classes out")
        limits = torch.iinfo(tensor.dtype)
        if num_classes - 1 > limits.max:  # compared as they are, 300 and 44 would be one byte
            tensor = tensor.long()
        if ignore_index is not None and not limits.min <= ignore_index <= limits.max:
            ignore_index = None
        if not tensor.is_cuda:  # there, looking would make the device wait
            _check_labels(tensor, num_classes, ignore_index)
        maps = Maps(tensor.reshape(tensor.shape[: tensor.ndim - dims].numel(), *space), _chosen(classes, num_classes))
        if ignore_index is None or not (tensor.is_cuda or bool((tensor == ignore_index).any())):
            return maps, None  # the look is free here; on CUDA it would make the device wait
        voxels = (maps.labels == ignore_index).unsqueeze(1).expand(-1, len(maps.classes), *[-1] * dims)
        return maps, _Ignored(voxels.reshape(maps.shape), maps.others(ignore_index))
    if tensor.ndim <= dims:
        raise ValueError(
            f"one-hot must be (..., K) and {dims} spatial axes, got shape {tuple(tensor.shape)}; "
            "if these are integer labels, give num_classes="
        )
    masks = tensor != 0
    ignored = ~masks.any(dim=-dims - 1, keepdim=True) if ignore_unlabelled else None
    chosen = _chosen(classes, tensor.shape[-dims - 1])
    if classes is not None:
        masks = torch.stack([masks.select(-dims - 1, k) for k in chosen], dim=-dims - 1)
    flat = masks.reshape(masks.shape[: masks.ndim - dims].numel(), *space)
    if ignored is None:
        return Maps(flat), None
    voxels = ignored.expand_as(masks).reshape(flat.shape)
    return Maps(flat), _Ignored(voxels, Maps(~(flat | voxels)))


class _Ignored(NamedTuple):
    voxels: Tensor
    """(N, ...) bool"""
    rest: Maps
    """What is neither of the class nor ignored."""


def _check_labels(labels: Tensor, num_classes: int, ignore_index: int | None) -> None:
    if labels.numel():
        least, most = torch.aminmax(labels)
        if least >= 0 and most < num_classes:
            return
    unknown = (labels < 0) | (labels >= num_classes)
    if ignore_index is not None:
        unknown &= labels != ignore_index
    if unknown.any():
        found = sorted(set(labels[unknown].tolist()))[:10]
        raise ValueError(f"labels {found} are outside 0..{num_classes - 1} (and not the ignored label {ignore_index})")


def _signed_maps(
    maps: Maps,
    ignored: _Ignored | None,
    spacing: SpacingTable,
    convention: str,
    absent: str,
    dtype: torch.dtype,
    limit: float,
) -> Tensor:
    """(N, ...) mm; beyond the limit any longer distance."""
    faces = convention == "interface"
    inside = 1.0 if convention.startswith("paper") else 0.0
    nowhere = 0.0 if absent == "zero" else diagonals(maps.shape[1:], spacing)
    if ignored is None and convention != "paper-int":
        return engine.signed(maps, spacing, dtype, faces=faces, limit=limit, inside=inside, nowhere=nowhere)
    if ignored is None:
        signed = engine.signed(maps, spacing, dtype, limit=limit)
    else:  # two transforms: an ignored voxel has a way to the class and one to the rest, and lines pass through it
        to_class = engine.distances_to(maps, spacing, dtype, faces=faces, limit=limit)
        to_rest = engine.distances_to(ignored.rest, spacing, dtype, faces=faces, limit=limit)
        signed = torch.where(to_class == 0, -to_rest, to_class)
    signed = engine.finished(signed, inside, math.inf)
    signed = engine.finished(signed.trunc_() if convention == "paper-int" else signed, 0.0, nowhere)
    return signed if ignored is None else signed.masked_fill_(ignored.voxels, 0)


def _normalised(maps: Tensor, *, sides: bool) -> Tensor:
    """Each map divided by its largest absolute value, or each side by its own; a flat side stays 0."""

    def largest(values: Tensor) -> Tensor:
        found = values.flatten(1).amax(dim=1).view(-1, *[1] * (maps.ndim - 1))
        return torch.where(found > 0, found, 1)

    if sides:
        return torch.where(maps > 0, maps / largest(maps), maps / largest(-maps))
    return maps / largest(maps.abs())
