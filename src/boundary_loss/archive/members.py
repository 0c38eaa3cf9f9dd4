"""Read the members of a ``.tar.gz`` from front to back; every size is checked before memory or time is spent on it.

Python's ``tarfile`` accepts every variant of the format: sparse files of any stated size, headers of any length,
several gzip files in a row. Here only plain files with at most one extended header are accepted, as packing writes.
"""

import io
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from boundary_loss.archive.hashing import BLOCK

MAX_HEADER = 1 << 16
"""Bytes of an extended header; a path, a size and a time need far fewer."""
MAX_TIME = 1 << 33
"""Latest modification time of a file, in seconds since 1970: the year 2242."""
_MAX_PADDING = 1 << 20
"""Zero bytes after the last member; tar itself writes up to 10240."""


class Refused(ValueError):
    """An archive differs from what packing writes; the message says in what."""


@dataclass(frozen=True)
class Member:
    name: str
    size: int
    modified: float
    """Seconds since 1970."""
    content: "Content"


class Content:
    """The bytes of a member; they must be read to the end before the next member is requested."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self.left = stream, size

    def read(self, size: int = -1) -> bytes:
        block = read_exactly(self._stream, self.left if size < 0 else min(size, self.left))
        self.left -= len(block)
        return block


class _OneGzip(io.RawIOBase):
    """Content of a gzip file with a single member; further data after it is an error, and so is a missing end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._inflate = file, zlib.decompressobj(16 + zlib.MAX_WBITS)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._some(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def _some(self, size: int) -> bytes:
        while not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._file.read(BLOCK >> 4)
            if not packed:
                raise EOFError("its end is missing")
            piece = self._inflate.decompress(packed, size)
            if piece:
                return piece
        if self._inflate.unused_data or self._file.read(1):
            raise Refused("something follows the end of the compressed archive")
        return b""


def inflated(file: BinaryIO) -> BinaryIO:
    """Return the content of a gzip file as a stream."""
    return io.BufferedReader(_OneGzip(file), BLOCK >> 2)


def read_exactly(stream: BinaryIO, size: int) -> bytes:
    block = stream.read(size)
    if len(block) < size:
        raise EOFError("its end is missing")
    return block


def members(stream: BinaryIO) -> Iterator[Member]:
    """Yield the members of an uncompressed archive in order.

    Raises:
        Refused: something that packing never writes, or anything but zeros after the end.
        tarfile.HeaderError, EOFError: damaged or truncated.
    """
    while any(block := read_exactly(stream, tarfile.BLOCKSIZE)):
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        extended: dict[str, str] = {}
        if info.type == tarfile.XHDTYPE:
            extended = _extended(stream, info.size)
            info = tarfile.TarInfo.frombuf(read_exactly(stream, tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
        member = _member(stream, info, extended)
        yield member
        if member.content.left:
            raise AssertionError(f"{member.name} was not read to its end")
        read_exactly(stream, -member.size % tarfile.BLOCKSIZE)
    _expect_zeros(stream)


def _member(stream: BinaryIO, info: tarfile.TarInfo, extended: dict[str, str]) -> Member:
    name = extended.get("path", info.name)
    if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise Refused(f"member {name!r:.200} is not a plain file (a link or a device)")
    size = _number(extended, "size", info.size)
    modified = _number(extended, "mtime", info.mtime)
    if not 0 <= size < 1 << 62 or size != int(size):
        raise Refused(f"member {name!r:.200} has an impossible size")
    if not 0 <= modified <= MAX_TIME:
        raise Refused(f"member {name!r:.200} has an impossible time")
    return Member(name, int(size), modified, Content(stream, int(size)))


def _number(extended: dict[str, str], key: str, otherwise: float) -> float:
    text = extended.get(key)
    if text is None:
        return otherwise
    if not re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,18})?", text):
        raise Refused(f"an extended header has the {key} {text!r:.40}")
    return float(text) if "." in text else int(text)


def _extended(stream: BinaryIO, size: int) -> dict[str, str]:
    """Return ``{keyword: value}`` of an extended header, whose records are ``LENGTH keyword=value\\n``."""
    if not 0 <= size <= MAX_HEADER:
        raise Refused(f"an extended header of {size} bytes; {MAX_HEADER} are allowed")
    content = read_exactly(stream, size + -size % tarfile.BLOCKSIZE)[:size]
    found: dict[str, str] = {}
    while content:
        match = re.match(rb"([0-9]{1,6}) ([^=]+)=", content)
        length = int(match[1]) if match else 0
        if match is None or length <= match.end() or content[length - 1 : length] != b"\n":
            raise Refused("an extended header that cannot be read")
        key = match[2].decode("utf-8", "replace")
        if key not in ("path", "size", "mtime") or key in found:
            raise Refused(f"an extended header with the keyword {key!r:.40}")
        found[key] = content[match.end() : length - 1].decode("utf-8", "surrogateescape")
        content = content[length:]
    return found


def _expect_zeros(stream: BinaryIO) -> None:
    left = _MAX_PADDING
    while block := stream.read(BLOCK >> 2):
        left -= len(block)
        if any(block) or left < 0:
            raise Refused("something follows its last member")
