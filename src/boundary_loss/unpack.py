"""Unpack a challenge's archives, after checking where they come from and what is inside.

python -m boundary_loss.unpack data/isles --lineage lineage/ISLES.lineage --zips data --root TRAINING TESTING
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import argparse
import os
import stat
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from tqdm import tqdm

try:
    from lzma import LZMAError
except ImportError:  # a Python that was built without it
    _OF_LZMA: tuple[type[Exception], ...] = ()
else:
    _OF_LZMA = (LZMAError,)

from boundary_loss import command
from boundary_loss.diskspace import check_room
from boundary_loss.files import new_folder, write_json
from boundary_loss.folders import records
from boundary_loss.folders.source import FIELDS, Archive, Source
from boundary_loss.lineage import CHUNK, Lineage, check
from boundary_loss.names import MAX_PART

RECORD = "lineage.json"
"""Written into the unpacked folder: which archives, with which checksums, it came from."""

GIB = 1 << 30
MAX_BYTES = 200 * GIB
"""All that is unpacked together; the largest of the challenges is below 30 GiB."""
MAX_RATIO, RATIO_FROM = 200, 4 * GIB
"""An archive that unpacks to more than ``RATIO_FROM`` may grow at most this many times. Below, an honest volume
of zeros may shrink a thousandfold."""
DAMAGED: tuple[type[Exception], ...] = (zipfile.BadZipFile, zlib.error, EOFError, OSError, *_OF_LZMA)
"""What reading a damaged member raises; bz2 raises an OSError without a number."""
MAX_DIRECTORY = GIB // 4
"""The list of members of an archive: some millions."""
MAX_DEPTH = 64
"""Folders in one another."""
_LAST_BYTES = 22 + 0xFFFF + 20
"""In which a zip's last record lies: itself, its longest comment, the pointer of a large archive before it."""
SPARE_BYTES = GIB // 4
"""What must stay free on the disk."""
READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
"""The compression methods of Python's zipfile."""
METHODS = {
    9: "Deflate64, which Windows writes above 2 GB",
    14: "LZMA",
    93: "Zstandard",
    95: "XZ",
    98: "PPMd",
    99: "AES",
}
"""Names of methods that a message may need."""
REPACK = """\
  Unpack it with 7-Zip (7z x) or Info-ZIP (unzip), pack what comes out anew (zip -r), and let TRUST=1 accept the new
  checksum."""
ADVICE = """\
  A damaged file must be downloaded again. Hosts also repack: if you are sure of a file, TRUST=1 accepts it and
  records its checksum; or add the checksum to the lineage file as a further line."""


@dataclass(frozen=True)
class Selection:
    """Which members of the archives are unpacked, and where to. What a Mac hides in a zip never is."""

    root: tuple[str, ...] = ()
    """Paths begin at the first component with one of these names; members without one are left out."""
    strip: int = 0
    """Leading components to remove, after ``root``."""
    drop: tuple[str, ...] = ()
    """Patterns, as ``*_4d.nii.gz``: a member is left out if one matches its whole path or any component."""

    def target(self, name: str) -> PurePosixPath | None:
        """Where a member goes, relative to the folder; None if it is left out."""
        parts = PurePosixPath(name).parts
        if is_of_a_mac(parts):
            return None
        if any(fnmatchcase(text, pattern) for pattern in self.drop for text in (name, *parts)):
            return None
        if self.root:
            start = next((i for i, part in enumerate(parts) if part in self.root), None)
            if start is None:
                return None
            parts = parts[start:]
        parts = parts[self.strip :]
        return PurePosixPath(*parts) if parts else None


def is_of_a_mac(parts: Sequence[str]) -> bool:
    """Return True if the path has a component that a Mac hides in an archive."""
    return any(part in ("__MACOSX", ".DS_Store") or part.startswith("._") for part in parts)


@dataclass(frozen=True)
class Member:
    archive: Path
    info: zipfile.ZipInfo
    target: PurePosixPath


