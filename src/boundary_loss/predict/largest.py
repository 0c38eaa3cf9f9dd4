"""Keep the largest piece of each class: an organ is one piece, and what a network sees elsewhere is not it."""

import numpy as np
from scipy.ndimage import generate_binary_structure, label

from boundary_loss.metrics.borders import bounding_box


def keep_largest(classes: np.ndarray) -> np.ndarray:
    """Return classes in which all but the largest piece of each has become background.

    Voxels that touch at a face, an edge or a corner belong to one piece, as in the lesion metrics (Kuijf et al., IEEE
    TMI 2019). Of pieces of one size the first in the array's order is kept.

    Args:
        classes: (X, Y, Z) or (X, Y), whole numbers, 0 for the background.
    """
    kept = classes.copy()
    for k in np.unique(classes):
        if k == 0:
            continue
        box = bounding_box(classes == k)
        assert box is not None  # the class occurs
        here = kept[box]
        here[_but_the_largest(classes[box] == k)] = 0
    return kept


def _but_the_largest(mask: np.ndarray) -> np.ndarray:
    """The mask's voxels that are not of its largest piece, bool."""
    pieces, count = label(mask, generate_binary_structure(mask.ndim, mask.ndim))
    if count == 1:
        return np.zeros_like(mask)
    sizes = np.bincount(pieces.reshape(-1))
    sizes[0] = 0
    return mask & (pieces != sizes.argmax())
