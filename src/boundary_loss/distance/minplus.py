"""Exact Euclidean distances in plain torch operations, for any device: used on CUDA if Triton is missing.

The last axis by running maxima of positions, each further axis as a min-plus product with parabolas over all pairs
of positions (the formula stands in :mod:`boundary_loss.distance.parabolas`), in chunks that bound the memory.
"""

import math

import torch
from torch import Tensor

from boundary_loss.distance.layout import SpacingTable

CHUNK = 1 << 25  # pairs held at a time: 128 MB in float32


def distances_to(
    masks: Tensor, spacing: SpacingTable, dtype: torch.dtype, *, faces: bool = False, limit: float = math.inf
) -> Tensor:
    """Return the distance of each voxel to the nearest True voxel; arguments as of :func:`engine.distances_to`."""
    squared, _ = _on_lines(masks, _per_axis(masks, spacing, -1, dtype), faces)
    for axis in range(masks.ndim - 2, 0, -1):
        size, step = masks.shape[axis], _per_axis(masks, spacing, axis - 1, dtype)
        reach = reach_of(limit, spacing[..., axis - 1], size)
        if 2 * reach < size:
            squared = _near(axis, squared, step, reach, faces)
        else:
            squared, _ = _along(axis, squared, _rise(size, step, faces), indexed=False)
    return squared.contiguous().sqrt_()


def nearest(masks: Tensor, spacing: SpacingTable) -> Tensor:
    """Return the index of the nearest True voxel, (N, ...) bool -> (N, D, ...) int64; -1 in a map that has none."""
    squared, position = _on_lines(masks, _per_axis(masks, spacing, -1, torch.float64), faces=False)
    indices = [position]
    for axis in range(masks.ndim - 2, 0, -1):
        rise = _rise(masks.shape[axis], _per_axis(masks, spacing, axis - 1, torch.float64), faces=False)
        squared, source = _along(axis, squared, rise, indexed=True)
        indices = [source, *[index.gather(axis, source) for index in indices]]
    found = torch.stack(indices, dim=1)
    return found.masked_fill(torch.isinf(squared).unsqueeze(1), -1)


def reach_of(limit: float, spacing: SpacingTable, size: int) -> int:
    """Return how many voxels along an axis a distance within the limit may span, measured to faces too."""
    return min(size - 1, math.ceil(min(limit / float(spacing.min()), size)) + 1)


def _near(axis: int, squared: Tensor, step: Tensor, reach: int, faces: bool) -> Tensor:
    """Return ``min over j of squared[j] + rise[i, j]`` along one axis, over the j at most ``reach`` away."""
    turned = squared.movedim(axis, 1)
    best = turned.clone()
    for offset in range(1, reach + 1):
        rise = _square(torch.full_like(step, offset), step, faces).view(-1, *[1] * (squared.ndim - 1))
        best[:, offset:] = torch.minimum(best[:, offset:], turned[:, :-offset] + rise)
        best[:, :-offset] = torch.minimum(best[:, :-offset], turned[:, offset:] + rise)
    return best.movedim(1, axis)


def _per_axis(masks: Tensor, spacing: SpacingTable, axis: int, dtype: torch.dtype) -> Tensor:
    """Return (N or 1, 1, 1) mm between centres along one spatial axis."""
    step = torch.as_tensor(spacing[..., axis], dtype=dtype).to(masks.device, non_blocking=True)  # no wait
    return step.view(-1, 1, 1)


def _rise(size: int, step: Tensor, faces: bool) -> Tensor:
    """Return (N or 1, size, size) squared distances between positions i and j of a line."""
    i = torch.arange(size, device=step.device, dtype=step.dtype)
    return _square(torch.abs(i[:, None] - i), step, faces)


def _square(steps: Tensor, step: Tensor, faces: bool) -> Tensor:
    return ((torch.clamp(steps - 0.5, min=0) if faces else steps) * step).square()


def _on_lines(masks: Tensor, step: Tensor, faces: bool) -> tuple[Tensor, Tensor]:
    """Return squared distance to, and position of, the nearest True voxel on the same line of the last axis."""
    size = masks.shape[-1]
    lines = masks.reshape(len(masks), -1, size)
    i = torch.arange(size, device=masks.device, dtype=torch.int64)
    beyond = 2 * size  # farther than any position of the line
    before = torch.where(lines, i, -beyond).cummax(dim=-1).values
    after = torch.where(lines, i, 3 * size).flip(-1).cummin(dim=-1).values.flip(-1)
    position = torch.where(i - before <= after - i, before, after)
    steps = torch.abs(i - position)
    squared = _square(steps.to(step.dtype), step, faces).masked_fill(steps >= size, torch.inf)
    return squared.view(masks.shape), position.clamp(0, size - 1).view(masks.shape)


def _along(axis: int, squared: Tensor, rise: Tensor, *, indexed: bool) -> tuple[Tensor, Tensor]:
    """Return ``min over j of squared[j] + rise[i, j]`` along one axis and, if ``indexed``, the j that gave it."""
    turned = squared.movedim(axis, -1)
    size = turned.shape[-1]
    lines = turned.reshape(len(squared), -1, size)
    best = torch.empty_like(lines)
    source = torch.empty(lines.shape if indexed else (0,), dtype=torch.int64, device=lines.device)
    maps = max(1, CHUNK // max(1, lines[0].numel() * size))
    rows = max(1, CHUNK // max(1, maps * size * size))
    for n in range(0, len(lines), maps):
        own = rise if len(rise) == 1 else rise[n : n + maps]
        for m in range(0, lines.shape[1], rows):
            pairs = lines[n : n + maps, m : m + rows, None, :] + own[:, None]
            if indexed:
                best[n : n + maps, m : m + rows], source[n : n + maps, m : m + rows] = pairs.min(dim=-1)
            else:
                best[n : n + maps, m : m + rows] = pairs.amin(dim=-1)
    best = best.view(turned.shape).movedim(-1, axis)
    return best, source.view(turned.shape).movedim(-1, axis) if indexed else source
