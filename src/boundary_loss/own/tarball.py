"""The members of a ``.tar``: which are a data set's, and whether they may be unpacked."""

import stat
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from boundary_loss.diskspace import check_room
from boundary_loss.own.dataset import JSON
from boundary_loss.unpack import SPARE_BYTES, danger_of_name, is_of_a_mac, refuse_bomb, refuse_too_much

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
    every = (member for member in archive.getmembers() if not member.isdir())
    files = [member for member in every if not is_of_a_mac(PurePosixPath(member.name).parts)]
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
    size = sum(member.size for member, _ in chosen)
    refuse_bomb(path, size)
    refuse_too_much(size)
    _check_twice(path, [target for _, target in chosen])
    return chosen


def danger(member: tarfile.TarInfo) -> str | None:
    """Return why a member must not be unpacked; None if it may."""
    return danger_of_name(member.name) if member.isreg() else "is a link or a special file"


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
