"""Reads what metrics are given: arrays or tensors, masks or labels of any type. Light: no torch unless a tensor came.

Ignored voxels are those of the truth's label 255 and those where ``mask=`` is False. They are taken out of prediction
and truth alike, as if both showed another class there: they count nowhere, a mask's border runs along them, and a
lesion that they cut in two counts as two.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boundary_loss.labels import IGNORED, refuse_unless_bool

_MOST = 2**53
"""Whole numbers up to here are exact in float64."""


def as_array(values: Any) -> np.ndarray:
    """An array of whatever can be one, also of a tensor of any type, on any device, with a gradient or without."""
    if not hasattr(values, "detach"):
        return np.asarray(values)
    tensor = values.detach().cpu()
    return (tensor.double() if tensor.is_floating_point() else tensor).numpy()  # NumPy has no bfloat16


def is_cuda(values: Any) -> bool:
    """True for a tensor on a CUDA device."""
    return bool(getattr(values, "is_cuda", False))


def as_mask(mask: Any, name: str = "mask") -> NDArray[np.bool_]:
    """A mask as bool.

    Raises:
        ValueError: other values than zeros and ones, or no voxels.
    """
    array = as_array(mask)
    if array.ndim == 0:
        raise ValueError(f"{name} needs at least one axis, got a single number")
    _refuse_no_voxels(array.shape, name)
    if array.dtype == bool:
        return array
    if array.dtype.kind not in "iuf" or not np.logical_or(array == 0, array == 1).all():
        raise ValueError(
            f"{name} must be a mask of zeros and ones, found {_range(array)}; "
            f"give one class at a time, as labels == 1, and a mask of 0 and 255 as {name} > 0"
        )
    return array.astype(bool)


def as_classes(labels: Any, name: str) -> np.ndarray:
    """Labels as integers that can hold the ignored label.

    Raises:
        ValueError: fractions, or no voxels.
    """
    array = as_array(labels)
    _refuse_no_voxels(array.shape, name)
    if array.dtype == bool:
        return array.view(np.uint8)
    if array.dtype.kind == "f" and (array == np.trunc(array)).all() and float(np.abs(array).max()) < _MOST:
        return array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise ValueError(
            f"{name} must hold integer classes, got {array.dtype} with {_range(array)}; take argmax of probabilities, "
            "and round labels that scaling made inexact"
        )
    return array.astype(np.int16) if array.dtype == np.int8 else array


def as_spacing(spacing_mm: Sequence[float] | None, num_axes: int) -> NDArray[np.float64]:
    """(axes,) positive numbers; 1 mm where none are given."""
    if spacing_mm is None:
        return np.ones(num_axes)
    try:
        spacing = as_array(spacing_mm).astype(float)
    except (TypeError, ValueError):
        spacing = np.empty(0)
    if spacing.shape != (num_axes,) or not (np.isfinite(spacing).all() and (spacing > 0).all()):
        raise ValueError(f"spacing_mm must be {num_axes} positive numbers, one an axis, got {spacing_mm}")
    return spacing


def as_counted(mask: Any, shape: Sequence[int]) -> NDArray[np.bool_]:
    """``mask=`` of the metrics: bool, True where a voxel counts, one for each voxel of ``shape``."""
    counted = as_array(mask)
    refuse_unless_bool(counted.dtype, counted.dtype == bool, "as truth != 255")
    if counted.shape != tuple(shape):
        raise ValueError(f"mask of shape {counted.shape} does not fit the truth of shape {tuple(shape)}")
    return counted


def ignoring(truth: np.ndarray, mask: Any) -> np.ndarray:
    """The truth with the ignored label where ``mask`` is False."""
    return truth if mask is None else np.where(as_counted(mask, truth.shape), truth, IGNORED)


def refuse_axes_of_items(shape: Sequence[int], spacing_mm: Any, remedy: str) -> None:
    """Refuse a shape that is more likely a batch, or has an axis of channels, unless the spacing names every axis."""
    if spacing_mm is None and (len(shape) > 3 or (len(shape) == 3 and shape[0] == 1)):
        raise ValueError(
            f"shape {tuple(shape)} without spacing_mm could be a batch, or one image of {len(shape)} axes; {remedy}, "
            "or give spacing_mm, one number an axis"
        )


def _refuse_no_voxels(shape: Sequence[int], name: str) -> None:
    if 0 in shape:
        raise ValueError(f"{name} has no voxels: its shape is {tuple(shape)}")


def _range(array: np.ndarray) -> str:
    if array.dtype.kind not in "biuf":
        return f"an array of {array.dtype}"
    return f"values from {array.min()} to {array.max()}"
