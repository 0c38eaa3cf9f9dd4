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
    try:
        with opened(path) as file:
            header, written = _read_header(file)
            array = _read_array(file, path, header)
    except _UNREADABLE as error:
        raise ValueError(f"{path} cannot be read as a NIfTI volume: {error or type(error).__name__}") from None
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    return checked_volume(path, array, lambda shape: NiftiGeometry.of(written, shape), spacing_mm)


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
