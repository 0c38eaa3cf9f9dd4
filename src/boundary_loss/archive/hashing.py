"""A file that is hashed while it is read."""

import hashlib
from collections.abc import Callable
from typing import IO

MANIFEST = "MANIFEST.sha256"
"""The last member of an archive: a line ``SHA-256  PATH`` for every other one, as ``sha256sum -c`` reads it."""

BLOCK = 1 << 20


class HashingReader:
    """Reads from ``source``, hashes what passes and reports its size to ``progress``."""

    def __init__(self, source: IO[bytes], progress: Callable[[int], object]) -> None:
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
