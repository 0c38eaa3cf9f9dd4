"""A differentiable normalised surface Dice (NSD): the share of both surfaces that lies within a tolerance of the other.

The metric is that of Nikolov et al. (JMIR 2021); the loss replaces its crisp parts by ones with a slope, as Bokhovkin &
Burnaev (ISNN 2019) did for the boundary F1 of 2D images in pixels, here in mm, for any spacing, in 2D and 3D:

- A voxel face between i and j is a part of the predicted surface as far as p changes there, |p_i − p_j| · area.
- That part is near the true surface if the face is: |φ_i + φ_j| / 2 ≤ τ, φ the exact signed distance to the true
  faces. The mean of two neighbours is the distance of the face between them: 0 on a true face, exact for planes.
- A true face between i inside and j outside is found as far as the prediction is inside at some voxel of the object
  within τ of i, and outside at some voxel beside the object within τ of j: max p − min p, those of the two balls.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from boundary_loss.distance import signed_distance
from boundary_loss.distance.layout import Spacing, SpacingTable, spacing_array
from boundary_loss.encoding import can_read_values
from boundary_loss.losses.base import Activation, Pair, Reduction
from boundary_loss.losses.measuring import MeasuringLoss

SLACK = 1 + 1e-5
"""On the tolerance: distances are sums of rounded spacings."""


def surface_dice(near: Tensor, found: Tensor, predicted: Tensor, true: Tensor, smooth: Tensor) -> Tensor:
    """(B, K): 1 − (near + found + ε) / (predicted + true + ε), areas in mm² (in 2D lengths in mm)."""
    return 1 - (near + found + smooth) / (predicted + true + smooth)


def steps(values: Tensor, axis: int) -> Tensor:
    """Absolute differences of the neighbours along an axis: one value a face."""
    n = values.shape[axis]
    return (values.narrow(axis, 1, n - 1) - values.narrow(axis, 0, n - 1)).abs()


class SurfaceDiceLoss(MeasuringLoss):
    """1 − the soft normalised surface Dice at a tolerance, mean over items and classes; see the module.

    On crisp masks it is 1 − NSD of the voxels' faces. For ellipsoids that differs by up to 0.07 from the NSD of border
    voxels, :meth:`boundary_loss.metrics.SurfaceDistances.surface_dice`, at a tolerance of two voxels or more; below
    that up to 0.2, because a face counts as its place and not as its voxel's.
    Beyond the tolerance the value does not depend on the distance: a prediction elsewhere learns that its surface is
    not wanted and that the voxels around the true one are wrong. Take it beside a region loss. A class that is absent
    costs its soft surface; without surface in prediction and target the value is 0. The image's end is no surface.

    Args:
        tolerance_mm: τ; below the spacing only faces in their place count.
        smooth: ε in faces (the smallest of a voxel); it decides how soon false surface costs where the class is absent.
        spacing_mm: of the voxels, along (X, Y[, Z]), where a call does not give it; None = 1.

    >>> labels = torch.zeros(1, 1, 8, dtype=torch.long)
    >>> labels[..., 3:] = 1
    >>> moved = torch.eye(2)[labels.roll(1, -1).clamp(max=1)].movedim(-1, 1)  # also a false first voxel
    >>> [round(SurfaceDiceLoss(tolerance_mm=t, classes=[1])(moved, labels).item(), 4) for t in (0.5, 1.0, 2.0)]
    [0.75, 0.25, 0.0]
    """

    def __init__(
        self,
        *,
        tolerance_mm: float = 2.0,
        smooth: float = 1.0,
        spacing_mm: Sequence[float] | None = None,
        idc: Sequence[int] | None = None,
        classes: Sequence[int] | None = None,
        activation: Activation | None = None,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            spacing_mm=spacing_mm,
            idc=idc,
            classes=classes,
            activation=activation,
            ignore_index=ignore_index,
            reduction=reduction,
        )
        if tolerance_mm < 0 or smooth <= 0:
            raise ValueError(f"tolerance_mm={tolerance_mm} must be at least 0 and smooth={smooth} above it")
        self.tolerance_mm, self.smooth = tolerance_mm, smooth

    @torch.compiler.disable  # the transform is a program of its own: nothing in it to trace or differentiate
    def measure(self, masks: Tensor, spacing: Spacing, known: Tensor | None) -> Tensor:
        return signed_distance(
            masks, spacing, mask=known, spatial_dims=masks.ndim - 2, convention="interface", absent="far"
        )

    def of_maps(self, pair: Pair, maps: Tensor, spacing: Spacing) -> Tensor:
        p, inside, known = self.choose(pair.probs), self.choose(pair.one_hot) > 0.5, pair.known
        table = spacing_array(spacing)
        table = np.ones(p.ndim - 2) if table is None else table
        areas = torch.as_tensor(face_areas(table)).to(p, non_blocking=True)  # (1 or B, D)
        near = predicted = true = p.new_zeros(p.shape[:2])
        border = torch.zeros_like(p)
        for d, axis in enumerate(range(2, p.ndim)):
            area = areas[:, d : d + 1]
            changes, of_truth = steps(p, axis), _differ(inside, axis)
            if known is not None:
                both = _both(known, axis)
                changes, of_truth = changes * both, of_truth & both
            within = _middle(maps, axis) <= self.tolerance_mm * SLACK
            predicted = predicted + area * changes.flatten(2).sum(2)
            near = near + area * (changes * within).flatten(2).sum(2)
            true = true + area * of_truth.flatten(2).sum(2)
            _add_to_both(border, of_truth * area.view(-1, *[1] * (p.ndim - 1)), axis)
        near = near * (true > 0)
        right = torch.where(inside, p, 1 - p)
        found = best_nearby(right, inside, known, border, table, self.tolerance_mm * SLACK) - true
        return self.reduce_classes(
            surface_dice(near, found, predicted, true, self.smooth * areas.amin(1, keepdim=True))
        )


def face_areas(spacing: SpacingTable) -> SpacingTable:
    """(1 or B, D): the area of a voxel's face across each axis, mm²; in 2D its length in mm."""
    spacing = np.atleast_2d(spacing)
    return spacing.prod(axis=1, keepdims=True) / spacing


