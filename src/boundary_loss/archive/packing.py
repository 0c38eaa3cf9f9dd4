"""Pack a results folder into ``archives/REPO-DATE-HASH-HOST-STUDY.tar.gz``.

It holds the folder, ``isles/``, and as its last member ``isles/MANIFEST.sha256``; no user names and no environment.
"""

import gzip
import io
import os
import re
import socket
import tarfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from tqdm import tqdm

from boundary_loss.archive.hashing import MANIFEST, HashingReader, fault_of_path
from boundary_loss.archive.members import MAX_TIME
from boundary_loss.archive.reading import verify
from boundary_loss.files import growing_file, sole_maker, sweep, unfinished
from boundary_loss.folders.run import CHECKPOINT, ROWS, RunFolder
from boundary_loss.provenance import git


def archive_name(study: str) -> str:
    """Return ``REPO-DATE-HASH-HOST-STUDY.tar.gz``; outside git, REPO is the current folder and HASH ``nogit``."""
    top = (git("rev-parse", "--show-toplevel") or "").strip()
    commit = (git("rev-parse", "--short", "HEAD") or "").strip()
    repository = Path(top).name if top else Path.cwd().name
    host = socket.gethostname().split(".")[0]
    parts = [repository, time.strftime("%y%m%d"), commit or "nogit", host, study]
    return "-".join(_plain(part) for part in parts) + ".tar.gz"


def _plain(text: str) -> str:
    """Replace all but letters, digits, dots, dashes and underscores, so that every file system accepts the name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-") or "unnamed"


def study_name(study: str, runs: Sequence[Path]) -> str:
    """Return the study's name, with ``-phantom`` or ``-debug`` if a run is one and the name does not contain it."""
    found = [RunFolder(run).record for run in runs]
    marks = {"phantom": any(record.phantom for record in found), "debug": any(record.debug for record in found)}
    for mark, is_needed in marks.items():
        if is_needed and mark not in study:
            study += f"-{mark}"
    return study


def check_runs(folder: Path, runs: Sequence[Path]) -> None:
    """Refuse runs that are not finished or not in the folder, so that no incomplete archive is made."""
    for run in runs:
        if not (run / ROWS).is_file():
            where = f"; {unfinished(run)} is not finished" if unfinished(run).exists() else ""
            raise FileNotFoundError(f"no finished run at {run}{where}")
        if RunFolder(run).home.resolve() != folder.resolve():
            raise ValueError(f"{run} does not lie in {folder}, which is what is packed")
    if not runs:
        raise FileNotFoundError(f"no finished run in {folder}: there is nothing to pack")


def contents(folder: Path, runs: Sequence[Path], stamp: Path | None) -> list[Path]:
    """Return the files to pack, sorted: those of the runs, and those beside them (plots, report, ``view/``).

    Left out are unfinished (``*_tmp``) and hidden files, links, checkpoints, the stamp and an old manifest.
    """
    places = [*runs, *([folder / "view"] if (folder / "view").is_dir() else [])]
    found = [path for place in places for path in place.rglob("*")] + list(folder.iterdir())
    return sorted({path for path in found if _belongs(path, folder, stamp)})


def _belongs(path: Path, folder: Path, stamp: Path | None) -> bool:
    words = path.relative_to(folder).parts
    return (
        path.is_file()
        and not path.is_symlink()
        and not any(word.startswith(".") or word.endswith("_tmp") for word in words)
        and not path.name.endswith(CHECKPOINT)  # also previous_checkpoint.pt
        and path.name != MANIFEST
        and words != ("view", "gallery.html")  # the report contains the gallery
        and (stamp is None or path.resolve() != stamp.resolve())
    )


def pack(
    destination: Path, study: str, folder: Path, runs: Sequence[Path], *, ledger: Path | None, stamp: Path | None
) -> Path:
    """Write a new read-only archive into ``destination``, complete, under a name that is not taken.

    Raises:
        FileNotFoundError: no finished run, or one of those named is not finished.
        ValueError: a run elsewhere, a file whose name could not be unpacked again, or one that changed while it was
            packed.
    """
    check_runs(folder, runs)
    inside = [folder / run.resolve().relative_to(folder.resolve()) for run in runs]
    members = {path.relative_to(folder).as_posix(): path for path in contents(folder, inside, stamp)}
    if ledger is not None:
        other = members.setdefault(ledger.name, ledger)
        if other.read_bytes() != ledger.read_bytes():
            raise ValueError(
                f"{other} and the ledger {ledger} differ, and would be one file of the archive; move {other} away, or "
                "give it another name"
            )
    target = destination / archive_name(study_name(study, inside))
    root = folder.resolve().name
    check_names(folder, root, members)
    destination.mkdir(parents=True, exist_ok=True)
    sweep(destination)
    with growing_file(target) as grown:
        with grown.open("wb") as file:
            write_archive(file, root, members)
            file.flush()
            os.fsync(file.fileno())
        verify(grown)
        grown.chmod(0o444)
        return _claim(grown, target)


def check_names(folder: Path, root: str, names: Iterable[str]) -> None:
    """Refuse files that could not be unpacked again because of their names; one error lists them all."""
    faults = [
        f"{folder / name} {fault}" for name in sorted(names) if (fault := fault_of_path([root, *name.split("/")]))
    ]
    if faults:
        more = f"\n    and {len(faults) - 10} more" if len(faults) > 10 else ""
        listed = "\n    ".join(ascii(fault)[1:-1] for fault in faults[:10])
        raise ValueError(f"files that cannot be packed:\n    {listed}{more}\n  Rename them, or move them elsewhere.")


def write_archive(file: IO[bytes], root: str, members: dict[str, Path]) -> None:
    """Write the members in sorted order, the manifest last. The same files give the same bytes."""
    lines, newest = [], 0
    total = sum(path.stat().st_size for path in members.values())
    with (
        gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=6, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        tqdm(total=total, unit="B", unit_scale=True, desc="packing", disable=None, leave=False) as bar,
    ):
        for name in sorted(members):
            with members[name].open("rb") as source:
                before = os.fstat(source.fileno())
                reader = HashingReader(source, bar.update)
                tar.addfile(_member(f"{root}/{name}", before.st_size, int(before.st_mtime)), reader)
                after = members[name].stat()
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                raise ValueError(f"{members[name]} changed while it was packed; pack again when nothing else runs")
            lines.append(f"{reader.sha256}  {name}\n")
            newest = max(newest, int(before.st_mtime))
        manifest = "".join(lines).encode()
        tar.addfile(_member(f"{root}/{MANIFEST}", len(manifest), newest), io.BytesIO(manifest))


def _member(name: str, size: int, modified: int) -> tarfile.TarInfo:
    """Make a member's header without the user, group and mode that the file has on this machine."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, min(max(modified, 0), MAX_TIME), 0o644
    return info


def _claim(grown: Path, target: Path) -> Path:
    """Give the archive its name, or the next free one (``-2``, ``-3``, ...); never replace an existing archive."""
    count = 1
    while True:
        numbered = f"-{count}" if count > 1 else ""
        free = target.with_name(target.name.removesuffix(".tar.gz") + numbered + ".tar.gz")
        try:
            os.link(grown, free)  # unlike a rename, this fails if the name is taken
            return free
        except FileExistsError:
            count += 1
        except OSError:  # a file system without hard links
            with sole_maker(free):
                if not free.exists():
                    grown.rename(free)
                    return free
            count += 1