def find_archives(lineage: Lineage, folder: Path) -> list[Path]:
    """The archives of a lineage file, in its order; all that are missing are named at once."""
    missing = [name for name in lineage.archives if not (folder / name).is_file()]
    if missing:
        sources = "".join(f"\n    {line}" for line in lineage.header["Source"])
        raise FileNotFoundError(
            f"missing in {folder}: {', '.join(missing)}\n"
            f"  The archives of {lineage.name} come from:{sources or ' (the lineage file names no source)'}\n"
            "  Put them there, or name another folder with ZIPS=folder;\n"
            "  or try the study on synthetic data: make -f STUDY.make SRC=phantom"
        )
    return [folder / name for name in lineage.archives]


def check_archives(lineage: Lineage, archives: Sequence[Path], *, trust: bool) -> list[Archive]:
    """Take all checksums; every archive that is refused is named at once."""
    size = sum(path.stat().st_size for path in archives)
    checked, refused = [], []
    with tqdm(total=size, unit="B", unit_scale=True, desc="checksums", disable=None, leave=False) as bar:
        for path in archives:
            try:
                checked.append(check(path, lineage.archives[path.name], trust=trust, progress=bar.update))
            except ValueError as error:
                refused.append(str(error))
    if refused:
        raise ValueError("\n".join([*refused, ADVICE]))
    for archive in checked:
        if archive.trusted:
            print(
                f"warning: {archive.name} has a checksum that {lineage.name} does not know, accepted on your word "
                f"(TRUST=1): {archive.algorithm} {archive.checksum}",
                file=sys.stderr,
            )
    return checked


def list_members(archive: Path, selection: Selection) -> list[Member]:
    """The members to unpack; an archive with a dangerous member is refused as a whole."""
    try:
        size = directory_size(archive)
        if size > MAX_DIRECTORY:
            raise ValueError(f"its list of members has {size / GIB:.1f} GiB")
        with zipfile.ZipFile(archive) as opened:
            infos = opened.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise ValueError(f"{archive} is not a whole zip archive ({error}); download it again") from None
    for info in infos:
        fault = danger(info)
        if fault:
            raise ValueError(f"{archive} is refused: member {info.orig_filename!r} {fault}")
    wanted = [(info, selection.target(info.filename)) for info in infos if not info.is_dir()]
    members = [Member(archive, info, target) for info, target in wanted if target is not None]
    refuse_other_methods(archive, [member.info for member in members])
    return members


def refuse_other_methods(archive: Path, infos: Sequence[zipfile.ZipInfo]) -> None:
    """Stop before anything is unpacked if a member is compressed in a way that Python cannot read."""
    others = [info for info in infos if info.compress_type not in READABLE]
    if others:
        method = METHODS.get(others[0].compress_type, f"method {others[0].compress_type}")
        raise ValueError(
            f"{archive}: Python cannot read {len(others)} of {len(infos)} members, such as {others[0].filename}: they "
            f"are compressed by {method}.\n{REPACK}"
        )


def directory_size(archive: Path) -> int:
    """Bytes of a zip's list of members, as its last record says; 0 where there is no such record.

    All of it is in memory before the first member is known.
    """
    with archive.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - _LAST_BYTES, 0))
        end = file.read()
        at = end.rfind(b"PK\5\6")
        if at < 0 or len(end) < at + 22:
            return 0
        (found,) = struct.unpack_from("<L", end, at + 12)
        if found == 0xFFFFFFFF and at >= 20 and end[at - 20 : at - 16] == b"PK\6\7":  # the zip64 record has it
            (place,) = struct.unpack_from("<Q", end, at - 12)
            file.seek(min(place, size))
            record = file.read(56)
            found = struct.unpack_from("<Q", record, 40)[0] if len(record) == 56 else 0
        return found


def danger(info: zipfile.ZipInfo) -> str | None:
    """Return why a member must not be unpacked; None if it may."""
    if fault := danger_of_name(info.orig_filename):
        return fault
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a special file"
    return "is encrypted" if info.flag_bits & 0x1 else None


