"""What is drawn for the slices of a batch: few numbers, on the host, the same whatever device alters the slices.

Axis letters: B slices, C modalities, G H control points along X and Y (see :mod:`boundary_loss.shapes`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Turn(NamedTuple):
    """About the centre of the slice, in millimetres."""

    angles: np.ndarray
    """(B,) radians."""
    factors: np.ndarray
    """(B,) above 1 enlarges."""


class Bend(NamedTuple):
    """A cubic B-spline displacement."""

    control: np.ndarray
    """(B, 2, G, H) float32 mm: how far the control points move along X and along Y."""
    apart_mm: float
    """From one control point to the next."""

    @classmethod
    def of(cls, control: Sequence[np.ndarray], apart_mm: float) -> "Bend":
        """Of (2, G, H) each, whose sizes differ with the spacings: zeros where there is none."""
        most = np.max([points.shape for points in control], axis=0)
        padded = np.zeros((len(control), *most), np.float32)
        for row, points in zip(padded, control, strict=True):
            row[:, : points.shape[1], : points.shape[2]] = points
        return cls(padded, apart_mm)


class Speckle(NamedTuple):
    """Normal noise."""

    deviations: np.ndarray
    """(B,) float32."""
    streams: np.ndarray
    """(B, 2) uint32: which stream of numbers is each slice's."""

    @classmethod
    def of(cls, drawn: Sequence[tuple[float, int]]) -> "Speckle":
        """Of (deviation, 62-bit number of the stream) each."""
        deviations, numbers = zip(*drawn, strict=True)
        return cls(np.array(deviations, np.float32), np.array(numbers, "<u8").view("<u4").reshape(-1, 2))


@dataclass
class Drawn:
    """Applied in this order; what is None is left out."""

    spacings: np.ndarray
    """(B, 2) mm."""
    axes: Sequence[tuple[int, ...]] | None = None
    """To mirror along: -2 is X, -1 is Y."""
    turn: Turn | None = None
    bend: Bend | None = None
    """Goes with a turn, be it by nothing."""
    recolour: np.ndarray | None = None
    """(B, 3, C) gamma, contrast, brightness."""
    speckle: Speckle | None = None
