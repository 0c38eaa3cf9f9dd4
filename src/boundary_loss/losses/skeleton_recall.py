"""Skeleton recall: how much of the truth's centre lines, widened to tubes, the prediction covers.

Kirchhoff et al., "Skeleton Recall Loss for Connectivity Conserving and Resource Efficient Segmentation of Thin Tubular
Structures", ECCV 2024.
"""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from boundary_loss.distance.layout import Spacing
from boundary_loss.losses.base import Activation, Pair, Reduction, one_of
from boundary_loss.losses.measuring import MeasuringLoss
from boundary_loss.losses.skeletons import thinned


def skeleton_recall(p: Tensor, skeleton: Tensor, smooth: float) -> Tensor:
    """(B, K): 1 − (Σ p s + ε) / (Σ s + ε), s the skeleton."""
    p, skeleton = p.flatten(2), skeleton.flatten(2)
    return 1 - ((p * skeleton).sum(2) + smooth) / (skeleton.sum(2) + smooth)


class SkeletonRecallLoss(MeasuringLoss):
    """Mean over items and classes of 1 − (Σ p s + ε) / (Σ s + ε), s the class's skeleton as a tube within the class.

    For vessels and other thin structures, beside a region loss: false positives cost nothing here. The skeleton is made
    once where a data set keeps it, as a ledger's runs do; in a call with labels alone it is made in the step, on the
    CPU, for which a GPU waits. The background has a skeleton like any class: choose ``classes``.

    Args:
        tube: by how many voxels (across faces) the skeleton is widened; 0 is the line itself, 2 the authors'.
        of: "class" thins each class by itself; "foreground" thins the union of the chosen classes and divides the tube
            among them, as the authors' code does with all classes above 0. For one class that is the same.
        smooth: ε.
        spacing_mm: has no effect: skeleton and tube count voxels.

    >>> import torch
    >>> labels = torch.zeros(1, 5, 9, dtype=torch.long)
    >>> labels[:, 1:4] = 1
    >>> thin = torch.zeros(1, 2, 5, 9)
    >>> thin[:, 0], thin[:, :, 1:3] = 1, torch.tensor([0.0, 1.0]).view(1, 2, 1, 1)  # two of the class's three rows
    >>> SkeletonRecallLoss(tube=0, classes=[1])(thin, labels).item()  # with all of the centre line
    0.0
    """

    def __init__(
        self,
        *,
        tube: int = 2,
        of: Literal["class", "foreground"] = "class",
        smooth: float = 1e-5,
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
        if tube < 0 or smooth <= 0:
            raise ValueError(f"tube={tube} must be at least 0 and smooth={smooth} above it")
        self.tube, self.of, self.smooth = tube, one_of("of", of, ("class", "foreground")), smooth

    def measure(self, masks: Tensor, spacing: Spacing, known: Tensor | None) -> Tensor:
        if self.of == "class":
            return thinned(masks, self.tube)
        return thinned(masks.any(dim=1, keepdim=True), self.tube) * masks

    def of_maps(self, pair: Pair, maps: Tensor, spacing: Spacing) -> Tensor:
        p = self.choose(pair.probs)
        return self.reduce_classes(skeleton_recall(p, maps.to(p.dtype), self.smooth))
