"""Archives read with suspicion: members are plain files inside one folder, with the checksums of the manifest."""

import gzip
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from boundary_loss.archive.hashing import BLOCK, MANIFEST, HashingReader
from boundary_loss.files import publish, unfinished

Keep = Callable[[PurePosixPath, tarfile.TarInfo, HashingReader], None]
"""What is done with a member: its path inside the archive, its entry, its content (to be read to the end)."""


def verify(archive: Path) -> int:
    """Check every member against the manifest; the number of files.

    Raises:
        ValueError: damaged, truncated, unsafe, without manifest, or another content than the manifest says.
    """
    return _read(archive, lambda path, info, reader: _drain(reader))


def unpack(archive: Path, destination: Path) -> tuple[Path, Path | None]:
    """Put the study's folder back under ``destination``; nothing appears unless everything is right.

    Returns:
        The folder, and where a folder of that name that stood there has moved (None if there was none).
    """
    destination.mkdir(parents=True, exist_ok=True)
    grown: Path | None = None
    root = ""
    free = shutil.disk_usage(destination).free

    def keep(path: PurePosixPath, info: tarfile.TarInfo, reader: HashingReader) -> None:
        nonlocal grown, root, free
        if grown is None:
            root = path.parts[0]
            grown = unfinished(destination / root)
            shutil.rmtree(grown, ignore_errors=True)  # of a killed attempt
        free -= info.size
        if free < 0:
            raise ValueError(f"{archive} holds more than {destination} has room for")
        file = grown.joinpath(*path.parts[1:])
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as out:
            _drain(reader, out)
        os.utime(file, (info.mtime, info.mtime))  # make must see what is newer than what

    try:
        _read(archive, keep)
        if grown is None:
            raise ValueError(f"{archive} is empty")
        target = destination / root
        return target, publish(grown, target)
    except ValueError as error:
        raise ValueError(f"{error}; nothing was unpacked") from None
    finally:
        if grown is not None:
            shutil.rmtree(grown, ignore_errors=True)


def _read(archive: Path, keep: Keep) -> int:
    """Hand every member but the manifest to ``keep``, then compare what was read with the manifest."""
    if not archive.is_file():
        raise FileNotFoundError(f"no archive at {archive}")
    sums: dict[str, str] = {}
    manifest: str | None = None
    root = ""
    try:
        with (
            archive.open("rb") as file,
            tqdm(
                total=archive.stat().st_size, unit="B", unit_scale=True, desc="reading", disable=None, leave=False
            ) as bar,
            gzip.GzipFile(fileobj=file, mode="rb") as zipped,
            tarfile.open(fileobj=zipped, mode="r|") as tar,
        ):
            for info in tar:
                path = _safe(archive, info)
                root = root or path.parts[0]
                name = "/".join(path.parts[1:])
                if path.parts[0] != root or not name or name in sums or manifest is not None:
                    raise ValueError(f"{archive} was not made by this pipeline: unexpected member {info.name!r}")
                content = tar.extractfile(info)
                if content is None:
                    raise ValueError(f"{archive}: member {info.name!r} has no content")
                reader = HashingReader(content, lambda size: None)
                if name == MANIFEST:
                    manifest = reader.read().decode("utf-8")
                else:
                    keep(path, info, reader)
                    sums[name] = reader.sha256
                bar.update(file.tell() - bar.n)
            while zipped.read(BLOCK):  # to the end, so that gzip checks its own sum
                pass
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError, UnicodeDecodeError) as error:
        raise ValueError(f"{archive} is damaged or truncated ({error})") from None
    if manifest is None:
        raise ValueError(f"{archive} has no {MANIFEST} at its end: it is truncated, or was not made by this pipeline")
    _compare(archive, manifest, sums)
    return len(sums)


def _safe(archive: Path, info: tarfile.TarInfo) -> PurePosixPath:
    """The member's path, if it is a plain file that stays inside its folder."""
    path = PurePosixPath(info.name)
    outside = path.is_absolute() or ".." in path.parts or "\\" in info.name or ":" in info.name or "\0" in info.name
    if outside or not path.parts:
        raise ValueError(f"{archive}: member {info.name!r} would leave its folder")
    if not info.isreg():
        raise ValueError(f"{archive}: member {info.name!r} is not a plain file (a link or a device)")
    return path


def _drain(reader: HashingReader, out: IO[bytes] | None = None) -> None:
    while block := reader.read(BLOCK):
        if out is not None:
            out.write(block)


def _compare(archive: Path, manifest: str, sums: dict[str, str]) -> None:
    expected = {}
    for line in manifest.splitlines():
        checksum, _, name = line.partition("  ")
        expected[name] = checksum
    faults = [
        *(f"{name} is missing" for name in sorted(expected.keys() - sums.keys())),
        *(f"{name} is not in the manifest" for name in sorted(sums.keys() - expected.keys())),
        *(f"{name} was changed" for name in sorted(sums.keys() & expected.keys()) if sums[name] != expected[name]),
    ]
    if faults:
        more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise ValueError(f"{archive} is not as it was packed: {'; '.join(faults[:5])}{more}")
