"""Volumes in NIfTI files, ``.nii`` or ``.nii.gz``: in and out."""

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.nifti1 import Nifti1Header, Nifti1Image
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import apply_read_scaling

from boundary_loss.files import write_bytes
from boundary_loss.volumes.geometry import Geometry
from boundary_loss.volumes.packed import opened, read_promised

UNREADABLE = (ImageFileError, HeaderDataError, OSError, EOFError, ValueError, OverflowError, MemoryError, zlib.error)


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


def read_volume(path: Path, spacing_mm: tuple[float, float, float] | None = None) -> Volume:
    """Read a 3D NIfTI file to its end, so that the checksum of a compressed one is compared.

    Trailing axes of length 1 are dropped.

    Args:
        path: ``.nii`` or ``.nii.gz``; whether it is compressed is told from its content.
        spacing_mm: the size of a voxel, where the header is known to be wrong; None: as the header says, see
            :mod:`boundary_loss.volumes.geometry`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: cut, damaged, not NIfTI, not 3D, or voxels that are not real numbers; the file is named.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no volume at {path}")
    try:
        with opened(path) as file:
            header, written = _read_header(file)
            array = _read_array(file, path, header)
    except UNREADABLE as error:
        raise ValueError(f"{path} cannot be read as a NIfTI volume: {error or type(error).__name__}") from None
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(f"{path} is not a 3D volume: its shape is {array.shape}")
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{path} holds {array.dtype} voxels; expected integers or floats")
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    geometry = Geometry.of(written, native.shape)
    believed = geometry if spacing_mm is None else geometry.restated(spacing_mm)
    return Volume(native, believed.spacing_mm, believed.affine, geometry)


def _read_header(file: BinaryIO) -> tuple[Nifti1Header, Nifti1Header]:
    """Return the header as nibabel mends it, and as written.

    nibabel mends a zero or negative voxel size in silence, which is for us to report.
    """
    block = file.read(Nifti2Header.sizeof_hdr)
    for kind in (Nifti1Header, Nifti2Header):
        if kind.may_contain_header(block):
            words = block[: kind.sizeof_hdr]
            return kind(words), kind(words, check=False)
    raise ValueError("it does not begin with the header of a NIfTI file")


def _read_array(file: BinaryIO, path: Path, header: Nifti1Header) -> np.ndarray:
    """Return the voxels in the header's shape, in the file's dtype unless the header scales them."""
    if header["magic"].item() != header.single_magic:
        raise ValueError("it is the header of a pair of files, .hdr and .img; expected a single file")
    shape, dtype, start = header.get_data_shape(), header.get_data_dtype(), header.get_data_offset()
    if min(shape, default=0) < 0 or start < header.sizeof_hdr:
        raise ValueError(f"its header is damaged: shape {shape}, voxels from byte {start}")
    count = int(np.prod(shape, dtype=object))
    content = read_promised(file, path, start, count * dtype.itemsize)
    slope, inter = header.get_slope_inter()
    voxels = np.frombuffer(content, dtype).reshape(shape, order="F")
    return apply_read_scaling(voxels, 1.0 if slope is None else slope, 0.0 if inter is None else inter)


def encode_volume(array: np.ndarray, place: np.ndarray | Geometry, *, compressed: bool) -> bytes:
    """The bytes of a NIfTI file, equal for equal input.

    Args:
        place: a (4, 4) affine, which the voxel sizes follow from; or the geometry of another file, kept as it is.
    """
    if isinstance(place, Geometry):
        if array.shape != place.shape:
            raise ValueError(f"an array of shape {array.shape} does not fill the grid {place.shape}")
        image = Nifti1Image(array, None, place.header(), dtype=array.dtype)
    else:
        image = Nifti1Image(array, place, dtype=array.dtype)
    content = image.to_bytes()
    return gzip.compress(content, compresslevel=6, mtime=0) if compressed else content


def write_volume(path: Path, array: np.ndarray, place: np.ndarray | Geometry) -> None:
    """Write ``.nii`` or, by the name, ``.nii.gz``, whole or not at all; ``place`` as for :func:`encode_volume`."""
    if not path.name.endswith((".nii", ".nii.gz")):
        raise ValueError(f"{path} does not end in .nii or .nii.gz")
    content = encode_volume(array, place, compressed=path.name.endswith(".gz"))
    write_bytes(path, content)
