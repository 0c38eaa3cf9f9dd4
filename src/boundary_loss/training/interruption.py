"""SIGTERM and Ctrl-C wait for the end of a training step, so that it can be saved."""

import signal
from types import FrameType
from typing import Any

from boundary_loss.signals import STATUS, Interrupted, is_ignored


class Interruption:
    """Notes the first signal and lets the step go on (use as a context); a second one does not wait."""

    def __init__(self) -> None:
        self._signal: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interruption":
        for number in STATUS:
            if not is_ignored(number):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def __bool__(self) -> bool:
        """Whether somebody asked for the end."""
        return self._signal is not None

    def end(self, saved: str) -> Interrupted:
        """What to raise, once that is on disk: ``epoch 3 up to step 17 of 60``."""
        assert self._signal is not None
        how = "interrupted" if self._signal == signal.SIGINT else "terminated"
        return Interrupted(f"{how}; {saved} is saved, and the same command goes on from there", STATUS[self._signal])

    def _note(self, number: int, _: FrameType | None) -> None:
        if self._signal is not None:
            self.__exit__()
            signal.raise_signal(number)
        self._signal = signal.Signals(number)
