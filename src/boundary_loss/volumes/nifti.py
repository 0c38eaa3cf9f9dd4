"""Volumes in NIfTI files, ``.nii`` or ``.nii.gz``: in and out."""

import gzip
from pathlib import Path
from typing import BinaryIO

import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.nifti1 import Nifti1Header, Nifti1Image
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import apply_read_scaling

from boundary_loss.volumes.geometry import Geometry
from boundary_loss.volumes.nifti_geometry import NiftiGeometry
from boundary_loss.volumes.packed import UNREADABLE, opened, read_promised
from boundary_loss.volumes.volume import Volume, checked_volume

_UNREADABLE = (ImageFileError, HeaderDataError, *UNREADABLE)


def read_nifti(path: Path, spacing_mm: tuple[float, float, float] | None) -> Volume:
    """Read a 3D NIfTI file, compressed or not by its content; trailing axes of length 1 are dropped."""
    array, written = _read(path)
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    return checked_volume(path, array, lambda shape: NiftiGeometry.of(written, shape), spacing_mm)


def read_nifti_channels(path: Path) -> list[Volume]:
    """Read a NIfTI file whose last axis is that of channels, (X, Y, Z, C), as C volumes of one place."""
    array, written = _read(path)
    if array.ndim != 4:
        raise ValueError(f"{path} has no axis of channels: its shape is {array.shape}")
    return [
        checked_volume(path, array[..., number], lambda shape: NiftiGeometry.of(written, shape), None)
        for number in range(array.shape[3])
    ]


def read_nifti_shape(path: Path) -> tuple[tuple[int, ...], tuple[float, float, float]]:
    """Read shape and voxel size in mm from the header alone; trailing axes of length 1 are dropped beyond the third."""
    try:
        with opened(path) as file:
            header, written = _read_header(file)
            shape = tuple(header.get_data_shape())
    except _UNREADABLE as error:
        raise _unreadable(path, error) from None
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    return shape, NiftiGeometry.of(written, (*shape, 1, 1, 1)[:3]).spacing_mm


def _read(path: Path) -> tuple[np.ndarray, Nifti1Header]:
    """Return the voxels of a file, and its header as written."""
    try:
        with opened(path) as file:
            header, written = _read_header(file)
            return _read_array(file, path, header), written
    except _UNREADABLE as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: BaseException) -> ValueError:
    return ValueError(f"{path} cannot be read as a NIfTI volume: {error or type(error).__name__}")


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


def encode_nifti(array: np.ndarray, place: np.ndarray | Geometry, *, compressed: bool) -> bytes:
    """Return the bytes of a NIfTI file; ``place`` as for :func:`boundary_loss.volumes.encode_volume`."""
    if isinstance(place, NiftiGeometry):
        image = Nifti1Image(array, None, place.header(), dtype=array.dtype)
    else:
        affine = place.affine if isinstance(place, Geometry) else place
        image = Nifti1Image(array, affine, dtype=array.dtype)
    content = image.to_bytes()
    return gzip.compress(content, compresslevel=6, mtime=0) if compressed else content
