"""Fused Dice, cross-entropy, generalized Dice and boundary losses of logits and labels, without softmax or one-hot.

Each needs only a few sums per item and class (:mod:`boundary_loss.losses.fused_sums`).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from boundary_loss.encoding import refuse_doubtful
from boundary_loss.losses.base import OfItems, checked_classes, one_of, reduce, select, wide
from boundary_loss.losses.fused_sums import Sums, check_sums, engine, fused_sums, read_labels
from boundary_loss.losses.region import Absent, generalized_dice
from boundary_loss.shapes import IGNORED, DistMaps, Labels, Logits, Scalar


class FusedDiceLoss(nn.Module):
    """1 − (2 Σ s g + smooth) / (Σ s^p + Σ g + smooth) per class, from logits and labels, in little memory.

    The settings and their meaning are diceloss_cpp's; the gradient with weights is right, ``batch`` is a scalar, and
    labels that are no class raise.

    Args:
        weight: (K,) factors of the classes' losses, which are then summed; None averages over all classes. (With
            one channel K is 2.)
        ignore_channel: a class whose loss counts 0; its voxels still count for the others, and the mean still
            divides by K.
        ignore_label: voxels of this label count nowhere.
        smooth: added above and below; a class whose denominator is 0 has loss and gradient 0.
        p: an integer power of the probabilities below.
        reduction: "mean" or "sum" over the items, "none" (B,), or "batch": sums pooled over the batch, then one loss.
        check_labels: False trusts the labels, which on CUDA saves waiting for the sums.

    >>> logits = torch.zeros(1, 2, 4, 4, requires_grad=True)
    >>> labels = torch.zeros(1, 4, 4, dtype=torch.long)
    >>> labels[:, :2] = 1
    >>> FusedDiceLoss()(logits, labels).item()
    0.5
    """

    def __init__(
        self,
        weight: Sequence[float] | Tensor | None = None,
        ignore_channel: int = -1,
        ignore_label: int = -1,
        smooth: float = 0,
        p: int = 1,
        reduction: str = "mean",
        *,
        check_labels: bool = True,
    ) -> None:
        super().__init__()
        self.check_labels = check_labels
        if p != int(p) or p < 1:
            raise ValueError(f"p={p} must be a whole number, 1 or more")
        if smooth < 0:
            raise ValueError(f"smooth={smooth} must not be negative")
        self.weight: Tensor | None
        self.register_buffer("weight", None if weight is None else torch.as_tensor(weight, dtype=torch.float64))
        self.ignore_channel, self.ignore_label, self.smooth, self.p = ignore_channel, ignore_label, smooth, int(p)
        self.reduction = one_of("reduction", reduction, ("mean", "sum", "none", "batch"))

    @torch.compiler.disable
    def forward(self, logits: Logits, labels: Labels, *, mask: Tensor | None = None) -> Scalar:
        """(B, K, ...) logits and (B, ...) labels -> scalar, or (B,) with "none"; float32, float64 for float64.

        ``mask``: (B, ...) or (B, 1, ...) bool, True where a voxel counts; None = everywhere.
        """
        labels, ignored = read_labels(logits, labels, None, mask, self.ignore_label, check_labels=self.check_labels)
        return _Dice.apply(logits, labels.flatten(1), ignored, self)

    def factors(self, K: int, like: Tensor) -> Tensor | float:
        """Return the factors of the K classes' losses, (K,), or one number if they are equal."""
        if self.weight is None and not 0 <= self.ignore_channel < K:
            return 1 / K
        if self.weight is None:
            factors = torch.full((K,), 1 / K, dtype=like.dtype, device=like.device)
        elif self.weight.numel() != K:
            raise ValueError(f"weight has {self.weight.numel()} numbers, but there are {K} classes")
        else:
            factors = self.weight.to(like, copy=True)
        if 0 <= self.ignore_channel < K:
            factors[self.ignore_channel] = 0
        return factors


