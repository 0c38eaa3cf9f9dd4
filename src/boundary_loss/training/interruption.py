"""Lets SIGTERM and Ctrl-C wait for the end of a training step, so that it can be saved."""

import signal
from typing import Any

from boundary_loss.signals import Interrupted, ShutdownRequest, answer, restore
from boundary_loss.training.ranks import Ranks


class Interruption:
    """Notes the first signal and lets the step finish; a second signal ends the process at once. Used as a context.

    If one of several ranks is asked to end, all do; at a second signal their parent kills them.
    """

    def __init__(self, ranks: Ranks | None = None) -> None:
        self._ranks = ranks or Ranks()
        self._asked = ShutdownRequest()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interruption":
        self._before = answer(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._asked.signal is not None and self._ranks.size > 1:
            answer(signal.SIG_IGN)  # noted before: this rank is ending
        else:
            restore(self._before)
        self._before = {}

    def is_asked(self) -> bool:
        """Return True if any rank was asked to end; all ranks call this together."""
        number = self._ranks.greatest(self._asked.signal or 0)
        if number:
            self._asked.signal = signal.Signals(number)
        return number > 0

    def end(self, saved: str) -> Interrupted:
        """Return the exception to raise once ``saved`` is on disk: ``epoch 3 up to step 17 of 60``."""
        assert self._asked.signal is not None
        return Interrupted(self._asked.signal, f"{saved} is saved, and the same command goes on from there")

    def _note(self, number: int, _: object) -> None:
        self._asked.note(number)
        if self._asked.again and self._ranks.size == 1:
            self.__exit__()
            signal.raise_signal(number)
