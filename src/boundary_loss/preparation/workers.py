"""Cases in parallel: workers return, in order; the parent writes. Nothing outlives the parent."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from boundary_loss.command import Stop, die_with
from boundary_loss.processes import pool_of
from boundary_loss.signals import begin_worker

Map = Callable[[str, Callable[..., Any], Sequence[tuple]], list[Any]]
"""``(what to show, function, its arguments for each item) -> results in order``."""


@contextmanager
def workers(count: int) -> Iterator[Map]:
    """A map over ``count`` processes with a progress bar; with one, everything happens in this process."""
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    options = {"mp_context": context, "initializer": _start, "initargs": (os.getpid(),)}
    pool = pool_of(count, **options) if count > 1 else None
    if pool is None:
        yield lambda what, function, items: [function(*item) for item in _bar(items, what, len(items))]
        return

    def spread(what: str, function: Callable[..., Any], items: Sequence[tuple]) -> list[Any]:
        futures: list[Future] = [pool.submit(function, *item) for item in items]
        try:
            for future in _bar(as_completed(futures), what, len(futures)):
                future.result()
        except BrokenProcessPool:
            raise Stop("a worker process was killed, probably for lack of memory; try --workers 1") from None
        return [future.result() for future in futures]

    try:
        yield spread
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _bar(items: Any, what: str, total: int) -> tqdm:
    return tqdm(items, desc=what, total=total, unit="case", disable=None, leave=False)


def _start(parent: int) -> None:
    begin_worker(signal.SIG_IGN)
    die_with(parent)
