"""Signed distance maps: how far inside (negative) or outside (positive) of each class a voxel lies."""

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from boundary_loss.distance import engine
from boundary_loss.distance.layout import (
    Array,
    ArrayT,
    Spacing,
    SpacingTable,
    as_tensor,
    as_torch_dtype,
    checked_limit,
    diagonals,
    spacing_array,
    spacing_table,
)
from boundary_loss.distance.maps import Maps
from boundary_loss.distance.segmentation import UNASKED, Ignored, read_labels, read_one_hot
from boundary_loss.encoding import scatter_classes

Convention = Literal["paper", "paper-int", "symmetric", "interface"]
Absent = Literal["zero", "far"]
Normalisation = Literal["maximum", "sides"]
CONVENTIONS: tuple[Convention, ...] = get_args(Convention)
ABSENT: tuple[Absent, ...] = get_args(Absent)
NORMALISATIONS: tuple[Normalisation | None, ...] = (None, *get_args(Normalisation))


def signed_distance(
    segmentation: ArrayT,
    spacing_mm: Spacing = None,
    *,
    num_classes: int | None = None,
    classes: Sequence[int] | None = None,
    convention: Convention = "paper",
    absent: Absent = "zero",
    normalise: Normalisation | None = None,
    max_distance: float | None = None,
    ignore_index: int | None = UNASKED,
    mask: Array | None = None,
    spatial_dims: int | None = None,
    dtype: Any = np.float32,
) -> ArrayT:
    """Return the signed distance map of each class: negative inside, positive outside, in mm.

    With ``out`` a voxel's distance to the nearest voxel of the class and ``in`` its distance to the nearest voxel
    that is not of the class (between centres), the conventions are

    ``paper``
        ``out`` outside, ``-(in - 1)`` inside (Kervadec 2019): the inner edge is 0 at a spacing of 1 mm.
    ``paper-int``
        The same, cut to whole numbers towards 0, as the original's integer maps.
    ``symmetric``
        ``out`` outside, ``-in`` inside: jumps from -spacing to +spacing at the boundary.
    ``interface``
        The distance to the faces between the boxes of class and rest, negative inside: 0 exactly there, at any spacing.

    The distance to the faces is from the voxel's centre to the nearest point of any box of the other kind,
    ``min over boxes of sqrt(sum over axes of (spacing * max(|steps| - 1/2, 0))^2)``.

    A class that is absent from an item has no boundary there. ``absent="zero"`` (the paper): its map is 0.
    ``absent="far"``: its map is the length of the item's diagonal, ``sqrt(sum (size * spacing)^2)``, so that false
    positives are penalised. A class that fills the item is treated alike: 0, or minus the diagonal.

    Args:
        segmentation: one-hot (B, K, X, Y[, Z]), zeros and ones; or with ``num_classes`` labels (B, X, Y[, Z]) or
            (B, 1, X, Y[, Z]), whole numbers of any type, also of one image (X, Y[, Z]) with its spacing.
        spacing_mm: mm between centres, one number a spatial axis, or (B, D) for each item its own; 1 if not given.
        num_classes: K; says that the segmentation holds labels.
        classes: the classes to compute; the maps of the others are zeros.
        normalise: ``"maximum"`` divides each map by its largest absolute value; ``"sides"`` divides the inside and
            the outside each by its own, so that both reach the ends of [-1, 1] (Xue et al., AAAI 2020).
        max_distance: mm; values are cut to +- this, before they are normalised. The transform ends there too.
        ignore_index: the label of voxels that are neither class nor rest: they get 0, and no distance is measured to
            them. 255 if not given, but labels of 0 and 255 alone are then refused, because many masks are stored so.
            None: no label is treated so.
        mask: (B, ...) or (B, 1, ...) bool, True where a voxel counts; the others are ignored likewise. Without it the
            voxels of a one-hot segmentation that have no class are the rest of every class, as where the background
            has no channel, or where classes overlap.
        spatial_dims: number of spatial axes, 1 to 3, the last ones, for any other layout: (..., K, X, Y[, Z]) one-hot,
            (..., X, Y[, Z]) labels. It is needed if a shape has two readings: one-hot of a single image,
            lines, a volume one voxel thick.
        dtype: float32 or float64.

    Returns:
        (B, K, X, Y[, Z]) of the same kind and on the same device; (K, X, Y[, Z]) of one image.

    Raises:
        ValueError: an unknown option, label or class, or a shape, spacing or type that does not fit or has two
            readings. On CUDA the values of labels and one-hot are not checked, because the host would wait for the
            device: there an unknown label counts as outside every class.

    >>> signed_distance(np.array([[0, 0, 1, 1]]), num_classes=2, spatial_dims=1)[0, 1]
    array([ 2.,  1.,  0., -1.], dtype=float32)
    """
    _known("convention", convention, CONVENTIONS)
    _known("absent", absent, ABSENT)
    _known("normalise", normalise, NORMALISATIONS)
    tensor, from_numpy = as_tensor(segmentation, "segmentation")
    spacing = spacing_array(spacing_mm)
    if num_classes is None:
        read = read_one_hot(tensor, classes, mask, spacing, spatial_dims)
    else:
        read = read_labels(tensor, num_classes, classes, ignore_index, mask, spacing, spatial_dims)
    space = read.maps.shape[1:]
    computed = read.K if classes is None else len(classes)
    table = spacing_table(spacing, read.lead, len(space), each=computed)
    exact = torch.float64 if convention == "paper-int" else as_torch_dtype(dtype)  # a rounded 9 mm must not become 8
    limit = _searched(checked_limit(max_distance), convention)
    found = _signed_maps(read.maps, read.ignored, table, convention, absent, exact, limit).to(as_torch_dtype(dtype))
    if max_distance is not None:
        found = found.clamp(-max_distance, max_distance)
    if normalise is not None:
        found = _normalised(found, sides=normalise == "sides")
    found = found.reshape(*read.lead, computed, *space)
    found = scatter_classes(found, classes, read.K, axis=len(read.lead))
    answer: Any = found.numpy() if from_numpy else found
    return answer


