"""The generalized surface loss: how far from the worst prediction, weighed by squared distances to the boundary.

Celaya, Riviere & Fuentes, "A Generalized Surface Loss for Reducing the Hausdorff Distance in Medical Imaging
Segmentation", arXiv 2302.03868, 2023.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from boundary_loss.distance import signed_distance
from boundary_loss.distance.layout import Spacing
from boundary_loss.distance.signed import CONVENTIONS, Convention
from boundary_loss.losses.base import Activation, Pair, Reduction, Unit, one_of
from boundary_loss.losses.measuring import Absent, MeasuringLoss


def generalized_surface(p: Tensor, g: Tensor, phi: Tensor, weight: Tensor) -> Tensor:
    """(B,): 1 − Σ_k w Σ (φ (1 − g − p))² / Σ_k w Σ (φ (1 − 2 g))², weight (B, K); 0 where every φ is 0.

    The denominator is the numerator of p = g; of crisp labels it is Σ_k w Σ φ².
    """
    reached = (phi * (1 - g - p)).square().flatten(2).sum(2)
    perfect = (phi * (1 - 2 * g)).square().flatten(2).sum(2)
    denominator = (weight * perfect).sum(1)
    lost = (weight * (perfect - reached)).sum(1)
    return lost / torch.where(denominator > 0, denominator, 1)


def inverse_squares(g: Tensor) -> Tensor:
    """(B, K): weights 1 / (N² + 1), N the voxels of a class in an item, divided by the largest of the item."""
    weight = 1 / (g.flatten(2).sum(2).square() + 1)
    return weight / weight.amax(dim=1, keepdim=True)


class GeneralizedSurfaceLoss(MeasuringLoss):
    """Mean over items of 1 − Σ_k w Σ (φ (1 − g − p))² / Σ_k w Σ φ²: 0 if perfect, 1 if the opposite of the truth.

    φ is the signed distance of the target, whose sign has no effect. The value has no unit, and scaling the spacing
    leaves it as it is. Where a voxel is entirely wrong (p = 1 − g) the slope is 0, which a region loss beside it mends;
    the paper moves the weight from Dice + cross-entropy to this loss over the epochs, in a ledger by
    ``rebalance(s)``, s = 1 / epochs.

    Args:
        weights: of the chosen classes, in their order; the paper computes them once of its training cases. None =
            1 / (N² + 1), N the voxels of the class in the item, as in the authors' code.
        convention: of φ, as in :func:`boundary_loss.signed_distance`.
        absent: "zero" leaves a class out that the item lacks or that fills it; "far" is the authors' code, φ the
            image's diagonal. There its weight 1 / (0 + 1) outweighs all others, unless ``weights`` are given.
        spacing_mm: of the voxels, along (X, Y[, Z]), where a call does not give it; None = 1.
        unit: of the distances, "mm" or "voxel"; they differ where the spacing does by the axis.

    >>> labels = torch.tensor([[[0, 0, 1, 1]]])
    >>> half = torch.full((1, 2, 1, 4), 0.5)
    >>> GeneralizedSurfaceLoss()(half, labels).item()  # 1 − ½²
    0.75
    """

    reductions: ClassVar = ("mean", "sum", "none")

    def __init__(
        self,
        *,
        weights: Sequence[float] | None = None,
        convention: Convention = "interface",
        absent: Absent = "zero",
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
        self.convention = one_of("convention", convention, CONVENTIONS)
        self.absent = one_of("absent", absent, ("zero", "far"))
        self.weights = None if weights is None else _checked_weights(weights)

    @torch.compiler.disable  # the transform is a program of its own: nothing in it to trace or differentiate
    def measure(self, masks: Tensor, spacing: Spacing, known: Tensor | None) -> Tensor:
        return signed_distance(
            masks, spacing, mask=known, spatial_dims=masks.ndim - 2, convention=self.convention, absent=self.absent
        )

    def of_maps(self, pair: Pair, maps: Tensor, spacing: Spacing) -> Tensor:
        p, g = self.choose(pair.probs), self.choose(pair.one_hot)
        return self.reduce(generalized_surface(p, g, maps.to(p.dtype), self._weights_of(g)))

    def _weights_of(self, g: Tensor) -> Tensor:
        if self.weights is None:
            return inverse_squares(g)
        if len(self.weights) != g.shape[1]:
            raise ValueError(f"{len(self.weights)} weights, but {g.shape[1]} classes are chosen; give one for each")
        return g.new_tensor(self.weights).expand(len(g), -1)


def _checked_weights(weights: Sequence[float]) -> tuple[float, ...]:
    found = tuple(float(weight) for weight in weights)
    if not found or min(found) < 0 or max(found) == 0:
        raise ValueError(f"weights={list(weights)} must be at least 0, and one of them above it")
    return found
