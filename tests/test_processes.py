"""Where the system gives no locks or files for several processes, one does all."""

import errno
import resource
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from boundary_loss import processes


def refuse(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_without_room_for_locks_there_is_a_note_and_no_pool(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(processes, "ProcessPoolExecutor", refuse)
    assert processes.pool_of(2) is None
    said = capsys.readouterr().err
    assert said.startswith("note: one process does all") and "/dev/shm" in said and said.count("\n") == 1


@pytest.mark.parametrize(("allowed", "fits"), [(16, False), (1024, True), (resource.RLIM_INFINITY, True)])
def test_too_few_open_files(monkeypatch: pytest.MonkeyPatch, allowed: int, fits: bool) -> None:
    monkeypatch.setattr(processes.resource, "getrlimit", lambda _: (allowed, allowed))
    pool = processes.pool_of(2)
    assert (pool is not None) == fits
    if pool is not None:
        pool.shutdown()


def test_a_process_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    with ProcessPoolExecutor(2) as pool:
        monkeypatch.setattr(pool, "submit", refuse)
        assert processes.submit_all(pool, abs, [1, 2]) is None
