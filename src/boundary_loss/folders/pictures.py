"""Read and write arrays of bytes as PNGs, without any conversion of the values."""

import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from boundary_loss.events import reached
from boundary_loss.files import named_errors

MAX_PIXELS = 1 << 26
"""Pixels of a slice; checked in the header, because a few bytes can decode to any number of pixels."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY = (8, 0)  # bits a pixel, colour type


def read_png(path: Path) -> np.ndarray:
    """Read a picture of :func:`write_png`: (X, Y) uint8; rows of the picture are X.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is spoilt, of another format, not 8-bit grey, or has more than ``MAX_PIXELS``.
    """
    try:
        with path.open("rb") as file:
            _check_chunks(file)
            file.seek(0)
            with Image.open(file, formats=("PNG",)) as picture:
                return np.asarray(picture)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing") from None
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise ValueError(
            f"{path} cannot be read as a picture: {error}; restore it, or remove the folder that it was made with and "
            "make that again"
        ) from None


def _check_chunks(file: BinaryIO) -> None:
    """Refuse a PNG that is not 8-bit grey, or has a wrong checksum, which Pillow would ignore."""
    content = file.read()
    if content[:8] != _SIGNATURE or content[12:16] != b"IHDR":
        raise ValueError("it is no PNG")
    width, height, *kind = struct.unpack(">IIBB", content[16:26])
    if tuple(kind) != _GREY:
        raise ValueError(f"it has {kind[0]} bits a pixel and colour type {kind[1]}, expected 8-bit grey")
    if not 0 < width * height <= MAX_PIXELS:
        raise ValueError(f"it has {height} x {width} pixels, expected 1 to {MAX_PIXELS}")
    place, name = 8, b""
    while name != b"IEND":
        size, name = struct.unpack(">I4s", content[place : place + 8])
        end = place + 8 + size
        if struct.unpack(">I", content[end : end + 4])[0] != zlib.crc32(content[place + 4 : end]):
            raise ValueError(f"the checksum of its {name.decode('ascii', 'replace')} is wrong")
        place = end + 4


def write_png(path: Path, array: np.ndarray) -> None:
    """Write (X, Y) uint8 as an 8-bit grey PNG without a palette."""
    with named_errors(path):
        reached("writing {}", path)
        Image.fromarray(array).save(path, compress_level=1)
