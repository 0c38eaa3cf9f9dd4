"""Base of all losses: logits or probabilities, one-hot or labels, ignored voxels, chosen classes, reduction."""

import operator
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from boundary_loss.distance.layout import Spacing
from boundary_loss.encoding import check_probabilities
from boundary_loss.losses.target import NEEDS_BATCH, TargetReader, check_prediction, check_sums, number_of, zero_unless
from boundary_loss.shapes import Labels, OneHot, Probs, Scalar

Activation = Literal["softmax", "sigmoid"]
Reduction = Literal["mean", "sum", "none", "classes"]
OfItems = Literal["mean", "sum", "none"]
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
    known: Tensor | None
    """(B, 1, ...) bool: the voxels that count; None where all do."""

    def voxels(self) -> Tensor | int:
        """Return how many voxels of each item count, (B, 1) or one number for all; at least 1."""
        return self.probs[0, 0].numel() if self.known is None else number_of(self.known)


class Loss(nn.Module):
    """Base of all losses, which are called as ``loss(probs, target)``: their common settings and steps.

    Args:
        idc: the classes that count, e.g. ``[1]``; None = all. ``classes`` is a clearer name of the same argument.
        activation: None takes probabilities, "softmax" or "sigmoid" takes logits. Under "sigmoid" each channel is a
            class of its own, which may overlap with others, and its value does not depend on how many there are.
            One channel alone, p, stands for two classes, (1 − p, p).
        ignore_index: voxels of this label are ignored. None stands for 255, but refuses labels in which 255 occurs
            before any class above 0 has, because many masks mean 1 by 255.
        reduction: "mean" as the papers; "none" gives each item's value (B,); "sum" adds those; "classes" gives each
            item's and class's, (B, K), where the loss is a mean of such.
    """

    target: ClassVar[str] = "one_hot"
    """What ``loss(probs, target)`` needs: "one_hot" (or integer labels), or "distance" (signed maps)."""
    over_items: bool = True
    """Whether the value of a batch is the mean of its items' values, so that parts of it may be computed apart."""
    takes_spacing: ClassVar[bool] = False
    """Whether a call takes ``spacing_mm``, (D,) or (B, D): the loss measures distances by itself."""
    takes_mask: ClassVar[bool] = True
    """Whether a call takes ``mask``, (B, 1, ...) bool, True where a voxel counts."""
    on_points: ClassVar[bool] = False
    """Whether predictions may be (B, K, P), at points: the loss needs no grid around each value."""
    activations: ClassVar[tuple[str | None, ...]] = (None, "softmax", "sigmoid")
    reductions: ClassVar[tuple[str, ...]] = ("mean", "sum", "none", "classes")

    def __init__(
        self,
        *,
        idc: Sequence[int] | None = None,
        classes: Sequence[int] | None = None,
        activation: Activation | None = None,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        if idc is not None and classes is not None and list(idc) != list(classes):
            raise ValueError(f"idc={list(idc)} and classes={list(classes)} name the same thing; give one of them")
        self.classes = checked_classes(idc if classes is None else classes)
        self.activation = one_of("activation", activation, self.activations)
        self.ignore_index = ignore_index
        self.reduction = one_of("reduction", reduction, self.reductions)
        self._reader = TargetReader(ignore_index, independent=activation == "sigmoid")
        self._checked_range = False

    def activate(self, probs: Tensor, *, exclusive: bool = False, known: Tensor | None = None) -> Tensor:
        """Return probabilities in at least float32; the first call refuses values outside [0, 1].

        Args:
            exclusive: also refuse, if no activation was given, probabilities that do not add up to 1 where ``known``.
        """
        probs = probs.to(wide(probs))
        if self.activation == "softmax":
            if probs.shape[1] == 1:
                raise ValueError("softmax over one channel is always 1; use activation='sigmoid' or two channels")
            return probs.softmax(dim=1)
        if self.activation == "sigmoid":
            return probs.sigmoid()
        if not self._checked_range and not torch.compiler.is_compiling():
            check_probabilities(probs)
            if exclusive and probs.shape[1] > 1:
                check_sums(probs, known)
            self._checked_range = True
        return probs

    def choose(self, of_classes: Tensor) -> Tensor:
        """Return the chosen classes of (B, K, ...); without a copy if all are chosen."""
        return select(of_classes, self.classes)

    def reduce(self, items: Tensor) -> Tensor:
        """Reduce (B,) values as ``reduction`` says."""
        return reduce(items, self.reduction)

    def reduce_classes(self, of_classes: Tensor) -> Tensor:
        """Reduce (B, K) values, whose mean over the classes is the item's value, as ``reduction`` says."""
        return of_classes if self.reduction == "classes" else self.reduce(of_classes.mean(1))

    def extra_repr(self) -> str:
        chosen = "all" if self.classes is None else list(self.classes)
        return f"classes={chosen}, activation={self.activation}, reduction={self.reduction!r}"


class RegionLoss(Loss, ABC):
    """Base of the losses whose target is a segmentation."""

    def forward(self, probs: Probs, target: OneHot | Labels, *, mask: Tensor | None = None) -> Scalar:
        """The loss of a batch.

        Args:
            probs: (B, K, X, Y[, Z]) probabilities, or logits if an ``activation`` was given; float16 and bfloat16 are
                computed in float32, under autocast too. Losses that need no grid take (B, K, P) at points as well.
            target: (B, ...) or (B, 1, ...) labels, integers or whole numbers of any type; or (B, K, ...) one-hot of any
                type. The values of labels are checked in each call, for which the host waits if they are on a GPU;
                those of one-hot targets in the first call.
            mask: (B, ...) or (B, 1, ...) bool, True where a voxel counts; None = everywhere. Values of
                prediction and target elsewhere, even NaN, have no effect and get no gradient.

        Returns:
            A scalar, (B,) with ``reduction="none"``, or (B, K) with "classes"; float32 (float64 if ``probs`` are).

        Raises:
            ValueError: shapes or devices do not fit, labels or classes are out of range, values are no probabilities,
                or voxels of a one-hot target belong to no class.
        """
        check_prediction(probs, on_points=self.on_points)
        with torch.autocast(probs.device.type, enabled=False):
            return self.compute(
                self.pair(probs, target, mask) if probs.ndim > 3 else self._at_points(probs, target, mask)
            )

    def _at_points(self, probs: Tensor, target: Tensor, mask: Tensor | None) -> Pair:
        try:
            return self.pair(probs, target, mask)
        except ValueError as error:
            raise image_without_batch(error, probs) from None

    @abstractmethod
    def compute(self, pair: Pair) -> Tensor:
        """Compute the loss's formula."""

    def pair(self, probs: Tensor, target: Tensor, mask: Tensor | None = None) -> Pair:
        """Return prediction and target of the chosen classes, ready for the formula."""
        probs, one_hot, known = self.every_class(probs, target, mask)
        return Pair(self.choose(probs), self.choose(one_hot), known)

    def every_class(self, probs: Tensor, target: Tensor, mask: Tensor | None = None) -> Pair:
        """Return prediction and target of all classes, ready for the formula."""
        one_hot, known = self._reader.read(target, mask, probs, wide(probs))
        # ignored voxels are set to 0 before the activation, whose gradient would spread a NaN over the classes
        probs = self.activate(zero_unless(known, probs), exclusive=True, known=known)
        if probs.shape[1] == 1:
            probs = torch.cat([1 - probs, probs], dim=1)
        return Pair(probs if known is None else probs * known, one_hot, known)


def image_without_batch(error: ValueError, prediction: Tensor) -> ValueError:
    """Return the error with the remark that its three axes were read as those of points."""
    shape = tuple(prediction.shape)
    return ValueError(f"{error} (predictions of shape {shape} are points, (B, K, P); {NEEDS_BATCH})")


def select(of_classes: Tensor, classes: tuple[int, ...] | None) -> Tensor:
    K = of_classes.shape[1]
    if classes is None or classes == tuple(range(K)):
        return of_classes
    if max(classes) >= K:
        raise ValueError(f"classes {list(classes)} asked for, but the prediction has {K}: 0..{K - 1}")
    if classes == tuple(range(classes[0], classes[0] + len(classes))):
        return of_classes.narrow(1, classes[0], len(classes))  # no copy, and no list of classes is sent to a GPU
    return torch.stack([of_classes[:, k] for k in classes], dim=1)


def wide(tensor: Tensor) -> torch.dtype:
    """Return the type that a loss computes in."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def reduce(items: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return items
    return items.mean() if reduction == "mean" else items.sum()


def in_unit(unit: Unit, spacing_mm: Spacing) -> Spacing:
    """Return the spacing to measure distances with: None for ``"voxel"``, which counts voxels."""
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
