"""One entrance to the kernels: (N, ...) maps on any device, the same numbers to rounding."""

import numpy as np
import torch
from torch import Tensor

from boundary_loss.distance import cpu
from boundary_loss.distance.layout import SpacingTable


def distances_to(masks: Tensor, spacing: SpacingTable, dtype: torch.dtype) -> Tensor:
    """Distance of each voxel to the nearest True voxel of its map.

    Args:
        masks: (N, ...) bool.
        spacing: (D,) or (N, D), mm.
        dtype: float32 or float64.

    Returns:
        (N, ...) mm on the same device; 0 on True voxels, inf throughout a map that has none.
    """
    found = cpu.distances_to(masks.cpu().numpy(), spacing, np.float64 if dtype == torch.float64 else np.float32)
    return torch.from_numpy(found).to(masks.device)


def distances_across(masks: Tensor, spacing: SpacingTable, dtype: torch.dtype) -> Tensor:
    """Distance of each voxel to the nearest voxel of the other kind (True to False, False to True).

    Shapes as in :func:`distances_to`; inf throughout a map that is all of one kind.
    """
    return torch.where(masks, distances_to(~masks, spacing, dtype), distances_to(masks, spacing, dtype))
