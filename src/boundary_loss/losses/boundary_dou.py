"""The boundary difference-over-union loss: the smaller an object's share of boundary, the less its inside counts.

Sun, Luo & Li, "Boundary Difference over Union Loss for Medical Image Segmentation", MICCAI 2023.
"""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from boundary_loss.losses.base import Activation, Pair, Reduction, one_of
from boundary_loss.losses.region import Absent, Over, OverlapLoss


def difference_over_union(both: Tensor, predicted: Tensor, true: Tensor, alpha: Tensor, smooth: float) -> Tensor:
    """(Σp² + Σg² − 2 Σpg + ε) / (Σp² + Σg² − (1 + α) Σpg + ε), of sums (B, K) of p g, p² and g²."""
    difference = predicted + true - 2 * both
    return (difference + smooth) / (difference + (1 - alpha) * both + smooth)


def boundary_share(edge: Tensor, size: Tensor, least: float, most: float, smooth: float) -> Tensor:
    """α = 1 − 2 (C + ε) / (S + ε) within [least, most], C the voxels on the boundary of S voxels."""
    return (1 - 2 * (edge + smooth) / (size + smooth)).clamp(least, most)


def inner_edge(mask: Tensor) -> Tensor:
    """(B, K, ...) bool: the voxels of a mask that share a face with a voxel outside it, or with the image's end."""
    inside = mask.clone()
    for axis in range(2, mask.ndim):
        n = mask.shape[axis]
        inside.narrow(axis, 1, n - 1).logical_and_(mask.narrow(axis, 0, n - 1))
        inside.narrow(axis, 0, n - 1).logical_and_(mask.narrow(axis, 1, n - 1))
        inside.narrow(axis, 0, 1).fill_(False)
        inside.narrow(axis, n - 1, 1).fill_(False)
    return mask & ~inside


class BoundaryDoULoss(OverlapLoss):
    """Mean over items and classes of (Σp² + Σg² − 2Σpg + ε) / (Σp² + Σg² − (1 + α)Σpg + ε), α = 1 − 2C/S.

    S are the voxels of a class in an item, and C those of them with a face to the outside: its 4 neighbours in 2D, 6 in
    3D. A large object has an α near 1, which leaves the difference set alone to count; a small one an α below 0, near
    a Dice loss of squares (α = −1). Voxels are counted, so no spacing enters. An ignored voxel is outside.

    The authors' code is 2D, and pools C, S and all sums over the batch, so that a value depends on the items beside it:
    ``over="batch"``. It limits α to 0.8 (``most``) but not to 0 from below, as the paper's α in [0, 1) would:
    ``least=0``.

    Args:
        least, most: of α.
        smooth: ε.
        absent: as in :class:`boundary_loss.DiceLoss`; "paper" gives 1 whatever is predicted.
        over: "batch" takes the sums over the voxels of all items together.

    >>> import torch
    >>> probs = torch.tensor([[[[0.9, 0.2]], [[0.1, 0.8]]]])
    >>> round(BoundaryDoULoss(classes=[1])(probs, torch.tensor([[[0, 1]]])).item(), 4)  # α = −1: 0.05 / 1.65
    0.0303
    """

    on_points: ClassVar = False

    def __init__(
        self,
        *,
        least: float = -1.0,
        most: float = 0.8,
        smooth: float = 1e-5,
        absent: Absent = "paper",
        over: Over = "item",
        idc: Sequence[int] | None = None,
        classes: Sequence[int] | None = None,
        activation: Activation | None = None,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            absent=absent,
            idc=idc,
            classes=classes,
            activation=activation,
            ignore_index=ignore_index,
            reduction=reduction,
        )
        if not -1 <= least <= most < 1:
            raise ValueError(f"least={least}, most={most} must be limits of α within [-1, 1); the authors' are -1, 0.8")
        if smooth <= 0:
            raise ValueError(f"smooth={smooth} must be positive; 1e-5 is the authors'")
        self.over_items = one_of("over", over, ("item", "batch")) == "item"
        if not self.over_items and reduction != "mean":
            raise ValueError(f"over='batch' gives one value for all items; reduction={reduction!r} has none to give")
        self.least, self.most, self.smooth = least, most, smooth

    def compute(self, pair: Pair) -> Tensor:
        p, g = pair.probs, pair.one_hot
        mask = g > 0.5
        summed = [values.flatten(2).sum(2) for values in (p * g, p.square(), g.square(), inner_edge(mask), mask)]
        probability = p.flatten(2).sum(2) / pair.voxels()
        if not self.over_items:
            summed = [values.sum(0, keepdim=True) for values in summed]
            probability = probability.mean(0, keepdim=True)
        both, predicted, true, edge, size = summed
        alpha = boundary_share(edge.to(p.dtype), size.to(p.dtype), self.least, self.most, self.smooth)
        return self.of_present(difference_over_union(both, predicted, true, alpha, self.smooth), size, probability)
