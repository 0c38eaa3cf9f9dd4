"""What the losses share that measure distances of the target by themselves, at each step or once beforehand."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from boundary_loss.distance.layout import Spacing, diagonals, spacing_array
from boundary_loss.encoding import scatter_classes
from boundary_loss.losses.base import Activation, Pair, Reduction, RegionLoss, Unit, in_unit, one_of
from boundary_loss.losses.target import check_prediction, read_mask, zero_unless
from boundary_loss.shapes import Labels, OneHot, Probs, Scalar

Absent = Literal["zero", "far"]


class MeasuringLoss(RegionLoss):
    """Settings and steps of a loss of probabilities and labels that reads distances of the latter.

    Args:
        spacing_mm: of the voxels, along (X, Y[, Z]), where a call does not give it; None = 1.
        unit: of the distances, "mm" or "voxel".
    """

    takes_spacing: ClassVar = True

    def __init__(
        self,
        *,
        spacing_mm: Sequence[float] | None = None,
        unit: Unit = "mm",
        idc: Sequence[int] | None = None,
        classes: Sequence[int] | None = None,
        activation: Activation | None = None,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            idc=idc, classes=classes, activation=activation, ignore_index=ignore_index, reduction=reduction
        )
        self.unit = one_of("unit", unit, ("mm", "voxel"))
        if unit == "voxel" and spacing_mm is not None:
            raise ValueError("unit='voxel' counts voxels, whatever their spacing: leave spacing_mm out, or the unit")
        self.spacing_mm = None if spacing_mm is None else tuple(spacing_mm)

    def forward(
        self,
        probs: Probs,
        target: OneHot | Labels,
        target_maps: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        spacing_mm: Spacing = None,
    ) -> Scalar:
        """The loss of a batch, as every other; see :meth:`RegionLoss.forward`.

        Args:
            target_maps: (B, K, ...) from :meth:`measure_target`, where a data set keeps them: what is measured of the
                target alone never changes.
            spacing_mm: of this batch's voxels, (D,), or (B, D) for each item its own.
        """
        check_prediction(probs)
        with torch.autocast(probs.device.type, enabled=False):
            return self.compute(self.every_class(probs, target, mask), target_maps, spacing_mm)

    @torch.no_grad()
    def measure_target(self, one_hot: OneHot, spacing_mm: Spacing = None, *, mask: Tensor | None = None) -> Tensor:
        """What is measured of the target, (B, K, ...) one-hot -> (B, K, ...) float32; 0 in classes not chosen."""
        known = read_mask(mask, one_hot)
        chosen = zero_unless(known, self.choose(one_hot)) > 0.5
        found = self.measure(chosen, self.spacing(spacing_mm), known)
        return scatter_classes(found, self.classes, one_hot.shape[1])

    def compute(self, pair: Pair, target_maps: Tensor | None = None, spacing_mm: Spacing = None) -> Tensor:
        """The formula; the pair holds all classes: which one is the most probable depends on all."""
        spacing = self.spacing(spacing_mm)
        with torch.no_grad():
            maps = (
                self.measure(self.choose(pair.one_hot) > 0.5, spacing, pair.known)
                if target_maps is None
                else self.choose(target_maps)
            )
        return self.of_maps(pair, maps, spacing)

    @abstractmethod
    def measure(self, masks: Tensor, spacing: Spacing, known: Tensor | None) -> Tensor:
        """What the formula reads of the chosen classes' masks, (B, K, ...) bool -> (B, K, ...) float32.

        Args:
            known: (B, 1, ...) bool, the voxels that count, or None; the masks are false elsewhere.
        """

    @abstractmethod
    def of_maps(self, pair: Pair, maps: Tensor, spacing: Spacing) -> Tensor:
        """The formula of probabilities and targets of all classes, and the maps of the chosen ones."""

    def spacing(self, spacing_mm: Spacing) -> Spacing:
        """The spacing to measure with, in the loss's unit."""
        return in_unit(self.unit, self.spacing_mm if spacing_mm is None else spacing_mm)


def bounded(masks: Tensor, known: Tensor | None) -> Tensor:
    """(B, K, 1, ...) bool: whether a mask (B, K, ...) has voxels, and voxels beside it among those ``known``."""
    over_space = tuple(range(2, masks.ndim))
    full = (masks if known is None else masks | ~known).all(dim=over_space, keepdim=True)
    return masks.any(dim=over_space, keepdim=True) & ~full


def diagonal(like: Tensor, spacing: Spacing) -> Tensor:
    """The length of each item's diagonal for maps (B, K, ...), (1 or B, 1, ...) of their type and device."""
    table = spacing_array(spacing)
    lengths = torch.as_tensor(diagonals(like.shape[2:], np.ones(1) if table is None else table))
    return lengths.to(like, non_blocking=True).view(-1, *[1] * (like.ndim - 1))
