"""Reads a segmentation for its signed maps: labels or one-hot, the chosen classes, the voxels that do not count."""

import operator
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from boundary_loss.distance.axes import dims_of_labels, dims_of_one_hot
from boundary_loss.distance.layout import SpacingTable, as_tensor
from boundary_loss.distance.maps import Maps
from boundary_loss.encoding import as_labels
from boundary_loss.labels import refuse_masks_of_255, refuse_unless_bool
from boundary_loss.shapes import IGNORED


class _Unasked(int):
    """An ignored label by default, which is treated differently from the same number given by the user."""


UNASKED = _Unasked(IGNORED)
TO_IGNORE = "so with ignore_index=255"


class Ignored(NamedTuple):
    """Voxels that belong neither to a class nor to the rest of the image."""

    voxels: Tensor
    """(N, ...) bool"""
    rest: Maps
    """Return the voxels that are neither of the class nor ignored."""


class Segmentation(NamedTuple):
    """The masks of the chosen classes, N = items * chosen classes."""

    maps: Maps
    ignored: Ignored | None
    lead: torch.Size
    """The axes before those of the classes and of space."""
    K: int


def read_labels(
    tensor: Tensor,
    num_classes: Any,
    classes: Sequence[int] | None,
    ignore_index: Any,
    mask: Any,
    spacing: SpacingTable | None,
    spatial_dims: int | None,
) -> Segmentation:
    """Read labels (..., X, Y[, Z]) of any type that holds whole numbers; arguments as of ``signed_distance``."""
    K = class_count(num_classes, "num_classes")
    labels = as_labels(tensor, "segmentation")
    dims = dims_of_labels(labels.shape, K, spacing, spatial_dims)
    chosen, lead, space = _chosen(classes, K), _items(labels.shape[:-dims]), labels.shape[-dims:]
    counted = _read_mask(mask, lead, space, labels)
    asked = mask is not None or not isinstance(ignore_index, _Unasked)
    if labels.device.type == "cpu" and spatial_dims is None:
        _refuse_one_hot(labels, K)
    labels, ignored = _comparable(labels.reshape(lead.numel(), *space), K, ignore_index)
    if counted is not None:
        labels, ignored = _filled(labels, counted, ignored)
    if labels.device.type == "cpu":  # on a GPU the host would wait for the values
        _check_labels(labels, K, ignored, asked=asked)
        if ignored is not None and not bool((labels == ignored).any()):
            ignored = None
    maps = Maps(labels, chosen)
    if ignored is None:
        return Segmentation(maps, None, lead, K)
    voxels = (labels == ignored).unsqueeze(1).expand(-1, len(chosen), *[-1] * dims)
    return Segmentation(maps, Ignored(voxels.reshape(maps.shape), maps.others(ignored)), lead, K)


def read_one_hot(
    tensor: Tensor,
    classes: Sequence[int] | None,
    mask: Any,
    spacing: SpacingTable | None,
    spatial_dims: int | None,
) -> Segmentation:
    """Read one-hot (..., K, X, Y[, Z]) zeros and ones of any type; arguments as of ``signed_distance``."""
    dims = dims_of_one_hot(tensor.shape, spacing, spatial_dims)
    lead, K, space = tensor.shape[: -dims - 1], tensor.shape[-dims - 1], tensor.shape[-dims:]
    chosen, counted = _chosen(classes, K), _read_mask(mask, lead, space, tensor)
    masks = tensor if tensor.dtype == torch.bool else tensor != 0
    if tensor.device.type == "cpu" and tensor.numel():
        _check_one_hot(tensor, masks)
        if dims == 2 and spacing is None and spatial_dims is None and mask is None:
            _refuse_labels(masks)
    if classes is not None:
        masks = torch.stack([masks.select(-dims - 1, k) for k in chosen], dim=-dims - 1)
    flat = masks.reshape(lead.numel() * len(chosen), *space)
    if counted is None:
        return Segmentation(Maps(flat), None, lead, K)
    voxels = (~counted).repeat_interleave(len(chosen), dim=0, output_size=len(flat))
    return Segmentation(Maps(flat & ~voxels), Ignored(voxels, Maps(~(flat | voxels))), lead, K)


def class_count(given: Any, name: str) -> int:
    """Return the number of classes; ``name`` is the argument that gives it, for messages.

    Raises:
        ValueError: it is not a whole number above 0.
    """
    try:
        K = operator.index(given)
    except TypeError:
        K = 0
    if K < 1 or isinstance(given, bool):
        raise ValueError(f"{name} must be a number of classes, as 2, got {given!r}")
    return K


def _chosen(classes: Sequence[int] | None, K: int) -> tuple[int, ...]:
    if classes is None:
        return tuple(range(K))
    if not isinstance(classes, Iterable):
        raise ValueError(f"classes must be a list, as [1], got {classes!r}")
    try:
        chosen = tuple(map(operator.index, classes))
    except TypeError:
        raise ValueError(f"classes must be whole numbers, got {classes!r}") from None
    if any(not 0 <= k < K for k in chosen):
        raise ValueError(f"classes {list(chosen)} are not all in 0..{K - 1}")
    return chosen


