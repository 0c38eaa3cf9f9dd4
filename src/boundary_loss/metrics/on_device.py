"""Surface distances on a device: borders, distance maps, look-up and the metrics themselves where the tensors are.

The device is waited for as rarely as the sizes of things allow: once for the box around both masks, once for the number
of border voxels, and once for each metric that is asked for.
"""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from boundary_loss.distance import euclidean_distance
from boundary_loss.empty_masks import diagonal_mm, distance_where_empty
from boundary_loss.metrics.border_distances import SurfaceDistances
from boundary_loss.metrics.reading import as_mask, as_spacing, is_cuda


class DeviceDistances(SurfaceDistances):
    """Distances between two surfaces that stay on a device; only the metrics come back, or the arrays if asked for.

    Args:
        pooled: (n + m,) float32 mm: of the n border voxels of the prediction, then of the m of the ground truth, each
            to the nearest of the other surface.
        of_pred: n, on the device.
    """

    def __init__(self, pooled: Tensor, of_pred: Tensor) -> None:
        object.__setattr__(self, "_pooled", pooled)
        object.__setattr__(self, "_of_pred", of_pred)
        object.__setattr__(self, "rule", None)

    _pooled: Tensor
    _of_pred: Tensor

    @cached_property
    def _sides(self) -> tuple[Tensor, Tensor]:
        n = int(self._of_pred)
        return self._pooled[:n], self._pooled[n:]

    @cached_property
    def from_pred(self) -> NDArray[np.float64]:
        return self._sides[0].double().cpu().numpy()

    @cached_property
    def from_gt(self) -> NDArray[np.float64]:
        return self._sides[1].double().cpu().numpy()

    @cached_property
    def _sorted(self) -> Tensor:
        return self._pooled.sort().values

    @cached_property
    def _summary(self) -> tuple[float, float]:
        """The largest and the mean, with one wait for both."""
        largest, total = torch.stack([self._pooled.amax().double(), self._pooled.sum(dtype=torch.float64)]).tolist()
        return largest, total / len(self._pooled)

    @property
    def hausdorff(self) -> float:
        return self._summary[0]

    @property
    def assd(self) -> float:
        return self._summary[1]

    def _percentile(self, percent: float, *, directed: bool) -> float:
        if directed:
            return max(percentile_of_sorted(side.sort().values, percent) for side in self._sides)
        return percentile_of_sorted(self._sorted, percent)

    def surface_dice(self, tolerance_mm: float) -> float:
        self._check_tolerance(tolerance_mm)
        return float((self._pooled.double() <= tolerance_mm).sum()) / len(self._pooled)


def percentile_of_sorted(values: Tensor, percent: float) -> float:
    """Percentile of sorted values, interpolated linearly between the two that are nearest, as ``numpy.percentile``."""
    position = (len(values) - 1) * percent / 100
    first = math.floor(position)
    low, high = (values[first : first + 2].tolist() * 2)[:2]  # the last has no neighbour
    share = position - first
    return float(low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share))


def distances_on_device(
    pred: Any, gt: Any, spacing_mm: Sequence[float] | None, device: Any, counted: np.ndarray | None = None
) -> SurfaceDistances:
    """:func:`boundary_loss.metrics.surface_distances` of masks with 1 to 3 axes; ``device`` None = where they are."""
    place = torch.device(device) if device is not None else next(m.device for m in (pred, gt) if is_cuda(m))
    masks = torch.stack([_as_mask(mask, name, place) for mask, name in ((pred, "pred"), (gt, "gt"))])  # (2, ...)
    if counted is not None:
        masks &= torch.from_numpy(np.ascontiguousarray(counted)).to(place)
    spacing = as_spacing(spacing_mm, masks.ndim - 1).tolist()
    if masks.ndim > 4:
        raise ValueError(f"a device measures masks with 1 to 3 axes, got {masks.ndim - 1}; leave device out")
    shadows = _shadows(masks)
    pred_empty, gt_empty = (not bool(side.any()) for side in shadows[0])
    rule = distance_where_empty(pred_empty, gt_empty, diagonal_mm(masks.shape[1:], spacing))
    if rule is not None:
        nowhere = np.zeros(0)
        return SurfaceDistances(nowhere, nowhere, rule)
    borders = _borders(_cropped(masks, shadows))
    found = euclidean_distance(borders, spacing, spatial_dims=borders.ndim - 1)
    assert isinstance(found, Tensor)
    return DeviceDistances(found.flip(0)[borders], borders[0].sum())  # of each border, the map of the other


def _as_mask(mask: Any, name: str, device: torch.device) -> Tensor:
    """On the device; what lies there already is looked at there."""
    if is_cuda(mask) and mask.ndim and mask.numel():
        found = mask.detach().to(device)
        found = found if found.dtype == torch.bool or found.is_floating_point() else found.long()  # torch knows it
        if found.dtype == torch.bool or bool(((found == 0) | (found == 1)).all()):
            return found.bool()
    return torch.from_numpy(np.ascontiguousarray(as_mask(mask, name))).to(device)


def _shadows(masks: Tensor) -> list[NDArray[np.bool_]]:
    """(2, size) for each axis: in which planes across it each mask has voxels."""
    axes = range(1, masks.ndim)
    found = [masks.any(dim=[other for other in axes if other != axis]) if len(axes) > 1 else masks for axis in axes]
    together = torch.cat(found, dim=1).cpu().numpy()
    return np.split(together, np.cumsum(masks.shape[1:])[:-1], axis=1)


def _cropped(masks: Tensor, shadows: list[NDArray[np.bool_]]) -> Tensor:
    """Both masks in the box around them: distances between them do not leave it."""
    for axis, shadow in enumerate(shadows, start=1):
        first, last = np.flatnonzero(shadow.any(axis=0))[[0, -1]].tolist()
        masks = masks.narrow(axis, first, last + 1 - first)
    return masks


def _borders(masks: Tensor) -> Tensor:
    """(2, ...) bool: voxels of each mask with a face neighbour outside it; beyond the box is outside too."""
    padded = F.pad(masks, [1, 1] * (masks.ndim - 1))
    inside = masks.clone(memory_format=torch.contiguous_format)
    for axis in range(1, masks.ndim):
        for shift in (0, 2):
            neighbour = padded
            for other in range(1, masks.ndim):
                neighbour = neighbour.narrow(other, shift if other == axis else 1, masks.shape[other])
            inside &= neighbour
    return masks & ~inside
