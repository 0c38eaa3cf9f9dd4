"""Losses that are not finite, and memory that runs out."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trainings import DROPPER, ROW, same_run, train_here

from boundary_loss.data import Batch, Slices
from boundary_loss.folders.run import RunFolder

Arrange = Callable[..., None]


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """``poison(6, 7)``: the images of the batches 6 to 7, counted from 1 over all epochs, are NaN."""
    original, calls = Slices._complete, []

    def complete(self: Slices, *arguments: Any, **options: Any) -> Batch:
        found = original(self, *arguments, **options)
        calls.append(0)
        if first <= len(calls) <= last:
            found = replace(found, inputs=(torch.full_like(found.inputs[0], torch.nan),))
        return found

    first = last = 0

    def arrange(begin: int, end: int) -> None:
        nonlocal first, last
        first, last = begin, end
        monkeypatch.setattr(Slices, "_complete", complete)

    return arrange


def test_a_nan_names_batch_and_cases_and_the_last_good_state_is_kept(
    finished: Path, data: Path, tmp_path: Path, poison: Callable[[int, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(9, 9)  # epoch 1, its second batch
    stopped = train_here(tmp_path / "run", data, *DROPPER)
    assert stopped.status == 2 and stopped.err.count("\n") == 1
    assert "not finite (gdl:1 = nan, boundary:0.01@1 = nan) on batch 1 of 4, the train slices case_" in stopped.err
    assert "SKIP_NAN=1" in stopped.err
    monkeypatch.undo()  # the disturbance was not the data's
    done = train_here(tmp_path / "run", data, *DROPPER)
    assert "going on after epoch 0\n" in done.out
    same_run(finished, tmp_path / "run")


def test_skip_nan_leaves_the_step_out_and_says_so(
    data: Path, tmp_path: Path, poison: Callable[[int, int], None]
) -> None:
    poison(2, 3)
    done = train_here(tmp_path / "run", data, *DROPPER, "--skip_nan")
    assert done.status == 0, done.err
    assert done.out.splitlines()[0].count("skipped 2 steps that were not finite") == 1
    assert "skipped" not in done.out.splitlines()[1]
    losses = RunFolder.find(tmp_path / "run").array("tra_loss")
    assert np.isnan(losses[0, 1:3]).all() and np.isfinite(losses[0, [0, 3]]).all() and np.isfinite(losses[1:]).all()
    lines = list(csv.DictReader((tmp_path / "run" / "metrics.csv").read_text().splitlines()))
    assert [line["skipped"] for line in lines] == ["2", "0", "0"]
    assert float(lines[0]["tra_loss"]) == pytest.approx(losses[0, [0, 3]] @ [1, 0.01] @ [0.5, 0.5], abs=1e-6)
    weights = torch.load(tmp_path / "run" / "best.pkl", weights_only=True)["weights"]
    assert all(torch.isfinite(tensor).all() for tensor in weights.values()), "running statistics too"


def test_a_run_that_stopped_at_a_nan_goes_on_with_skip_nan(
    data: Path, tmp_path: Path, poison: Callable[[int, int], None]
) -> None:
    poison(9, 9)
    assert train_here(tmp_path / "run", data, *DROPPER).status == 2
    poison(11, 11)  # the second batch of the second attempt
    done = train_here(tmp_path / "run", data, *DROPPER, "--skip_nan")
    assert done.status == 0 and "going on after epoch 0" in done.out and "skipped 1 steps" in done.out


def test_skipping_changes_nothing_where_all_is_finite(finished: Path, data: Path, tmp_path: Path) -> None:
    assert train_here(tmp_path / "run", data, *DROPPER, "--skip_nan").status == 0
    same_run(finished, tmp_path / "run")


def test_a_gradient_that_is_not_finite_is_skipped_too(data: Path, tmp_path: Path) -> None:
    words = ["--losses", "toys:Steep:1", "--network", "Dimwit", "--batch_size", "6", "--epochs", "1"]
    done = train_here(tmp_path / "run", data, *words, "--skip_nan")
    assert done.status == 0 and "skipped 2 steps" in done.out
    assert np.isfinite(RunFolder.find(tmp_path / "run").array("tra_loss")).all()
    weights = torch.load(tmp_path / "run" / "best.pkl", weights_only=True)["weights"]
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())


def test_a_validation_loss_that_is_not_finite(data: Path, tmp_path: Path, poison: Callable[[int, int], None]) -> None:
    poison(5, 5)
    stopped = train_here(tmp_path / "run", data, *DROPPER)
    assert stopped.status == 2 and "on batch 0 of 3, the val slices case_4_00_0000" in stopped.err
    poison(10, 10)  # three more batches were seen until then; the first attempt saved nothing
    done = train_here(tmp_path / "run", data, *DROPPER, "--skip_nan")
    assert done.status == 0 and "validation loss not finite on 1 of 3 batches" in done.out


CUDA = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 1 GiB")
CUBLAS = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
HOST = RuntimeError("[enforce] DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes.")
NUMPY = MemoryError("Unable to allocate 9 GiB for an array")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (CUDA, "out of GPU memory, tried to allocate 2.00 GiB; what was saved before is kept"),
        (CUBLAS, "out of GPU memory; what was saved before is kept"),
        (HOST, "out of memory, tried to allocate 99 bytes; what was saved"),
        (NUMPY, "out of memory: Unable to allocate 9 GiB"),
    ],
)
def test_memory_that_runs_out(
    finished: Path, data: Path, tmp_path: Path, at: Arrange, error: Exception, says: str
) -> None:
    def out() -> None:
        raise error

    at("forward pass", out, nth=10)
    stopped = train_here(tmp_path / "run", data, *DROPPER)
    assert stopped.status == 2 and stopped.err.count("\n") == 1 and says in stopped.err
    if error is not NUMPY:
        assert "BS=1 (now 3)" in stopped.err and ("AMP=bf16" in stopped.err) == ("GPU" in says)
    assert train_here(tmp_path / "run", data, *DROPPER).status == 0
    same_run(finished, tmp_path / "run")


def test_other_faults_of_the_network_keep_their_traceback(data: Path, tmp_path: Path, at: Arrange) -> None:
    def wrong() -> None:
        raise RuntimeError("shapes do not fit")

    at("forward pass", wrong, nth=3)  # after its trial
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        train_here(tmp_path / "run", data, *ROW, "--network", "toys:Dropper", "--epochs", "1")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_that_runs_out_of_memory(data: Path, tmp_path: Path, at: Arrange) -> None:
    at("forward pass", lambda: torch.empty(1 << 50, device="cuda", dtype=torch.uint8), nth=2)
    stopped = train_here(tmp_path / "run", data, *DROPPER, "--device", "cuda")
    assert stopped.status == 2 and "out of GPU memory, tried to allocate" in stopped.err and "AMP=bf16" in stopped.err
