"""Gives each of several trainings a GPU of its own by a lock; the others wait for the next free one.

The locks are files of the results folder, ``results/.HOST-gpu0.lock``, held with ``flock``, which ends with its process
however that dies. They are never removed, because two processes could then lock two files of one name.
"""

import fcntl
import os
import re
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

LOCKS = Path("results")
_LOOK_EVERY = 0.5  # seconds
_NAME = re.compile(r"\d+|(GPU|MIG)-[\w/-]+")


def parse_gpus(text: str, needed: int = 1) -> list[str]:
    """Return the names in ``0,1,2,3``, as CUDA_VISIBLE_DEVICES takes them: numbers, or GPU-... and MIG-... ids."""
    names = [word.strip() for word in text.split(",")]
    strange = [name for name in names if not _NAME.fullmatch(name)]
    if strange or len(set(names)) < len(names):
        raise ValueError(f"GPUS={text} is no list of GPUs; write their numbers, each once, as GPUS=0,1")
    if len(names) < needed:
        raise ValueError(f"GPUS={text} are fewer than the NPROC={needed} that one training takes")
    return names


@contextmanager
def hold_gpus(names: Sequence[str], needed: int = 1, locks: Path = LOCKS) -> Iterator[list[str]]:
    """Wait until ``needed`` of the GPUs are free, hold them, and let CUDA see no others in this process.

    Only one process collects at a time: two that need two GPUs each could otherwise hold one each for ever.
    """
    locks.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        with (locks / _lock("queue")).open("a") as turn:
            said = False
            if not _try_lock(turn):
                said = _say_waiting(names, needed)
                fcntl.flock(turn, fcntl.LOCK_EX)
            taken = _take_free(names, needed, locks, held)
            while len(taken) < needed:
                said = said or _say_waiting(names, needed)
                time.sleep(_LOOK_EVERY)
                rest = [name for name in names if name not in taken]
                taken += _take_free(rest, needed - len(taken), locks, held)
        taken.sort(key=names.index)  # they may have become free in another order
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(taken)
        yield taken


def _take_free(names: Sequence[str], wanted: int, locks: Path, held: ExitStack) -> list[str]:
    """Lock at most ``wanted`` of the GPUs that are free now, until ``held`` closes."""
    taken: list[str] = []
    for name in names:
        if len(taken) < wanted:
            file = (locks / _lock(f"gpu{name}")).open("a")
            if _try_lock(file):
                held.enter_context(file)
                taken.append(name)
            else:
                file.close()
    return taken


def _lock(what: str) -> str:
    return f".{socket.gethostname()}-{what.replace('/', '_')}.lock"  # machines may share the disk of the results


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _say_waiting(names: Sequence[str], needed: int) -> bool:
    print(f"waiting for {needed} of the GPUs {','.join(names)}", flush=True)
    return True
