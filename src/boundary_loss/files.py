"""Files and folders appear whole or not at all, and nothing that exists is overwritten unseen."""

import ctypes
import errno
import fcntl
import io
import json
import math
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from boundary_loss.events import reached

if TYPE_CHECKING:
    import numpy as np  # else where an array is met: `doctor` runs where NumPy is missing

_UNFINISHED = "_tmp"
_MARK = ".unfinished"
"""A file in each folder that grows: a folder without it is not the pipeline's, and is left alone."""
MAX_JSON = 1 << 28
"""Bytes of a JSON file that is read; the largest of the pipeline's, a report's pictures, has some ten million."""
_GROWING = re.compile(r"\..*\.[0-9a-f]{16}_tmp")
"""Names of files that grow."""
_WAIT_FOR_LOCK = 1.0  # seconds: what the forked workers of a process that was killed need to notice it


def unfinished(target: Path) -> Path:
    """Where ``target`` grows until it is complete: ``results/isles/gdl`` grows as ``results/isles/gdl_tmp``."""
    return target.with_name(target.name + _UNFINISHED)


def is_within_unfinished(path: Path) -> bool:
    return any(folder.endswith(_UNFINISHED) for folder in path.parts[:-1])


def set_aside(target: Path) -> Path | None:
    """Move an existing file or folder out of the way, under a dated name that nothing has; None if there is none."""
    if not os.path.lexists(target):
        return None
    dated = target.with_name(f"{target.name}_{time.strftime('%Y%m%d-%H%M%S')}")
    aside, count = dated, 1
    while os.path.lexists(aside):
        count += 1
        aside = dated.with_name(f"{dated.name}-{count}")
    target.rename(aside)
    return aside


def publish(grown: Path, target: Path) -> Path | None:
    """Rename what has grown beside to its final name; what stood there moves aside, and its new place is returned."""
    reached("publishing {}", target)
    settle(grown)
    aside = set_aside(target)
    grown.rename(target)
    (target / _MARK).unlink(missing_ok=True)
    return aside


def begin_folder(grown: Path) -> None:
    """Make an unfinished folder, marked as the pipeline's; what a killed attempt left there is cleared first."""
    clear_folder(grown)
    grown.mkdir(parents=True)
    (grown / _MARK).touch()


def clear_folder(grown: Path, *, ours: str = "") -> None:
    """Remove the unfinished folder ``grown`` if it is there, after :func:`refuse_foreign`."""
    refuse_foreign(grown, ours=ours)
    if grown.exists():
        shutil.rmtree(grown)


def refuse_foreign(grown: Path, *, ours: str = "") -> None:
    """Refuse to write into, or to clear, what the pipeline did not begin at the place of an unfinished folder.

    Args:
        ours: name of a file that also marks a folder as the pipeline's.

    Raises:
        FileExistsError: a link, a file, or a folder with files and without the mark of :func:`begin_folder`.
    """
    if not os.path.lexists(grown):
        return
    if grown.is_symlink() or not grown.is_dir():
        what = "a link" if grown.is_symlink() else "a file"
    elif any((grown / name).is_file() for name in (_MARK, ours) if name) or not any(grown.iterdir()):
        return
    else:
        what = "a folder that the pipeline did not make"
    raise FileExistsError(f"{grown} is {what}, and its name is needed for what is not finished; move it away")


def settle(place: Path) -> None:
    """Wait until what was written to the disk that ``place`` is on cannot be lost in a power cut."""
    reached("settling {}", place)
    syncfs = getattr(ctypes.CDLL(None), "syncfs", None)  # Linux; elsewhere all disks are waited for
    if syncfs is None:
        os.sync()
        return
    descriptor = os.open(place, os.O_RDONLY)
    try:
        syncfs(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def sole_maker(target: Path) -> Iterator[None]:
    """Refuse to make ``target`` while another process does; the lock of a process that died holds nobody up."""
    lock = target.with_name(f".{target.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    file, patience = _locked(lock), time.monotonic() + _WAIT_FOR_LOCK
    while file is None:
        if time.monotonic() > patience:
            raise FileExistsError(f"another process is making {target} right now; wait for it, or stop it")
        time.sleep(0.05)
        file = _locked(lock)
    with file:
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _locked(lock: Path) -> IO[bytes] | None:
    """The file with our lock on it; None while it is another's.

    Raises:
        FileExistsError: a link, a folder, or somebody's file: ours are empty.
    """
    try:
        file = os.fdopen(os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666), "r+b")
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EISDIR):
            raise
        raise FileExistsError(f"{lock} is not a lock of this pipeline; move it away") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(lock, file.fileno()):  # else its last owner has just removed it
            if os.fstat(file.fileno()).st_size:
                raise FileExistsError(f"{lock} is not a lock of this pipeline; move it away")
            return file
    except BlockingIOError:
        pass
    except BaseException:
        file.close()
        raise
    file.close()
    return None


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the open file is still the one at ``path``."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Fill a folder beside ``target`` and publish it on success; what a killed attempt left is cleared first."""
    with sole_maker(target):
        grown = unfinished(target)
        begin_folder(grown)
        yield grown
        aside = publish(grown, target)
    if aside is not None:
        print(f"{target}: the one before is kept as {aside}")