def _searched(limit: float, convention: str) -> float:
    """Return how far to search: 1 mm beyond the limit for the paper's conventions, which add 1 inside and then cut."""
    if convention == "paper-int" and not math.isinf(limit):
        return math.ceil(limit) + 1.0
    return limit + 1 if convention == "paper" else limit


def one_hot2dist(seg: ArrayT, resolution: Sequence[float] | None = None, dtype: Any = np.float32) -> ArrayT:
    """Return the signed distance maps of one item, as the original's function of this name does, in float.

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
    if tensor.ndim not in (3, 4) or not _is_one_hot(tensor):
        raise ValueError(
            f"seg must be one-hot (K, X, Y[, Z]), got shape {tuple(tensor.shape)}, or overlapping classes, or a batch; "
            "signed_distance takes those"
        )
    spacing = spacing_array(resolution, "resolution")
    if spacing is not None and spacing.shape != (tensor.ndim - 1,):
        raise ValueError(
            f"resolution must be one number for each spatial axis of seg (K, X, Y[, Z]), which has shape "
            f"{tuple(tensor.shape)}, got {resolution!r}"
        )
    spatial_dims = tensor.ndim - 1
    if not _is_integer(dtype):
        return signed_distance(seg, spacing, spatial_dims=spatial_dims, dtype=dtype)
    maps = signed_distance(seg, spacing, spatial_dims=spatial_dims, convention="paper-int", dtype=np.float64)
    return maps.to(dtype) if isinstance(maps, Tensor) else maps.astype(dtype)


def _is_one_hot(seg: Tensor) -> bool:
    """Return True unless classes overlap along the first axis, or lie along the second, as in (1, K, X, Y)."""
    masks = seg != 0
    if not bool((masks.sum(dim=0) <= 1).all()):
        return False
    return not (seg.ndim == 4 and len(seg) == 1 and seg.numel() and bool((masks[0].sum(dim=0) == 1).all()))


def _is_integer(dtype: Any) -> bool:
    if isinstance(dtype, torch.dtype):
        return not (dtype.is_floating_point or dtype.is_complex or dtype == torch.bool)
    return np.issubdtype(np.dtype(dtype), np.integer)


def _known(name: str, value: str | None, known: Sequence[str | None]) -> None:
    if value not in known:
        raise ValueError(f"unknown {name} {value!r}; known: {', '.join(map(repr, known))}")


def _signed_maps(
    maps: Maps,
    ignored: Ignored | None,
    spacing: SpacingTable,
    convention: str,
    absent: str,
    dtype: torch.dtype,
    limit: float,
) -> Tensor:
    """Return (N, ...) mm; distances beyond the limit may be overestimated."""
    faces = convention == "interface"
    inside = 1.0 if convention.startswith("paper") else 0.0
    nowhere = 0.0 if absent == "zero" else diagonals(maps.shape[1:], spacing)
    if ignored is None and convention != "paper-int":
        return engine.signed(maps, spacing, dtype, faces=faces, limit=limit, inside=inside, nowhere=nowhere)
    if ignored is None:
        signed = engine.signed(maps, spacing, dtype, limit=limit)
    else:  # two transforms, because an ignored voxel is a source of neither kind
        to_class = engine.distances_to(maps, spacing, dtype, faces=faces, limit=limit)
        to_rest = engine.distances_to(ignored.rest, spacing, dtype, faces=faces, limit=limit)
        signed = torch.where(to_class == 0, -to_rest, to_class)
    signed = engine.finished(signed, inside, math.inf)
    signed = engine.finished(signed.trunc_() if convention == "paper-int" else signed, 0.0, nowhere)
    return signed if ignored is None else signed.masked_fill_(ignored.voxels, 0)


def _normalised(maps: Tensor, *, sides: bool) -> Tensor:
    """Divide each map by its largest absolute value, or each side by its own; a flat side stays 0."""

    if not maps.numel():
        return maps

    def largest(values: Tensor) -> Tensor:
        found = values.flatten(1).amax(dim=1).view(-1, *[1] * (maps.ndim - 1))
        return torch.where(found > 0, found, 1)

    if sides:
        return torch.where(maps > 0, maps / largest(maps), maps / largest(-maps))
    return maps / largest(maps.abs())
