"""Overlap and volume of two label maps, per class. Empty masks: see :mod:`boundary_loss.emptyrule`."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from boundary_loss.emptyrule import WORST_PERCENT
from boundary_loss.labels import IGNORED


class Counts(NamedTuple):
    """Voxels per class, (K,) int64 or (B, K) each."""

    intersection: Any
    pred: Any
    gt: Any


def without_ignored(pred: np.ndarray, gt: np.ndarray) -> np.ndarray:
    """``pred`` with the voxels that ``gt`` ignores marked as ignored too."""
    ignored = gt == IGNORED
    return np.where(ignored, np.array(IGNORED, pred.dtype), pred) if ignored.any() else pred


def label_counts(pred: np.ndarray, gt: np.ndarray, num_classes: int) -> Counts:
    """Voxels of each class in two label maps of one shape, and in both; voxels where ``gt`` is 255 do not count."""
    return counts_of(without_ignored(pred, gt), gt, range(num_classes))


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
    return _share(2 * intersection, size_a + size_b)


def iou_from_counts(intersection: Any, size_a: Any, size_b: Any) -> Any:
    """Intersection over union |A∩B| / |A∪B| (Jaccard 1912); 1 where both are empty."""
    return _share(intersection, size_a + size_b - intersection)


def precision_from_counts(intersection: Any, pred: Any, gt: Any) -> Any:
    """|P∩G| / |P|: the share of the prediction that is right; both empty 1, only the prediction empty 0."""
    return _share_unless_one_is_empty(intersection, pred, gt)


def recall_from_counts(intersection: Any, pred: Any, gt: Any) -> Any:
    """|P∩G| / |G|: the share of the ground truth that is found; both empty 1, only the ground truth empty 0."""
    return _share_unless_one_is_empty(intersection, gt, pred)


def volume_difference_percent(pred: Any, gt: Any) -> Any:
    """|V(P) − V(G)| / V(G) in per cent; both empty 0, only the ground truth empty 100 (as where the prediction is)."""
    nothing = (gt == 0) * 1
    return (100 * abs(pred - gt) * (1 - nothing) + WORST_PERCENT * nothing * (pred > 0)) / (gt + nothing)


def dice(pred: np.ndarray, gt: np.ndarray, num_classes: int) -> np.ndarray:
    """(K,) float64: Dice of each class of two label maps of one shape; voxels where ``gt`` is 255 do not count."""
    if pred.shape != gt.shape:
        raise ValueError(f"prediction of shape {pred.shape} and ground truth of shape {gt.shape} do not match")
    return dice_from_counts(*label_counts(pred, gt, num_classes))


def _share(part: Any, whole: Any) -> Any:
    empty = whole == 0
    return (part + empty) / (whole + empty)


def _share_unless_one_is_empty(part: Any, whole: Any, other: Any) -> Any:
    both_empty, empty = (whole == 0) & (other == 0), whole == 0
    return (part + both_empty) / (whole + empty)
