"""Compute signed distance maps of slices if slicing saved none, with SciPy, because a report starts without torch."""

from importlib.util import find_spec
from typing import Any

import numpy as np

from boundary_loss.labels import IGNORED


def can_measure() -> bool:
    return find_spec("scipy") is not None


def signed_maps(labels: np.ndarray, spacing_mm: tuple[float, ...], num_classes: int) -> np.ndarray:
    """Return the paper's map of each class but the background, as ``boundary(map=2d)`` reads it.

    The same as ``boundary_loss.signed_distance``, which needs torch.

    Args:
        labels: (X, Y) uint8 class numbers; 255 = ignored.

    Returns:
        (K, X, Y) float32 mm: zeros for a class that is absent or alone, for class 0, and where the label is ignored.
    """
    ignored = labels == IGNORED
    maps = np.zeros((num_classes, *labels.shape), np.float32)
    for k in range(1, num_classes):
        mask = labels == k
        if mask.any() and not (mask | ignored).all():
            inside = 1 - _distance_within(mask | ignored, spacing_mm)
            maps[k] = np.where(mask, inside, _distance_within(~mask, spacing_mm))
            maps[k, ignored] = 0
    return maps


def _distance_within(mask: np.ndarray, spacing_mm: tuple[float, ...]) -> Any:
    """Return the distance of each voxel of the mask to the nearest voxel outside it."""
    from scipy.ndimage import distance_transform_edt

    return distance_transform_edt(mask, sampling=spacing_mm)
