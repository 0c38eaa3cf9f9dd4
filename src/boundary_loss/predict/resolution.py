"""The grid of predictions that are asked at another resolution than that of their images.

A network of space has a class at every point, so nothing is interpolated: it is asked at the voxels of the finer grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from boundary_loss.data.frame import Frame
from boundary_loss.volumes import Volume


@dataclass(frozen=True)
class Grid:
    """The voxels of a prediction, and where they lie."""

    frame: Frame
    """Of the image's volume."""
    affine: np.ndarray
    """(4, 4), voxel indices to mm (RAS)."""

    @classmethod
    def of(cls, source: Volume, spacing_mm: Sequence[float]) -> "Grid":
        """Fill the space of a volume with voxels of another size; what remains of a side is shared by both ends."""
        size = np.array(source.array.shape[:3])
        scale = np.divide(spacing_mm, source.spacing_mm)
        shape = np.maximum(1, np.rint(size / scale)).astype(int)
        offset = (size - 1 - scale * (shape - 1)) / 2
        frame = Frame(tuple(size.tolist()), tuple(shape.tolist()), tuple(scale.tolist()), tuple(offset.tolist()))
        step = np.diag([*scale, 1.0])
        step[:3, 3] = offset
        return cls(frame, source.affine @ step)
