"""Volumes in NRRD files, ``.nrrd`` or a header of its own, ``.nhdr``: in and out.

pynrrd's own reader of the voxels is not used: it compares neither the checksum nor the length behind gzipped data,
follows a header to any file of the disk, and takes memory for whatever sizes it is told.
"""

import gzip
from pathlib import Path, PureWindowsPath
from typing import Any, BinaryIO

import numpy as np

from boundary_loss.volumes.geometry import Geometry
from boundary_loss.volumes.nrrd_header import NrrdGeometry, dtype_of, fields_of, header_for, refuse_other_axes
from boundary_loss.volumes.packed import UNREADABLE, read_promised
from boundary_loss.volumes.volume import Volume, checked_volume

MAX_HEADER = 1 << 20
"""Bytes of a header; those of scanners have a few thousand."""
_NEEDED = ("type", "dimension", "sizes", "encoding")
_PACKED, _RAW = ("gzip", "gz"), ("raw",)


def read_nrrd(path: Path, spacing_mm: tuple[float, float, float] | None) -> Volume:
    """Read a 3D NRRD file, raw or gzipped; the data of a detached header lies in its folder or below."""
    try:
        with path.open("rb") as file:
            lines = _read_lines(file)
            fields = fields_of(lines)
            _refuse_incomplete(fields)
            array = _read_array(file, path, fields)
    except UNREADABLE as error:
        raise ValueError(f"{path} cannot be read as an NRRD volume: {error or type(error).__name__}") from None
    x, y, z = fields["sizes"]
    return checked_volume(path, array, lambda _: NrrdGeometry((x, y, z), tuple(lines)), spacing_mm)


def _read_lines(file: BinaryIO) -> list[str]:
    """Return the lines of the header, and leave the file where its data begins."""
    lines: list[str] = []
    while True:
        line = file.readline(MAX_HEADER - file.tell() + 1)
        if file.tell() > MAX_HEADER:
            raise ValueError(f"its header has more than {MAX_HEADER} bytes")
        if not lines and not line.startswith(b"NRRD000"):
            raise ValueError("it does not begin with the header of an NRRD file")
        text = line.decode("latin-1").rstrip()
        if not text:
            return lines
        lines.append(text)


def _refuse_incomplete(fields: dict[str, Any]) -> None:
    missing = [name for name in _NEEDED if name not in fields]
    if missing:
        raise ValueError(f"its header does not say its {missing[0]}")
    refuse_other_axes(fields)
    if fields["encoding"].lower() not in (*_PACKED, *_RAW):
        raise ValueError(f"its encoding is {fields['encoding'][:40]!r}, expected raw or gzip")


def _read_array(file: BinaryIO, path: Path, fields: dict[str, Any]) -> np.ndarray:
    """Return the voxels, (X, Y, Z), in the file's dtype."""
    shape, dtype = fields["sizes"], dtype_of(fields)
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    name = fields.get("data file", fields.get("datafile"))
    if name is None:
        content = _read_content(file, path, fields, size)
    else:
        data = _data_file(path, name)
        with data.open("rb") as detached:
            content = _read_content(detached, data, fields, size)
    return np.frombuffer(content, dtype).reshape(shape, order="F")


def _data_file(path: Path, name: str) -> Path:
    """Return the file that a detached header names.

    Raises:
        ValueError: it is not in the folder of the header or below it, or the data is spread over several files.
    """
    folder = path.parent.resolve()
    data = path.parent / name
    if PureWindowsPath(name).anchor or ".." in PureWindowsPath(name).parts or not data.resolve().is_relative_to(folder):
        raise ValueError(f"its data file is {name[:100]!r}, outside the folder of the header: refused")
    if name.upper().startswith("LIST") or "%" in name:
        raise ValueError(f"its data is spread over several files ({name[:40]!r}); expected one")
    if not data.is_file():
        raise ValueError(f"its data file {name[:100]!r} is missing")
    return data


def _read_content(file: BinaryIO, path: Path, fields: dict[str, Any], size: int) -> bytearray:
    lines = fields.get("line skip", fields.get("lineskip", 0))
    skip = fields.get("byte skip", fields.get("byteskip", 0))
    packed = fields["encoding"].lower() in _PACKED
    if lines < 0 or skip < (0 if packed else -1):
        raise ValueError(f"its header skips {lines} lines and {skip} bytes")
    for _ in range(lines):
        if not file.readline(MAX_HEADER):
            raise EOFError(f"it has less than the {lines} lines that its header skips")
    if packed:
        with gzip.GzipFile(fileobj=file) as unpacked:
            return read_promised(unpacked, path, skip, size, padding=0)  # type: ignore[arg-type]
    start = path.stat().st_size - size if skip == -1 else file.tell() + skip
    if start < 0:
        raise EOFError(f"its header promises {size} bytes, more than a file of {path.stat().st_size} bytes can hold")
    return read_promised(file, path, start, size, padding=0)


def encode_nrrd(array: np.ndarray, place: np.ndarray | Geometry) -> bytes:
    """Return the bytes of an NRRD file, gzipped; ``place`` as for :func:`boundary_loss.volumes.encode_volume`."""
    header = "".join(f"{line}\n" for line in [*header_for(array, place), ""]).encode("latin-1")
    stored = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes(order="F")
    return header + gzip.compress(stored, compresslevel=6, mtime=0)
