"""Side by side timing: methods take turns in one process, so that the machine's moods hit all of them alike."""

import argparse
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from boundary_loss.costing.measuring import measured_once

Step = Callable[[], object]


Now = Callable[[], float]


def take_turns(steps: Mapping[str, Step], rounds: int, now: Now = time.perf_counter) -> dict[str, list[float]]:
    """Milliseconds of each step in each round, after one round that is not counted; ``now`` is the clock."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(rounds + 1):
        for name, step in steps.items():
            took = milliseconds(step, now)
            if turn:
                times[name].append(took)
    return times


def milliseconds(step: Step, now: Now = time.perf_counter) -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = now()
    step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return 1e3 * (now() - start)


def replayed(step: Step) -> Step:
    """The same work on the device without Python's time for launching it: a CUDA graph."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def take_turns_on_device(steps: Mapping[str, Step], rounds: int, least: float = 5.0) -> dict[str, list[float]]:
    """Milliseconds of each step in each round by the device's clock, of as many calls in a row as take ``least`` ms."""
    repeats = {}
    for name, step in steps.items():
        step()
        repeats[name] = max(1, min(50, int(least / max(milliseconds(step), 1e-3))))
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            times[name].append(device_milliseconds(step, repeats[name]))
    return times


def device_milliseconds(step: Step, repeats: int) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(repeats):
        step()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / repeats


def copy_bandwidth(device: str = "cuda") -> float:
    """Bytes a millisecond, read and written, that a large copy reaches."""
    source = torch.empty(1 << 30, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() / min(device_milliseconds(lambda: target.copy_(source), 5) for _ in range(5))


def processor_time(device: str) -> bool:
    """With one thread on a CPU, what counts is that thread's time: other work on the machine does not blur it."""
    return device == "cpu" and torch.get_num_threads() == 1


def ratio(theirs: list[float], ours: list[float]) -> float:
    """Median over the rounds of (their time / our time)."""
    return statistics.median(t / o for t, o in zip(theirs, ours, strict=True))


def peak_bytes(step: Step, device: str) -> int | None:
    """Memory that the step needs at its worst moment, above what was there before; None where it cannot be seen."""
    return measured_once(step, torch.device(device)).peak


def machine(device: str) -> str:
    if device == "cuda":
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    return (
        f"CPU {platform.machine()}, {torch.get_num_threads()} of {os.cpu_count()} shared cores used, "
        f"torch {torch.__version__}"
    )


def options(description: str | None, *, rounds: int) -> argparse.ArgumentParser:
    """Return the options of a benchmark of steps on one device: --device, --rounds (by default so many), --write."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--write", type=Path, help="replace the section in this file")
    return parser


def publish(lines: Sequence[str], heading: str, path: Path | None) -> None:
    """Print the lines, and write them under the heading of this file of results if there is one."""
    print("\n".join(lines))
    if path:
        write_section(path, heading, "\n".join(lines))


def write_section(path: Path, heading: str, text: str) -> None:
    """Replace one section of the results, or add it."""
    old = path.read_text(encoding="utf-8") if path.exists() else "# Benchmark results\n"
    section = f"## {heading}\n\n{text.strip()}\n\n"
    pattern = re.compile(rf"^## {re.escape(heading)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    new = pattern.sub(lambda _: section, old) if pattern.search(old) else f"{old.rstrip()}\n\n{section}"
    path.write_text(new.rstrip() + "\n", encoding="utf-8")
