"""Ejection fractions from a patient's two volumes, at the end of diastole and of systole."""

import numpy as np
from numpy.typing import NDArray

Volumes = NDArray[np.float64]


def ejection_fraction(diastole: Volumes, systole: Volumes) -> Volumes:
    """(EDV − ESV) / EDV in per cent, of volumes in one unit; 0 where there is no volume at the end of diastole."""
    return 100 * (diastole - systole) / np.where(diastole > 0, diastole, 1) * (diastole > 0)


def ejection_error(pred: tuple[Volumes, Volumes], gt: tuple[Volumes, Volumes]) -> Volumes:
    """|EF(P) − EF(G)| in percentage points, of (K,) volumes at two moments in either order.

    For each structure the end of diastole is the moment when the ground truth's is larger.

    >>> error = ejection_error((np.array([60.0]), np.array([90.0])), (np.array([50.0]), np.array([100.0])))
    >>> print(error.round(1))
    [16.7]
    """
    first_is_diastole = gt[0] >= gt[1]
    fractions = [
        ejection_fraction(np.where(first_is_diastole, one, other), np.where(first_is_diastole, other, one))
        for one, other in (pred, gt)
    ]
    return np.abs(fractions[0] - fractions[1])
