"""Terms of a ledger that train a distance head: a second output of the network, one distance a class and voxel.

The head makes the shared features represent the boundary (Ma et al., MIDL 2020); the segmentation still comes from the
first output. The formulas are in :mod:`boundary_loss.losses.regression`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from boundary_loss.distance.layout import Spacing
from boundary_loss.encoding import scatter_classes
from boundary_loss.losses.base import OfItems, Unit, checked_classes, in_unit, one_of, select
from boundary_loss.losses.regression import DistanceHeadLoss, Norm, SDFProductLoss, foreground_map, normalised_sdf
from boundary_loss.losses.target import TargetReader, check_prediction, read_mask, zero_unless
from boundary_loss.shapes import Labels, OneHot, Scalar


class HeadLoss(nn.Module, ABC):
    """Base of the losses of a distance head, called as ``loss(output, target)``.

    Args:
        unit: of the distances, "mm" or "voxel"; the latter is the papers'.
        classes: those that count, e.g. ``[1]``; None = all.
        ignore_index: voxels of this label count nowhere, and no distance is measured to them; None = 255, as in
            every loss.
        reduction: "mean" or "sum" over the items, or "none", each item's value (B,).
    """

    reads: ClassVar[str] = "distances"
    """Which output of the network it takes; the losses without this word take the probabilities."""
    target: ClassVar[str] = "one_hot"
    over_items: ClassVar[bool] = True
    takes_spacing: ClassVar[bool] = True
    takes_mask: ClassVar[bool] = True

    def __init__(
        self,
        *,
        unit: Unit = "mm",
        classes: Sequence[int] | None = None,
        ignore_index: int | None = None,
        reduction: OfItems = "mean",
    ) -> None:
        super().__init__()
        self.unit = one_of("unit", unit, ("mm", "voxel"))
        self.classes = checked_classes(classes)
        self._reader = TargetReader(ignore_index)
        self.reduction = one_of("reduction", reduction, ("mean", "sum", "none"))

    def forward(
        self,
        output: Tensor,
        target: OneHot | Labels,
        target_maps: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        spacing_mm: Spacing = None,
    ) -> Scalar:
        """The loss of a batch.

        Args:
            output: (B, K, ...) the head's values, unbounded.
            target: (B, ...) or (B, 1, ...) labels, or (B, K, ...) one-hot.
            target_maps: (B, K, ...) from :meth:`measure_target`, where a data set keeps them.
            mask: (B, ...) or (B, 1, ...) bool, True where a voxel counts; None = everywhere.
            spacing_mm: of the voxels, (D,), or (B, D) for each item its own; None = 1.

        Raises:
            ValueError: shapes that do not fit, labels or classes outside the range.
        """
        check_prediction(output, "the head's output")
        one_hot, known = self._reader.read(target, mask, output, torch.float32)
        if output.shape[1] == 1:
            one_hot = one_hot[:, 1:]  # of one channel, read as two classes, the object
        chosen = select(output, self.classes)
        maps = target_maps
        if maps is None:
            maps = self.measure_target(one_hot, spacing_mm, mask=known)
        return self.compute(chosen, select(maps, self.classes), known)

    @torch.no_grad()
    def measure_target(self, one_hot: OneHot, spacing_mm: Spacing = None, *, mask: Tensor | None = None) -> Tensor:
        """Return the map that the head should predict, (B, K, ...) float32 of one-hot; 0 in classes not chosen."""
        known = read_mask(mask, one_hot)
        chosen, ignored = zero_unless(known, select(one_hot, self.classes)), None if known is None else ~known
        found = self.measure(chosen, in_unit(self.unit, spacing_mm), ignored)
        return scatter_classes(found, self.classes, one_hot.shape[1])

    @abstractmethod
    def measure(self, one_hot: OneHot, spacing: Spacing, ignored: Tensor | None) -> Tensor:
        """Return the maps of the chosen classes; 0 where ``ignored``, (B, 1, ...) bool or None."""

    @abstractmethod
    def compute(self, output: Tensor, maps: Tensor, known: Tensor | None) -> Tensor:
        """Compute the formula; ``known``: (B, 1, ...) bool, the voxels that count, or None."""

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
        ignore_index: int | None = None,
        reduction: OfItems = "mean",
    ) -> None:
        super().__init__(unit=unit, classes=classes, ignore_index=ignore_index, reduction=reduction)
        self.formula = DistanceHeadLoss(self.kind, norm, reduction=reduction)

    def measure(self, one_hot: OneHot, spacing: Spacing, ignored: Tensor | None) -> Tensor:
        return normalised_sdf(one_hot, spacing, ignored=ignored)

    def compute(self, output: Tensor, maps: Tensor, known: Tensor | None) -> Tensor:
        return self.formula(output, maps, mask=known)


class ForegroundHead(SDFHead):
    """Mean of |f − d|, of its square, or of both, d the distance to the outside, and 0 outside."""

    kind = "foreground"

    def measure(self, one_hot: OneHot, spacing: Spacing, ignored: Tensor | None) -> Tensor:
        return foreground_map(one_hot, spacing, ignored=ignored)


class SDFProductHead(HeadLoss):
    """:class:`SDFProductLoss` of the head: pulls the signs together; a perfect head has the value −1/3."""

    def measure(self, one_hot: OneHot, spacing: Spacing, ignored: Tensor | None) -> Tensor:
        return normalised_sdf(one_hot, spacing, ignored=ignored)

    def compute(self, output: Tensor, maps: Tensor, known: Tensor | None) -> Tensor:
        return SDFProductLoss(reduction=self.reduction)(output, maps, mask=known)


HEADS: dict[str, type[HeadLoss]] = {"foreground": ForegroundHead, "sdf": SDFHead, "sdf_product": SDFProductHead}
"""By the names that a ledger uses."""
