"""Overlap and volume of two label maps, per class. Empty masks: see :mod:`boundary_loss.empty_masks`."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from boundary_loss.empty_masks import WORST_PERCENT
from boundary_loss.labels import IGNORED, only_0_and_255
from boundary_loss.metrics.reading import as_classes, ignoring


class Counts(NamedTuple):
    """Voxels per class, (K,) int64 or (B, K) each."""

    intersection: Any
    pred: Any
    gt: Any


def without_ignored(pred: np.ndarray, gt: np.ndarray) -> np.ndarray:
    """``pred`` with the voxels that ``gt`` ignores marked as ignored too."""
    ignored = gt == IGNORED
    if not ignored.any():
        return pred
    return np.where(ignored, IGNORED, pred.astype(np.int16) if pred.dtype in (bool, np.int8) else pred)


def label_counts(pred: Any, gt: Any, num_classes: int, *, mask: Any = None) -> Counts:
    """Voxels of each class in two label maps of one shape, and in both, (K,) each.

    Args:
        pred: (...) classes 0 to K-1, whole numbers of any type.
        gt: of the same shape; voxels of the label 255 do not count.
        num_classes: K.
        mask: bool, of the same shape, True where a voxel counts.

    Raises:
        ValueError: shapes differ, a label outside 0..K-1, or a ``gt`` of 0 and 255 alone without a mask.
    """
    labels, truth = as_classes(pred, "pred"), as_classes(gt, "gt")
    if labels.shape != truth.shape:
        raise ValueError(f"prediction of shape {labels.shape} and ground truth of shape {truth.shape} do not match")
    counts = checked_counts(labels, ignoring(truth, mask), num_classes)
    if mask is None:
        refuse_counts_of_255(counts, truth.size)
    return counts


def checked_counts(pred: np.ndarray, gt: np.ndarray, num_classes: int) -> Counts:
    """:func:`label_counts` of what was read. Their sums show whether there are other labels, which costs no look."""
    ignored = gt == IGNORED
    known = gt.size - np.count_nonzero(ignored)
    counts = counts_of(pred if known == gt.size else np.where(ignored, IGNORED, pred), gt, range(num_classes))
    for name, labels, found in (("pred", pred, counts.pred), ("gt", gt, counts.gt)):
        if sum(found.tolist()) != known:  # of a few numbers, faster than NumPy's
            strange = np.unique(labels[((labels < 0) | (labels >= num_classes)) & ~ignored])[:10].tolist()
            raise ValueError(f"{name} has labels {strange}, expected 0..{num_classes - 1}")
    return counts


def refuse_counts_of_255(counts: Counts, voxels: int) -> None:
    """Refuse, after :func:`checked_counts`, a ``gt`` of which all that is not background is ignored."""
    if not counts.gt[..., 1:].any() and counts.gt.sum() < voxels:
        raise ValueError(only_0_and_255("gt", "mask=gt != 255"))


def counts_of(pred: np.ndarray, gt: np.ndarray, classes: Sequence[int]) -> Counts:
    """The same of the ``classes`` named, of a prediction :func:`without_ignored` voxels."""
    counts = np.zeros((3, len(classes)), np.int64)
    for i, k in enumerate(classes):
        in_pred, in_gt = pred == k, gt == k
        counts[:, i] = np.count_nonzero(in_pred & in_gt), np.count_nonzero(in_pred), np.count_nonzero(in_gt)
    return Counts(*counts)


def dice_from_counts(intersection: Any, size_a: Any, size_b: Any) -> Any:
    """Dice coefficient 2|A∩B| / (|A| + |B|); 1 where both are empty, in 2D and in 3D.

    Dice 1945, Sørensen 1948. In 2D, where most slices hold no lesion, the mean over slices is mostly a count of
    slices left empty; state the convention beside the number, or use Dice per volume.

    Args:
        intersection, size_a, size_b: NumPy arrays or tensors of integers, of one shape.
    """
    intersection, size_a, size_b = map(_signed, (intersection, size_a, size_b))
    return _share(2 * intersection, size_a + size_b)


def iou_from_counts(intersection: Any, size_a: Any, size_b: Any) -> Any:
    """Intersection over union |A∩B| / |A∪B| (Jaccard 1912); 1 where both are empty."""
    intersection, size_a, size_b = map(_signed, (intersection, size_a, size_b))
    return _share(intersection, size_a + size_b - intersection)


def precision_from_counts(intersection: Any, pred: Any, gt: Any) -> Any:
    """|P∩G| / |P|: the share of the prediction that is right; both empty 1, only the prediction empty 0."""
    return _share_unless_one_is_empty(intersection, pred, gt)


def recall_from_counts(intersection: Any, pred: Any, gt: Any) -> Any:
    """|P∩G| / |G|: the share of the ground truth that is found; both empty 1, only the ground truth empty 0."""
    return _share_unless_one_is_empty(intersection, gt, pred)


def volume_difference_percent(pred: Any, gt: Any) -> Any:
    """|V(P) − V(G)| / V(G) in per cent; both empty 0, only the ground truth empty 100 (as where the prediction is)."""
    pred, gt = _signed(pred), _signed(gt)
    nothing = (gt == 0) * 1
    return (100 * abs(pred - gt) * (1 - nothing) + WORST_PERCENT * nothing * (pred > 0)) / (gt + nothing)


def dice(pred: Any, gt: Any, num_classes: int, *, mask: Any = None) -> np.ndarray:
    """(K,) float64: Dice of each class of two label maps of one shape; arguments as of :func:`label_counts`."""
    return dice_from_counts(*label_counts(pred, gt, num_classes, mask=mask))


def _signed(counts: Any) -> Any:
    """Counts of a type in which sums and differences do not wrap around."""
    if isinstance(counts, np.ndarray | np.generic):
        return counts.astype(np.int64) if counts.dtype.kind in "ui" else counts
    if hasattr(counts, "detach"):
        return counts if counts.is_floating_point() else counts.long()
    return counts


def _share(part: Any, whole: Any) -> Any:
    empty = whole == 0
    return (part + empty) / (whole + empty)


def _share_unless_one_is_empty(part: Any, whole: Any, other: Any) -> Any:
    part, whole, other = map(_signed, (part, whole, other))
    both_empty, empty = (whole == 0) & (other == 0), whole == 0
    return (part + both_empty) / (whole + empty)
