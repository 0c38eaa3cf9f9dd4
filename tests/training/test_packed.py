"""An epoch's predictions in one file: the same run, whatever way they are kept, and killed at any moment."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from toys import REPOSITORY, write_sliced

from boundary_loss.runfolder import TRAINING_ARRAYS, RunFolder

ROW = ["--losses", "gdl:1", "boundary:0.01@1", "--network", "Dimwit", "--batch_size", "3"]
OPTIONS = [*ROW, "--epochs", "3", "--save_train"]
PACKED = [*OPTIONS, "--predictions", "packed"]


KILLER = """
import importlib, os, signal, sys
from boundary_loss import command, train

module, name, count = sys.argv.pop(1).split(":")
module = importlib.import_module(module)
original, calls = getattr(module, name), []

def deadly(*arguments, **options):
    calls.append(0)
    if len(calls) == int(count):
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments, **options)

setattr(module, name, deadly)
command.run(train.main)
"""


def train(folder: Path, data: Path, *options: str, killed_at: str = "") -> None:
    """Train in a process of its own; it dies at the ``count``-th call of ``module:function:count``."""
    how = ["-c", KILLER, killed_at] if killed_at else ["-m", "boundary_loss.train"]
    words = [sys.executable, *how, str(folder), "--data", str(data), *options]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert done.returncode == (-signal.SIGKILL if killed_at else 0), (killed_at, done.stdout, done.stderr)


def same_arrays(a: Path, b: Path) -> None:
    for name in TRAINING_ARRAYS:
        np.testing.assert_array_equal(np.load(a / f"{name}.npy"), np.load(b / f"{name}.npy"), err_msg=name)


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
        "boundary_loss.training.predictions:write_packed:2",  # one set of the first epoch is packed, one is not
        "boundary_loss.training.predictions:unpack_pictures:1",  # the first epoch is the best, being unpacked
        "boundary_loss.predicted:write_png:3",
        "boundary_loss.training.run:save_checkpoint:2",  # the second epoch is complete, and does not count yet
    ]
    for moment in moments:
        train(folder, data, *PACKED, killed_at=moment)
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
