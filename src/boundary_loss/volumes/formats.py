"""Volumes in files, whatever the format: the ending of a file's name decides."""

from pathlib import Path

import numpy as np

from boundary_loss.files import write_bytes
from boundary_loss.volumes.geometry import Geometry
from boundary_loss.volumes.hdf5 import encode_hdf5, read_hdf5
from boundary_loss.volumes.nifti import encode_nifti, read_nifti, read_nifti_channels, read_nifti_shape
from boundary_loss.volumes.nrrd import encode_nrrd, read_nrrd
from boundary_loss.volumes.png import encode_png, read_png_channels, read_png_shape, read_png_volume
from boundary_loss.volumes.volume import Volume

NIFTI, NRRD, HDF5, PNG = (".nii", ".nii.gz"), (".nrrd", ".nhdr"), (".h5", ".hdf5"), (".png",)
READ = (*NIFTI, *NRRD, *HDF5, *PNG)
"""Endings of the names of files that hold volumes."""
WRITTEN = (".nii", ".nii.gz", ".nrrd", ".h5", ".png")


def ending_of(name: str) -> str:
    """Return the ending of a file's name that says its format, as ``.nii.gz``, in lower case; empty if none does."""
    return next((ending for ending in READ if name.lower().endswith(ending)), "")


def stem_of(name: str) -> str:
    """Return a file's name without its ending: ``v`` of ``v.nii.gz``."""
    return name[: len(name) - len(ending_of(name))]


def written_as(name: str) -> str:
    """Return the ending of a file that is written in the place of one of this name: ``.nrrd`` for ``v.nhdr``."""
    ending = ending_of(name)
    written = {**dict.fromkeys(NRRD, ".nrrd"), **dict.fromkeys(HDF5, ".h5"), **dict.fromkeys(PNG, ".png")}
    return written.get(ending, ".nii.gz")


def read_volume(path: Path, spacing_mm: tuple[float, float, float] | None = None, *, labels: bool = False) -> Volume:
    """Read a 3D volume to the end of its file, so that the checksum of a compressed one is compared.

    Args:
        path: ``.nrrd`` and ``.nhdr`` are read as NRRD, ``.h5`` and ``.hdf5`` as HDF5, ``.png`` as PNG, everything else
            as NIfTI.
        spacing_mm: the size of a voxel, where the header is known to be wrong; None: as the header says, see
            :class:`boundary_loss.volumes.geometry.Geometry`.
        labels: whether the labels are wanted of a file that holds both an image and its labels, as HDF5 does.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: cut, damaged, of another format, not 3D, or voxels that are not real numbers; the file is named.
        Stop: its format needs a package that is not installed.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no volume at {path}")
    ending = ending_of(path.name)
    if ending in HDF5:
        return read_hdf5(path, spacing_mm, labels=labels)
    if ending in PNG:
        return read_png_volume(path, spacing_mm)
    return (read_nrrd if ending in NRRD else read_nifti)(path, spacing_mm)


def read_shape(path: Path) -> tuple[tuple[int, ...], tuple[float, float, float]]:
    """Return the shape of a volume, which has a fourth axis if the file holds several, and its voxel size in mm.

    Of NIfTI and PNG the header alone is read.

    Raises:
        FileNotFoundError, ValueError, Stop: as :func:`read_volume`.
    """
    reader = {NIFTI: read_nifti_shape, PNG: read_png_shape}
    found = [read for endings, read in reader.items() if ending_of(path.name) in endings]
    if path.is_file() and found:
        return found[0](path)
    volume = read_volume(path)
    return volume.array.shape, volume.spacing_mm


def read_channels(path: Path) -> list[Volume]:
    """Read the channels of a file that holds several: (X, Y, Z, C) in NIfTI, colours in PNG.

    Raises:
        FileNotFoundError, ValueError: as :func:`read_volume`.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no volume at {path}")
    if ending_of(path.name) in PNG:
        return read_png_channels(path)
    if ending_of(path.name) not in NIFTI:
        raise ValueError(f"{path}: only NIfTI and PNG files are read with several channels")
    return read_nifti_channels(path)


def encode_volume(array: np.ndarray, place: np.ndarray | Geometry, name: str) -> bytes:
    """Return the bytes of a file of this name, equal for equal input.

    Args:
        place: a (4, 4) affine, which the voxel sizes follow from; or the geometry of another file, which is kept as it
            is if that has the same format. HDF5 and PNG say nothing of either.
        name: its ending says the format.

    Raises:
        ValueError: the ending is of no format that is written, or the array does not fill the geometry's grid.
    """
    ending = ending_of(name)
    if ending not in WRITTEN:
        raise ValueError(f"{name} does not end in {', '.join(WRITTEN[:-1])} or {WRITTEN[-1]}")
    if isinstance(place, Geometry) and array.shape != place.shape:
        raise ValueError(f"an array of shape {array.shape} does not fill the grid {place.shape}")
    if ending in HDF5:
        return encode_hdf5(array)
    if ending in PNG:
        return encode_png(array)
    if ending in NRRD:
        return encode_nrrd(array, place)
    return encode_nifti(array, place, compressed=ending.endswith(".gz"))


def write_volume(path: Path, array: np.ndarray, place: np.ndarray | Geometry) -> None:
    """Write a file of the format that its name ends in, whole or not at all; ``place`` as for :func:`encode_volume`."""
    write_bytes(path, encode_volume(array, place, path.name))
