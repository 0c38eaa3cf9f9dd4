"""Hash a file while it is read, and check the paths that an archive's members may have."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol

from boundary_loss.names import fault_of_part

MANIFEST = "MANIFEST.sha256"
"""Name of the last member: a line ``SHA-256  PATH`` for every other member, as ``sha256sum -c`` reads it."""

BLOCK = 1 << 20
MAX_DEPTH = 32
"""Nested folders, including the study's; the pipeline's own files need six."""
MAX_PATH = 1024
"""Bytes of a member's path."""


def fault_of_path(parts: Sequence[str]) -> str | None:
    """Return why a member cannot have this path, or None if it can: one rule for packing and for reading."""
    for part in parts:
        fault = fault_of_part(part)
        if fault is not None:
            return f"has a name in its path that {fault}"
        if part.startswith("."):
            return "has a hidden name in its path"
    if len(parts) > MAX_DEPTH:
        return f"lies {len(parts)} folders deep, more than {MAX_DEPTH}"
    size = len("/".join(parts).encode())
    return f"has a path of {size} bytes, more than {MAX_PATH}" if size > MAX_PATH else None


class Readable(Protocol):
    """Anything with a ``read`` method that returns bytes."""

    def read(self, size: int = -1, /) -> bytes: ...


class HashingReader:
    """Reads from ``source``, hashes what passes and reports its size to ``progress``."""

    def __init__(self, source: Readable, progress: Callable[[int], object]) -> None:
        self.source, self.progress = source, progress
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self.source.read(size)
        self._digest.update(block)
        self.progress(len(block))
        return block

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()
