"""Volumes in HDF5 files, ``.h5``: an array ``image`` and, in the same file, its ``label``.

The atria of 2018 also circulate in this form, cropped around the label. Nothing in such a file says where its voxels
lie, nor how large they are. Axes are those of the array, (X, Y, Z).
"""

import io
from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path
from typing import Any

import numpy as np

from boundary_loss.volumes.geometry import SizeAlone, unplaced
from boundary_loss.volumes.packages import package
from boundary_loss.volumes.packed import UNREADABLE, refuse_bombs
from boundary_loss.volumes.volume import Volume, checked_volume

IMAGE, LABEL = "image", "label"
"""Names of the two arrays."""


@dataclass(frozen=True)
class Hdf5Geometry(SizeAlone, format="hdf5"):
    """What is known of where the voxels of an HDF5 file lie: their number, and the size that a user stated."""

    ending = ".h5"

    @property
    def affine(self) -> np.ndarray:
        return unplaced(self.spacing_mm)


def read_hdf5(path: Path, spacing_mm: tuple[float, float, float] | None, *, labels: bool) -> Volume:
    """Read the 3D array ``image`` of a file, or its ``label``."""
    h5py = package("h5py", "h5py", "an HDF5 file")
    try:
        with h5py.File(path, "r", locking=False) as file:
            array = _read_array(h5py, file, LABEL if labels else IMAGE, path)
    except (*UNREADABLE, KeyError, TypeError, RuntimeError) as error:
        told = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path} cannot be read as an HDF5 volume: {told[:200]}") from None
    x, y, z = array.shape
    return checked_volume(path, array, lambda _: Hdf5Geometry((x, y, z)), spacing_mm)


def _read_array(h5py: Any, file: Any, name: str, path: Path) -> np.ndarray:
    """Return the array of a file that holds all of it.

    Raises:
        ValueError: there is none, part of it was never written (HDF5 would fill it with zeros), or it lies elsewhere.
    """
    if name not in file:
        raise ValueError(f"it has no array '{name}', but {', '.join(map(str, list(file)[:5])) or 'nothing'}")
    array = file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
    if not isinstance(array, h5py.Dataset) or array.is_virtual or array.external:
        raise ValueError(f"its '{name}' is no array of this file alone: refused")
    if array.ndim != 3 or 0 in array.shape or array.dtype.kind not in "biuf":
        raise ValueError(f"it is not a 3D volume: '{name}' holds {array.dtype} of shape {array.shape}")
    refuse_bombs(path, array.nbytes, packed=array.chunks is not None)
    if array.chunks is None:
        whole = array.id.get_storage_size() == array.nbytes
    else:
        needed = prod(ceil(size / piece) for size, piece in zip(array.shape, array.chunks, strict=True))
        whole = array.id.get_num_chunks() == needed
    if not whole:
        raise EOFError(f"part of '{name}' was never written")
    voxels = array[()]
    return voxels.astype(np.uint8) if voxels.dtype.kind == "b" else voxels


def encode_hdf5(array: np.ndarray) -> bytes:
    """Return the bytes of an HDF5 file that holds an array, gzipped: integers as ``label``, floats as ``image``."""
    h5py = package("h5py", "h5py", "an HDF5 file")
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        name = LABEL if array.dtype.kind in "iu" else IMAGE
        file.create_dataset(name, data=array, compression="gzip", fletcher32=True, track_times=False)
    return content.getvalue()
