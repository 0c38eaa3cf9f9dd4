"""What a page shows of a case that is too large for it: the box around all that is outlined."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from boundary_loss.labels import IGNORED

MOST_VOXELS = 1 << 22
"""A case of more is cut: 256 x 256 x 64 is shown whole, an atrium of 640 x 640 x 88 is not."""
MARGIN = 16
"""Voxels shown beyond what is outlined, at each end."""
MOST_SLICES = 128
"""Where the box has more, every second, or third, is shown."""


@dataclass(frozen=True)
class Excerpt:
    """Which slices of a case are shown, and what of them."""

    slices: slice
    plane: tuple[slice, slice] = (slice(None), slice(None))
    """Along X and Y."""

    @property
    def step(self) -> int:
        """From one slice shown to the next."""
        return self.slices.step or 1

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out."""
        return self == WHOLE


WHOLE = Excerpt(slice(None))


def excerpt(outlined: Sequence[Sequence[np.ndarray]]) -> Excerpt:
    """Choose what is shown of a large case.

    Args:
        outlined: class maps (X, Y) of each slice, the same number for each: the ground truth and predictions.

    Returns:
        The box around every class in all of them and 16 voxels more at each end; all of the plane where nothing is
        outlined. At most 128 slices.
    """
    some = [np.any([(classes > 0) & (classes != IGNORED) for classes in maps], axis=0) for maps in outlined]
    depth = len(some)
    if not any(plane.any() for plane in some):
        return WHOLE if depth <= MOST_SLICES else Excerpt(_thinned(0, depth))
    first, last = _ends(np.array([plane.any() for plane in some]))
    flat = np.any(some, axis=0)
    x, y = (slice(*_ends(flat.any(axis=1 - axis))) for axis in (0, 1))
    return Excerpt(_thinned(first, last), (x, y))


def _ends(occupied: np.ndarray) -> tuple[int, int]:
    """The first place that is occupied and the one after the last, with the margin, within what there is."""
    places = np.flatnonzero(occupied)
    return max(0, int(places[0]) - MARGIN), min(len(occupied), int(places[-1]) + 1 + MARGIN)


def _thinned(first: int, last: int) -> slice:
    return slice(first, last, -(-(last - first) // MOST_SLICES))
