"""Tells which axes of an array are items, classes and space; refuses a shape that has two readings."""

import operator
from collections.abc import Sequence
from typing import Any

from boundary_loss.distance.layout import SpacingTable

MAX_SPATIAL_DIMS = 3


def dims_of_mask(shape: Sequence[int], spacing: SpacingTable | None, spatial_dims: int | None) -> int:
    """Return the number of spatial axes of a mask (..., X, Y[, Z]): all, unless ``spatial_dims`` or rows say less.

    Raises:
        ValueError: no such mask, or as many numbers of spacing as another number of axes would need.
    """
    if spatial_dims is not None:
        return _asked_for(shape, 0, spacing, spatial_dims)
    each_item = spacing is not None and spacing.ndim == 2
    dims = len(shape) - each_item
    if not 1 <= dims <= MAX_SPATIAL_DIMS:
        raise ValueError(
            f"shape {tuple(shape)} would have {max(dims, 0)} spatial axes, and 1 to {MAX_SPATIAL_DIMS} are possible; "
            "say how many of the last axes are space with spatial_dims="
        )
    if spacing is not None and spacing.shape[-1] != dims:
        raise ValueError(
            f"spacing_mm has {_numbers(spacing)}, but the array has shape {tuple(shape)}; give one number an axis, or "
            f"also spatial_dims={spacing.shape[-1]} if the axes before are a batch"
        )
    return dims


def dims_of_labels(
    shape: Sequence[int], num_classes: int, spacing: SpacingTable | None, spatial_dims: int | None
) -> int:
    """Return the number of spatial axes of labels (B, ...), (B, 1, ...), or of one image (...) with its spacing.

    Raises:
        ValueError: a shape and spacing that could mean two things, or none.
    """
    if spatial_dims is not None:
        return _asked_for(shape, 0, spacing, spatial_dims)
    dims = len(shape) - (2 if len(shape) > 3 and shape[1] == 1 else 1)
    if dims in (2, 3) and (spacing is None or spacing.shape[-1] == dims):
        return dims
    if spacing is not None and spacing.shape == (len(shape),) and not _may_be_slices(shape, num_classes):
        return len(shape)
    raise _ambiguous("labels (B, X, Y), (B, X, Y, Z) or (B, 1, ...)", shape, spacing)


def _may_be_slices(shape: Sequence[int], num_classes: int) -> bool:
    """Return True if a volume's shape may also be a batch of slices and the maps would not show the mistake."""
    return len(shape) > MAX_SPATIAL_DIMS or (len(shape) == 3 and shape[0] in (1, num_classes))


def dims_of_one_hot(shape: Sequence[int], spacing: SpacingTable | None, spatial_dims: int | None) -> int:
    """Return the number of spatial axes of a one-hot segmentation (B, K, X, Y[, Z]).

    Raises:
        ValueError: a shape and spacing that could mean two things, or none.
    """
    if spatial_dims is not None:
        return _asked_for(shape, 1, spacing, spatial_dims)
    dims = len(shape) - 2
    if dims in (2, 3) and (spacing is None or spacing.shape[-1] == dims):
        return dims
    raise _ambiguous("one-hot (B, K, X, Y[, Z]) (integer labels need num_classes=)", shape, spacing)


def _asked_for(shape: Sequence[int], others: int, spacing: SpacingTable | None, spatial_dims: Any) -> int:
    """Return ``spatial_dims``, checked against an array that has at least ``others`` axes besides."""
    try:
        dims = operator.index(spatial_dims)
    except TypeError:
        dims = 0
    if not 1 <= dims <= MAX_SPATIAL_DIMS:
        raise ValueError(f"spatial_dims must be 1 to {MAX_SPATIAL_DIMS}, got {spatial_dims!r}")
    if spacing is not None and spacing.shape[-1] != dims:
        raise ValueError(f"spatial_dims={dims}, but spacing_mm has {_numbers(spacing)}")
    if dims + others > len(shape):
        classes = " after the axis of classes" if others else ""
        raise ValueError(f"{dims} spatial axes{classes} were asked for, but the array's shape is {tuple(shape)}")
    return dims


def _numbers(spacing: SpacingTable) -> str:
    count = spacing.shape[-1]
    return f"{count} number{'' if count == 1 else 's'}{' an item' if spacing.ndim == 2 else ''}"


def _ambiguous(layout: str, shape: Sequence[int], spacing: SpacingTable | None) -> ValueError:
    found = "without spacing_mm" if spacing is None else f"with {_numbers(spacing)} of spacing_mm"
    return ValueError(
        f"a segmentation of shape {tuple(shape)} {found} could mean several things. Expected {layout} and one number "
        "of spacing a spatial axis; for another layout say with spatial_dims= how many of the last axes are space"
    )