def danger_of_name(name: str) -> str | None:
    """Return why a member of this name, in an archive of any format, must not be unpacked; None if it may."""
    parts = name.split("/")
    if not name:
        return "has no name"
    if len(parts) > MAX_DEPTH:
        return f"lies {len(parts) - 1} folders deep, more than {MAX_DEPTH}"
    if max(len(part.encode("utf-8", "replace")) for part in parts) > MAX_PART:
        return f"has a name of more than {MAX_PART} bytes"
    if "\0" in name:
        return "has a zero byte in its name"
    if "\\" in name:
        return "has a backslash in its name"
    if name.startswith("/") or (len(name) > 1 and name[1] == ":"):
        return "has an absolute path"
    return "leaves the folder ('..')" if ".." in parts else None


def refuse_bomb(archive: Path, size: int) -> None:
    """Refuse an archive that would unpack to far more bytes than its own size."""
    if size > max(RATIO_FROM, MAX_RATIO * archive.stat().st_size):
        raise ValueError(
            f"{archive} would unpack to {size / GIB:.1f} GiB, over {MAX_RATIO} times its own size: refused as a bomb"
        )


def refuse_too_much(size: int) -> None:
    """Refuse archives that would unpack to more than ``MAX_BYTES`` together."""
    if size > MAX_BYTES:
        raise ValueError(f"the archives would unpack to {size / GIB:.0f} GiB; the limit is {MAX_BYTES / GIB:.0f} GiB")


def check_members(members: Sequence[Member]) -> int:
    """Refuse collisions and bombs; return the number of bytes that unpacking will write."""
    seen: dict[PurePosixPath, Member] = {}
    for member in members:
        other = seen.setdefault(member.target, member)
        if other is not member:
            raise ValueError(
                f"two members would become {member.target}: {other.info.filename} of {other.archive.name} "
                f"and {member.info.filename} of {member.archive.name}"
            )
    for member in members:
        inside = next((parent for parent in member.target.parents if parent in seen), None)
        if inside:
            raise ValueError(f"{member.archive}: {inside} is a file, yet {member.info.filename} would go inside it")
    total = 0
    for archive in sorted({member.archive for member in members}):
        size = sum(member.info.file_size for member in members if member.archive == archive)
        refuse_bomb(archive, size)
        total += size
    refuse_too_much(total)
    return total


def extract(members: Sequence[Member], folder: Path, progress: Callable[[int], object]) -> None:
    """Write each member below ``folder``, read-only: raw data is never edited in place."""
    for archive in dict.fromkeys(member.archive for member in members):
        with zipfile.ZipFile(archive) as opened:
            for member in members:
                if member.archive == archive:
                    target = folder / member.target
                    target.parent.mkdir(parents=True, exist_ok=True)
                    _extract_one(opened, member, target, progress)
                    target.chmod(0o444)


def _extract_one(opened: zipfile.ZipFile, member: Member, target: Path, progress: Callable[[int], object]) -> None:
    where = f"{member.archive}, member {member.info.filename}"
    written = 0
    try:
        with opened.open(member.info) as packed, target.open("xb") as file:
            while piece := packed.read(CHUNK):
                written += len(piece)
                if written > member.info.file_size:
                    raise ValueError(f"{where}: holds more than the {member.info.file_size} bytes it declares; refused")
                file.write(piece)
                progress(len(piece))
    except NotImplementedError as error:
        raise ValueError(f"{where}: Python cannot read it ({error}).\n{REPACK}") from None
    except DAMAGED as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's
        raise ValueError(f"{where}: cannot be unpacked ({error}); download the archive again") from None
    if written != member.info.file_size:
        raise ValueError(f"{where}: {written} bytes instead of {member.info.file_size}; download the archive again")


