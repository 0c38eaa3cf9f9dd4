"""Verify and unpack archives from any source: plain files inside one folder, with the checksums of the manifest."""

import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from tqdm import tqdm

from boundary_loss.archive.hashing import BLOCK, MANIFEST, HashingReader, fault_of_path
from boundary_loss.archive.members import Member, Refused, inflated, members
from boundary_loss.files import begin_folder, clear_folder, publish, sole_maker, unfinished

Keep = Callable[[list[str], Member, HashingReader], None]
"""Called for each member with the parts of its path below the study's folder, its entry and its content."""

MAX_FILES = 5_000_000
"""Files in an archive; their names and checksums stay in memory until the manifest is read."""
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def verify(archive: Path) -> int:
    """Check every member against the manifest; return the number of files.

    Raises:
        ValueError: damaged, truncated, unsafe, without manifest, or another content than the manifest says.
    """
    return _read(archive, lambda parts, member, reader: _drain(reader))


def unpack(archive: Path, destination: Path) -> tuple[Path, Path | None]:
    """Unpack the study's folder into ``destination``, if the whole archive is correct; otherwise write nothing.

    Returns:
        The folder, and the new place of a folder of that name that was there (None if there was none).

    Raises:
        ValueError: as :func:`verify`, or it holds more than the disk has room for.
        FileExistsError: another process is making that folder, or its temporary name is taken.
    """
    destination.mkdir(parents=True, exist_ok=True)
    try:
        target = destination / _root(archive)
        with sole_maker(target):
            grown = unfinished(target)
            begin_folder(grown)
            try:
                _read(archive, _writer(archive, grown))
                return target, publish(grown, target)
            finally:
                clear_folder(grown)
    except ValueError as error:
        raise ValueError(f"{error}; nothing was unpacked") from None


def _writer(archive: Path, grown: Path) -> Keep:
    """Return a function that writes members below the folder ``grown``."""
    free = shutil.disk_usage(grown).free

    def keep(parts: list[str], member: Member, reader: HashingReader) -> None:
        nonlocal free
        free -= member.size
        if free < 0:
            raise ValueError(f"{archive} holds more than {grown.parent} has room for")
        file = grown.joinpath(*parts)
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as out:
            _drain(reader, out)
        os.utime(file, (member.modified, member.modified))  # make compares the files' times

    return keep


class _RootFound(Exception):
    """Ends the reading of an archive at its first member."""


def _root(archive: Path) -> str:
    """Return the name of the folder in an archive."""
    found = []

    def keep(parts: list[str], member: Member, reader: HashingReader) -> None:
        found.append(member.name.split("/")[0])
        raise _RootFound

    with suppress(_RootFound):
        _read(archive, keep)
    return found[0]


def _read(archive: Path, keep: Keep) -> int:
    """Pass every member but the manifest to ``keep``, then compare the checksums with the manifest."""
    if not archive.is_file():
        raise FileNotFoundError(f"no archive at {archive}")
    sums: dict[str, str] = {}
    manifest: str | None = None
    root, size = "", archive.stat().st_size
    try:
        with (
            archive.open("rb") as file,
            tqdm(total=size, unit="B", unit_scale=True, desc="reading", disable=None, leave=False) as bar,
        ):
            for member in members(inflated(file)):
                parts = _checked(member)
                root = root or parts[0]
                name = "/".join(parts[1:])
                if parts[0] != root or not name or name in sums or manifest is not None or len(sums) >= MAX_FILES:
                    raise Refused(f"it was not made by this pipeline: unexpected member {member.name!r}")
                reader = HashingReader(member.content, lambda size: None)
                if name == MANIFEST:
                    manifest = _manifest(member, sums)
                else:
                    keep(parts[1:], member, reader)
                    sums[name] = reader.sha256
                bar.update(file.tell() - bar.n)
    except (EOFError, zlib.error, tarfile.HeaderError) as error:
        raise ValueError(f"{archive} is damaged or truncated ({error})") from None
    except Refused as error:
        raise ValueError(f"{archive}: {error}") from None
    if manifest is None:
        raise ValueError(f"{archive} has no {MANIFEST} at its end: it is truncated, or was not made by this pipeline")
    _compare(archive, manifest, sums)
    if not sums:
        raise ValueError(f"{archive} is empty")
    return len(sums)


def _checked(member: Member) -> list[str]:
    """Return the parts of the member's path; refuse a path that packing would not write."""
    parts = member.name.split("/")
    fault = fault_of_path(parts)
    if fault is not None:
        raise Refused(f"member {member.name!r:.200} {fault}")
    return parts


def _manifest(member: Member, sums: dict[str, str]) -> str:
    """Return the manifest's text; refuse one that is much longer than the files before it need."""
    expected = sum(len(name.encode()) + 67 for name in sums)
    if member.size > 2 * expected + BLOCK:
        raise Refused(f"its {MANIFEST} has {member.size} bytes for {len(sums)} files")
    return member.content.read().decode("utf-8", "replace")


def _drain(reader: HashingReader, out: IO[bytes] | None = None) -> None:
    while block := reader.read(BLOCK):
        if out is not None:
            out.write(block)


def _compare(archive: Path, manifest: str, sums: dict[str, str]) -> None:
    expected: dict[str, str] = {}
    faults = []
    for line in manifest.removesuffix("\n").split("\n") if manifest else []:
        found = _LINE.fullmatch(line)
        if found is None:
            faults.append(f"{MANIFEST} has the line {line!r:.80}")
        elif found[2] in expected:
            faults.append(f"{MANIFEST} lists {found[2]} twice")
        else:
            expected[found[2]] = found[1]
    faults += [
        *(f"{name} is missing" for name in sorted(expected.keys() - sums.keys())),
        *(f"{name} is not in the manifest" for name in sorted(sums.keys() - expected.keys())),
        *(f"{name} was changed" for name in sorted(sums.keys() & expected.keys()) if sums[name] != expected[name]),
    ]
    if faults:
        more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise ValueError(f"{archive} is not as it was packed: {'; '.join(faults[:5])}{more}")
