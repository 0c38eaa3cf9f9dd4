"""Dice of centre lines: clDice, and cbDice, which weighs the lines by the radius around them.

Shit et al., "clDice - a Novel Topology-Preserving Loss Function for Tubular Structure Segmentation", CVPR 2021;
Shi et al., "Centerline Boundary Dice Loss for Vascular Segmentation", MICCAI 2024.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from boundary_loss.distance.layout import Spacing, spacing_array
from boundary_loss.losses.base import Activation, Pair, Reduction, Unit, one_of
from boundary_loss.losses.hausdorff import boundary_distance
from boundary_loss.losses.measuring import MeasuringLoss
from boundary_loss.losses.skeletons import soft_skeleton, thinned

Skeleton = Literal["soft", "thin"]


def harmonic(precision: Tensor, sensitivity: Tensor) -> Tensor:
    """1 − 2 a b / (a + b)."""
    return 1 - 2 * precision * sensitivity / (precision + sensitivity)


def cl_dice(p: Tensor, g: Tensor, s_p: Tensor, s_g: Tensor, smooth: float) -> Tensor:
    """(B, K): 1 − 2 a b / (a + b), a = (Σ s_p g + ε) / (Σ s_p + ε), b = (Σ s_g p + ε) / (Σ s_g + ε)."""
    return harmonic(_ratio(s_p * g, s_p, smooth), _ratio(s_g * p, s_g, smooth))


class Weighted(NamedTuple):
    """A mask as cbDice sees it, with R the distance to the outside and R̂ the largest R on its skeleton."""

    depth: Tensor
    """min(R, R̂) / R̂, times the probability."""
    radius: Tensor
    """R / R̂ on the skeleton, times the probability."""
    line: Tensor
    """((R̂ − R + r) / R̂)^(D − 1) on the skeleton, r one voxel, times the skeleton: thin parts weigh more."""


def cb_dice(predicted: Weighted, true: Weighted, smooth: float) -> Tensor:
    """(B, K): 1 − 2 a b / (a + b), a = (Σ line_p depth_g + ε) / (Σ line_p radius + ε), b with p and g exchanged.

    The radius below is that of the other mask's skeleton, or where that is not, of its own.
    """
    precision = _ratio(predicted.line * true.depth, predicted.line * _either(true.radius, predicted.radius), smooth)
    sensitivity = _ratio(true.line * predicted.depth, true.line * _either(predicted.radius, true.radius), smooth)
    return harmonic(precision, sensitivity)


def _either(first: Tensor, second: Tensor) -> Tensor:
    return torch.where(first != 0, first, second)


def _ratio(above: Tensor, below: Tensor, smooth: float) -> Tensor:
    return (above.flatten(2).sum(2) + smooth) / (below.flatten(2).sum(2) + smooth)


class ClDiceLoss(MeasuringLoss):
    """Mean over items and classes of 1 − clDice, of the soft skeleton of the prediction and that of the target.

    The authors' code sums over all items and classes together, and always makes 10 iterations, whatever ``iter_`` says.

    Args:
        iterations: of the soft skeleton, at least the largest radius in voxels.
        skeleton: of the target: "soft", as of the prediction and as published; "thin", one voxel wide, by scikit-image,
            which a data set keeps; made in a step it makes a GPU wait.
        smooth: ε.
        spacing_mm: has no effect: skeletons count voxels.
    """

    def __init__(
        self,
        *,
        iterations: int = 10,
        skeleton: Skeleton = "soft",
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
        self.iterations, self.smooth = checked_iterations(iterations), checked_smooth(smooth)
        self.skeleton = one_of("skeleton", skeleton, ("soft", "thin"))

    def measure(self, masks: Tensor, spacing: Spacing, known: Tensor | None) -> Tensor:
        return skeletons(masks, self.skeleton, self.iterations, known)

    def of_maps(self, pair: Pair, maps: Tensor, spacing: Spacing) -> Tensor:
        p, g = self.choose(pair.probs), self.choose(pair.one_hot)
        predicted = soft_skeleton(p, self.iterations, pair.known)
        return self.reduce_classes(cl_dice(p, g, predicted, maps.to(p.dtype), self.smooth))


class CbDiceLoss(MeasuringLoss):
    """Mean over items and classes of 1 − cbDice; see :func:`cb_dice`. The radii are exact distances.

    A class is predicted where it is above ½, and its skeleton is that of this mask; the gradient flows through the
    probabilities beside the skeleton, radius and depth. It is 0, without a slope, as soon as every voxel is above ½
    that should be and no other: take it beside a region loss. The authors' code makes one class of all above 0, sums
    over the items, and gives −cbDice. As there, a can exceed 1 where a thin predicted line lies beside the true one
    within a thick object; nothing keeps the value at or above 0.

    Args:
        iterations, skeleton, smooth: as in :class:`ClDiceLoss`; the skeleton of both masks is of this kind. "thin"
            makes a GPU wait in each step.
        unit: of the radii, "mm" or "voxel"; the latter is the authors'.
    """

    def __init__(
        self,
        *,
        iterations: int = 10,
        skeleton: Skeleton = "soft",
        smooth: float = 1.0,
        spacing_mm: Sequence[float] | None = None,
        unit: Unit = "mm",
        idc: Sequence[int] | None = None,
        classes: Sequence[int] | None = None,
        activation: Activation | None = None,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            spacing_mm=spacing_mm,
            unit=unit,
            idc=idc,
            classes=classes,
            activation=activation,
            ignore_index=ignore_index,
            reduction=reduction,
        )
        self.iterations, self.smooth = checked_iterations(iterations), checked_smooth(smooth)
        self.skeleton = one_of("skeleton", skeleton, ("soft", "thin"))

    def measure(self, masks: Tensor, spacing: Spacing, known: Tensor | None) -> Tensor:
        """Depths, below 0 on the skeleton, so that one map holds both."""
        depth = boundary_distance(masks, "inside", spacing, "far", known) * masks
        lines = skeletons(masks, self.skeleton, self.iterations, known) > 0.5
        return torch.where(lines, -depth, depth)

    def of_maps(self, pair: Pair, maps: Tensor, spacing: Spacing) -> Tensor:
        p, g = self.choose(pair.probs), self.choose(pair.one_hot)
        with torch.no_grad():
            predicted = self.measure(p > 0.5, spacing, pair.known)
        table = spacing_array(spacing)
        voxel = np.ones(1) if table is None else np.atleast_2d(table).min(axis=1)
        least = torch.as_tensor(voxel).to(p, non_blocking=True).view(-1, *[1] * (p.ndim - 1))
        masks = weighted(p, predicted.to(p.dtype), least), weighted(g, maps.to(p.dtype), least)
        return self.reduce_classes(cb_dice(*masks, self.smooth))


def weighted(p: Tensor, depths: Tensor, voxel: Tensor) -> Weighted:
    """What cbDice reads of a mask of probability p whose ``depths`` are below 0 on the skeleton; ``voxel``: mm."""
    on_line, depth = depths < 0, depths.abs()
    radius = torch.where(on_line, depth, 0)
    largest = torch.maximum(radius.amax(dim=tuple(range(2, p.ndim)), keepdim=True), voxel)
    thinness = ((largest - radius + voxel) / largest) ** (p.ndim - 3)
    return Weighted(depth.minimum(largest) / largest * p, radius / largest * p, torch.where(on_line, thinness * p, 0))


def skeletons(masks: Tensor, kind: Skeleton, iterations: int, known: Tensor | None) -> Tensor:
    """Return (B, K, ...) float32 skeletons of bool masks, of the kind that a loss was asked for."""
    return thinned(masks) if kind == "thin" else soft_skeleton(masks.float(), iterations, known)


def checked_iterations(iterations: int) -> int:
    if iterations < 1:
        raise ValueError(f"iterations={iterations} must be at least 1, and no less than the largest radius in voxels")
    return iterations


def checked_smooth(smooth: float) -> float:
    if smooth <= 0:
        raise ValueError(f"smooth={smooth} must be positive; 1 is the papers'")
    return smooth
