"""Ejection fractions from a patient's two volumes, at the end of diastole and of systole."""

import numpy as np
from numpy.typing import NDArray

Volumes = NDArray[np.float64]


def ejection_fraction(diastole: Volumes, systole: Volumes) -> Volumes:
    """(EDV − ESV) / EDV in per cent, of volumes in one unit; 0 where there is no volume at the end of diastole."""
    return 100 * (diastole - systole) / np.where(diastole > 0, diastole, 1) * (diastole > 0)


def in_order(pred: tuple[Volumes, Volumes], gt: tuple[Volumes, Volumes]) -> tuple[Volumes, Volumes]:
    """(2, K) volumes of prediction and ground truth at the end of diastole, and the same of systole.

    For each structure the end of diastole is the moment when the ground truth's is larger.
    """
    first, second = np.stack([pred[0], gt[0]]), np.stack([pred[1], gt[1]])
    diastole_first = gt[0] >= gt[1]
    return np.where(diastole_first, first, second), np.where(diastole_first, second, first)


def ejection_error(pred: tuple[Volumes, Volumes], gt: tuple[Volumes, Volumes]) -> Volumes:
    """|EF(P) − EF(G)| in percentage points, (K,), from (K,) volumes at the two moments in either order.

    >>> error = ejection_error((np.array([60.0]), np.array([90.0])), (np.array([50.0]), np.array([100.0])))
    >>> print(error.round(1))
    [16.7]
    """
    of_pred, of_gt = ejection_fraction(*in_order(pred, gt))
    return np.abs(of_pred - of_gt)
