"""Checks arrays, spacings and types once, for every distance map."""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = np.ndarray | Tensor
ArrayT = TypeVar("ArrayT", np.ndarray, Tensor)  # the answer has the kind of the argument
Spacing = Sequence[float] | np.ndarray | Tensor | None
SpacingTable = NDArray[np.float64]  # mm; (D,) for all maps, or (N, D), one row a map

_WIDE_UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)  # for which torch has few operations


def spacing_array(spacing_mm: Spacing, name: str = "spacing_mm") -> SpacingTable | None:
    """Return the spacing as float64, (D,) or one row an item (B, D); None stays None.

    Args:
        name: of the argument, for messages.

    Raises:
        ValueError: a spacing that is not positive and finite, or not of one of the two shapes.
    """
    if spacing_mm is None:
        return None
    if isinstance(spacing_mm, Tensor):
        spacing_mm = spacing_mm.detach().cpu().double().numpy()
    try:
        spacing = np.asarray(spacing_mm, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must list numbers, got {spacing_mm!r}") from None
    if spacing.ndim not in (1, 2):
        raise ValueError(f"{name} must list one number an axis (or one such row an item), got {spacing_mm!r}")
    if not (np.isfinite(spacing).all() and (spacing > 0).all()):
        raise ValueError(f"{name} must be positive and finite, got {spacing_mm!r}")
    return spacing


def spacing_table(spacing: SpacingTable | None, lead: Sequence[int], dims: int, each: int = 1) -> SpacingTable:
    """Return the spacing of the flattened maps: (D,), or (N, D) if each item of the first axis has its own.

    Args:
        lead: the axes before space, and before that of the classes.
        each: maps of an item.

    Raises:
        ValueError: not as many rows as there are items.
    """
    if spacing is None:
        return np.ones(dims)
    if spacing.ndim == 1:
        return spacing
    if not lead or len(spacing) != lead[0]:
        items = f"there are {lead[0]} items" if lead else "there is no axis of items"
        raise ValueError(f"spacing_mm has {len(spacing)} rows, one an item, but {items}")
    return np.repeat(spacing, int(np.prod(lead[1:])) * each, axis=0)


def diagonals(size: Sequence[int], spacing: SpacingTable) -> np.ndarray:
    """Return the length of each map's diagonal, (N or 1,) mm."""
    return np.atleast_1d(np.sqrt(((np.asarray(size) * spacing) ** 2).sum(axis=-1)))


def as_tensor(array: Any, name: str) -> tuple[Tensor, bool]:
    """Return the array as a tensor, sharing its memory where possible, and whether it came from NumPy.

    Raises:
        ValueError: neither an array nor a tensor, or of a type that holds no numbers.
    """
    if isinstance(array, Tensor):
        if array.is_complex():
            raise ValueError(f"{name} must be a tensor of real numbers, got {array.dtype}")
        return (array.long() if array.dtype in _WIDE_UNSIGNED else array.detach()), False
    numbers = np.asarray(array)
    if numbers.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be an array of numbers, got {type(array).__name__} of {numbers.dtype}")
    numbers = numbers.astype(_known_to_torch(numbers.dtype), copy=not numbers.flags.writeable)
    if any(stride < 0 for stride in numbers.strides):
        numbers = numbers.copy()
    return torch.from_numpy(numbers), True


def _known_to_torch(dtype: np.dtype) -> np.dtype:
    """Return the type in this machine's byte order, or a wider one if torch does not know it."""
    if dtype.kind == "u" and dtype.itemsize > 1:
        return np.dtype(np.int64)
    return np.dtype(np.float64) if dtype.kind == "f" and dtype.itemsize > 8 else dtype.newbyteorder("=")


def as_mask(array: Any, name: str = "mask") -> tuple[Tensor, bool]:
    """Return a bool tensor: any number but 0 is foreground, as in SciPy."""
    tensor, from_numpy = as_tensor(array, name)
    return (tensor if tensor.dtype == torch.bool else tensor != 0), from_numpy


def checked_limit(max_distance: float | None) -> float:
    """Return the longest distance that is asked for, mm; inf if None.

    Raises:
        ValueError: it is not positive.
    """
    if max_distance is None:
        return math.inf
    if not isinstance(max_distance, Real) or not max_distance > 0:
        raise ValueError(f"max_distance must be positive, got {max_distance}")
    return float(max_distance)


def as_torch_dtype(dtype: Any) -> torch.dtype:
    """Return torch.float32 or torch.float64, given by torch's name or NumPy's.

    Raises:
        ValueError: any other type.
    """
    known = {torch.float32: torch.float32, torch.float64: torch.float64}
    if isinstance(dtype, torch.dtype):
        found = known.get(dtype)
    else:
        try:
            found = {np.dtype(np.float32): torch.float32, np.dtype(np.float64): torch.float64}.get(np.dtype(dtype))
        except TypeError:
            found = None
    if found is None:
        raise ValueError(f"dtype must be float32 or float64, got {dtype}")
    return found
