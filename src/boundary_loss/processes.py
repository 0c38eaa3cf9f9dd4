"""Several processes where the system allows them, one where it does not."""

import errno
import multiprocessing
import os
import resource
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any


def pool_of(count: int, **options: Any) -> ProcessPoolExecutor | None:
    """``count`` processes; None, with a note, where the system gives no locks for them.

    They lie in /dev/shm, which may be small or read-only in a container.

    Args:
        options: of ProcessPoolExecutor.
    """
    try:
        _check_files(count)
        return ProcessPoolExecutor(count, **options)
    except OSError as error:
        _note(error)
        return None


def submit_all(pool: ProcessPoolExecutor, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Future] | None:
    """Hand ``function`` the items, one by one, in the processes; None, with a note, where none can be started."""
    try:
        return [pool.submit(function, item) for item in items]
    except OSError as error:
        pool.shutdown(cancel_futures=True)
        _note(error)
        return None


def end_with_parent() -> None:
    """In a process of a pool: end as soon as the process that made the pool has ended, however it was started."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _check_files(count: int) -> None:
    """Raise where so many processes need more open files than are allowed; half started, they would complain."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= allowed < 16 + 4 * count:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def _note(error: OSError) -> None:
    why = f"{error.strerror}; their locks need room in /dev/shm, and each some open files (ulimit -n)"
    print(f"note: one process does all, as no others can be started here ({why})", file=sys.stderr)
