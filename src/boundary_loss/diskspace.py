"""Whether a disk has room for what is to be written, in bytes and in files."""

import os
from pathlib import Path


def check_room(folder: Path, size: int, count: int, what: str, spare: int) -> None:
    """Refuse to fill the disk of ``folder``.

    Args:
        size: bytes to be written.
        count: files to be written; file systems with a fixed table of files (inodes) can be full with bytes free.
        what: what is to be done, for the message: ``unpacking``.
        spare: bytes that must stay free for whatever else writes to the disk.

    Raises:
        ValueError: there is not enough room; it says how much there is, and what to do.
    """
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    if size + spare > free:
        raise ValueError(
            f"{what} writes {in_words(size)}, and {in_words(spare)} must stay free; "
            f"the disk of {folder} has {in_words(free)}: make room, or use another disk"
        )
    if disk.f_files and count > disk.f_favail:  # file systems without such a table state 0
        raise ValueError(
            f"{what} writes {count} files, and the disk of {folder} takes {disk.f_favail} more, however small: "
            "remove files, or use another disk"
        )


def in_words(size: int) -> str:
    """Bytes in the unit that fits: ``270 kB``, ``1.5 GB``."""
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if size >= 1000**power:
            return f"{size / 1000**power:.{1 if size < 10 * 1000**power else 0}f} {unit}"
    return f"{size} bytes"
