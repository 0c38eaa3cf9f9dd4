"""Trainings as a user starts them, in a process of their own or in this one, and what must be equal after them."""

import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from toys import REPOSITORY

from boundary_loss import command as commands
from boundary_loss import train as training

ROW = ["--losses", "gdl:1", "boundary:0.01@1", "--schedule", "steal(0.01)", "--network", "Dimwit", "--batch_size", "3"]
DROPPER = [*ROW, "--network", "toys:Dropper", "--save_train", "--epochs", "3"]
"""Three epochs of four training and three validation steps, of a network that draws random numbers as it trains."""

_KILLER = """
import os, signal, sys
from boundary_loss import command, events, train
from moments import once

moment, nth = sys.argv.pop(1), int(sys.argv.pop(1))
with events.heard_by(once(moment, lambda: os.kill(os.getpid(), signal.SIGKILL), nth)):
    command.run(train.main)
"""


def train(folder: Path, data: Path, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, data, *options), capture_output=True, text=True, check=check, env=environment()
    )


def train_killed(folder: Path, data: Path, *options: str, at: str, nth: int = 1) -> None:
    """Train, and kill -9 the process the nth time that it reaches the moment ``at`` (see moments.py)."""
    words = [sys.executable, "-c", _KILLER, at, str(nth), *command(folder, data, *options)[3:]]
    killed = subprocess.run(words, env=environment(), capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, (at, killed.stdout, killed.stderr)


def command(folder: Path, data: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "boundary_loss.train", str(folder), "--data", str(data), *(options or ROW)]


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY / "tests")])
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str


def train_here(folder: Path, data: Path, *options: str) -> Done:
    """The same in this process, where a test can reach into it."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    words = command(folder, data, *options)[2:]
    with mock.patch.object(sys, "argv", words), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            commands.run(training.main)
        except SystemExit as stop:
            status = int(stop.code or 0)
    return Done(status, out.getvalue(), err.getvalue())


def same_run(expected: Path, found: Path, *, leave_out: Sequence[str] = ()) -> None:
    """Arrays, weights, table, best epoch and predictions: the same files with the same bytes, and nothing half-done.

    What tells how the run came about, and what is computed from it afterwards, may differ.
    """
    story = {"run.json", "repo.diff", "arguments.txt", "checkpoint.pt", "previous_checkpoint.pt", "evaluation.json"}

    def result(run: Path) -> list[Path]:
        files = (p.relative_to(run) for p in run.rglob("*") if p.is_file() and p.suffix != ".gif")
        return sorted(p for p in files if p.name not in story and not {p.stem, *p.parts} & {*leave_out})

    files = result(expected)
    assert result(found) == files
    for path in files:
        assert (found / path).read_bytes() == (expected / path).read_bytes(), path
