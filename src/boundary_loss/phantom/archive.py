"""Zip archives that are equal, byte for byte, when their content is."""

import hashlib
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boundary_loss.files import write_text

if TYPE_CHECKING:
    from boundary_loss.volumes import NiftiGeometry

LONG_AGO = (2020, 1, 1, 0, 0, 0)


class Archive:
    """A zip archive being written; no clock, user or machine leaves a trace in it."""

    def __init__(self, opened: zipfile.ZipFile) -> None:
        self._opened = opened

    def add(self, name: str, content: bytes) -> None:
        info = zipfile.ZipInfo(name, LONG_AGO)
        info.create_system = 3  # Unix, wherever it is written
        info.external_attr = 0o100644 << 16
        packed = name.endswith((".gz", ".nrrd"))
        info.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
        self._opened.writestr(info, content, compresslevel=None if packed else 1)

    def add_volume(self, name: str, array: np.ndarray, affine: np.ndarray, *, blank_sform: bool = False) -> None:
        """Add a NIfTI file, compressed if its name says so, or an NRRD file.

        Args:
            affine: (4, 4), voxel indices to mm of NIfTI's space, whose axes point right, anterior and superior.
            blank_sform: write ``affine`` as the qform, beside an sform of 1 mm, as ACDC has it; (X, Y, Z) only.
        """
        if name.endswith(".nrrd"):
            self.add(name, _nrrd(array, affine))
            return
        from boundary_loss.volumes import encode_volume  # here, so that drawing cases needs no nibabel

        place = _with_blank_sform(array.shape, affine) if blank_sform else affine
        self.add(name, encode_volume(array, place, name))


def _nrrd(array: np.ndarray, affine: np.ndarray) -> bytes:
    """The bytes of an NRRD file, gzipped, whose axes point left, posterior and superior, as the atria's do."""
    import nrrd

    to_lps = np.diag([-1.0, -1.0, 1.0])
    header = {
        "space": "left-posterior-superior",
        "kinds": ["domain"] * 3,
        "space directions": (to_lps @ affine[:3, :3]).T,  # a row an axis of the array
        "space origin": to_lps @ affine[:3, 3],
        "encoding": "gzip",
    }
    written = BytesIO()
    nrrd.write(written, array, header, index_order="F", compression_level=6)
    lines, data = written.getvalue().split(b"\n\n", 1)
    kept = [line for line in lines.split(b"\n") if not line.startswith(b"#")]  # comments say when it was written
    return b"\n".join(kept) + b"\n\n" + data


def _with_blank_sform(shape: tuple[int, ...], affine: np.ndarray) -> "NiftiGeometry":
    from nibabel.nifti1 import Nifti1Header

    from boundary_loss.volumes import NiftiGeometry

    header = Nifti1Header()
    header.set_qform(affine, "scanner")
    header.set_sform(np.diag([-1.0, -1.0, 1.0, 1.0]), "scanner")
    header.set_xyzt_units("mm", "sec")
    return NiftiGeometry.of(header, shape)


@contextmanager
def new_archive(path: Path) -> Iterator[Archive]:
    with zipfile.ZipFile(path, "w") as opened:
        yield Archive(opened)


def write_lineage(path: Path, archives: Iterable[Path], recipe: str) -> None:
    """The lineage file of synthetic archives: ``recipe`` says how they were made."""
    lines = [
        f"# Phantom: {recipe}",
        "# Source: python -m boundary_loss.phantom",
        "# Licence: synthetic; no restrictions",
    ]
    for archive in archives:
        lines.append(f"{hashlib.sha256(archive.read_bytes()).hexdigest()}  {archive.name}")
    write_text(path, "\n".join(lines) + "\n")
