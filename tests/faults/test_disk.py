"""A full disk, a forbidden one, and files that it spoilt."""

import errno
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from trainings import DROPPER, same_run, train_here

from boundary_loss.training import checkpoint
from boundary_loss.training.tensorfiles import read_tensors

Arrange = Callable[..., None]


def full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("moment", "nth"),
    [
        ("writing */iter000_tmp/val/*.png", 8),  # in a thread
        ("writing */best.pkl", 1),
        ("writing */val_loss.npy", 2),
        ("writing */best_epoch.txt", 1),
        ("writing */metrics.csv", 1),
        ("settling */run_tmp", 2),
        ("writing */run_tmp/checkpoint.pt", 2),
    ],
)
def test_a_full_disk_stops_with_one_message_and_costs_nothing(
    finished: Path, data: Path, tmp_path: Path, at: Arrange, moment: str, nth: int
) -> None:
    at(moment, full, nth)
    stopped = train_here(tmp_path / "run", data, *DROPPER)
    assert stopped.status == 2 and "Traceback" not in stopped.err
    assert stopped.err.startswith("error: No space left on device") and "free some space" in stopped.err
    assert not list((tmp_path / "run_tmp").glob(".*_tmp"))
    assert train_here(tmp_path / "run", data, *DROPPER).status == 0
    same_run(finished, tmp_path / "run")


@pytest.fixture
def refuse_beyond() -> Iterator[Callable[[int], None]]:
    """Let the system refuse files of more than so many bytes, as a quota does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("moment", "size", "file"),
    [
        ("writing *.png", 60, ".png"),
        ("writing */best.pkl", 1000, "best.pkl"),
        ("writing */tra_loss.npy", 100, "tra_loss.npy"),
        ("writing */checkpoint.pt", 1000, "checkpoint.pt"),
    ],
)
def test_a_write_that_the_system_refuses_names_the_file(
    finished: Path, data: Path, tmp_path: Path, at: Arrange, refuse_beyond: Callable[[int], None], moment: str,
    size: int, file: str,
) -> None:  # fmt: skip
    """The errors are the system's, as they come through Pillow, NumPy and torch."""
    at(moment, lambda: refuse_beyond(size))
    stopped = train_here(tmp_path / "run", data, *DROPPER)
    refuse_beyond(resource.RLIM_INFINITY)
    assert stopped.status == 2 and stopped.err.startswith("error: File too large: "), stopped
    assert file in stopped.err and "Traceback" not in stopped.err
    assert train_here(tmp_path / "run", data, *DROPPER).status == 0
    same_run(finished, tmp_path / "run")


def test_a_disk_that_is_full_until_somebody_makes_room(finished: Path, data: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        stopped = train_here(disk / "run", data, *DROPPER)
        assert stopped.status == 2 and stopped.err.startswith("error: No space left on device: "), stopped
        subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
        done = train_here(disk / "run", data, *DROPPER)
        assert done.status == 0, done
        same_run(finished, disk / "run")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_folder_that_may_not_be_written(data: Path, tmp_path: Path, at: Arrange, number: int) -> None:
    def forbidden() -> None:
        raise OSError(number, os.strerror(number), "results/isles/gdl_tmp/tra_loss.npy")

    at("writing */tra_loss.npy", forbidden)
    stopped = train_here(tmp_path / "run", data, *DROPPER)
    assert stopped.status == 2
    assert stopped.err == (
        f"error: {os.strerror(number)}: results/isles/gdl_tmp/tra_loss.npy. "
        "Make it writable, or name another folder (with make: RD=folder)\n"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_without_the_right_to_write(data: Path, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o555)
    stopped = train_here(tmp_path / "closed" / "run", data, *DROPPER)
    assert stopped.status == 2 and stopped.err.startswith("error: Permission denied") and "RD=" in stopped.err


def test_a_file_where_the_results_should_be(data: Path, tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    stopped = train_here(tmp_path / "results" / "run", data, *DROPPER)
    assert stopped.status == 2 and "Traceback" not in stopped.err and "results" in stopped.err


@pytest.fixture
def states(data: Path, tmp_path: Path, at: Arrange) -> Path:
    """An interrupted run with two states, of the epochs 0 and 1."""

    def killed() -> None:
        raise SystemExit(9)

    at("writing */checkpoint.pt", killed, nth=3)
    assert train_here(tmp_path / "run", data, *DROPPER).status == 9
    return tmp_path / "run_tmp"


def flip(path: Path) -> None:
    """One bit, in the middle of a tensor: torch alone would not notice."""
    content = bytearray(path.read_bytes())
    content[content.find(b"data/0") + 400] ^= 4
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("spoil", [flip, cut, empty])
def test_a_spoilt_state_costs_an_epoch(
    finished: Path, data: Path, tmp_path: Path, states: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(states / "checkpoint.pt")
    done = train_here(tmp_path / "run", data, *DROPPER)
    assert "cannot be read" in done.out and "going on after epoch 0\n" in done.out
    same_run(finished, tmp_path / "run")


@pytest.mark.parametrize("lost", ["history", "optimiser", "net"])
def test_a_state_of_another_version_stops_with_one_message(data: Path, tmp_path: Path, states: Path, lost: str) -> None:
    state = torch.load(states / "checkpoint.pt", weights_only=True)
    state[lost] = {}
    torch.save(state, states / "checkpoint.pt")
    stopped = train_here(tmp_path / "run", data, *DROPPER)
    assert stopped.status == 2 and "Traceback" not in stopped.err
    assert "not of this version" in stopped.err and "FRESH=1" in stopped.err
    assert (states / "iter001" / "val").is_dir()


def test_when_both_states_are_spoilt_it_stops_and_says_so(data: Path, tmp_path: Path, states: Path) -> None:
    flip(states / "checkpoint.pt")
    empty(states / "previous_checkpoint.pt")
    stopped = train_here(tmp_path / "run", data, *DROPPER)
    assert stopped.status == 2 and "Traceback" not in stopped.err
    assert "checkpoint.pt cannot be read" in stopped.err and "previous_checkpoint.pt cannot be read" in stopped.err
    assert f"Remove {states} to train from the start" in stopped.err
    assert (states / "iter001" / "val").is_dir(), "what is there is left for the user to look at"


def test_a_flipped_bit_of_a_tensor_is_noticed(tmp_path: Path) -> None:
    state = {"net": {"weight": torch.arange(64.0)}}
    checkpoint.save_checkpoint(tmp_path, state)
    content = (tmp_path / "checkpoint.pt").read_bytes()
    start = content.find(torch.arange(64.0).numpy().tobytes())
    assert start > 0
    for position in range(start, start + 256, 7):
        spoilt = bytearray(content)
        spoilt[position] ^= 1 << position % 8
        (tmp_path / "checkpoint.pt").write_bytes(spoilt)
        with pytest.raises(ValueError, match="checksum"):
            read_tensors(tmp_path / "checkpoint.pt")