def _differ(mask: Tensor, axis: int) -> Tensor:
    n = mask.shape[axis]
    return mask.narrow(axis, 1, n - 1) != mask.narrow(axis, 0, n - 1)


def _both(mask: Tensor, axis: int) -> Tensor:
    n = mask.shape[axis]
    return mask.narrow(axis, 1, n - 1) & mask.narrow(axis, 0, n - 1)


def _middle(phi: Tensor, axis: int) -> Tensor:
    n = phi.shape[axis]
    return ((phi.narrow(axis, 1, n - 1) + phi.narrow(axis, 0, n - 1)) / 2).abs_()


def _add_to_both(voxels: Tensor, faces: Tensor, axis: int) -> None:
    n = voxels.shape[axis]
    voxels.narrow(axis, 1, n - 1).add_(faces)
    voxels.narrow(axis, 0, n - 1).add_(faces)


def best_nearby(
    right: Tensor, inside: Tensor, known: Tensor | None, border: Tensor, spacing: SpacingTable, radius: float
) -> Tensor:
    """(B, K): Σ border · the highest ``right`` among the voxels within ``radius`` on the same side.

    Args:
        right: (B, K, ...) probability of the side that a voxel is on.
        inside: (B, K, ...) bool, that side.
        known: (B, 1, ...) bool or None; other voxels are on no side.
        border: (B, K, ...) area of the true faces of each voxel, 0 away from the surface.
        spacing: (D,) or (B, D) mm.
    """
    if spacing.ndim == 2 and (spacing != spacing[0]).any():
        cut = [slice(b, b + 1) for b in range(len(right))]
        each = [
            best_nearby(right[b], inside[b], None if known is None else known[b], border[b], spacing[b], radius)
            for b in cut
        ]
        return torch.cat(each)
    at, places = _highest(right.detach(), inside, known, border, np.atleast_2d(spacing)[0], radius)
    areas = right.flatten()[places] * border.flatten()[at]
    sums = right.new_zeros(right[..., :1].shape[:2].numel())
    return sums.index_add(0, at // right[0, 0].numel(), areas).view(right.shape[:2])


@torch.no_grad()
@torch.compiler.disable  # a search, whose result is an index
def _highest(
    right: Tensor, inside: Tensor, known: Tensor | None, border: Tensor, spacing: np.ndarray, radius: float
) -> tuple[Tensor, Tensor]:
    """Flat indices of the voxels at the border (on a GPU of all voxels), and of the best voxel near each of them."""
    signed = torch.where(inside, right, -right)  # times a voxel's side: above 0 for voxels of that side alone
    signed = signed if known is None else signed * known
    reach = [min(int(radius / s), n - 1) for s, n in zip(spacing, right.shape[2:])]
    padded = F.pad(signed, [r for r in reversed(reach) for _ in (0, 1)])
    starts = torch.arange(padded.numel(), device=right.device).view(padded.shape)
    for axis, (r, n) in enumerate(zip(reach, right.shape[2:]), start=2):
        starts = starts.narrow(axis, r, n)
    if can_read_values(border):
        at = border.flatten().nonzero().squeeze(1)
        starts, side = starts.flatten()[at], inside.flatten()[at]
    else:
        at = torch.arange(border.numel(), device=right.device)
        starts, side = starts.flatten(), inside.flatten()
    values, strides, own = padded.flatten(), flat_strides(padded.shape[2:]), flat_strides(right.shape[2:])
    best, moved = values[starts].abs(), torch.zeros_like(at)
    for offset in ball(reach, spacing, radius):
        there = values[starts + dot(offset, strides)]
        there = torch.where(side, there, -there)
        better = there > best
        best = torch.where(better, there, best)
        moved = torch.where(better, dot(offset, own), moved)
    return at, at + moved


def ball(reach: Sequence[int], spacing: np.ndarray, radius: float) -> list[tuple[int, ...]]:
    """The steps to the voxels within the radius, without that to none."""
    every = itertools.product(*(range(-r, r + 1) for r in reach))
    return [step for step in every if any(step) and (np.multiply(step, spacing) ** 2).sum() <= radius**2]


def flat_strides(size: Sequence[int]) -> list[int]:
    """How far a step along each axis goes in a flattened image."""
    return [math.prod(size[axis + 1 :]) for axis in range(len(size))]


def dot(step: Sequence[int], strides: Sequence[int]) -> int:
    return sum(s * stride for s, stride in zip(step, strides))
