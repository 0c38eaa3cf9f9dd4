"""Surface distances on a device: borders, distance maps and look-up where the tensors are.

Only the distances of the border voxels come back, to be sorted on the CPU.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from boundary_loss.distance import euclidean_distance
from boundary_loss.empty_masks import diagonal_mm, distance_where_empty
from boundary_loss.metrics.border_distances import SurfaceDistances
from boundary_loss.metrics.reading import as_mask, as_spacing, is_cuda


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
    pred_empty, gt_empty = (~masks.flatten(1).any(dim=1)).tolist()
    rule = distance_where_empty(pred_empty, gt_empty, diagonal_mm(masks.shape[1:], spacing))
    nowhere = torch.zeros(0, dtype=torch.float64).numpy()
    if rule is not None:
        return SurfaceDistances(nowhere, nowhere, rule)
    borders = _borders(_cropped(masks))
    to_pred, to_gt = euclidean_distance(borders, spacing, spatial_dims=borders.ndim - 1)
    return SurfaceDistances(*(found.double().cpu().numpy() for found in (to_gt[borders[0]], to_pred[borders[1]])))


def _as_mask(mask: Any, name: str, device: torch.device) -> Tensor:
    """On the device; what lies there already is looked at there."""
    if is_cuda(mask) and mask.ndim and mask.numel():
        found = mask.detach().to(device)
        found = found if found.dtype == torch.bool or found.is_floating_point() else found.long()  # torch knows it
        if found.dtype == torch.bool or bool(((found == 0) | (found == 1)).all()):
            return found.bool()
    return torch.from_numpy(np.ascontiguousarray(as_mask(mask, name))).to(device)


def _cropped(masks: Tensor) -> Tensor:
    """Both masks in the box around them: distances between them do not leave it."""
    either = masks.any(dim=0)
    for axis in range(either.ndim):
        others = [other for other in range(either.ndim) if other != axis]
        occupied = either.any(dim=others) if others else either
        first, last = occupied.nonzero()[[0, -1], 0].tolist()
        masks, either = (array.narrow(axis - either.ndim, first, last + 1 - first) for array in (masks, either))
    return masks


def _borders(masks: Tensor) -> Tensor:
    """(2, ...) bool: voxels of each mask with a face neighbour outside it; beyond the box is outside too."""
    inside = masks.clone()
    for axis in range(1, masks.ndim):
        size = masks.shape[axis]
        inside.narrow(axis, 1, size - 1).logical_and_(masks.narrow(axis, 0, size - 1))
        inside.narrow(axis, 0, size - 1).logical_and_(masks.narrow(axis, 1, size - 1))
        inside.narrow(axis, 0, 1).fill_(False)
        inside.narrow(axis, size - 1, 1).fill_(False)
    return masks & ~inside
