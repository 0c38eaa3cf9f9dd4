"""What every loss shares: logits or probabilities, one-hot or labels, ignored voxels, chosen classes, reduction."""

import operator
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from boundary_loss.distance.layout import Spacing
from boundary_loss.encoding import at_hand, check_probabilities, check_tensors, class2one_hot
from boundary_loss.shapes import IGNORED, Labels, OneHot, Probs, Scalar

Activation = Literal["softmax", "sigmoid"]
Reduction = Literal["mean", "sum", "none"]
Unit = Literal["mm", "voxel"]

T = TypeVar("T")

EPS = 1e-10
"""The original's guard against division by zero and log(0)."""


class Pair(NamedTuple):
    """A prediction and its target, ready for arithmetic."""

    probs: Tensor
    """(B, K, ...) float32 or float64 in [0, 1]; zero where the voxel is ignored."""
    one_hot: Tensor
    """(B, K, ...) same dtype; zero where the voxel is ignored."""
    known: Tensor
    """(B, 1, ...) bool: the voxels that count."""


class Loss(nn.Module):
    """Settings and steps that all losses share; they are called as ``loss(probs, target)``.

    Args:
        idc: the classes that count, e.g. ``[1]``; None = all. ``classes`` is the same thing under a clearer name.
        activation: None takes probabilities, "softmax" or "sigmoid" takes logits.
            One channel alone, p, stands for two classes, (1 − p, p).
        ignore_index: with integer labels, voxels of this label count in no sum. With one-hot targets the ignored
            voxels are those that belong to no class (except under "sigmoid", where that means background).
        reduction: "mean" as the papers; "none" gives each item's value (B,); "sum" adds those.
    """

    target: ClassVar[str] = "one_hot"
    """What ``loss(probs, target)`` needs: "one_hot" (or integer labels), or "distance" (signed maps)."""
    over_items: ClassVar[bool] = True
    """Whether the value of a batch is the mean of its items' values, so that parts of it may be computed apart."""
    takes_spacing: ClassVar[bool] = False
    """Whether a call takes ``spacing_mm``, (D,) or (B, D): the loss measures distances by itself."""
    activations: ClassVar[tuple[str | None, ...]] = (None, "softmax", "sigmoid")

    def __init__(
        self,
        *,
        idc: Sequence[int] | None = None,
        classes: Sequence[int] | None = None,
        activation: Activation | None = None,
        ignore_index: int = IGNORED,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        if idc is not None and classes is not None and list(idc) != list(classes):
            raise ValueError(f"idc={list(idc)} and classes={list(classes)} name the same thing; give one of them")
        self.classes = checked_classes(idc if classes is None else classes)
        self.activation = one_of("activation", activation, self.activations)
        self.ignore_index = ignore_index
        self.reduction = one_of("reduction", reduction, ("mean", "sum", "none"))
        self._checked_range = False

    def activate(self, probs: Tensor) -> Tensor:
        """Probabilities in at least float32; the first call refuses values outside [0, 1]."""
        if probs.ndim < 3:
            raise ValueError(f"predictions must be (B, K, X, Y[, Z]), got shape {tuple(probs.shape)}")
        if not probs.is_floating_point():
            raise ValueError(f"predictions must be floating point, got {probs.dtype}")
        if probs.dtype in (torch.float16, torch.bfloat16):
            probs = probs.float()
        if self.activation == "softmax":
            if probs.shape[1] == 1:
                raise ValueError("softmax over one channel is always 1; use activation='sigmoid' or two channels")
            return probs.softmax(dim=1)
        if self.activation == "sigmoid":
            return probs.sigmoid()
        if not self._checked_range and not torch.compiler.is_compiling():
            check_probabilities(probs)
            self._checked_range = True
        return probs

    def choose(self, of_classes: Tensor) -> Tensor:
        """The chosen classes of (B, K, ...); no copy when that is all of them."""
        return select(of_classes, self.classes)

    def reduce(self, items: Tensor) -> Tensor:
        """(B,) -> what ``reduction`` asks for."""
        return reduce(items, self.reduction)

    def extra_repr(self) -> str:
        chosen = "all" if self.classes is None else list(self.classes)
        return f"classes={chosen}, activation={self.activation}, reduction={self.reduction!r}"


class RegionLoss(Loss, ABC):
    """Base of the losses whose target is a segmentation."""

    def forward(self, probs: Probs, target: OneHot | Labels) -> Scalar:
        """The loss of a batch.

        Args:
            probs: (B, K, ...) probabilities, or logits if an ``activation`` was given; float16 and bfloat16 are
                computed in float32, under autocast too.
            target: (B, K, ...) one-hot of any dtype, or (B, ...) integer labels. Labels are looked at, for which the
                host waits where they are on a GPU; one-hot targets are not.

        Returns:
            A scalar, or (B,) with ``reduction="none"``; float32 (float64 if ``probs`` are).

        Raises:
            ValueError: shapes or devices that do not fit, labels or classes outside the range, values that are no
                probabilities.
        """
        check_tensors(probs, target=target)
        with torch.autocast(probs.device.type, enabled=False):
            return self.compute(self.pair(probs, target))

    @abstractmethod
    def compute(self, pair: Pair) -> Tensor:
        """The loss's formula."""

    def pair(self, probs: Tensor, target: Tensor) -> Pair:
        """Prediction and target in one form, of the chosen classes."""
        probs, one_hot, known = self.every_class(probs, target)
        return Pair(self.choose(probs), self.choose(one_hot), known)

    def every_class(self, probs: Tensor, target: Tensor) -> Pair:
        """Prediction and target in one form."""
        probs = self.activate(probs)
        one_hot, known = self.encode(target, probs)
        if probs.shape[1] == 1:
            probs = torch.cat([1 - probs, probs], dim=1)
        return Pair(without_ignored(probs, known), one_hot, known)

    def encode(self, target: Tensor, probs: Tensor) -> tuple[Tensor, Tensor]:
        """(B, K, ...) one-hot in the dtype of ``probs``, and (B, 1, ...) where it counts."""
        K = max(probs.shape[1], 2)
        spatial = tuple(probs.shape[2:])
        if tuple(target.shape) == (probs.shape[0], *spatial):
            one_hot = labels2one_hot(target, K, self.ignore_index, probs.dtype)
            return one_hot, one_hot.amax(dim=1, keepdim=True) > 0
        if tuple(target.shape) != tuple(probs.shape):
            raise ValueError(
                f"target of shape {tuple(target.shape)} fits neither one-hot {tuple(probs.shape)} "
                f"nor labels {(probs.shape[0], *spatial)}, which predictions of shape {tuple(probs.shape)} need"
            )
        one_hot = target.to(probs.dtype)
        if probs.shape[1] == 1:
            one_hot = torch.cat([1 - one_hot, one_hot], dim=1)
        known = one_hot.amax(dim=1, keepdim=True) > 0
        return one_hot, torch.ones_like(known) if self.activation == "sigmoid" else known


def without_ignored(probs: Tensor, known: Tensor) -> Tensor:
    """``probs``, zero where the voxel is not ``known``."""
    if at_hand(known) and bool(known.all()):
        return probs  # on a CPU the look is cheaper than the copy, and its gradient
    # where, not a product: a NaN or an infinity in an ignored voxel must not survive
    return torch.where(known, probs, torch.zeros_like(probs))


def labels2one_hot(labels: Tensor, K: int, ignore_index: int, dtype: torch.dtype) -> Tensor:
    """(B, ...) integers -> (B, K, ...); voxels of ``ignore_index`` become zero in every class."""
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise ValueError(f"labels (B, ...) must be integers, got {labels.dtype}; convert with .long()")
    if ignore_index != IGNORED:
        labels = labels.long()
        labels = torch.where(labels == ignore_index, IGNORED, labels)
    if torch.compiler.is_compiling():  # the look at the labels' values would cut the graph in two
        classes = torch.arange(K, device=labels.device).view(1, K, *[1] * (labels.ndim - 1))
        return (labels.unsqueeze(1) == classes).to(dtype)
    return class2one_hot(labels, K, dtype=dtype)


def select(of_classes: Tensor, classes: tuple[int, ...] | None) -> Tensor:
    K = of_classes.shape[1]
    if classes is None or classes == tuple(range(K)):
        return of_classes
    if max(classes) >= K:
        raise ValueError(f"classes {list(classes)} asked for, but the prediction has {K}: 0..{K - 1}")
    if classes == tuple(range(classes[0], classes[0] + len(classes))):
        return of_classes.narrow(1, classes[0], len(classes))  # no copy, and no list of classes that travels to a GPU
    return torch.stack([of_classes[:, k] for k in classes], dim=1)


def reduce(items: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return items
    return items.mean() if reduction == "mean" else items.sum()


def in_unit(unit: Unit, spacing_mm: Spacing) -> Spacing:
    """The spacing to measure distances with: ``"voxel"`` counts voxels, whatever their spacing."""
    return None if unit == "voxel" else spacing_mm


def checked_classes(classes: Sequence[int] | None) -> tuple[int, ...] | None:
    if classes is None:
        return None
    try:
        chosen = tuple(-1 if isinstance(c, bool) else operator.index(c) for c in classes)  # NumPy's integers too
    except TypeError:
        chosen = ()
    if not chosen or min(chosen) < 0 or len(set(chosen)) != len(chosen):
        raise ValueError(f"classes must list distinct numbers from 0 up, at least one, as [1]; got {classes!r}")
    return chosen


def one_of(name: str, value: T, known: Sequence[T]) -> T:
    if value not in known:
        raise ValueError(f"{name}={value!r} is unknown; known: {', '.join(map(repr, known))}")
    return value
