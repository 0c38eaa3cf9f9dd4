"""Checks the signed distance maps of a loss, and finds the voxels that they mark as ignored."""

from collections.abc import Sequence

import torch
from torch import Tensor

from boundary_loss.encoding import can_read_values


def as_batch(maps: Sequence[Tensor], probs: Tensor) -> Tensor:
    """Return a list of B maps (K, ...), or of one (B, K, ...), as (B, K, ...)."""
    found = [m for m in maps if isinstance(m, Tensor)]
    if not found or len(found) != len(maps) or any(m.shape != found[0].shape for m in found):
        raise ValueError("a list of distance maps must hold one tensor (K, X, Y[, Z]) an item, all of one shape")
    return found[0] if len(found) == 1 and found[0].ndim == probs.ndim else torch.stack(found)


def check_shape(maps: Tensor, probs: Tensor) -> None:
    """Refuse maps that are not of the predictions' shape, or (B, 2, ...) beside one channel."""
    B, channels, *space = probs.shape
    if tuple(maps.shape) not in ((B, channels, *space), (B, max(channels, 2), *space)):
        labels = tuple(maps.shape) in ((B, *space), (B, 1, *space))
        cure = " (labels: make maps of them with boundary_loss.signed_distance)" if labels else ""
        raise ValueError(
            f"distance maps {tuple(maps.shape)} and predictions {tuple(probs.shape)} must have one shape{cure}"
        )


def refuse_masks(maps: Tensor) -> None:
    """Refuse a one-hot mask, or probabilities, in place of distances."""
    if maps.dtype == torch.bool or are_classes(maps):
        raise ValueError(
            "the target looks like a one-hot mask, but this loss needs signed distances: "
            "make them with boundary_loss.signed_distance or dist_map_transform"
        )


def with_distances(maps: Tensor) -> Tensor | None:
    """Return (B, 1, ...) bool: the voxels of (B, K, ...) maps where some class has a distance; None if all count.

    That identifies ignored voxels only if each other voxel of the item lies inside exactly one class. In other items,
    and in integer maps, 0 may be an edge: there all count.
    """
    if maps.shape[1] < 2 or not maps.is_floating_point():
        return None
    some = maps[:, 0] != 0
    for k in range(1, maps.shape[1]):
        some |= maps[:, k] != 0
    if can_read_values(some) and bool(some.all()):
        return None
    present = (maps != 0).flatten(2).any(dim=2)  # (B, K)
    inside = ((maps <= 0) & present.view(*present.shape, *[1] * (maps.ndim - 2))).sum(dim=1)
    shared_out = ((inside == 1) | ~some).flatten(1).all(dim=1) & (present.sum(dim=1) > 1)
    return (some | ~shared_out.view(-1, *[1] * (some.ndim - 1))).unsqueeze(1)


def pulling(distances: Tensor) -> Tensor:
    """Return (B, 1, ...) bool: where a prediction matters. Elsewhere φ is 0 in all classes, but 0 · NaN is NaN."""
    return (distances != 0).any(dim=1, keepdim=True)


def are_classes(maps: Tensor) -> bool:
    """Return True if every voxel's classes lie in [0, 1] and add up to 1, or a single channel has 0 and 1 alone."""
    if maps.shape[1] == 1:
        return bool(((maps == 0) | (maps == 1)).all() & maps.any())
    inside = ((maps >= 0) & (maps <= 1)).all()
    return bool(inside & ((maps.sum(dim=1) - 1).abs() < 1e-4).all())