class _Dice(torch.autograd.Function):
    """The value of FusedDiceLoss and its derivative by hand: for a 2D batch autograd's small steps would take as long
    as the sums."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, ignored: int, loss: FusedDiceLoss) -> Tensor:
        sums = Sums(*engine(logits).sums(logits.flatten(2), labels, None, ignored, loss.p))
        if loss.check_labels:
            check_sums(labels, sums.true, ignored)
        value, share, ratio = _dice(sums, loss)
        ctx.save_for_backward(logits, labels, share, ratio)
        ctx.settings = ignored, loss.p
        return value.to(wide(logits))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        logits, labels, share, ratio = ctx.saved_tensors
        pulls = _dice_pulls(gradient, share, ratio, len(logits))
        result = engine(logits).gradient(logits.flatten(2), labels, None, *ctx.settings, pulls)
        return result.view(logits.shape), None, None, None


def _dice(sums: Sums, loss: FusedDiceLoss) -> tuple[Tensor, Tensor, Tensor]:
    """Return the loss, and for its derivative factor / denominator and 1 − loss of each class, (B or 1, K)."""
    both, predicted, true, _ = (s.sum(0, keepdim=True) for s in sums) if loss.reduction == "batch" else sums
    below = predicted + true + loss.smooth
    undefined = below == 0  # keep NaN visible
    share = below.reciprocal().masked_fill_(undefined, 0)
    ratio = both.mul(2).add_(loss.smooth).mul_(share).masked_fill_(undefined, 1)
    factors = loss.factors(ratio.shape[1], ratio)
    of_items = factors / max(len(ratio), 1) if loss.reduction == "mean" else factors
    items = ((1 - ratio) * factors).sum(1)
    value = reduce(items, "sum" if loss.reduction == "batch" else loss.reduction)
    return value, share.mul_(of_items), ratio


def _dice_pulls(gradient: Tensor, share: Tensor, ratio: Tensor, B: int, of_maps: Tensor | None = None) -> Tensor:
    """Return (B, 3, K) derivatives by Σ s g, Σ s^p and Σ s φ; ``of_maps``, (B, K): that of Σ s φ, if any."""
    pull = (gradient.unsqueeze(-1) * share).expand(B, -1)
    of_boundary = torch.zeros_like(pull) if of_maps is None else gradient.unsqueeze(-1) * of_maps
    return torch.stack([-2 * pull, pull * ratio, of_boundary], dim=1)


class FusedDiceCELoss(nn.Module):
    """a · Dice + b · cross-entropy from logits and labels, in one pass and little memory.

    The same value and gradient as ``a * FusedDiceLoss(...)(logits, labels) + b * torch.nn.functional.cross_entropy(
    logits, labels, ce_weight, ignore_index=ignore_label)``. The cross-entropy is computed from the logits by
    log-sum-exp, so it stays exact where the probability of the true class rounds to 0.

    Args:
        weights: (a, b); ``loss.weights`` may be set anew at each epoch.
        weight: (K,) factors of the classes' Dice losses, as in :class:`FusedDiceLoss`.
        ce_weight: (K,) factors of the voxels of each class in the cross-entropy, which is divided by their sum over
            the voxels, as torch does; None = 1.
        ignore_channel: a class whose Dice loss counts 0; the cross-entropy counts all classes.
        ignore_label: voxels of this label count nowhere.
        smooth: of the Dice loss, added above and below.
        p: an integer power of the probabilities in the denominator of the Dice loss.
        reduction: of the Dice loss. With "mean" and "batch" the cross-entropy is the mean over the batch's voxels;
            with "none" (B,) each item's own mean, and "sum" adds these. Where no voxel counts it is 0.
        check_labels: as in :class:`FusedDiceLoss`.

    >>> logits = torch.zeros(1, 2, 4, 4, requires_grad=True)
    >>> labels = torch.zeros(1, 4, 4, dtype=torch.long)
    >>> labels[:, :2] = 1
    >>> FusedDiceCELoss()(logits, labels)  # 0.5 + log 2
    tensor(1.1931, grad_fn=<_DiceCEBackward>)
    """

    def __init__(
        self,
        weights: tuple[float, float] = (1.0, 1.0),
        *,
        weight: Sequence[float] | Tensor | None = None,
        ce_weight: Sequence[float] | Tensor | None = None,
        ignore_channel: int = -1,
        ignore_label: int = -1,
        smooth: float = 0,
        p: int = 1,
        reduction: str = "mean",
        check_labels: bool = True,
    ) -> None:
        super().__init__()
        self.weights: tuple[float, ...] = weights
        self.dice = FusedDiceLoss(weight, ignore_channel, ignore_label, smooth, p, reduction, check_labels=check_labels)
        self.ce_weight: Tensor | None
        held = None if ce_weight is None else torch.as_tensor(ce_weight, dtype=torch.float64)
        self.register_buffer("ce_weight", held)

    @torch.compiler.disable
    def forward(self, logits: Logits, labels: Labels, *, mask: Tensor | None = None) -> Scalar:
        """(B, K, ...) logits and (B, ...) labels -> scalar, or (B,) with "none"; float32, float64 for float64.

        ``mask``: (B, ...) or (B, 1, ...) bool, True where a voxel counts; None = everywhere.
        """
        dice = self.dice
        labels, ignored = read_labels(logits, labels, None, mask, dice.ignore_label, check_labels=dice.check_labels)
        return _DiceCE.apply(logits, labels.flatten(1), None, ignored, self)

    def costs(self, K: int, device: torch.device) -> Tensor:
        """Return (K,) factors of the classes' voxels in the cross-entropy."""
        if self.ce_weight is None:
            return torch.ones(K, dtype=torch.float64, device=device)
        if self.ce_weight.numel() != K:
            raise ValueError(f"ce_weight has {self.ce_weight.numel()} numbers, but there are {K} classes")
        return self.ce_weight.to(device, torch.float64)


