"""The empty-mask rule: what every metric is where a mask is empty and its formula says nothing."""

from collections.abc import Sequence
from math import dist

RULE = (
    "both masks empty: Dice 1, distances 0 mm; exactly one empty: Dice 0, "
    "distances = the diagonal of the image (2D) or volume (3D) in mm"
)


def diagonal_mm(shape: Sequence[int], spacing_mm: Sequence[float] | None = None) -> float:
    """The length in mm of the box of all voxels: no distance in the image is longer."""
    spacing = spacing_mm if spacing_mm is not None else [1.0] * len(shape)
    return dist([size * step for size, step in zip(shape, spacing)], [0.0] * len(shape))


def distance_where_empty(a_empty: bool, b_empty: bool, diagonal: float) -> float | None:
    """0 where both masks are empty, the diagonal where one is, None where neither is and a distance can be measured."""
    if a_empty and b_empty:
        return 0.0
    return diagonal if a_empty or b_empty else None
