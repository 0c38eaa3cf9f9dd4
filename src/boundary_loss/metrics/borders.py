"""The border voxels of a mask, and the box that holds it."""

import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, ...]


def bounding_box(mask: NDArray[np.bool_]) -> Box | None:
    """The smallest box that holds the mask; None if it is empty."""
    box: list[slice] = []
    shadow = mask  # of the mask on the axes that are left
    for _ in range(mask.ndim):
        occupied = np.flatnonzero(shadow.reshape(len(shadow), -1).any(axis=1))
        if not len(occupied):
            return None
        box.append(slice(int(occupied[0]), int(occupied[-1]) + 1))
        shadow = np.logical_or.reduce(shadow[box[-1]], axis=0)
    return tuple(box)


def border(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The voxels of the mask with a face neighbour outside the mask or outside the array, as in medpy."""
    padded = np.zeros([size + 2 for size in mask.shape], bool)
    centre = (slice(1, -1),) * mask.ndim
    padded[centre] = mask
    # A face neighbour is one stride away in memory; the padding keeps a row's end from meeting the next row's start.
    flat = padded.reshape(-1)
    inside = flat.copy()
    for stride in padded.strides:
        inside[stride:] &= flat[:-stride]
        inside[:-stride] &= flat[stride:]
    return np.ascontiguousarray((flat & ~inside).reshape(padded.shape)[centre])


def border_in_slices(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The voxels of the mask with one of the eight neighbours along the first two axes outside it.

    Beyond the array counts as inside: the border of the WMH challenge's evaluation. A mask that fills its slices has no
    such voxel, and there the challenge measures nothing; here its border is then the edge of those slices. An array of
    one axis has two neighbours a voxel.
    """
    found = mask & ~_inside_slices(mask)
    if found.any():
        return found
    axes = min(2, mask.ndim)
    padded = np.pad(mask, [(1, 1)] * axes + [(0, 0)] * (mask.ndim - axes))
    return mask & ~_inside_slices(padded)[(slice(1, -1),) * axes]


def _inside_slices(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    inside = mask
    for axis in range(min(2, mask.ndim)):  # a square's erosion is that of its rows, then of its columns
        first, last = np.take(inside, [0], axis), np.take(inside, [-1], axis)
        before = np.concatenate([first, np.delete(inside, -1, axis)], axis)
        after = np.concatenate([np.delete(inside, 0, axis), last], axis)
        inside = inside & before & after
    return inside
