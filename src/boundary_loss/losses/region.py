"""Losses that compare regions voxel by voxel: cross-entropy, focal, Dice, generalized Dice, Tversky.

In the formulas p are the probabilities, g the one-hot target, Σ runs over the voxels, b and k over items and
classes, and ε = 1e-10.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor

from boundary_loss.losses.base import EPS, Activation, Pair, Reduction, RegionLoss, one_of

Absent = Literal["paper", "skip", "penalise"]
Over = Literal["item", "batch"]


def log_likelihood(p: Tensor) -> Tensor:
    """Return log(p + ε), p the probability of the true class: at most 0."""
    return (p + EPS).log()


def focal_likelihood(p: Tensor, gamma: float) -> Tensor:
    """Return (1 − p)^γ log(p + ε), in which easy voxels count less."""
    rest = (1 - p).clamp(min=torch.finfo(p.dtype).tiny)  # above 0, where the slope of a power below 1 is infinite
    return rest**gamma * log_likelihood(p)


def cross_entropy_sums(likelihood: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    """Return −Σ g · likelihood and Σ g, (B,) each. Overwrites the likelihood, which its gradient does not need."""
    return -likelihood.mul_(g).flatten(1).sum(1), g.flatten(1).sum(1)


def overlap_sums(p: Tensor, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return Σ p g, Σ p and Σ g, (B, K) each: the sums of Dice and related losses."""
    p, g = p.flatten(2), g.flatten(2)
    return (p * g).sum(2), p.sum(2), g.sum(2)


def dice(both: Tensor, predicted: Tensor, true: Tensor, smooth: float = EPS) -> Tensor:
    """Return (B, K): 1 − (2 Σ p g + ε) / (Σ p + Σ g + ε)."""
    return 1 - (2 * both + smooth) / (predicted + true + smooth)


def tversky(both: Tensor, predicted: Tensor, true: Tensor, alpha: float, beta: float, smooth: float = EPS) -> Tensor:
    """Return (B, K): 1 − (Σ p g + ε) / (Σ p g + α Σ p (1 − g) + β Σ (1 − p) g + ε)."""
    missed, invented = true - both, predicted - both
    return 1 - (both + smooth) / (both + alpha * invented + beta * missed + smooth)


def generalized_dice(both: Tensor, predicted: Tensor, true: Tensor, voxels: Tensor | int, absent: str) -> Tensor:
    """Return (B,) generalized Dice losses of sums (B, K) of p·g, p and g and the number (B, 1) of voxels that count."""
    weight, union = 1 / (true + EPS) ** 2, predicted + true
    if absent == "paper":
        return 1 - 2 * ((weight * both).sum(1) + EPS) / ((weight * union).sum(1) + EPS)
    present = true > 0
    weight = torch.where(present, weight, 0)
    rarest = weight.amax(dim=1, keepdim=True)
    if absent == "penalise":
        weight = torch.where(present, weight, rarest)
    # only ratios of weights matter; with the largest at 1, large classes cannot underflow
    weight = torch.where(rarest > 0, weight / rarest.clamp(min=torch.finfo(weight.dtype).tiny), 1)
    denominator = (weight * union).sum(1)
    loss = 1 - 2 * (weight * both).sum(1) / torch.where(denominator > 0, denominator, 1)
    nothing_present = torch.zeros_like(loss) if absent == "skip" else (predicted / voxels).mean(1)
    return torch.where(present.any(dim=1), loss, nothing_present)


class CrossEntropy(RegionLoss):
    """−Σ g log(p + ε) / (Σ g + ε), sums over items, classes and voxels.

    The mean is over the voxels of the chosen classes alone, so that a chosen small class is not outweighed.

    >>> probs = torch.tensor([[[[0.9, 0.2]], [[0.1, 0.8]]]])
    >>> round(CrossEntropy()(probs, torch.tensor([[[0, 1]]])).item(), 4)
    0.1643
    """

    over_items = False
    on_points: ClassVar = True
    activations: ClassVar = (None, "softmax")
    reductions: ClassVar = ("mean", "sum", "none")

    def __init__(  # written out, so that a misspelt keyword is reported under this name
        self,
        *,
        idc: Sequence[int] | None = None,
        classes: Sequence[int] | None = None,
        activation: Activation | None = None,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            idc=idc, classes=classes, activation=activation, ignore_index=ignore_index, reduction=reduction
        )

    def compute(self, pair: Pair) -> Tensor:
        cost, size = cross_entropy_sums(self.likelihood(pair.probs), pair.one_hot)
        if self.reduction == "mean":
            return cost.sum() / (size.sum() + EPS)
        return self.reduce(cost / (size + EPS))

    def likelihood(self, p: Tensor) -> Tensor:
        return log_likelihood(p)


class FocalLoss(CrossEntropy):
    """−Σ w g (1 − p)^γ log(p + ε) / (Σ g + ε): easy voxels count less (Lin et al., ICCV 2017).

    ``foreground`` is w of every class but the background, whose w is 1.
    """

    def __init__(
        self,
        *,
        gamma: float = 2.0,
        foreground: float = 1.0,
        idc: Sequence[int] | None = None,
        classes: Sequence[int] | None = None,
        activation: Activation | None = None,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            idc=idc, classes=classes, activation=activation, ignore_index=ignore_index, reduction=reduction
        )
        if gamma < 0:
            raise ValueError(f"gamma={gamma} is negative; 0 is the cross-entropy, 2 the paper's")
        if foreground <= 0:
            raise ValueError(f"foreground={foreground} must be positive: how many times a voxel of an object counts")
        self.gamma, self.foreground = gamma, foreground

    def likelihood(self, p: Tensor) -> Tensor:
        likelihood = focal_likelihood(p, self.gamma)
        if self.foreground == 1:
            return likelihood
        chosen = range(p.shape[1]) if self.classes is None else self.classes
        weights = [self.foreground if k > 0 else 1.0 for k in chosen]
        return likelihood * p.new_tensor(weights).view(-1, *[1] * (p.ndim - 2))