def _items(lead: torch.Size) -> torch.Size:
    """Return labels (B, 1, ...) without their channel."""
    return torch.Size(lead[:1]) if len(lead) == 2 and lead[1] == 1 else lead


def _read_mask(mask: Any, lead: torch.Size, space: torch.Size, segmentation: Tensor) -> Tensor | None:
    """Return (items, ...) bool, True where a voxel counts."""
    if mask is None:
        return None
    counted, _ = as_tensor(mask, "mask")
    refuse_unless_bool(counted.dtype, counted.dtype == torch.bool, "as labels != 255")
    if counted.device != segmentation.device:
        raise ValueError(f"mask on {counted.device}, the segmentation on {segmentation.device}; move it there")
    if counted.shape not in ((*lead, *space), (*lead[:1], 1, *space)):
        raise ValueError(
            f"mask must have a voxel for each of the segmentation's, shape {(*lead, *space)} or "
            f"{(*lead[:1], 1, *space)}, got {tuple(counted.shape)}"
        )
    return counted.reshape(lead.numel(), *space)


def _comparable(labels: Tensor, K: int, ignore_index: Any) -> tuple[Tensor, int | None]:
    """Return labels in a type that holds K, and the ignored label, or None if the labels' type cannot hold it."""
    limits = torch.iinfo(labels.dtype)
    try:
        ignored = None if ignore_index is None else operator.index(ignore_index)
    except TypeError:
        raise ValueError(f"ignore_index must be a whole number or None, got {ignore_index!r}") from None
    if ignored is not None and not limits.min <= ignored <= limits.max:
        ignored = None
    return (labels.long() if limits.max < K - 1 else labels), ignored  # in uint8, 300 would become 44


def _filled(labels: Tensor, counted: Tensor, ignored: int | None) -> tuple[Tensor, int]:
    """Return labels in which the voxels that do not count have an ignored label, and that label."""
    if ignored is None:
        labels, ignored = (labels.short() if labels.dtype == torch.uint8 else labels), -1
    return torch.where(counted, labels, ignored), ignored


def _check_labels(labels: Tensor, K: int, ignored: int | None, *, asked: bool) -> None:
    if labels.numel():
        least, most = torch.aminmax(labels)
        if least >= 0 and most < K:
            return
    unknown = (labels < 0) | (labels >= K)
    if ignored is not None:
        unknown &= labels != ignored
    if unknown.any():
        found = sorted(set(labels[unknown].tolist()))[:10]
        raise ValueError(f"labels {found} are outside 0..{K - 1} (and not the ignored label {ignored})")
    if ignored == IGNORED and not asked:
        refuse_masks_of_255(labels, "segmentation", TO_IGNORE)


def _refuse_one_hot(labels: Tensor, K: int) -> None:
    """Refuse labels that look one-hot: (B, K, X, Y) has the shape of volumes (B, X, Y, Z) with K voxels along X."""
    if labels.ndim == 4 and labels.shape[1] == K > 1 and labels.numel():
        in_range = bool((labels.amin() == 0) & (labels.amax() == 1))
        if in_range and bool((labels.sum(dim=1) == 1).all()):
            raise ValueError(
                f"a segmentation of shape {tuple(labels.shape)} that holds one 1 along its second axis is one-hot; "
                "leave num_classes out, or say spatial_dims=3 if it is a volume of labels"
            )


def _check_one_hot(tensor: Tensor, masks: Tensor) -> None:
    if tensor.dtype == torch.bool or (tensor.is_floating_point() and _equal(tensor == 1, masks)):
        return  # faster than the extremes of floating-point numbers
    least, most = (value.item() for value in torch.aminmax(tensor))
    if least >= 0 and ((most in (0, 1) and not tensor.is_floating_point()) or _equal(tensor == 255, masks)):
        return
    raise ValueError(
        f"one-hot holds zeros and ones, found values from {least:g} to {most:g}; labels need num_classes=, and "
        "probabilities first become one-hot, by probs2one_hot"
    )


def _equal(a: Tensor, b: Tensor) -> bool:
    return np.array_equal(a.numpy(), b.numpy())


def _refuse_labels(masks: Tensor) -> None:
    """Refuse one-hot that looks like labels (B, X, Y, Z) of 0 and 1, which hardly have exactly one 1 along X."""
    classes = masks.numpy()  # NumPy compares bool ten times faster than torch
    some, overlap = classes[:, 0].copy(), False
    for k in range(1, classes.shape[1]):
        overlap = overlap or bool((some & classes[:, k]).any())
        some |= classes[:, k]
    if masks.shape[1] > 1 and (overlap or not some.all()):
        raise ValueError(
            f"a segmentation of shape {tuple(masks.shape)} with voxels in no class, or in several, could be one-hot "
            "(B, K, X, Y) or labels (B, X, Y, Z). Give num_classes= with labels; with one-hot give spacing_mm or "
            "spatial_dims=2, where such voxels are the rest of every class, or mask=one_hot.any(1) to ignore them"
        )
