"""Threads and processes that die at work, and locks of the dead."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from trainings import DROPPER, same_run, train_here

from boundary_loss import command
from boundary_loss.files import sole_maker
from boundary_loss.preparation.workers import workers

Arrange = Callable[..., None]


def test_a_thread_that_fails_stops_the_training(finished: Path, data: Path, tmp_path: Path, at: Arrange) -> None:
    def failed() -> None:
        raise ValueError("case_4_00_0000 cannot be encoded")

    at("writing */iter000_tmp/val/*.png", failed, nth=3)
    stopped = train_here(tmp_path / "run", data, *DROPPER)
    assert stopped.status == 2 and stopped.err == "error: case_4_00_0000 cannot be encoded\n"
    assert train_here(tmp_path / "run", data, *DROPPER).status == 0
    same_run(finished, tmp_path / "run")


def die(victim: int) -> int:
    if victim:
        os.kill(os.getpid(), signal.SIGKILL)
    return victim


def test_a_process_that_is_killed_while_slicing(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        with workers(2) as spread:
            spread("dying", die, [(0,), (1,), (0,)])

    with pytest.raises(SystemExit) as stop:
        command.run(main)
    assert stop.value.code == 2
    assert "a worker process was killed, probably for lack of memory; try --workers 1" in capsys.readouterr().err


HOLDER = """
import os, sys, time
from pathlib import Path
from boundary_loss.files import sole_maker
from boundary_loss.preparation.workers import workers

def idle(_):
    os.write(1, f"{os.getpid()}\\n".encode())
    time.sleep(60)

with sole_maker(Path(sys.argv[1])), workers(2) as spread:
    spread("idle", idle, [(0,), (1,)])
"""


def test_the_forked_workers_of_a_killed_process_do_not_keep_its_lock(tmp_path: Path) -> None:
    """A fork shares its parent's lock: the workers must notice the death, and the next make wait for that."""
    arguments = [sys.executable, "-c", HOLDER, str(tmp_path / "data")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment) as holder:
        assert holder.stdout is not None
        children = [int(holder.stdout.readline()) for _ in range(2)]
        with pytest.raises(FileExistsError, match="another process is making"), sole_maker(tmp_path / "data"):
            pass
        holder.kill()
    with sole_maker(tmp_path / "data"):
        pass
    patience = time.monotonic() + 10
    while any(_lives(child) for child in children):
        assert time.monotonic() < patience
        time.sleep(0.05)


def _lives(process: int) -> bool:
    status = Path(f"/proc/{process}/status")
    try:
        return not re.search(r"^State:\s+Z", status.read_text(), re.MULTILINE)
    except OSError:
        return False
