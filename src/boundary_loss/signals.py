"""How a command ends at SIGTERM, a cluster's preemption, and at Ctrl-C: with a status of its own, and in one line."""

import os
import signal
import sys
import time
from pathlib import PurePath

TERMINATED = 75
"""Exit status after SIGTERM: EX_TEMPFAIL of sysexits.h, "the same again, later"."""
INTERRUPTED = 130
"""After Ctrl-C, as the shell has it."""
STATUS = {signal.SIGTERM: TERMINATED, signal.SIGINT: INTERRUPTED}
MEETING = "BOUNDARY_LOSS_MEETING"
"""In the environment of one of several processes of a training: a folder that they share."""
ONE_CALL = 1.0
"""Seconds in which a signal that comes again is the same one: a cluster, or make, tells the group and each process."""
GOES_ON = "what is finished is kept, and the same command goes on from there"


class Interrupted(BaseException):
    """Ends a command that a signal called off, once what is to be kept is on disk; like KeyboardInterrupt, no error."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def is_rank() -> bool:
    """Whether this is one of several processes of a training. Their parent says what a signal has ended: it alone knows
    whether the signal came from outside or from itself, because another of them had ended."""
    return MEETING in os.environ


class Asked:
    """The signals that called a process off, noted one by one."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        """The first one."""
        self.again = False
        """Whether somebody asked again, who does not want to wait."""
        self._first = 0.0

    def note(self, number: int, _: object = None) -> None:
        """As the answer to a signal."""
        if self.signal is None:
            self.signal, self._first = signal.Signals(number), time.monotonic()
        elif time.monotonic() - self._first > ONE_CALL:
            self.again = True


def is_ignored(number: int) -> bool:
    """Whether who started us wants it so: nohup, or a script that put us into the background."""
    return signal.getsignal(number) is signal.SIG_IGN


def answer_while_loading() -> None:
    """``python -m boundary_loss.COMMAND`` or ``python preprocess/slice_STUDY.py``, and no other program: while its
    libraries load, a signal ends it at once."""
    words = sys.orig_argv
    module = words[words.index("-m") + 1] if "-m" in words[:-1] else ""
    slicer = PurePath(sys.argv[0]).match("preprocess/slice_*.py")
    if slicer or module.partition(".")[0] == "boundary_loss":
        for number in STATUS:
            if not is_ignored(number):
                signal.signal(number, _leave)


def _leave(number: int, _: object) -> None:
    how = "interrupted" if number == signal.SIGINT else "terminated"
    if not is_rank():
        os.write(2, f"error: {how}; {GOES_ON}\n".encode())
    os._exit(STATUS[signal.Signals(number)])