def link_folder(source: Path, target: Path, *, leave_out: Sequence[str] = ()) -> None:
    """Copy a folder, also into one that is there, without its content taking space again: hard links, else copies.

    Safe because files here are replaced, never written into. ``leave_out``: patterns of names.
    """

    def link_or_copy(old: str, new: str) -> None:
        try:
            Path(new).hardlink_to(old)
        except OSError:
            shutil.copy2(old, new)

    shutil.copytree(source, target, copy_function=link_or_copy, ignore=shutil.ignore_patterns(*leave_out),
                    dirs_exist_ok=True)  # fmt: skip


def write_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Let ``write`` fill a file beside ``path``, then rename it: readers see the old file or the new, never a half.

    Nor do they after a power cut: the content reaches the disk before it gets its name. Not so within a folder that is
    unfinished, which :func:`publish` settles as a whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with growing_file(path) as grown, named_errors(path):
        reached("writing {}", path)
        write(grown)
        if not is_within_unfinished(path):
            _sync(grown)
        grown.replace(path)


@contextmanager
def growing_file(path: Path) -> Iterator[Path]:
    """Make an empty file beside ``path`` to be filled and renamed; removed at the end if it was not renamed.

    Nobody can guess its name, so that nothing that exists is written into; a lock that ends with this process says
    whether it still grows.
    """
    grown = path.with_name(f".{path.name[:50]}.{secrets.token_hex(8)}{_UNFINISHED}")
    with named_errors(path):
        descriptor = os.open(grown, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with suppress(OSError):  # a disk without locks: then nothing is swept there either
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield grown
    finally:
        os.close(descriptor)
        grown.unlink(missing_ok=True)


def _sync(file: Path) -> None:
    with file.open("rb") as written:
        os.fsync(written.fileno())


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """A full disk says which file it was: the system's own error names one on opening, but not on writing."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def sweep(folder: Path) -> None:
    """Remove the files of :func:`growing_file` that processes which were killed have left in the folder."""
    for grown in folder.glob(f".*{_UNFINISHED}"):
        if _GROWING.fullmatch(grown.name) and grown.is_file() and not grown.is_symlink():
            with suppress(OSError), grown.open("rb") as file:  # gone, or a lock that is held: it still grows
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                grown.unlink()


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    write_file(path, lambda grown: grown.write_bytes(content))


def write_text(path: Path, text: str) -> None:
    """Write UTF-8, whatever the locale; bytes of a name that it could not decode come back as they were."""
    write_file(path, lambda grown: grown.write_text(text, encoding="utf-8", errors="surrogateescape"))


def write_json(path: Path, content: Any) -> None:
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; the error names a file that is cut, is no JSON, or is nested too deep to parse."""
    try:
        if path.stat().st_size > MAX_JSON:
            raise ValueError(f"it has more than {MAX_JSON} bytes")
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from None


def write_array(path: Path, array: "np.ndarray") -> None:
    import numpy as np

    content = io.BytesIO()  # np.save into a file reports a full disk without saying so
    np.save(content, array)
    write_bytes(path, content.getbuffer())


_parsing = threading.Lock()
"""Held while a header is parsed: Python 3.11 counts the depth of the syntax trees of all threads as one, and now and
then fails where two parse at a time (CPython's issue 106905)."""


def read_array(path: Path) -> "np.ndarray":
    """Load a ``.npy``; a truncated or foreign file is named in the error. Threads may read side by side."""
    import numpy as np

    try:
        with path.open("rb") as file:  # np.load would answer a foreign file with how to read it unsafely
            shape, is_fortran, dtype = array_header(file)
            if math.prod(shape) * dtype.itemsize > os.fstat(file.fileno()).st_size:  # before memory is taken for it
                raise ValueError("its end is missing")
            numbers = np.fromfile(file, dtype, count=math.prod(shape))
        if numbers.size != math.prod(shape):
            raise ValueError("its end is missing")
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} cannot be read as a NumPy array ({error}); delete it and run make again") from None
    return numbers.reshape(shape, order="F" if is_fortran else "C")


def map_array(path: Path) -> "np.ndarray":
    """Map a ``.npy`` into memory, read-only: of a large array, what is read of it is all that is read of the disk."""
    import numpy as np

    try:
        with path.open("rb") as file:
            shape, is_fortran, dtype = array_header(file)
            start, size = file.tell(), math.prod(shape) * dtype.itemsize
            if start + size != os.fstat(file.fileno()).st_size:
                raise ValueError("its length is not that of its array")
            return np.memmap(file, dtype, "r", start, shape, "F" if is_fortran else "C")
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} cannot be read as a NumPy array ({error}); delete it and run make again") from None


def array_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, "np.dtype"]:
    """Read the header of a ``.npy``: shape, whether in Fortran's order, dtype. No objects, which would be unpickled."""
    import numpy as np

    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version} of the format")
    with _parsing:
        shape, is_fortran, dtype = readers[version](file)
    if dtype.hasobject or min(shape, default=0) < 0:
        raise ValueError("it holds objects, not numbers" if dtype.hasobject else f"it has the shape {shape}")
    return shape, is_fortran, dtype
