"""Deep supervision: the weights, targets and spacings of a network's outputs at several resolutions."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from boundary_loss.distance.layout import SpacingTable


def nnunet_weights(levels: int) -> list[float]:
    """Weights of the outputs, full resolution first: 1, 1/2, 1/4, ..., the last 0, divided by their sum (nnU-Net)."""
    weights = [0.5**level for level in range(levels)]
    if levels > 1:
        weights[-1] = 0.0
    return [weight / sum(weights) for weight in weights]


def resized(target: Tensor, size: Sequence[int]) -> Tensor:
    """The target at another resolution, (..., X, Y[, Z]) -> (..., *size), of any type.

    A voxel is taken from where its centre lies, as torch's ``nearest-exact`` does, which takes floats and bytes alone.
    """
    for axis, (now, wanted) in enumerate(zip(target.shape[-len(size) :], size), start=target.ndim - len(size)):
        if now != wanted:
            places = torch.arange(wanted, device=target.device)
            target = target.index_select(axis, (2 * places + 1) * now // (2 * wanted))
    return target


def spacing_at(size: Sequence[int], full_size: Sequence[int], spacing_mm: SpacingTable | None) -> SpacingTable:
    """Spacing of a grid of ``size`` over the extent that ``full_size`` covers at ``spacing_mm``; (D,) or (B, D) mm.

    Raises:
        ValueError: not one spacing, and one full size, for each of the D axes.
    """
    spacing = np.ones(len(size)) if spacing_mm is None else spacing_mm
    if len(full_size) != len(size) or spacing.shape[-1] != len(size):
        raise ValueError(
            f"an output has {len(size)} spatial axes, but there are {spacing.shape[-1]} numbers of spacing_mm and "
            f"{len(full_size)} of the full size {tuple(full_size)}"
        )
    return spacing * np.asarray(full_size, dtype=np.float64) / np.asarray(size, dtype=np.float64)
