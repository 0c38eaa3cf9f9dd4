"""Overlap of two label maps, per class. Empty masks: see :mod:`boundary_loss.metrics.empty`."""

from typing import Any, NamedTuple

import numpy as np

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
    pred = without_ignored(pred, gt)
    counts = np.zeros((3, num_classes), np.int64)
    for k in range(num_classes):
        in_pred, in_gt = pred == k, gt == k
        counts[:, k] = np.count_nonzero(in_pred & in_gt), np.count_nonzero(in_pred), np.count_nonzero(in_gt)
    return Counts(*counts)


def dice_from_counts(intersection: Any, size_a: Any, size_b: Any) -> Any:
    """Dice coefficient 2|A∩B| / (|A| + |B|); 1 where both are empty, in 2D and in 3D.

    Dice 1945, Sørensen 1948. In 2D, where most slices hold no lesion, the mean over slices is mostly a count of
    slices left empty; state the convention beside the number, or use Dice per volume.

    Args:
        intersection, size_a, size_b: NumPy arrays or tensors of integers, of one shape.
    """
    total = size_a + size_b
    empty = total == 0
    return (2 * intersection + empty) / (total + empty)


def dice(pred: np.ndarray, gt: np.ndarray, num_classes: int) -> np.ndarray:
    """(K,) float64: Dice of each class of two label maps of one shape; voxels where ``gt`` is 255 do not count."""
    if pred.shape != gt.shape:
        raise ValueError(f"prediction of shape {pred.shape} and ground truth of shape {gt.shape} do not match")
    return dice_from_counts(*label_counts(pred, gt, num_classes))
