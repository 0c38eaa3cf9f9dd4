"""A volume in memory: its voxels and where they lie."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boundary_loss.volumes.geometry import Geometry


@dataclass(frozen=True)
class Volume:
    """Voxels and where they lie.

    ``array``: (X, Y, Z), native byte order, in the file's dtype unless the header scales it (then float64).
    ``spacing_mm``: the size of a voxel: the header's, or the one that the reader was told.
    ``affine``: (4, 4), voxel indices to mm.
    ``geometry``: all that the header says of the above, as written, to write another volume into the same place.
    """

    array: np.ndarray
    spacing_mm: tuple[float, float, float]
    affine: np.ndarray
    geometry: Geometry


def checked_volume(
    path: Path,
    array: np.ndarray,
    geometry_of: Callable[[tuple[int, ...]], Geometry],
    spacing_mm: tuple[float, float, float] | None,
) -> Volume:
    """Return what a reader found as a volume in native byte order, in the voxel size that was stated, if one was.

    Raises:
        ValueError: it is not 3D, is empty, or its voxels are not real numbers.
    """
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(f"{path} is not a 3D volume: its shape is {array.shape}")
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{path} holds {array.dtype} voxels; expected integers or floats")
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    geometry = geometry_of(native.shape)
    believed = geometry if spacing_mm is None else geometry.restated(spacing_mm)
    return Volume(native, believed.spacing_mm, believed.affine, geometry)
