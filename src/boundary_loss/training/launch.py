"""Start the ranks of one training on this machine, with torchrun's launcher, and end them together."""

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from boundary_loss.command import Stop, fail
from boundary_loss.signals import GOES_ON, INTERRUPTED, RUN_ID, TERMINATED
from boundary_loss.training.ranks import LOST

_CALLED_OFF = {INTERRUPTED: "interrupted", TERMINATED: "terminated"}
_FOLLOWS = (1, TERMINATED, LOST, -signal.SIGTERM)
"""Statuses in which a rank may end because another has, the likelier the later; every other is a cause."""


def launch(count: int, module: str, words: Sequence[str]) -> None:
    """Run ``python -m module words`` in ``count`` processes and return when all are done.

    The first one's output is seen as if it were alone. Where one ends early, all do, and what that one said is the
    message; a signal to this process goes to all of them.

    Raises:
        Stop: a rank failed.
        SystemExit: with the ranks' status, after SIGTERM or Ctrl-C, once what the first rank had to say is said.
    """
    logging.disable(logging.ERROR)  # the launcher's reports; what matters of them is in our one message
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, torch.get_num_threads() // count)))
    with tempfile.TemporaryDirectory() as said:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            run_id=RUN_ID,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(said, redirects=dict.fromkeys(range(1, count), Std.ALL)),
        )
        options = ["-O"] * sys.flags.optimize
        try:
            elastic_launch(config, sys.executable)(*options, "-m", module, *words)
        except SignalException as stop:
            sys.exit(_repeat(Path(said), 0, INTERRUPTED if stop.sigval == signal.SIGINT else TERMINATED))
        except ChildFailedError as error:
            _end_as(error.failures, count, Path(said))


def _end_as(failures: Mapping[int, ProcessFailure], count: int, said: Path) -> None:
    """End as the rank did that made the others end."""

    def cause(rank: int) -> tuple[int, int]:
        status = failures[rank].exitcode
        return _FOLLOWS.index(status) if status in _FOLLOWS else -1, rank

    rank = min(failures, key=cause)
    status = failures[rank].exitcode
    for path in said.glob(f"*/*/{rank}/stderr.log"):
        print(path.read_text(encoding="utf-8", errors="replace"), end="", file=sys.stderr)
    if status in _CALLED_OFF:
        sys.exit(_repeat(said, rank, status))
    if status == 2:  # it has said why
        sys.exit(status)
    how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
    memory = ", perhaps for lack of memory" if status == -signal.SIGKILL else ""
    raise Stop(
        f"process {rank} of {count} was ended {how}{memory}, and the others with it; "
        "what is finished is kept, and the same command goes on from there"
    )


def leave_to_parent(message: str, status: int) -> int:
    """In a rank, in place of :func:`boundary_loss.command.fail`, where a signal has ended it."""
    folder = Path(os.environ["TORCHELASTIC_ERROR_FILE"]).parent  # the launcher gives each rank one for its own
    _last_words(folder).write_text(message, encoding="utf-8")
    return status


def _repeat(said: Path, rank: int, status: int) -> int:
    """What the rank left to say, if it came to it."""
    left = [path.read_text(encoding="utf-8") for path in map(_last_words, said.glob(f"*/*/{rank}")) if path.is_file()]
    return fail(left[0] if left else f"{_CALLED_OFF[status]}; {GOES_ON}", status)


def _last_words(folder: Path) -> Path:
    return folder / "last_words.txt"
