"""The members of a ``.tar``: which are a data set's, and whether they may be unpacked."""

import stat
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from boundary_loss.diskspace import check_room
from boundary_loss.own.dataset import JSON
from boundary_loss.unpack import MAX_BYTES, MAX_DEPTH, MAX_RATIO, RATIO_FROM, SPARE_BYTES

GIB = 1 << 30
ENDINGS = (".tar", ".tar.gz", ".tgz")
_DAMAGED = (tarfile.TarError, EOFError, zlib.error, OSError)


def unpack_tar(path: Path, folder: Path) -> None:
    """Unpack the data set of a ``.tar`` into a folder, whose ``dataset.json`` then lies at its top, read-only.

    Hidden files, as a Mac leaves them, are passed over.

    Raises:
        ValueError: the file is damaged, holds no data set, or a member is refused; nothing is unpacked then but what
            came before a damaged place.
    """
    try:
        with tarfile.open(path) as archive:
            members = _members(path, archive)
            check_room(folder, sum(member.size for member, _ in members), len(members), "unpacking", SPARE_BYTES)
            for member, target in members:
                _write(archive, member, folder / target)
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.errno is not None and not isinstance(error, tarfile.TarError):
            raise  # the disk's
        raise ValueError(f"{path} cannot be unpacked ({error}); download it again") from None


def _members(path: Path, archive: tarfile.TarFile) -> list[tuple[tarfile.TarInfo, PurePosixPath]]:
    """Return the files below the folder that holds ``dataset.json``, each with its place in that folder."""
    files = [member for member in archive.getmembers() if not member.isdir() and not _hidden(member.name)]
    for member in files:
        if fault := danger(member):
            raise ValueError(f"{path} is refused: member {member.name!r:.200} {fault}")
    roots = sorted((PurePosixPath(member.name).parent for member in files if PurePosixPath(member.name).name == JSON),
                   key=lambda root: (len(root.parts), str(root)))  # fmt: skip
    if not roots:
        raise ValueError(f"{path} holds no {JSON}: it is no data set of the Decathlon or of nnU-Net")
    if len(roots) > 1 and len(roots[0].parts) == len(roots[1].parts):
        raise ValueError(f"{path} holds several data sets: {', '.join(map(str, roots))}; unpack it and name one folder")
    placed = [(member, PurePosixPath(member.name)) for member in files]
    chosen = [(member, name.relative_to(roots[0])) for member, name in placed if name.is_relative_to(roots[0])]
    _check_sizes(path, [member for member, _ in chosen])
    _check_twice(path, [target for _, target in chosen])
    return chosen


def _hidden(name: str) -> bool:
    return any(part.startswith("._") or part in (".DS_Store", "__MACOSX") for part in PurePosixPath(name).parts)


def danger(member: tarfile.TarInfo) -> str | None:
    """Return why a member must not be unpacked; None if it may."""
    parts = member.name.split("/")
    if not member.isreg():
        return "is a link or a special file"
    if member.name.startswith("/") or "\\" in member.name or "\0" in member.name:
        return "has an absolute path, a backslash or a zero byte in its name"
    if ".." in parts:
        return "leaves the folder ('..')"
    return f"lies more than {MAX_DEPTH} folders deep" if len(parts) > MAX_DEPTH else None


def _check_sizes(path: Path, members: list[tarfile.TarInfo]) -> None:
    size = sum(member.size for member in members)
    if size > max(RATIO_FROM, MAX_RATIO * path.stat().st_size) or size > MAX_BYTES:
        raise ValueError(f"{path} would unpack to {size / GIB:.1f} GiB: refused as a bomb")


def _check_twice(path: Path, targets: list[PurePosixPath]) -> None:
    known = set(targets)
    if len(known) < len(targets):
        raise ValueError(f"{path} holds two members of one name; unpack it and name the folder")
    if inside := next((target for target in targets if known.intersection(target.parents)), None):
        raise ValueError(f"{path}: {inside} lies inside another file")


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    """Write one member, all of its bytes."""
    source = archive.extractfile(member)
    if source is None:
        raise ValueError(f"{member.name} is no file")
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        written = 0
        while piece := source.read(1 << 20):
            written += file.write(piece)
    if written != member.size:
        raise EOFError(f"{member.name} has {written} of {member.size} bytes")
    target.chmod(stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
