"""How a command ends at SIGTERM, a cluster's preemption, and at Ctrl-C: with a status of its own, and in one line."""

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
"""Seconds in which a signal that comes again is the same one: a cluster, or make, tells the group and each process."""
GOES_ON = "what is finished is kept, and the same command goes on from there"


class Interrupted(BaseException):
    """Ends a command that a signal called off, once what is to be kept is on disk; like KeyboardInterrupt, no error."""

    def __init__(self, number: signal.Signals, kept: str = GOES_ON) -> None:
        super().__init__(f"{_WORD[number]}; {kept}")
        self.kept, self.status = kept, STATUS[number]


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


def answer(handler: Callable[[int, Any], object] | signal.Handlers) -> dict[signal.Signals, Any]:
    """Let this answer SIGTERM and Ctrl-C from now on; what answered them before, for :func:`restore`.

    What is ignored stays so: who started us wants it, nohup or a script that put us into the background.
    """
    heard = [number for number in STATUS if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in heard}


def restore(before: Mapping[signal.Signals, Any]) -> None:
    for number, handler in before.items():
        signal.signal(number, handler)


def end_at_once() -> None:
    """Let a signal end this process at once, in one line: while a command's libraries load, nothing is to be saved."""
    answer(_leave)


def _leave(number: int, _: object) -> None:
    stop = Interrupted(signal.Signals(number))
    if not is_rank():
        os.write(2, f"error: {stop}\n".encode())
    os._exit(stop.status)
