"""Start the ranks of one training on this machine, and end them together.

torchrun is not used, for two reasons: a signal during its start is lost or leaves ranks running; and if one rank is
killed while another waits for it in a collective, it reports the one that waits.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from boundary_loss.command import Stop
from boundary_loss.signals import GOES_ON, MEETING, STATUS, TERMINATED, Interrupted, ShutdownRequest, answer, restore
from boundary_loss.training.ranks import LOST, PARENT

_FOLLOWS = (1, TERMINATED, LOST, -signal.SIGTERM)
"""Exit statuses that can follow from another rank's failure, least likely first; any other is a root cause."""
_SIGNAL = {status: number for number, status in STATUS.items()}
_BETWEEN_LOOKS = 0.1
_PATIENCE = 15.0
"""Seconds that ranks have to end once one has; more would not help one that waits for the other for ever."""


def launch(count: int, module: str, words: Sequence[str]) -> None:
    """Run ``python -m module words`` in ``count`` processes and return when all are done.

    Only the first one's output is shown. If one ends early, all end, and its error is the message. A signal to this
    process is passed to all, which finish and save their step; a second one ends them at once.

    Raises:
        Stop: a rank failed.
        SystemExit: with status 2, if the rank has printed the reason.
        Interrupted: by SIGTERM or Ctrl-C; says what the first rank has saved.
    """
    asked = ShutdownRequest()
    before = answer(asked.note)  # signals are noted and not raised, so that no rank is left running
    try:
        with tempfile.TemporaryDirectory() as folder:
            ranks = [_start(Path(folder), rank, count, module, words) for rank in range(count)]
            killed = _wait(ranks, asked)
            failures = {rank: process.returncode for rank, process in enumerate(ranks) if process.returncode}
            if failures:
                _end_as(failures, killed, count, Path(folder), asked.signal)
    finally:
        restore(before)


def _start(folder: Path, rank: int, count: int, module: str, words: Sequence[str]) -> "subprocess.Popen[bytes]":
    environment = {"OMP_NUM_THREADS": str(max(1, torch.get_num_threads() // count))} | os.environ
    environment |= {"RANK": str(rank), "WORLD_SIZE": str(count), MEETING: str(folder), PARENT: str(os.getpid())}
    command = [sys.executable, *["-O"] * sys.flags.optimize, "-m", module, *words]
    with _complaints(folder, rank).open("wb") as complaints:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if rank else None,
            stderr=complaints if rank else None,
            start_new_session=True,  # only this process receives Ctrl-C of a terminal, and passes it on
        )


def _wait(ranks: Sequence["subprocess.Popen[bytes]"], asked: ShutdownRequest) -> set[int]:
    """Wait until all have ended; return the ranks that had to be killed."""
    called_off, deadline, killed = False, float("inf"), set()
    while living := [(rank, process) for rank, process in enumerate(ranks) if process.poll() is None]:
        one_failed = deadline == float("inf") and any(process.returncode for process in ranks)
        if one_failed or (asked.signal and not called_off):
            called_off = True
            for _, process in living:
                process.terminate()  # also for Ctrl-C: a Python that is still starting would print a traceback
        if one_failed:
            deadline = time.monotonic() + _PATIENCE
        if asked.again or time.monotonic() > deadline:
            for rank, process in living:
                process.kill()
                killed.add(rank)
        time.sleep(_BETWEEN_LOOKS)
    return killed


def _end_as(
    failures: Mapping[int, int], killed: set[int], count: int, folder: Path, asked: signal.Signals | None
) -> None:
    """End with the status of the rank that failed first."""

    def cause(rank: int) -> tuple[int, int]:
        status = failures[rank]
        if rank in killed:
            return len(_FOLLOWS), rank
        return _FOLLOWS.index(status) if status in _FOLLOWS else -1, rank

    rank = min(failures, key=cause)
    status = failures[rank]
    if rank > 0:
        print(_complaints(folder, rank).read_text(encoding="utf-8", errors="replace"), end="", file=sys.stderr)
    number = _SIGNAL.get(status)
    if asked and (number or rank in killed or status == -signal.SIGTERM):
        number = asked
    if number:
        words = _last_words(folder, rank)
        raise Interrupted(number, words.read_text(encoding="utf-8") if words.is_file() else GOES_ON)
    if status == 2:  # the rank has printed the reason
        sys.exit(status)
    how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
    memory = ", perhaps for lack of memory" if status == -signal.SIGKILL else ""
    raise Stop(f"process {rank} of {count} was ended {how}{memory}, and the others with it; {GOES_ON}")


def leave_to_parent(stop: Interrupted) -> int:
    """Pass what was saved to the parent, which knows the signal. Ranks use it instead of ``command.say``."""
    _last_words(Path(os.environ[MEETING]), int(os.environ["RANK"])).write_text(stop.kept, encoding="utf-8")
    return stop.status


def _last_words(folder: Path, rank: int) -> Path:
    return folder / f"last_words{rank}.txt"


def _complaints(folder: Path, rank: int) -> Path:
    return folder / f"stderr{rank}.txt"
