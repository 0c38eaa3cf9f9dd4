"""What is drawn for the samples of a batch: few numbers, on the host, the same whatever device alters the samples.

Axis letters: B samples, slices or volumes of D axes; C modalities; G... control points along X Y (Z) (see
:mod:`boundary_loss.shapes`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Turn(NamedTuple):
    """Where the voxel at p mm from the centre comes from: linear p + shift."""

    linear: np.ndarray
    """(B, D, D)."""
    shift: np.ndarray
    """(B, D) mm."""

    @classmethod
    def of(cls, rotation: np.ndarray, factors: np.ndarray, moved_mm: np.ndarray) -> "Turn":
        """Turn what is shown by the rotations (B, D, D), enlarge it by factors (B,), then move it by (B, D) mm."""
        linear = rotation.swapaxes(1, 2) / factors[:, None, None]
        return cls(linear, -np.einsum("bij,bj->bi", linear, moved_mm))


def rotations(angles: np.ndarray, axes: str, dims: int) -> np.ndarray:
    """(B, D, D): the rotation by angles (B, len(axes)) radians about these axes, one after the other.

    About z what lies along x turns to y, about x what lies along y to z, about y what lies along z to x.
    """
    found = np.broadcast_to(np.eye(dims), (len(angles), dims, dims))
    for angle, axis in zip(angles.T, axes, strict=True):
        i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
        cos, sin = np.cos(angle), np.sin(angle)
        plane = np.broadcast_to(np.eye(dims), found.shape).copy()
        plane[:, i, i], plane[:, i, j], plane[:, j, i], plane[:, j, j] = cos, -sin, sin, cos
        found = plane if axis == axes[0] else plane @ found
    return found


class Bend(NamedTuple):
    """A cubic B-spline displacement."""

    control: np.ndarray
    """(B, D, G...) float32 mm: how far the control points move along each axis."""
    apart_mm: float
    """From one control point to the next."""

    @classmethod
    def of(cls, control: Sequence[np.ndarray], apart_mm: float) -> "Bend":
        """Of (D, G...) each, whose sizes differ with the spacings: zeros where there is none."""
        most = np.max([points.shape for points in control], axis=0)
        padded = np.zeros((len(control), *most), np.float32)
        for row, points in zip(padded, control, strict=True):
            row[tuple(map(slice, points.shape))] = points
        return cls(padded, apart_mm)


class Speckle(NamedTuple):
    """Normal noise."""

    deviations: np.ndarray
    """(B,) float32."""
    streams: np.ndarray
    """(B, 2) uint32: which stream of numbers is each sample's."""

    @classmethod
    def of(cls, drawn: Sequence[tuple[float, int]]) -> "Speckle":
        """Of (deviation, 62-bit number of the stream) each."""
        deviations, numbers = zip(*drawn, strict=True)
        return cls(np.array(deviations, np.float32), np.array(numbers, "<u8").view("<u4").reshape(-1, 2))


@dataclass
class Drawn:
    """Applied in this order; what is None is left out."""

    spacings: np.ndarray
    """(B, D) mm."""
    axes: Sequence[tuple[int, ...]] | None = None
    """To mirror along: of slices -2 is X and -1 is Y, of volumes -3 is X and -1 is Z."""
    turn: Turn | None = None
    bend: Bend | None = None
    """Goes with a turn, be it by nothing."""
    recolour: np.ndarray | None = None
    """(B, 3, C) gamma, contrast, brightness."""
    speckle: Speckle | None = None