def unpack(target: Path, lineage: Lineage, zips: Path, selection: Selection, *, trust: bool, words: list[str]) -> int:
    """Check, then unpack all archives of a lineage file into a new folder; returns the number of files."""
    archives = find_archives(lineage, zips)
    checked = check_archives(lineage, archives, trust=trust)
    members = [member for archive in archives for member in list_members(archive, selection)]
    if not members:
        raise ValueError(f"nothing to unpack: no member of {', '.join(lineage.archives)} matches {selection}")
    size = check_members(members)
    with new_folder(target) as grown:
        check_room(grown, size, len(members), "unpacking", SPARE_BYTES)
        with tqdm(total=size, unit="B", unit_scale=True, desc=f"unpacking {target}", disable=None, leave=False) as bar:
            extract(members, grown, bar.update)
        write_json(grown / RECORD, source_of(lineage, checked).to_json())
        command.record(grown, words)
    return len(members)


def source_of(lineage: Lineage, archives: Sequence[Archive]) -> Source:
    """What ``lineage.json`` says; slicing hands it on."""
    texts = {title.lower(): lines for title, lines in lineage.header.items() if title != "Phantom"}
    return Source(lineage=lineage.name, phantom=lineage.phantom, archives=tuple(archives), **texts)


def read_source(folder: Path) -> Source | None:
    """What ``lineage.json`` says; None for a folder that this module did not make.

    Raises:
        ValueError: it is spoilt.
    """
    path = folder / RECORD
    if not path.is_file():
        return None
    remedy = f"remove {folder} and unpack the archives again"
    return Source.from_json(records.read_record(path, FIELDS, needs=("phantom",), remedy=remedy))


def lineage_as_recorded(folder: Path, words: list[str]) -> list[str]:
    """``words``, naming the lineage file as ``folder`` was made with it if this one accepts the same archives.

    A lineage file may move, or be a copy: what it accepts is the setting, not its path.
    """
    old, source = command.recorded(folder) or [], read_source(folder)
    if source is None or "--lineage" not in old or "--lineage" not in words:
        return words
    now, then = len(words) - words[::-1].index("--lineage"), old.index("--lineage") + 1
    if words[now] == old[then] or not Path(words[now]).is_file():
        return words
    accepted = Lineage.read(Path(words[now])).archives
    unpacked = {archive.name: archive.checksum for archive in source.archives}
    same = accepted.keys() == unpacked.keys() and all(unpacked[name] in accepted[name] for name in unpacked)
    return [*words[:now], old[then], *words[now + 1 :]] if same else words


def arguments() -> argparse.Namespace:
    parser = command.parser("Check the archives listed in a lineage file and unpack them into a new folder.")
    parser.add_argument("dest", type=Path, help="folder to make, as data/isles")
    parser.add_argument("--lineage", type=Path, required=True, help="checksums and sources of the archives")
    parser.add_argument("--zips", type=Path, default=Path("data"), help="folder with the archives")
    parser.add_argument("--root", nargs="+", default=[], help="paths begin at a component with one of these names")
    parser.add_argument("--strip", type=int, default=0, help="leading path components to remove")
    parser.add_argument("--drop", nargs="+", default=[], help="patterns of paths or components to leave out")
    parser.add_argument("--trust", action="store_true", help="accept unknown checksums, and record them")
    parser.add_argument("--fresh", action="store_true", help="move an existing folder aside and make it anew")
    args = parser.parse_args()
    if args.strip < 0:
        parser.error("--strip must be 0 or more")
    return args


def main() -> None:
    args = arguments()
    words = command.settings(sys.argv[1:], beside=("--zips", "--trust", "--fresh"))
    if command.refuse_other_settings(args.dest, lineage_as_recorded(args.dest, words), fresh=args.fresh):
        print(f"{args.dest} is already unpacked")
        return
    selection = Selection(tuple(args.root), args.strip, tuple(args.drop))
    count = unpack(args.dest, Lineage.read(args.lineage), args.zips, selection, trust=args.trust, words=words)
    print(f"{args.dest}: {count} files unpacked")


if __name__ == "__main__":
    command.run(main)
