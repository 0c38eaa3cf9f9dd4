"""Reads the target of a loss: a one-hot encoding, and the voxels that count.

Voxels are ignored by a label or a mask. A voxel without a class is an error, unless classes are independent of each
other (sigmoid), where it belongs to the rest of each.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from boundary_loss.encoding import (
    as_labels,
    can_read_values,
    check_tensors,
    encode_one_hot,
    ignored_label,
    is_label,
    look_at_labels,
    refuse_doubtful,
    refuse_outside,
)
from boundary_loss.labels import refuse_unless_bool
from boundary_loss.shapes import IGNORED

TOLERANCE = 1e-2
"""By how much the classes of a voxel may fail to add up to 1: bfloat16 rounds to 1/256."""


NEEDS_BATCH = "a single image needs a batch axis: unsqueeze(0)"


class Target(NamedTuple):
    """A target ready for arithmetic."""

    one_hot: Tensor
    """(B, K, ...) floating point, zero where the voxel is ignored."""
    known: Tensor | None
    """(B, 1, ...) bool: the voxels that count; None where all do, so that nothing is spent on it."""


@dataclass
class TargetReader:
    """Reads the targets of one loss; costly checks are made on its first call only."""

    ignore_index: int | None = None
    """The label of ignored voxels; None: 255, once it is clear that it does not mark the object."""
    independent: bool = False
    """Whether a voxel may belong to several classes, or to none."""
    _checked: bool = field(default=False, init=False)
    _sure: bool = field(default=False, init=False)

    def read(self, target: Tensor, mask: Tensor | None, prediction: Tensor, dtype: torch.dtype) -> Target:
        """Return the target of a prediction (B, channels, ...) with K = channels classes, or 2 if there is one channel.

        Args:
            target: (B, ...) or (B, 1, ...) labels of any type, or (B, channels, ...) one-hot of any type. One channel
                of integers is read as labels.
            mask: (B, ...) or (B, 1, ...) bool, True where a voxel counts, or None.
            dtype: of the encoding.
        """
        counted, K = read_mask(mask, prediction), max(prediction.shape[1], 2)
        labels = read_as_labels(target, prediction)
        if labels is not None:
            known = self.check_labels(labels, counted, K)
            one_hot = encode_one_hot(labels, K, dtype)
            strays = counted is not None or (known is not None and self.ignore_index in range(K))
            return Target(zero_unless(known, one_hot) if strays else one_hot, known)
        single = prediction.shape[1] == 1
        return self._one_channel(target, counted, dtype) if single else self._one_hot(target, counted, dtype)

    def check_labels(self, labels: Tensor, counted: Tensor | None, K: int) -> Tensor | None:
        """Return (B, 1, ...) bool: where (B, ...) labels are not ignored and ``counted`` is True; None = everywhere.

        Raises:
            ValueError: a label that is neither a class nor ignored, or 255 in doubt.
        """
        ignored = ignored_label(self.ignore_index, K)
        seen = look_at_labels(labels, K, ignored, None if counted is None else counted.squeeze(1))
        if seen.outside:
            refuse_outside(labels, K, ignored)
        self._sure |= self.ignore_index is not None or seen.objects
        if seen.ignored and not self._sure:
            refuse_doubtful("target")
        if not seen.ignored:
            return counted
        of_class = ~is_label(labels, ignored).unsqueeze(1)
        return of_class if counted is None else counted & of_class

    def _one_channel(self, target: Tensor, counted: Tensor | None, dtype: torch.dtype) -> Target:
        """Return the classes (1 − g, g) of (B, 1, ...) floating-point g, in which the ignored label may occur."""
        of_class = target.ne(IGNORED if self.ignore_index is None else self.ignore_index)
        known = unless_all(of_class if counted is None else counted & of_class)
        g = zero_unless(known, target.to(dtype))
        self._sure |= self.ignore_index is not None
        if known is not None and not self._sure and not torch.compiler.is_compiling():
            self._sure = bool((g > 0).any())
            if not self._sure and not bool((of_class if counted is None else of_class | ~counted).all()):
                refuse_doubtful("target")
        one_hot = zero_unless(known, torch.cat([1 - g, g], dim=1))
        self._check(one_hot, known, exclusive=True)
        return Target(one_hot, known)

    def _one_hot(self, target: Tensor, counted: Tensor | None, dtype: torch.dtype) -> Target:
        one_hot = zero_unless(counted, target.to(dtype))
        self._check(one_hot, counted, exclusive=not self.independent)
        return Target(one_hot, counted)

    def _check(self, one_hot: Tensor, known: Tensor | None, *, exclusive: bool) -> None:
        """Make all checks in the first call; on a CPU test for voxels without a class in each call, by one sum."""
        if torch.compiler.is_compiling():
            return
        if not self._checked:
            check_one_hot(one_hot, known, exclusive=exclusive)
            self._checked = True
        elif exclusive and can_read_values(one_hot):
            counted = one_hot[:, :1].numel() if known is None else int(known.sum())
            if one_hot.sum().item() != counted:
                check_one_hot(one_hot, known, exclusive=True)


def read_as_labels(target: Tensor, prediction: Tensor) -> Tensor | None:
    """Return the target as integer labels (B, ...), or None if it is one-hot; see :meth:`TargetReader.read`.

    Raises:
        ValueError: a shape that is neither, or labels that are no whole numbers.
    """
    check_tensors(prediction, target=target)
    B, channels, *space = prediction.shape
    shape = tuple(target.shape)
    one_channel = shape == (B, 1, *space)
    if shape == (B, *space) or (one_channel and (channels > 1 or not target.is_floating_point())):
        return as_labels(target.squeeze(1) if one_channel else target, "target")
    if shape != tuple(prediction.shape):
        raise ValueError(
            f"target of shape {shape} fits neither one-hot {tuple(prediction.shape)} "
            f"nor labels {(B, *space)}, which predictions of shape {tuple(prediction.shape)} need"
        )
    return None


def check_one_hot(one_hot: Tensor, known: Tensor | None, *, exclusive: bool) -> None:
    """Refuse a target that is no encoding of classes.

    Raises:
        ValueError: values outside [0, 1]; where classes are ``exclusive``, a voxel whose classes do not add up to 1.
    """
    low, high = torch.stack(torch.aminmax(one_hot)).tolist()
    if not (low >= -1e-4 and high <= 1 + 1e-4):  # NaN too
        raise ValueError(
            f"the target must be one-hot, zeros and ones, found values from {low:.4g} to {high:.4g}; divide a mask of "
            "0 and 255 by 255, give labels as (B, ...) or (B, 1, ...), and distance maps to BoundaryLoss"
        )
    if not exclusive:
        return
    total = one_hot.sum(dim=1, keepdim=True)
    wrong = (total - 1).abs() > TOLERANCE
    wrong = wrong if known is None else wrong & known
    count = int(wrong.sum())
    if count == 0:
        return
    found = total[wrong][0].item()
    if found == 0:
        raise ValueError(
            f"{count} voxels of the one-hot target belong to no class. If they are to be ignored, pass mask=, bool, "
            "True where a voxel counts; if they are background, give it a channel; if classes may overlap, "
            "activation='sigmoid' compares each with its own rest"
        )
    raise ValueError(
        f"the classes of a voxel must add up to 1, found {found:.4g} in the target ({count} such voxels); "
        "activation='sigmoid' is for classes that overlap"
    )


def check_sums(probs: Tensor, known: Tensor | None) -> None:
    """Refuse probabilities of exclusive classes that do not add up to 1."""
    off = (probs.detach().sum(dim=1, keepdim=True) - 1).abs()
    off = off if known is None else zero_unless(known, off)
    if off.max().item() > TOLERANCE:
        found = probs.detach().sum(dim=1, keepdim=True).flatten()[off.flatten().argmax()].item()
        raise ValueError(
            f"the probabilities of a voxel must add up to 1 over all classes, found {found:.4g}: choose classes with "
            "classes=, not by leaving channels out; give logits and activation='sigmoid' for classes that overlap; "
            "and mask= where voxels are ignored"
        )


def check_prediction(prediction: Any, name: str = "predictions", *, on_points: bool = False) -> None:
    """Refuse a prediction that is no batch of images, or of points: arrays, integers, too few axes."""
    check_tensors(prediction)
    if prediction.ndim < (3 if on_points else 4):
        or_points = ", or (B, K, P) at points" if on_points else ""
        advice = NEEDS_BATCH
        if prediction.ndim == 3:
            advice += "; of points (B, K, P), which have no grid, take ce, focal, dice, gdl, tversky or boundary"
        raise ValueError(f"{name} must be (B, K, X, Y[, Z]){or_points}, got shape {tuple(prediction.shape)}; {advice}")
    if not prediction.is_floating_point():
        raise ValueError(f"{name} must be floating point, got {prediction.dtype}")
    if prediction.numel() == 0:
        raise ValueError(f"{name} of shape {tuple(prediction.shape)} hold no values: there is nothing to compare")


def read_mask(mask: Tensor | None, prediction: Tensor) -> Tensor | None:
    """Return a mask (B, ...) or (B, 1, ...) as (B, 1, ...) bool; None if every voxel counts."""
    if mask is None:
        return None
    check_tensors(prediction, mask=mask)
    B, _, *space = prediction.shape
    refuse_unless_bool(mask.dtype, mask.dtype == torch.bool, "write mask.bool()")
    if tuple(mask.shape) not in ((B, *space), (B, 1, *space)):
        raise ValueError(f"mask {tuple(mask.shape)} must be {(B, *space)} or {(B, 1, *space)}")
    return unless_all(mask if mask.ndim == prediction.ndim else mask.unsqueeze(1))


def unless_all(known: Tensor) -> Tensor | None:
    """Return ``known``, or None if all voxels are known and finding out needs no waiting."""
    return None if can_read_values(known) and bool(known.all()) else known


def zero_unless(known: Tensor | None, values: Tensor) -> Tensor:
    """Return the values, zero where a voxel is not known.

    By selection and not by a product, so that neither a NaN nor an infinity there survives in value or gradient.
    """
    return values if known is None else torch.where(known, values, 0)


def mean_over_voxels(values: Tensor, known: Tensor | None) -> Tensor:
    """Return (B, K) means over the known voxels of (B, K, ...) values that are zero elsewhere."""
    if known is None:
        return values.flatten(2).mean(2)
    return values.flatten(2).sum(2) / number_of(known)


def number_of(known: Tensor) -> Tensor:
    """Return (B, 1) numbers of voxels that count, at least 1 so that an item without any gives 0."""
    return known.flatten(1).sum(1, keepdim=True).clamp(min=1)