class FusedDiceCEBoundary(FusedDiceCELoss):
    """a · Dice + b · cross-entropy + c · boundary loss from logits, labels and distance maps, in one pass.

    The same value and gradient as :class:`FusedDiceCELoss` with (a, b), plus ``c * BoundaryLoss(activation="softmax")(
    logits, distances, mask=labels != ignore_label)``, which with "batch" is a mean over the items. Peak memory above
    the inputs is the gradient.

    Args:
        weights: (a, b, c); ``loss.weights`` may be set anew at each epoch.
        boundary_classes: the classes of the boundary loss; None = all.

    The others are those of :class:`FusedDiceCELoss`.

    >>> logits = torch.zeros(1, 2, 4, 4, requires_grad=True)
    >>> labels = torch.zeros(1, 4, 4, dtype=torch.long)
    >>> labels[:, :2] = 1
    >>> from boundary_loss import signed_distance
    >>> FusedDiceCEBoundary((1.0, 1.0, 0.1))(logits, labels, signed_distance(labels, num_classes=2))
    tensor(1.2181, grad_fn=<_DiceCEBackward>)
    """

    def __init__(
        self,
        weights: tuple[float, float, float] = (1.0, 1.0, 0.01),
        *,
        boundary_classes: Sequence[int] | None = None,
        weight: Sequence[float] | Tensor | None = None,
        ce_weight: Sequence[float] | Tensor | None = None,
        ignore_channel: int = -1,
        ignore_label: int = -1,
        smooth: float = 0,
        p: int = 1,
        reduction: str = "mean",
        check_labels: bool = True,
    ) -> None:
        super().__init__(
            weight=weight, ce_weight=ce_weight, ignore_channel=ignore_channel, ignore_label=ignore_label, smooth=smooth,
            p=p, reduction=reduction, check_labels=check_labels,
        )  # fmt: skip
        self.weights = weights
        self.boundary_classes = checked_classes(boundary_classes)

    @torch.compiler.disable
    def forward(self, logits: Logits, labels: Labels, distances: DistMaps, *, mask: Tensor | None = None) -> Scalar:
        """(B, K, ...) logits, (B, ...) labels, (B, K, ...) signed distances -> scalar, or (B,) with "none".

        ``mask``: (B, ...) or (B, 1, ...) bool, True where a voxel counts; None = everywhere.
        """
        dice = self.dice
        labels, ignored = read_labels(
            logits, labels, distances, mask, dice.ignore_label, check_labels=dice.check_labels
        )
        return _DiceCE.apply(logits, labels.flatten(1), distances.flatten(2), ignored, self)


class _DiceCE(torch.autograd.Function):
    """The value of FusedDiceCELoss and FusedDiceCEBoundary and its derivative by hand, as in ``_Dice``."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, labels: Tensor, distances: Tensor | None, ignored: int, loss: FusedDiceCELoss
    ) -> Tensor:
        dice, (a, b, *_) = loss.dice, loss.weights
        costs = loss.costs(max(logits.shape[1], 2), logits.device)
        *of_classes, entropy = engine(logits).sums(logits.flatten(2), labels, distances, ignored, dice.p, costs)
        sums = Sums(*of_classes)
        if dice.check_labels:
            check_sums(labels, sums.true, ignored)
        region, share, ratio = _dice(sums, dice)
        of_items = b * _entropy_shares(sums.true, costs, dice.reduction)
        items, of_maps = entropy * of_items, None
        if isinstance(loss, FusedDiceCEBoundary):
            of_maps = loss.weights[2] * _boundary_shares(sums.true, loss.boundary_classes, dice.reduction)
            items = items + (sums.boundary * of_maps).sum(1)
        ctx.save_for_backward(logits, labels, distances, a * share, ratio, of_items.unsqueeze(1) * costs, of_maps)
        ctx.settings = ignored, dice.p
        return (a * region + (items if dice.reduction == "none" else items.sum())).to(wide(logits))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        logits, labels, distances, share, ratio, costs, of_maps = ctx.saved_tensors
        pulls = _dice_pulls(gradient, share, ratio, len(logits), of_maps)
        work, of_voxels = engine(logits), gradient.unsqueeze(-1) * costs
        result = work.gradient(logits.flatten(2), labels, distances, *ctx.settings, pulls, of_voxels)
        return result.view(logits.shape), None, None, None, None


def _boundary_shares(true: Tensor, classes: tuple[int, ...] | None, reduction: str) -> Tensor:
    """Return the factors (B, K) of Σ s φ: one over the item's voxels and the number of chosen classes."""
    B, K = true.shape
    chosen = range(K) if classes is None else classes
    if max(chosen) >= K:
        raise ValueError(f"boundary_classes {list(chosen)} asked for, but the prediction has {K}: 0..{K - 1}")
    of_classes = true.new_zeros(K)
    for k in chosen:  # one by one: the host would wait for a list to be copied to a GPU
        of_classes[k] = 1 / (len(chosen) * (B if reduction in ("mean", "batch") else 1))
    return of_classes / true.sum(1, keepdim=True).clamp(min=1)


