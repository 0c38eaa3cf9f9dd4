"""The bytes of a file, compressed or not: read to the end, and never beyond what its header promises.

gzip writes a checksum behind the data. A reader that stops at the last voxel never sees it, and takes a damaged file
for another image: of 300 single bits turned in a ``.nii.gz``, 200 to 275 gave other voxels and no error.
"""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

GIB = 1 << 30
MAX_RATIO, RATIO_FROM = 200, 2 * GIB
"""A compressed file that unpacks to more than ``RATIO_FROM`` may grow at most this many times. Below, an honest volume
of zeros may shrink a thousandfold."""
MAX_DEFLATE = 1032
"""Bytes that one byte of deflate can become at most."""
PADDING = 4096
"""Bytes behind the last voxel that are ignored: some writers fill up a block."""
PIECE = 1 << 20
UNREADABLE = (OSError, EOFError, ValueError, OverflowError, MemoryError, zlib.error)
"""What reading a spoilt file raises."""

_GZIP = b"\x1f\x8b"


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, decompressed if its first bytes are those of gzip, whatever its name is."""
    with path.open("rb") as raw:
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        if packed:
            with gzip.GzipFile(fileobj=raw) as file:
                yield file  # type: ignore[misc]
        else:
            yield raw


def read_promised(file: BinaryIO, path: Path, start: int, size: int, *, padding: int = PADDING) -> bytearray:
    """Return the ``size`` bytes from ``start`` of what :func:`opened` gave, after reading the file to its end.

    At most ``padding`` further bytes are passed over.

    Raises:
        ValueError: the header promises more than the file can hold, or the file holds more than the header promises.
        EOFError: the file ends too early.
        OSError: the checksum or the length behind compressed data is wrong.
    """
    refuse_bombs(path, start + size, packed=isinstance(file, gzip.GzipFile))
    file.seek(start)
    content = bytearray(size)
    view, filled = memoryview(content), 0
    while filled < size:
        piece = file.read(min(PIECE, size - filled))
        if not piece:
            raise EOFError(f"it ends after {filled} of the {size} bytes of voxels that its header promises")
        view[filled : filled + len(piece)] = piece
        filled += len(piece)
    if len(file.read(padding + 1)) > padding:
        raise ValueError(f"it goes on after the {size} bytes of voxels that its header promises")
    return content


def refuse_bombs(path: Path, promised: int, *, packed: bool) -> None:
    """Raise EOFError or ValueError if a file promises more bytes than it can hold, or an honest one would."""
    held = path.stat().st_size
    if promised > held * (MAX_DEFLATE if packed else 1):
        raise EOFError(f"its header promises {promised} bytes, more than a file of {held} bytes can hold")
    if packed and promised > max(RATIO_FROM, MAX_RATIO * held):
        raise ValueError(
            f"its header promises {promised / GIB:.1f} GiB, over {MAX_RATIO} times the file's size: refused as a bomb"
        )
