"""Measures where the time of an epoch goes, in seconds a section, for `make bench`."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


class Clock:
    """Adds up the seconds of named sections: ``with clock("forward"): ...``

    Args:
        device: a GPU to synchronise with at both ends of a section, so that its work counts in the section that
            launched it. None measures the host without waiting, as in training.
        now: the clock: wall time, or ``time.thread_time``, which excludes other processes' time.
    """

    def __init__(self, device: torch.device | None = None, now: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._read = now
        self.device = device if device is not None and device.type == "cuda" else None

    @contextmanager
    def __call__(self, section: str) -> Iterator[None]:
        start = self._now()
        yield
        self.seconds[section] += self._now() - start

    def _now(self) -> float:
        if self.device is not None:
            torch.cuda.synchronize(self.device)
        return self._read()


def hours(seconds: float) -> str:
    """Return seconds as text: ``75.3`` -> ``1:15``, ``4000`` -> ``1:06:40``."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}" if minutes >= 60 else f"{minutes}:{seconds:02d}"
