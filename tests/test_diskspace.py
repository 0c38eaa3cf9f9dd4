"""A disk without room is told before it is full, in words and units that fit."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from boundary_loss.diskspace import check_room, in_words


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1_500, "1.5 kB"), (270_000, "270 kB"), (3 * 10**8, "300 MB"),
     (4_200_000_000, "4.2 GB"), (12 * 10**12, "12 TB")],
)  # fmt: skip
def test_sizes_in_words(size: int, words: str) -> None:
    assert in_words(size) == words


@pytest.mark.parametrize(
    ("blocks", "files", "free_files", "says"),
    [
        (100, 1000, 900, "unpacking writes 270 kB, and 256 MB must stay free; the disk of .* has 410 kB: make room"),
        (10**6, 1000, 4, "unpacking writes 5 files, and the disk of .* takes 4 more, however small"),
        (10**6, 1000, 5, None),
        (10**6, 0, 0, None),  # a file system without a table of files
    ],
)
def test_bytes_and_files_must_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: int, files: int, free_files: int, says: str | None
) -> None:
    disk = SimpleNamespace(f_bavail=blocks, f_frsize=4096, f_files=files, f_favail=free_files)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    if says is None:
        check_room(tmp_path, 270_000, 5, "unpacking", 256 * 10**6)
        return
    with pytest.raises(ValueError, match=says):
        check_room(tmp_path, 270_000, 5, "unpacking", 256 * 10**6)
