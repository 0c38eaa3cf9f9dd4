"""NIfTI volumes: read what a challenge ships, write what we predict or invent."""

import gzip
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.nifti1 import Nifti1Header, Nifti1Image, Nifti1Pair
from nibabel.openers import ImageOpener
from nibabel.spatialimages import HeaderDataError

from boundary_loss.files import write_bytes

UNREADABLE = (ImageFileError, HeaderDataError, OSError, EOFError, ValueError, OverflowError, MemoryError, zlib.error)


PLACEMENT = ("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z",
             "srow_x", "srow_y", "srow_z", "xyzt_units")  # fmt: skip
"""The fields of a NIfTI header that say, with ``pixdim``, where the voxels lie."""


@dataclass(frozen=True)
class Geometry:
    """Where the voxels of a NIfTI file lie, as its header says it: both transforms, their codes, the units.

    A file written with the geometry of another overlays it without a shift in every viewer, whichever of the two
    transforms that viewer goes by.
    """

    shape: tuple[int, int, int]
    fields: dict[str, Any]
    """The fields named in ``PLACEMENT``, and the first four of ``pixdim``; numbers and lists of numbers."""

    @classmethod
    def of(cls, header: Nifti1Header, shape: tuple[int, ...]) -> "Geometry":
        x, y, z = shape
        pixdim = {"pixdim": header["pixdim"][:4].tolist()}
        return cls((x, y, z), {name: header[name].tolist() for name in PLACEMENT} | pixdim)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Geometry":
        x, y, z = content["shape"]
        return cls((x, y, z), {name: content[name] for name in (*PLACEMENT, "pixdim")})

    def as_json(self) -> dict[str, Any]:
        return {"shape": list(self.shape)} | self.fields

    def header(self) -> Nifti1Header:
        """A header with these transforms and nothing else."""
        header = Nifti1Header()
        header.set_data_shape(self.shape)
        for name in PLACEMENT:
            header[name] = self.fields[name]
        header["pixdim"][:4] = self.fields["pixdim"]
        return header

    @cached_property
    def affine(self) -> np.ndarray:
        """(4, 4), voxel indices to mm: the transform that the NIfTI standard prefers of those in the header."""
        return self.header().get_best_affine()


@dataclass(frozen=True)
class Volume:
    """Voxels and where they lie.

    ``array``: (X, Y, Z), native byte order, in the file's dtype unless the header scales it (then float64).
    ``spacing_mm``: the header's voxel size, as written: it may be zero or disagree with ``affine``.
    ``affine``: (4, 4), voxel indices to mm.
    ``geometry``: all that the header says of the above, to write another volume into the same place.
    """

    array: np.ndarray
    spacing_mm: tuple[float, float, float]
    affine: np.ndarray
    geometry: Geometry


def read_volume(path: Path) -> Volume:
    """Read a 3D NIfTI file, ``.nii`` or ``.nii.gz``.

    Trailing axes of length 1 are dropped.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: truncated, corrupt, not NIfTI, not 3D, or voxels that are not real numbers; the file is named.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no volume at {path}")
    try:
        image = nib.load(path, mmap=False)
        if not isinstance(image, Nifti1Pair):
            raise ValueError(f"a {type(image).__name__}, not NIfTI")
        array = np.asanyarray(image.dataobj)
        affine = np.asarray(image.affine, np.float64)
        header = _header_as_written(path, type(image.header))
    except UNREADABLE as error:
        raise ValueError(f"{path} cannot be read as a NIfTI volume: {error or type(error).__name__}") from None
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(f"{path} is not a 3D volume: its shape is {array.shape}")
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{path} holds {array.dtype} voxels; expected integers or floats")
    x, y, z = (float(size) for size in header["pixdim"][1:4])
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return Volume(native, (x, y, z), affine, Geometry.of(header, native.shape))


def _header_as_written(path: Path, header_class: type[Nifti1Header]) -> Nifti1Header:
    # nibabel quietly mends a zero or negative voxel size when it loads; ours to report, so read it unmended
    with ImageOpener(str(path)) as file:
        return header_class.from_fileobj(file, check=False)


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
