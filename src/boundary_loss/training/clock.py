"""Where the time of an epoch goes: seconds a section, for the epoch's line and `make bench`."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, section: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[section] += time.perf_counter() - start


def hours(seconds: float) -> str:
    """``75.3`` -> ``1:15``, ``4000`` -> ``1:06:40``."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}" if minutes >= 60 else f"{minutes}:{seconds:02d}"
