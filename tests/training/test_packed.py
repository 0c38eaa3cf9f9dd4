"""An epoch's predictions in one file: the same run, whatever way they are kept, and killed at any moment."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_run import KILLER, ROW, command, environment, same_arrays, train
from toys import write_sliced

from boundary_loss.runfolder import RunFolder

OPTIONS = [*ROW, "--epochs", "3", "--save_train"]
PACKED = [*OPTIONS, "--predictions", "packed"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sliced(tmp_path_factory.mktemp("data") / "TOY")


@pytest.fixture(scope="module")
def packed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "packed"
    train(folder, data, *PACKED)
    return folder


def test_it_is_the_run_that_keeps_pictures(packed: Path, data: Path, tmp_path: Path) -> None:
    train(tmp_path / "pictures", data, *OPTIONS)
    same_arrays(packed, tmp_path / "pictures")
    ours, theirs = RunFolder.find(packed), RunFolder.find(tmp_path / "pictures")
    assert ours.epochs == theirs.epochs == [0, 1, 2]
    for epoch in (None, 0, 2):
        for a, b in zip(*(run.predictions(epoch, run.names["val"]) for run in (ours, theirs)), strict=True):
            np.testing.assert_array_equal(a, b)
    assert sorted(path.name for path in (packed / "iter001").iterdir()) == ["train.npz", "val.npz"]
    for path in (theirs.path / "best_epoch").rglob("*.png"):
        assert path.read_bytes() == (packed / path.relative_to(theirs.path)).read_bytes()


def test_killed_it_ends_the_same_to_the_byte(packed: Path, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "packed"
    moments = [
        "boundary_loss.training.predictions:write_packed:2",  # one set of the first epoch is written, one is not
        "boundary_loss.training.predictions:unpack_pictures:1",  # the first epoch is the best, being unpacked
        "boundary_loss.predicted:write_png:3",
        "boundary_loss.training.run:save_checkpoint:2",
    ]
    for moment in moments:
        words = [sys.executable, "-c", KILLER, moment, *command(folder, data, *PACKED)[3:]]
        killed = subprocess.run(words, env=environment(), capture_output=True, text=True)
        assert killed.returncode == -signal.SIGKILL, (moment, killed.stdout, killed.stderr)
    train(folder, data, *PACKED)
    same_arrays(packed, folder)
    files = sorted(path.relative_to(packed) for path in packed.glob("*/**/*") if path.is_file())
    assert files == sorted(path.relative_to(folder) for path in folder.glob("*/**/*") if path.is_file())
    for path in files:
        assert (packed / path).read_bytes() == (folder / path).read_bytes(), path


def test_more_epochs_keep_the_packed_ones(packed: Path, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "packed"
    shutil.copytree(packed, folder)
    train(folder, data, *ROW, "--epochs", "4", "--save_train", "--predictions", "packed")
    assert RunFolder.find(folder).epochs == [0, 1, 2, 3]
    old, new = (RunFolder.find(run).predictions(1, ["case_4_00_0000"]) for run in (packed, folder))
    np.testing.assert_array_equal(old, new)
