"""The terms of a ledger that train a distance head: a second output of the network, one distance a class and voxel.

A head beside the segmentation makes the features know where the boundary is (Ma et al., MIDL 2020); the segmentation
itself still comes from the first output. The arithmetic is :mod:`boundary_loss.losses.regression`'s.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from boundary_loss.distance.layout import Spacing
from boundary_loss.encoding import among_all, check_tensors
from boundary_loss.losses.base import Reduction, Unit, checked_classes, in_unit, labels2one_hot, one_of, select
from boundary_loss.losses.regression import DistanceHeadLoss, SDFProductLoss, foreground_map, normalised_sdf
from boundary_loss.shapes import IGNORED, Labels, OneHot, Scalar

Norm = Literal["l1", "l2", "l1+l2"]


class HeadLoss(nn.Module, ABC):
    """Settings and steps that the losses of a distance head share; called as ``loss(output, target)``.

    Args:
        unit: of the distances, "mm" or "voxel"; the latter is the papers'.
        classes: those that count, e.g. ``[1]``; None = all.
        ignore_index: voxels of this label count nothing, nor do voxels that are in no class of a one-hot target;
            no distance is measured to them.
        reduction: "mean" or "sum" over the items, or "none", each item's value (B,).
    """

    reads: ClassVar[str] = "distances"
    """Which output of the network it takes; the losses without this word take the probabilities."""
    target: ClassVar[str] = "one_hot"
    over_items: ClassVar[bool] = True
    takes_spacing: ClassVar[bool] = True

    def __init__(
        self,
        *,
        unit: Unit = "mm",
        classes: Sequence[int] | None = None,
        ignore_index: int = IGNORED,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.unit = one_of("unit", unit, ("mm", "voxel"))
        self.classes = checked_classes(classes)
        self.ignore_index = ignore_index
        self.reduction = one_of("reduction", reduction, ("mean", "sum", "none"))

    def forward(
        self,
        output: Tensor,
        target: OneHot | Labels,
        target_maps: Tensor | None = None,
        *,
        spacing_mm: Spacing = None,
    ) -> Scalar:
        """The loss of a batch.

        Args:
            output: (B, K, ...) the head's values, unbounded.
            target: (B, K, ...) one-hot, or (B, ...) integer labels.
            target_maps: (B, K, ...) from :meth:`measure_target`, where a data set keeps them.
            spacing_mm: of the voxels, (D,), or (B, D) for each item its own; None = 1.

        Raises:
            ValueError: shapes that do not fit, labels or classes outside the range.
        """
        check_tensors(output, target=target)
        if not output.is_floating_point() or output.ndim < 3:
            raise ValueError(
                f"the head's output must be floating point (B, K, ...), got {output.dtype} {tuple(output.shape)}"
            )
        if target.shape == (output.shape[0], *output.shape[2:]):
            target = labels2one_hot(target, output.shape[1], self.ignore_index, torch.float32)
        if target.shape != output.shape:
            raise ValueError(
                f"target of shape {tuple(target.shape)} fits neither one-hot {tuple(output.shape)} "
                f"nor labels {(output.shape[0], *output.shape[2:])}"
            )
        known = target.amax(dim=1, keepdim=True) > 0
        # where, not a product: a NaN or an infinity in an ignored voxel must not survive
        chosen = select(torch.where(known, output, torch.zeros_like(output)), self.classes)
        maps = self.measure_target(target, spacing_mm) if target_maps is None else target_maps
        return self.compute(chosen, select(maps, self.classes))

    @torch.no_grad()
    def measure_target(self, one_hot: OneHot, spacing_mm: Spacing = None) -> Tensor:
        """The map that the head should give, (B, K, ...) one-hot -> (B, K, ...) float32; 0 in classes not chosen."""
        ignored = one_hot.amax(dim=1, keepdim=True) == 0
        found = self.measure(select(one_hot, self.classes), in_unit(self.unit, spacing_mm), ignored)
        return among_all(found, self.classes, one_hot.shape[1])

    @abstractmethod
    def measure(self, one_hot: OneHot, spacing: Spacing, ignored: Tensor) -> Tensor:
        """The maps of the chosen classes; ``ignored``: (B, 1, ...) bool, where they are 0."""

    @abstractmethod
    def compute(self, output: Tensor, maps: Tensor) -> Tensor:
        """The loss's formula."""

    def extra_repr(self) -> str:
        return f"classes={'all' if self.classes is None else list(self.classes)}, reduction={self.reduction!r}"


class SDFHead(HeadLoss):
    """Mean of |tanh f − φ₁|, of its square, or of both, φ₁ the signed distance in [−1, 1].

    Each side of φ₁ is divided by its own maximum, so that the unit matters only where the spacing differs by the axis.
    """

    kind: ClassVar[Literal["sdf", "foreground"]] = "sdf"

    def __init__(
        self,
        *,
        norm: Norm = "l2",
        unit: Unit = "mm",
        classes: Sequence[int] | None = None,
        ignore_index: int = IGNORED,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(unit=unit, classes=classes, ignore_index=ignore_index, reduction=reduction)
        self.formula = DistanceHeadLoss(self.kind, norm, reduction=reduction)

    def measure(self, one_hot: OneHot, spacing: Spacing, ignored: Tensor) -> Tensor:
        return normalised_sdf(one_hot, spacing, ignored=ignored)

    def compute(self, output: Tensor, maps: Tensor) -> Tensor:
        return self.formula(output, maps)


class ForegroundHead(SDFHead):
    """Mean of |f − d|, of its square, or of both, d the distance to the outside, and 0 outside."""

    kind = "foreground"

    def measure(self, one_hot: OneHot, spacing: Spacing, ignored: Tensor) -> Tensor:
        return foreground_map(one_hot, spacing, ignored=ignored)


class SDFProductHead(HeadLoss):
    """:class:`SDFProductLoss` of the head: draws the signs together; the value of a perfect head is −1/3."""

    def measure(self, one_hot: OneHot, spacing: Spacing, ignored: Tensor) -> Tensor:
        return normalised_sdf(one_hot, spacing, ignored=ignored)

    def compute(self, output: Tensor, maps: Tensor) -> Tensor:
        return SDFProductLoss(reduction=self.reduction)(output, maps)


HEADS: dict[str, type[HeadLoss]] = {"foreground": ForegroundHead, "sdf": SDFHead, "sdf_product": SDFProductHead}
"""By the names that a ledger uses."""
