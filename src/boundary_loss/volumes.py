"""NIfTI volumes: read what a challenge ships, write what we predict or invent."""

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.nifti1 import Nifti1Header, Nifti1Image, Nifti1Pair
from nibabel.openers import ImageOpener
from nibabel.spatialimages import HeaderDataError

from boundary_loss.files import write_bytes

UNREADABLE = (ImageFileError, HeaderDataError, OSError, EOFError, ValueError, OverflowError, MemoryError, zlib.error)


@dataclass(frozen=True)
class Volume:
    """Voxels and where they lie.

    ``array``: (X, Y, Z), native byte order, in the file's dtype unless the header scales it (then float64).
    ``spacing_mm``: the header's voxel size, as written: it may be zero or disagree with ``affine``.
    ``affine``: (4, 4), voxel indices to mm.
    """

    array: np.ndarray
    spacing_mm: tuple[float, float, float]
    affine: np.ndarray


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
        spacing = _spacing_as_written(path, type(image.header))
    except UNREADABLE as error:
        raise ValueError(f"{path} cannot be read as a NIfTI volume: {error or type(error).__name__}") from None
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(f"{path} is not a 3D volume: its shape is {array.shape}")
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{path} holds {array.dtype} voxels; expected integers or floats")
    return Volume(array.astype(array.dtype.newbyteorder("="), copy=False), spacing, affine)


def _spacing_as_written(path: Path, header_class: type[Nifti1Header]) -> tuple[float, float, float]:
    # nibabel quietly mends a zero or negative voxel size when it loads; ours to report, so read it unmended
    with ImageOpener(str(path)) as file:
        header = header_class.from_fileobj(file, check=False)
    x, y, z = (float(size) for size in header["pixdim"][1:4])
    return x, y, z


def encode_volume(array: np.ndarray, affine: np.ndarray, *, compressed: bool) -> bytes:
    """The bytes of a NIfTI file, equal for equal input; voxel sizes follow from the affine."""
    content = Nifti1Image(array, affine, dtype=array.dtype).to_bytes()
    return gzip.compress(content, compresslevel=6, mtime=0) if compressed else content


def write_volume(path: Path, array: np.ndarray, affine: np.ndarray) -> None:
    """Write ``.nii`` or, by the name, ``.nii.gz``; whole or not at all."""
    if not path.name.endswith((".nii", ".nii.gz")):
        raise ValueError(f"{path} does not end in .nii or .nii.gz")
    content = encode_volume(array, affine, compressed=path.name.endswith(".gz"))
    write_bytes(path, content)
