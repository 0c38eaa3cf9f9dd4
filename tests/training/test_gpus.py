"""GPUs are held by locks: one a training, released by whoever dies, and nobody waits for ever."""

import ctypes
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from boundary_loss.training.devices import keep_freed_memory, share_processors
from boundary_loss.training.gpus import hold_gpus, parse_gpus


@pytest.fixture(autouse=True)
def same_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # put back after each test


def test_lists_of_gpus() -> None:
    assert parse_gpus("0,1, 2") == ["0", "1", "2"]
    assert parse_gpus("GPU-8932f937-d72c,MIG-1/2/0") == ["GPU-8932f937-d72c", "MIG-1/2/0"]
    for text in ("", "0,,1", "0 1", "cuda:0", "-1", "0,0"):
        with pytest.raises(ValueError, match="GPUS="):
            parse_gpus(text)
    with pytest.raises(ValueError, match="fewer than the NPROC=3"):
        parse_gpus("0,1", needed=3)


def test_each_takes_another_and_the_next_waits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []

    def third() -> None:
        with hold_gpus(["0", "1"], locks=tmp_path) as gpus:
            order.append(f"third on {gpus}")

    with hold_gpus(["0", "1"], locks=tmp_path) as first:
        assert first == ["0"] and os.environ["CUDA_VISIBLE_DEVICES"] == "0"
        waiting = threading.Thread(target=third)
        with hold_gpus(["0", "1"], locks=tmp_path) as second:
            assert second == ["1"] and os.environ["CUDA_VISIBLE_DEVICES"] == "1"
            waiting.start()
            waiting.join(0.2)
            order.append("second done")
        waiting.join()
    assert order == ["second done", "third on ['1']"]
    assert capsys.readouterr().out == "waiting for 1 of the GPUs 0,1\n"


def test_two_that_need_both_take_turns(tmp_path: Path) -> None:
    held: list[int] = []

    def both() -> None:
        with hold_gpus(["0", "1"], needed=2, locks=tmp_path) as gpus:
            assert gpus == ["0", "1"]
            held.append(1)
            assert len(held) == 1, "one at a time"
            held.pop()

    threads = [threading.Thread(target=both) for _ in range(3)]
    with hold_gpus(["1"], locks=tmp_path):
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join(timeout=20)
        assert not thread.is_alive()


def test_a_killed_process_holds_no_gpu(tmp_path: Path) -> None:
    code = f"""
import time
from pathlib import Path
from boundary_loss.training.gpus import hold_gpus
with hold_gpus(["0"], locks=Path({str(tmp_path)!r})):
    print("holding", flush=True)
    time.sleep(60)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as other:
        assert other.stdout is not None and other.stdout.readline() == b"holding\n"
        with hold_gpus(["0", "1"], locks=tmp_path) as gpus:
            assert gpus == ["1"]
        other.kill()
    with hold_gpus(["0", "1"], locks=tmp_path) as gpus:
        assert gpus == ["0"]


def test_trainings_side_by_side_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    share_processors(4)
    assert asked == [], "what the user set stays"
    monkeypatch.delenv("OMP_NUM_THREADS")
    for trainings in (1, 4, 100):
        share_processors(trainings)
    assert asked == [2, 1]


def test_where_there_is_no_glibc_memory_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_freed_memory()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    keep_freed_memory()