class OverlapLoss(RegionLoss):
    """Base of Dice and related losses, which need three sums a class.

    ``absent`` says what a class without voxels in an item counts:
        "paper": the formula unchanged: nearly 1 whatever is predicted, so nothing is learnt;
        "skip": nothing;
        "penalise": its mean probability, so that false positives on lesion-free slices cost.
    """

    on_points: ClassVar = True

    def __init__(
        self,
        *,
        absent: Absent = "paper",
        idc: Sequence[int] | None = None,
        classes: Sequence[int] | None = None,
        activation: Activation | None = None,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            idc=idc, classes=classes, activation=activation, ignore_index=ignore_index, reduction=reduction
        )
        self.absent = one_of("absent", absent, ("paper", "skip", "penalise"))

    def of_present(self, loss: Tensor, true: Tensor, probability: Tensor) -> Tensor:
        """What ``reduction`` asks for of (B, K) values, those of absent classes as ``absent`` says.

        Args:
            true: (B, K) voxels of each class.
            probability: (B, K) its mean probability.
        """
        if self.absent == "paper":
            return self.reduce_classes(loss)
        present = true > 0
        if self.absent == "penalise":
            return self.reduce_classes(torch.where(present, loss, probability))
        loss = loss * present
        return loss if self.reduction == "classes" else self.reduce(loss.sum(1) / present.sum(1).clamp(min=1))


class DiceLoss(OverlapLoss):
    """Mean over items and classes of 1 − (2 Σ p g + ε) / (Σ p + Σ g + ε) (Milletari et al., 3DV 2016, p not squared).

    ``smooth`` is ε. With ``reduction="classes"`` and ``absent="skip"`` an absent class has the value 0. With
    ``over="batch"`` the sums run over the voxels of all items together, as where a batch is flattened.

    >>> probs = torch.tensor([[[[0.9, 0.2]], [[0.1, 0.8]]]])
    >>> round(DiceLoss(classes=[1])(probs, torch.tensor([[[0, 1]]])).item(), 4)
    0.1579
    """

    def __init__(
        self,
        *,
        smooth: float = EPS,
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
        if smooth <= 0:
            raise ValueError(f"smooth={smooth} must be positive; {EPS} is the original's, 1e-5 MONAI's")
        self.over_items = one_of("over", over, ("item", "batch")) == "item"
        if not self.over_items and reduction != "mean":
            raise ValueError(f"over='batch' gives one value for all items; reduction={reduction!r} has none to give")
        self.smooth = smooth

    def compute(self, pair: Pair) -> Tensor:
        both, predicted, true = overlap_sums(pair.probs, pair.one_hot)
        voxels = pair.voxels()
        if not self.over_items:
            both, predicted, true = (sums.sum(0, keepdim=True) for sums in (both, predicted, true))
            voxels = voxels.sum() if isinstance(voxels, Tensor) else voxels * len(pair.probs)
        return self.of_present(self.per_class(both, predicted, true), true, predicted / voxels)

    def per_class(self, both: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
        return dice(both, predicted, true, self.smooth)


class TverskyLoss(DiceLoss):
    """Mean of 1 − (Σpg + ε) / (Σpg + α Σp(1−g) + β Σ(1−p)g + ε): α weighs false positives, β false negatives.

    α = β = 0.5 is Dice. Salehi et al., MLMI 2017, who take α = 0.3, β = 0.7 for small lesions: the defaults.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.3,
        beta: float = 0.7,
        smooth: float = EPS,
        absent: Absent = "paper",
        idc: Sequence[int] | None = None,
        classes: Sequence[int] | None = None,
        activation: Activation | None = None,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            smooth=smooth,
            absent=absent,
            idc=idc,
            classes=classes,
            activation=activation,
            ignore_index=ignore_index,
            reduction=reduction,
        )
        if alpha < 0 or beta < 0 or alpha + beta == 0:
            raise ValueError(f"alpha={alpha}, beta={beta}: neither may be negative, nor both zero")
        self.alpha, self.beta = alpha, beta

    def per_class(self, both: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
        return tversky(both, predicted, true, self.alpha, self.beta, self.smooth)


class GeneralizedDice(OverlapLoss):
    """Mean over items of 1 − 2 (Σ_k w Σ p g + ε) / (Σ_k w (Σ p + Σ g) + ε), w = 1 / (Σ g + ε)².

    Sudre et al., DLMIA 2017. An absent class has w = 1e20, which with ``absent="paper"`` leaves the whole item at 1
    without gradient. "skip" gives it no weight. "penalise" gives it the weight of the rarest class present: with two
    classes and an empty foreground the loss is then exactly the mean foreground probability.

    >>> probs = torch.full((1, 2, 4, 4), 0.5)
    >>> empty = torch.zeros(1, 4, 4, dtype=torch.long)
    >>> [round(GeneralizedDice(absent=a)(probs, empty).item(), 4) for a in ("paper", "skip", "penalise")]
    [1.0, 0.3333, 0.5]
    """

    reductions: ClassVar = ("mean", "sum", "none")

    def __init__(  # written out, so that a misspelt keyword is reported under this name
        self,
        *,
        absent: Absent = "paper",
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

    def compute(self, pair: Pair) -> Tensor:
        both, predicted, true = overlap_sums(pair.probs, pair.one_hot)
        return self.reduce(generalized_dice(both, predicted, true, pair.voxels(), self.absent))


GeneralizedDiceLoss = GeneralizedDice
"""The name in the original's README."""
