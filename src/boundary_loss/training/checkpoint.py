"""Saves and loads what training needs to continue exactly where it stopped.

A run folder may hold three complete states: of the last finished epoch, of the one before, and of a step within the
current epoch. Everything is tensors and plain Python, so that
``torch.load(weights_only=True)`` reads it.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from boundary_loss.files import settle, write_file
from boundary_loss.folders.run import CHECKPOINT
from boundary_loss.training.fitting import Fitting
from boundary_loss.training.tensorfiles import read_tensors, to_bytes

_PREVIOUS = f"previous_{CHECKPOINT}"
_MIDWAY = f"midway_{CHECKPOINT}"


def save_checkpoint(run: Path, state: dict[str, Any]) -> None:
    """Write the state at an epoch's end, keeping the one before.

    The epoch's pictures reach the disk before the checkpoint gets its name, so that after a power cut no checkpoint
    counts an epoch without its pictures.
    """
    path = run / CHECKPOINT

    def write(grown: Path) -> None:
        grown.write_bytes(to_bytes(state))
        settle(run)
        (run / _MIDWAY).unlink(missing_ok=True)
        if path.exists():
            path.replace(run / _PREVIOUS)

    write_file(path, write)


def save_midway(run: Path, state: dict[str, Any]) -> None:
    """Write a state within an epoch, after the pictures that it counts; the epochs' own states stay."""

    def write(grown: Path) -> None:
        grown.write_bytes(to_bytes(state))
        settle(run)

    write_file(run / _MIDWAY, write)


class CheckpointWriter:
    """Writes the epochs' checkpoints while the next epoch computes (use as a context); one at a time.

    A large network's state takes a disk longer than a small epoch takes a GPU.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self._pool = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def write(self, state: dict[str, Any]) -> None:
        """Start to write a copy of the state; the original may change at once."""
        self.wait()
        self._writing = self._pool.submit(save_checkpoint, self._run, _on_host(state))

    def wait(self) -> None:
        """Wait until the last checkpoint is on disk; raises if the disk is full."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def __enter__(self) -> "CheckpointWriter":
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown()
        if error is None:
            self.wait()


def _on_host(state: Any) -> Any:
    """Return a copy, its tensors on the host."""
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        return {name: _on_host(value) for name, value in state.items()}
    return [_on_host(value) for value in state] if isinstance(state, list) else state


def load_checkpoint(run: Path, fitting: Fitting) -> dict[str, Any] | None:
    """Read the newest readable state of an interrupted run; None if it has not saved any.

    Raises:
        ValueError: there are states but none can be read, or the newest does not fit this run.
    """
    faults = []
    for path in (run / _MIDWAY, run / CHECKPOINT, run / _PREVIOUS):
        if not path.is_file():
            continue
        try:
            state, _ = read_tensors(path)
        except ValueError as error:
            faults.append(f"{path} cannot be read ({error})")
            print(f"{faults[-1]}; trying the one before")
            continue
        _refuse_misfit(state, path, fitting)
        return state
    if faults:
        raise ValueError("; ".join(faults) + f". Remove {run} to train from the start")
    return None


def _refuse_misfit(state: Any, path: Path, fitting: Fitting) -> None:
    """Refuse a readable state that does not fit; the one before it may be an epoch or a day older."""
    try:
        fitting.check(state, path)
    except ValueError as error:
        raise ValueError(
            f"{error}. It is readable, but not of this run, or not of this version of the code or of torch; go on with "
            "the version in its run.json, remove it to go on from the state before it (from the start if there is "
            "none), or begin anew with FRESH=1"
        ) from None
