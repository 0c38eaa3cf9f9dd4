"""Where a study's archives come from and which checksums they may have: ``lineage/*.lineage``.

A lineage file is what ``md5sum`` (or ``sha256sum``) prints, so that ``md5sum -c`` reads it too, under a header:

    # Source: where to get the archives
    # Licence: ...
    # Citation: ...
    # Note: ...
    b6d16c456e173743e30a3fbdb3bd29a5  ISLES2018_Training.zip

A name on several lines has several accepted checksums: data moves, and hosts repack. The checksum's length
tells md5 from sha256; zeros stand for one that was never published. ``# Phantom: ...`` marks the archives as synthetic.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from boundary_loss.folders.source import Archive
from boundary_loss.names import fault_of_name

ALGORITHM_OF_LENGTH = {32: "md5", 64: "sha256"}
HEADERS = ("Source", "Licence", "Citation", "Note", "Phantom")
CHUNK = 1 << 20
UNKNOWN = "0" * 32
"""In place of a checksum that was never published: it fits no file."""


@dataclass(frozen=True)
class Lineage:
    """A lineage file: ``archives`` maps each archive's name to its accepted checksums, ``header`` titles to lines."""

    name: str
    archives: dict[str, tuple[str, ...]]
    header: dict[str, tuple[str, ...]]

    @property
    def phantom(self) -> bool:
        return bool(self.header["Phantom"])

    @classmethod
    def read(cls, path: Path) -> "Lineage":
        """Parse a lineage file.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a line is neither a comment nor a checksum and a plain file name, or no archive is listed.
        """
        if not path.is_file():
            raise FileNotFoundError(f"no lineage file at {path}; LINEAGE=file names another")
        archives: dict[str, tuple[str, ...]] = {}
        header: dict[str, tuple[str, ...]] = dict.fromkeys(HEADERS, ())
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if line.startswith("#"):
                title, _, text = line.removeprefix("#").strip().partition(":")
                if title in header and text.strip():
                    header[title] += (text.strip(),)
            elif line.strip():
                found = re.fullmatch(r"([0-9a-fA-F]+)\s+\*?(\S(?:.*\S)?)\s*", line)
                if not found or len(found[1]) not in ALGORITHM_OF_LENGTH or fault_of_name(found[2]):
                    raise ValueError(
                        f"{path}, line {number}: expected an md5 (32 digits) or sha256 (64 digits) checksum and a file "
                        f"name without a folder, found: {line}"
                    )
                archives[found[2]] = (*archives.get(found[2], ()), found[1].lower())
        if not archives:
            raise ValueError(f"{path} lists no archive; a line is a checksum and a file name, as md5sum prints")
        return cls(path.name, archives, header)


def check(path: Path, accepted: tuple[str, ...], *, trust: bool, progress: Callable[[int], object]) -> Archive:
    """Compare an archive with its accepted checksums, reading it once.

    Args:
        path: the archive.
        accepted: checksums of any known algorithm, in lower case.
        trust: let an unknown checksum pass; the result says so.
        progress: is told the number of bytes after each piece read.

    Raises:
        ValueError: an unknown checksum, without ``trust``.
    """
    algorithms = sorted({ALGORITHM_OF_LENGTH[len(checksum)] for checksum in accepted})
    digests = {algorithm: hashlib.new(algorithm, usedforsecurity=False) for algorithm in (*algorithms, "sha256")}
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            for digest in digests.values():
                digest.update(piece)
            progress(len(piece))
    found = {algorithm: digest.hexdigest() for algorithm, digest in digests.items()}
    for algorithm in algorithms:
        if found[algorithm] in accepted:
            return Archive(path.name, algorithm, found[algorithm], trusted=False)
    if trust:
        return Archive(path.name, "sha256", found["sha256"], trusted=True)
    if set(accepted) == {UNKNOWN}:
        shown = ", ".join(f"{algorithm} {checksum}" for algorithm, checksum in found.items())
        raise ValueError(
            f"the lineage file knows no checksum of {path}, as none was published. It has {shown}: write one of them "
            "there in place of the zeros if you are sure of the file, or TRUST=1 accepts and records it"
        )
    expected = "\n".join(f"    expected {ALGORITHM_OF_LENGTH[len(checksum)]} {checksum}" for checksum in accepted)
    shown = "\n".join(f"    found    {algorithm} {found[algorithm]}" for algorithm in algorithms)
    raise ValueError(f"{path} is not the archive that the lineage file describes:\n{expected}\n{shown}")
