"""Exact Euclidean distances on the CPU."""

import numpy as np
from scipy.ndimage import distance_transform_edt

from boundary_loss.distance.layout import SpacingTable


def distances_to(masks: np.ndarray, spacing: SpacingTable, dtype: type) -> np.ndarray:
    """(N, ...) bool -> (N, ...) mm to the nearest True voxel of the same map; inf in a map that has none."""
    result: np.ndarray = np.full(masks.shape, np.inf, dtype)
    for n, mask in enumerate(masks):
        if mask.any():
            result[n] = distance_transform_edt(~mask, sampling=spacing if spacing.ndim == 1 else spacing[n])
    return result
