"""A row on whole volumes withstands what a row on slices does: disk, numbers, memory, spoilt states, Ctrl-C."""

import errno
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trainings import same_run, train_here
from wholes import write_whole

from boundary_loss.data import Batch
from boundary_loss.data.volumes import Volumes
from boundary_loss.folders.run import RunFolder

Arrange = Callable[..., None]

SHAPES = {f"case_{i}": (9 + i, 12, 6 + i % 3) for i in range(5)}
PATCHES = [
    "--losses", "gdl:1", "boundary:0.01@1", "--schedule", "steal(0.01)", "--epochs", "3", "--batch_size", "2",
    "--network", "toys:Dropper3D", "--sample", "patch(8,8,4)", "--augment", "flip(xyz)", "rotate(10,xyz)", "noise(0.1)",
]  # fmt: skip
"""Three epochs of two training and two validation steps."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_whole(tmp_path_factory.mktemp("data") / "WHOLE", SHAPES, ["case_3", "case_4"])


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("results") / "run"
    assert train_here(run, data, *PATCHES).status == 0
    return run


def full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("moment", "nth"),
    [
        ("writing */iter000_tmp/val/case_4.npz", 1),
        ("writing */best.pkl", 1),
        ("writing */val_loss.npy", 2),
        ("writing */run_tmp/checkpoint.pt", 2),
    ],
)
def test_a_full_disk_stops_with_one_message_and_costs_nothing(
    finished: Path, data: Path, tmp_path: Path, at: Arrange, moment: str, nth: int
) -> None:
    at(moment, full, nth)
    stopped = train_here(tmp_path / "run", data, *PATCHES)
    assert stopped.status == 2 and "Traceback" not in stopped.err
    assert stopped.err.startswith("error: No space left on device") and "free some space" in stopped.err
    assert not list((tmp_path / "run_tmp").glob(".*_tmp"))
    assert train_here(tmp_path / "run", data, *PATCHES).status == 0
    same_run(finished, tmp_path / "run")


@pytest.mark.parametrize(
    "moment", ["training step 1 of epoch 0", "training step 2 of epoch 1", "validation step 1 of epoch 2"]
)
def test_ctrl_c_at_a_step_costs_nothing(
    finished: Path, data: Path, tmp_path: Path, at: Arrange, moment: str
) -> None:  # fmt: skip
    at(moment, lambda: signal.raise_signal(signal.SIGINT), 1)
    stopped = train_here(tmp_path / "run", data, *PATCHES)
    assert stopped.status == 130 and "is saved" in stopped.err, stopped
    assert train_here(tmp_path / "run", data, *PATCHES).status == 0
    same_run(finished, tmp_path / "run")


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """``poison(6)``: the images of the sixth batch, over all epochs, are NaN."""
    original, calls = Volumes._complete, []

    def arrange(number: int) -> None:
        def complete(self: Volumes, *arguments: Any) -> Batch:
            found = original(self, *arguments)
            calls.append(0)
            bad = len(calls) == number
            return replace(found, inputs=(torch.full_like(found.inputs[0], torch.nan),)) if bad else found

        monkeypatch.setattr(Volumes, "_complete", complete)

    return arrange


@pytest.mark.parametrize(
    ("number", "where"), [(6, "on batch 1 of 2, the train cases case_"), (4, "the val cases case_4")]
)
def test_a_nan_names_the_volumes_and_the_last_good_state_is_kept(
    finished: Path, data: Path, tmp_path: Path, poison: Callable[[int], None], monkeypatch: pytest.MonkeyPatch,
    number: int, where: str,
) -> None:  # fmt: skip
    poison(number)
    stopped = train_here(tmp_path / "run", data, *PATCHES)
    assert stopped.status == 2 and stopped.err.count("\n") == 1, stopped.err
    assert "not finite" in stopped.err and where in stopped.err and "SKIP_NAN=1" in stopped.err
    monkeypatch.undo()
    assert train_here(tmp_path / "run", data, *PATCHES).status == 0
    same_run(finished, tmp_path / "run")


def test_skip_nan_leaves_the_step_out(data: Path, tmp_path: Path, poison: Callable[[int], None]) -> None:
    poison(2)
    done = train_here(tmp_path / "run", data, *PATCHES, "--skip_nan")
    assert done.status == 0 and "skipped 1 steps that were not finite" in done.out.splitlines()[0]
    losses = RunFolder.find(tmp_path / "run").array("tra_loss")
    assert np.isnan(losses[0, 1]).all() and np.isfinite(losses[0, 0]).all() and np.isfinite(losses[1:]).all()


def test_memory_that_runs_out_names_what_needs_less(
    finished: Path, data: Path, tmp_path: Path, at: Arrange
) -> None:  # fmt: skip
    def out() -> None:
        raise RuntimeError("[enforce] DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes.")

    at("forward pass", out, nth=6)
    stopped = train_here(tmp_path / "run", data, *PATCHES)
    assert stopped.status == 2 and stopped.err.count("\n") == 1
    for less in ("BS=1 (now 2)", "a smaller SAMPLE='patch(...)'", "NET='...(recompute=true)'"):
        assert less in stopped.err
    assert train_here(tmp_path / "run", data, *PATCHES).status == 0
    same_run(finished, tmp_path / "run")


def test_a_spoilt_state_costs_an_epoch(finished: Path, data: Path, tmp_path: Path, at: Arrange) -> None:
    def killed() -> None:
        raise SystemExit(9)

    at("writing */checkpoint.pt", killed, nth=3)
    assert train_here(tmp_path / "run", data, *PATCHES).status == 9
    state = tmp_path / "run_tmp" / "checkpoint.pt"
    state.write_bytes(state.read_bytes()[:5000])
    done = train_here(tmp_path / "run", data, *PATCHES)
    assert done.status == 0 and "cannot be read" in done.out and "going on after epoch 0\n" in done.out
    same_run(finished, tmp_path / "run")
