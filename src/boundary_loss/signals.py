"""End a command at SIGTERM (a cluster's preemption) and Ctrl-C: in one line, each with an exit status of its own."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

TERMINATED = 75
"""Exit status after SIGTERM: EX_TEMPFAIL of sysexits.h, "the same again, later"."""
INTERRUPTED = 130
"""After Ctrl-C, as the shell has it."""
STATUS = {signal.SIGTERM: TERMINATED, signal.SIGINT: INTERRUPTED}
_WORD = {signal.SIGTERM: "terminated", signal.SIGINT: "interrupted"}
MEETING = "BOUNDARY_LOSS_MEETING"
"""In the environment of one of several processes of a training: a folder that they share."""
ONE_CALL = 1.0
"""A repeat within this many seconds counts once: make and Slurm signal the group, then each process."""
GOES_ON = "what is finished is kept, and the same command goes on from there"


class Interrupted(BaseException):
    """Raised by a signal once what is to be kept is on disk; no error, hence a BaseException like KeyboardInterrupt."""

    def __init__(self, number: signal.Signals, kept: str = GOES_ON) -> None:
        super().__init__(f"{_WORD[number]}; {kept}")
        self.kept, self.status = kept, STATUS[number]


def is_rank() -> bool:
    """True in one of several processes of a training.

    Their parent prints what a signal has ended: only it knows whether the signal came from outside, or from itself
    because another process had ended.
    """
    return MEETING in os.environ


class ShutdownRequest:
    """Records the signals that asked this process to stop, in order."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        """The first one."""
        self.again = False
        """True once a second signal has come: finish no step, end at once."""
        self._first = 0.0

    def note(self, number: int, _: object = None) -> None:
        """Record a signal; this is the handler to install."""
        if self.signal is None:
            self.signal, self._first = signal.Signals(number), time.monotonic()
        elif time.monotonic() - self._first > ONE_CALL:
            self.again = True


def answer(handler: Callable[[int, Any], object] | signal.Handlers) -> dict[signal.Signals, Any]:
    """Install ``handler`` for SIGTERM and Ctrl-C; return the handlers before, for :func:`restore`.

    An ignored signal stays ignored: nohup, or a script that put this process into the background, set it so.
    """
    heard = [number for number in STATUS if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in heard}


def restore(before: Mapping[signal.Signals, Any]) -> None:
    for number, handler in before.items():
        signal.signal(number, handler)


def begin_worker(at_interrupt: signal.Handlers) -> None:
    """In a process of a pool: leave Ctrl-C to the parent, and end at SIGTERM as any process does.

    Args:
        at_interrupt: SIG_IGN to complete what is being done, which the parent waits for; SIG_DFL to end at once.
    """
    signal.signal(signal.SIGINT, at_interrupt)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a fork has the parent's handler, which raises the parent's error


def end_at_once() -> None:
    """Let a signal end this process at once, in one line: while a command's libraries load, nothing is to be saved."""
    answer(_leave)


def _leave(number: int, _: object) -> None:
    stop = Interrupted(signal.Signals(number))
    if not is_rank():
        os.write(2, f"error: {stop}\n".encode())
    os._exit(stop.status)
