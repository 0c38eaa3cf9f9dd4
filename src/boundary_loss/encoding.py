"""Class maps <-> one-hot <-> probabilities. Axis letters: see :mod:`boundary_loss.shapes`."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor

from boundary_loss.shapes import IGNORED, Labels, OneHot, Probs


def as_labels(labels: Tensor, name: str = "labels") -> Tensor:
    """Labels in an integer type that every operation knows; no copy if they are of such a type already.

    Args:
        labels: integers of any width, bool, or floating point that holds whole numbers, as many loaders give.
        name: of the argument, for messages.

    Raises:
        ValueError: no tensor, complex numbers, or values that are no whole numbers within int32. Floating-point labels
            are looked at, for which the host waits where they are on a GPU; under torch.compile they are not.
    """
    if not isinstance(labels, Tensor):
        raise ValueError(f"{name} must be a tensor, got {type(labels).__name__}; torch.as_tensor makes one of an array")
    if labels.dtype in _LABEL_TYPES:
        return labels
    if labels.is_floating_point():
        return _whole_numbers(labels.detach(), name)
    if labels.dtype in _WIDENED:
        return labels.to(_WIDENED[labels.dtype])
    raise ValueError(f"{name} must be whole numbers, got {labels.dtype}")


_LABEL_TYPES = frozenset({torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64})
_WIDENED = {
    torch.bool: torch.uint8,
    torch.uint16: torch.int32,
    torch.uint32: torch.int64,
    torch.uint64: torch.int64,
}


def _whole_numbers(labels: Tensor, name: str) -> Tensor:
    """Floating-point labels as int32."""
    found = labels.to(torch.int32)
    if torch.compiler.is_compiling() or torch.equal(found.to(labels.dtype), labels):
        return found
    strange = labels[found.to(labels.dtype) != labels][:3].tolist()  # NaN, infinity and numbers beyond int32 too
    raise ValueError(
        f"{name} must be whole numbers, found {', '.join(map(repr, strange))}; "
        "round labels that scaling made inexact, and resample labels with the nearest neighbour"
    )


def class2one_hot(
    labels: Labels, K: int, *, dtype: torch.dtype = torch.int32, ignore_index: int | None = None
) -> OneHot:
    """One-hot encoding of classes.

    Args:
        labels: (B, ...) classes in [0, K), of any type that :func:`as_labels` takes.
        K: number of classes.
        dtype: of the result; int32 as in the original.
        ignore_index: voxels of this label become zero in every class. None stands for ``IGNORED`` (255), but refuses
            labels in which 255 occurs and no class above 0 does: many masks are stored so and mean 1 by 255.

    Returns:
        (B, K, ...) zeros and ones on the same device.

    Raises:
        ValueError: values that are no labels, a label outside [0, K) that is not ignored, or 255 in doubt.
    """
    labels = as_labels(labels)
    ignored = ignored_label(ignore_index, K)
    seen = look_at_labels(labels, K, ignored)
    if seen.outside:
        refuse_outside(labels, K, ignored)
    if seen.ignored and not seen.objects and ignore_index is None:
        refuse_doubtful()
    one_hot = encode_one_hot(labels, K, dtype)
    if ignored is not None and 0 <= ignored < K:
        one_hot.masked_fill_(is_label(labels, ignored).unsqueeze(1), 0)
    return one_hot


def ignored_label(ignore_index: int | None, K: int) -> int | None:
    """The label of ignored voxels: the one asked for, otherwise ``IGNORED`` unless that is one of the K classes."""
    return ignore_index if ignore_index is not None else IGNORED if K <= IGNORED else None


def is_label(labels: Labels, label: int | None) -> Tensor:
    """Where the labels are ``label``, bool; nowhere if their type cannot hold it (uint8 would take -1 for 255)."""
    limits = torch.iinfo(labels.dtype)
    if label is None or not limits.min <= label <= limits.max:
        return torch.zeros_like(labels, dtype=torch.bool)
    return labels == label


class Seen(NamedTuple):
    """What a look at labels found."""

    outside: bool
    """A label that is neither a class nor ignored."""
    ignored: bool
    """The ignored label."""
    objects: bool
    """A class above 0."""


def look_at_labels(labels: Labels, K: int, ignored: int | None, counted: Tensor | None = None) -> Seen:
    """What occurs among (B, ...) labels, those outside the mask ``counted`` (B, ...) left out.

    The host waits once where the labels are on a GPU. Under torch.compile nothing is looked at: there voxels may be
    ignored, and all others are taken for classes.
    """
    if torch.compiler.is_compiling():
        return Seen(outside=False, ignored=True, objects=True)
    if not labels.numel():
        return Seen(outside=False, ignored=False, objects=False)
    if labels.device.type == "cpu":
        low, high = (int(extreme) for extreme in torch.aminmax(labels))
        if low >= 0 and high < K and (ignored is None or not low <= ignored <= high):
            return Seen(outside=False, ignored=False, objects=high > 0)  # the usual case, in one pass
    of_ignored = is_label(labels, ignored)
    left_out = of_ignored
    if counted is not None:
        of_ignored, left_out = of_ignored & counted, of_ignored | ~counted
    extremes = torch.aminmax(labels.masked_fill(left_out, 0))  # of the others: 0 is a class, and no object
    low, high, some = torch.stack([*extremes, of_ignored.any().to(labels.dtype)]).tolist()
    return Seen(outside=low < 0 or high >= K, ignored=some > 0, objects=high > 0)


def refuse_outside(labels: Labels, K: int, ignored: int | None) -> NoReturn:
    """Raise a ValueError that lists the labels outside [0, K)."""
    found = [label for label in labels.unique().tolist() if not 0 <= label < K and label != ignored]
    shown = ", ".join(map(str, found[:10])) + (", ..." if len(found) > 10 else "")
    not_ignored = "" if ignored is None else f" and are not the ignored label {ignored}"
    cure = f"; if {IGNORED} is the object here, pass labels == {IGNORED}" if found == [IGNORED] else ""
    raise ValueError(f"labels [{shown}] are outside 0..{K - 1}{not_ignored}{cure}")


def refuse_doubtful(name: str = "labels") -> NoReturn:
    """Raise a ValueError about 255 in labels without an object, for a call that did not say what 255 means."""
    raise ValueError(
        f"{name} of 0 and {IGNORED} alone: {IGNORED} marks ignored voxels. If it is the object here, "
        f"pass {name} == {IGNORED}; if it does mark ignored voxels, say so with ignore_index={IGNORED}"
    )


def can_read_values(tensor: Tensor) -> bool:
    """True if reading the values is cheap: on the CPU and not under torch.compile.

    On a GPU the host would wait for the device; under torch.compile the graph would break.
    """
    return tensor.device.type == "cpu" and not torch.compiler.is_compiling()


def encode_one_hot(labels: Labels, K: int, dtype: torch.dtype) -> OneHot:
    """:func:`class2one_hot` without its checks, for labels that were checked when they were read."""
    labels = widened(labels, K)
    if can_read_values(labels):
        one_hot = torch.empty(labels.shape[0], K, *labels.shape[1:], dtype=dtype)
        for k in range(K):  # each comparison to its place: six times faster than one to bool and on to numbers
            torch.eq(labels, k, out=one_hot.select(1, k))
        return one_hot
    classes = torch.arange(K, device=labels.device, dtype=labels.dtype).view(1, K, *[1] * (labels.ndim - 1))
    return (labels.unsqueeze(1) == classes).to(dtype)


def widened(labels: Labels, K: int) -> Labels:
    """The labels in a type that can count to K, which a comparison with K needs."""
    return labels if torch.iinfo(labels.dtype).max >= K else labels.long()


def scatter_classes(of_chosen: Tensor, classes: Sequence[int] | None, K: int, axis: int = 1) -> Tensor:
    """Expand the chosen classes to all K along ``axis``; the others are zero. No copy if all are chosen."""
    if classes is None or list(classes) == list(range(K)):
        return of_chosen
    full = of_chosen.new_zeros((*of_chosen.shape[:axis], K, *of_chosen.shape[axis + 1 :]))
    for i, k in enumerate(classes):  # one by one: a list of classes would travel to a GPU, which the host waits for
        full.select(axis, k).copy_(of_chosen.select(axis, i))
    return full


def probs2class(probs: Probs, *, dtype: torch.dtype = torch.int64) -> Labels:
    """The most probable class, (B, K, ...) -> (B, ...) of this type; on a tie the lower class, as argmax."""
    if not isinstance(probs, Tensor):
        raise ValueError(f"probs must be a tensor, got {type(probs).__name__}; torch.as_tensor makes one of an array")
    if probs.shape[1] == 2:  # a comparison is two hundred times faster than argmax over a strided axis
        return (probs[:, 1] > probs[:, 0]).to(dtype)
    if probs.device.type != "cpu" or probs.shape[1] > 16:
        return probs.argmax(dim=1).to(dtype)
    most, classes = probs[:, 0], torch.zeros(probs[:, 0].shape, dtype=torch.uint8)
    for k in range(1, probs.shape[1]):  # likewise ten times faster, for four classes
        above = probs[:, k] > most
        classes = torch.maximum(classes, above.view(torch.uint8).mul_(k))  # a later class has the greater number
        most = torch.maximum(most, probs[:, k])
    return classes.to(dtype)


def probs2one_hot(probs: Probs) -> OneHot:
    """The most probable class as one-hot int32, (B, K, ...) -> (B, K, ...)."""
    return encode_one_hot(probs2class(probs), probs.shape[1], torch.int32)


def one_hot2class(one_hot: OneHot) -> Labels:
    """(B, K, ...) zeros and ones -> (B, ...) int64; a voxel with no class becomes ``IGNORED``."""
    known = one_hot.sum(dim=1) > 0
    return torch.where(known, one_hot.argmax(dim=1), torch.full_like(known, IGNORED, dtype=torch.int64))


def check_tensors(prediction: Any, **targets: Any) -> None:
    """Refuse what is no tensor (NumPy arrays), and targets that lie on another device than the prediction."""
    for name, found in {"the prediction": prediction, **targets}.items():
        if not isinstance(found, Tensor):
            raise ValueError(f"{name} must be a torch tensor, got {type(found).__name__}")
        if found.device != prediction.device:
            raise ValueError(f"{name} on {found.device}, the prediction on {prediction.device}; move it there")


def check_probabilities(probs: Tensor, name: str = "probs") -> None:
    """Refuse what cannot be probabilities (logits passed by mistake); a look at the extremes only."""
    low, high = torch.stack(torch.aminmax(probs.detach())).tolist()  # at once: each look makes a GPU's host wait
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"{name} must lie in [0, 1], and some are NaN")
    if low < -1e-4 or high > 1 + 1e-4:
        raise ValueError(
            f"{name} must lie in [0, 1], found [{low:.4g}, {high:.4g}]; "
            "these look like logits: apply softmax, or give the loss activation='softmax'"
        )