def _entropy_shares(true: Tensor, costs: Tensor, reduction: str) -> Tensor:
    """Return the factors (B,) of each item's Σ costs_y (−log s_y): 1 / Σ costs_y, over the batch or the item."""
    counted = (true * costs).sum(1)
    if reduction in ("mean", "batch"):
        counted = counted.sum().expand(len(true))
    return counted.reciprocal().masked_fill_(counted == 0, 0)


class FusedGeneralizedDiceBoundary(nn.Module):
    """a · generalized Dice + b · boundary loss from logits, labels and distance maps, in one pass and little memory.

    The same value and gradient as ``a * GeneralizedDice(activation="softmax")(logits, labels)
    + b * BoundaryLoss(activation="softmax")(logits, distances, mask=labels != 255)``, for maps that are 0 where the
    label is ignored.

    Args:
        weights: (a, b); ``loss.weights`` may be set anew at each epoch.
        classes: the classes of the generalized Dice; None = all.
        boundary_classes: the classes of the boundary loss; None = all.
        absent: as in :class:`~boundary_loss.losses.region.GeneralizedDice`.
        ignore_index: voxels of this label count nowhere; None = 255, as in every loss.
        reduction: "mean", "sum" or "none".
        check_labels: as in :class:`FusedDiceLoss`.

    >>> logits = torch.zeros(1, 2, 4, 4, requires_grad=True)
    >>> labels = torch.zeros(1, 4, 4, dtype=torch.long)
    >>> labels[:, :2] = 1
    >>> from boundary_loss import signed_distance
    >>> FusedGeneralizedDiceBoundary((1.0, 0.01))(logits, labels, signed_distance(labels, num_classes=2))
    tensor(0.5025, grad_fn=<ToCopyBackward0>)
    """

    def __init__(
        self,
        weights: tuple[float, float] = (1.0, 0.01),
        *,
        classes: Sequence[int] | None = None,
        boundary_classes: Sequence[int] | None = None,
        absent: Absent = "paper",
        ignore_index: int | None = None,
        reduction: OfItems = "mean",
        check_labels: bool = True,
    ) -> None:
        super().__init__()
        self.check_labels = check_labels
        self.weights = weights
        self.classes, self.boundary_classes = checked_classes(classes), checked_classes(boundary_classes)
        self.absent = one_of("absent", absent, ("paper", "skip", "penalise"))
        self.ignore_index, self._sure = ignore_index, ignore_index is not None
        self.reduction = one_of("reduction", reduction, ("mean", "sum", "none"))

    def forward(self, logits: Logits, labels: Labels, distances: DistMaps, *, mask: Tensor | None = None) -> Scalar:
        """(B, K, ...) logits, (B, ...) labels, (B, K, ...) signed distances -> scalar or (B,).

        ``mask``: (B, ...) or (B, 1, ...) bool, True where a voxel counts; None = everywhere.
        """
        ignored = IGNORED if self.ignore_index is None else self.ignore_index
        sums = fused_sums(logits, labels, distances, mask=mask, ignore_label=ignored, check_labels=self.check_labels)
        if self.check_labels and not self._sure:
            self._check_doubt(sums.true, labels.numel(), mask)
        both, predicted, true = (select(of_classes, self.classes) for of_classes in sums[:3])
        voxels = sums.true.sum(1, keepdim=True).clamp(min=1)
        region = generalized_dice(both, predicted, true, voxels, self.absent)
        boundary = (select(sums.boundary, self.boundary_classes) / voxels).mean(1)
        a, b = self.weights
        return reduce(a * region + b * boundary, self.reduction).to(wide(logits))

    def _check_doubt(self, true: Tensor, voxels: int, mask: Tensor | None) -> None:
        """Refuse a label 255 before any class above 0 has occurred; see ``ignore_index``."""
        background, objects = torch.stack([true[:, 0].sum(), true[:, 1:].sum()]).tolist()
        self._sure = objects > 0
        if objects == 0 and background < voxels and mask is None:
            refuse_doubtful()
