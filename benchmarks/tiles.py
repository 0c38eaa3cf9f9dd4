"""Which tile sizes the CUDA kernels are fastest with on this device: one setting changed at a time.

    PYTHONPATH=src python benchmarks/tiles.py [--rounds 5] [--write FILE]

Exact distances (signed, 256^3 and 24 x 256^2) and the fused losses (2 x 14 x 160^3 and 2 x 4 x 128^3). Every variant is
compiled first, in several processes at once, since that takes longer than the measuring; then they take turns by the
device's clock. The fastest belong into distance/triton_edt.py and losses/triton_fused.py.
"""

import argparse
import multiprocessing
import os
import re
import statistics
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import numpy as np
import torch
from distances import masks_of
from turns import copy_bandwidth, device_milliseconds, machine, replayed, write_section

from boundary_loss.distance.maps import Maps

Setting = dict[str, Any]
DISTANCES: dict[str, list[Setting]] = {
    "products": [
        {"ROWS": r, "COLUMNS": c, "WARPS": w, "KNOTS": k} for r, c, w, k in (
            (16, 32, 2, 16), (16, 32, 2, 8), (16, 32, 4, 16), (16, 16, 1, 16), (16, 16, 2, 16), (32, 32, 4, 16),
            (32, 32, 2, 8), (32, 32, 4, 8), (16, 64, 4, 16), (16, 64, 4, 8), (32, 16, 2, 8), (32, 64, 4, 8))
    ],
    "scan": [
        {"SCAN_ELEMENTS": n, "SCAN_WARPS": w} for n, w in (
            (1024, 4), (256, 1), (512, 1), (1024, 1), (512, 2), (1024, 2), (2048, 4))
    ],
}  # fmt: skip
FUSED: dict[str, list[Setting]] = {
    "tile": [{"HELD": held, "VEC": vec, "WARPS": warps}
             for held, vec, warps in ((64, 4, 4), (32, 4, 4), (64, 8, 4), (64, 4, 8), (32, 4, 8))],
    "programs": [{"PROGRAMS": n} for n in (256, 128, 512, 1024)],
}  # fmt: skip
SHAPES = {"24 x 256x256": (24, 256, 256), "256x256x256": (1, 256, 256, 256)}
LOGITS = [((2, 14, 160, 160, 160), torch.float32), ((2, 14, 160, 160, 160), torch.bfloat16),
          ((2, 4, 128, 128, 128), torch.float32), ((2, 4, 128, 128, 128), torch.bfloat16)]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--apply", action="store_true", help="write the fastest settings into the two modules")
    parser.add_argument("--write", type=Path, help="replace the section in this file")
    parser.add_argument("--device", choices=("cuda",), default="cuda")
    args = parser.parse_args()
    compile_all()
    lines = [f"{machine('cuda')}. Milliseconds as a CUDA graph, median of {args.rounds} rounds in turns."]
    scores: dict[tuple[Any, str], dict[str, list[float]]] = {}
    for module, family, title, steps in measured():
        times: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(args.rounds):
            for name, step in steps.items():
                times[name].append(device_milliseconds(step, 5))
        medians = {name: statistics.median(took) for name, took in times.items()}
        table = [f"- {took:.4f}  {name}" for name, took in sorted(medians.items(), key=lambda pair: pair[1])]
        lines += ["", f"{title}, {family}", "", *table]
        print("\n".join(lines[-len(table) - 3 :]), flush=True)
        for name, took in medians.items():
            scores.setdefault((module, family), {}).setdefault(name, []).append(took)
    for (module, family), of_settings in scores.items():
        whole = max(map(len, of_settings.values()))  # measured in every case
        best = min(
            (name for name, t in of_settings.items() if len(t) == whole), key=lambda n: geometric_mean(of_settings[n])
        )
        lines += ["", f"Fastest over all, {family}: {best}"]
        print(lines[-1], flush=True)
        if args.apply:
            apply(Path(module.__file__), best)
    if args.write:
        write_section(args.write, "Tiles", "\n".join(lines))


def apply(path: Path, setting: str) -> None:
    """Write ``NAME=value, ...`` over the constants of a module."""
    text = path.read_text()
    for name, value in (pair.split("=") for pair in setting.split(", ")):
        text = re.sub(rf"^{name} = \d+", f"{name} = {value}", text, flags=re.MULTILINE)
    path.write_text(text)


def set_to(module: Any, setting: Setting) -> None:
    """The module's own constants, but for those of the setting."""
    for name, value in (defaults_of(module) | setting).items():
        setattr(module, name, value)


@cache
def defaults_of(module: Any) -> Setting:
    """Asked for before anything is changed."""
    families = [*DISTANCES.values(), *FUSED.values()]
    names = {name for family in families for setting in family for name in setting}
    return {name: getattr(module, name) for name in names if hasattr(module, name)}


def measured() -> Iterator[tuple[Any, str, str, dict[str, Callable[[], object]]]]:
    """Module, family, what is computed, and a step for each setting."""
    from boundary_loss.distance import triton_edt
    from boundary_loss.losses import triton_fused

    for shape_name, shape in SHAPES.items():
        run = distances_of(torch.from_numpy(masks_of("organ", shape[0], shape[1:])).cuda())
        for family, settings in DISTANCES.items():
            yield triton_edt, family, f"Signed distances, {shape_name}", captured(triton_edt, settings, run)
    bandwidth = copy_bandwidth()
    for shape, dtype in LOGITS:
        for name, run, moved in fused_of(shape, dtype):
            title = f"{name}, {list(shape)} {dtype}; floor {moved / bandwidth:.4f}"
            for family, settings in FUSED.items():
                if family == "tile" or name == "sums":
                    yield triton_fused, family, title, captured(triton_fused, settings, run)
        torch.cuda.empty_cache()


def captured(module: Any, settings: list[Setting], run: Callable[[], object]) -> dict[str, Callable[[], object]]:
    steps = {}
    for setting in settings:
        name = ", ".join(f"{k}={v}" for k, v in setting.items())
        set_to(module, setting)
        try:
            steps[name] = replayed(run)
        except Exception as error:  # out of registers or shared memory: not a setting for this device
            print(f"{name}: {type(error).__name__}", flush=True)
        set_to(module, {})
    return steps


def distances_of(masks: torch.Tensor) -> Callable[[], object]:
    from boundary_loss.distance import triton_edt

    maps, spacing = Maps(masks), np.ones(masks.ndim - 1)
    return lambda: triton_edt.distances(maps, spacing, faces=False, signed=True, inside=1.0, nowhere=0.0)


def fused_of(shape: tuple[int, ...], dtype: torch.dtype) -> Iterator[tuple[str, Callable[[], object], int]]:
    from boundary_loss.losses import triton_fused

    B, K, voxels = shape[0], shape[1], int(np.prod(shape[2:]))
    logits = torch.randn(B, K, voxels, device="cuda", dtype=dtype)
    labels = torch.randint(0, K, (B, voxels), device="cuda")
    pulls = torch.randn(B, 3, K, device="cuda", dtype=torch.float64)
    size = logits.numel() * logits.element_size()
    beside = labels.numel() * labels.element_size()
    yield "sums", lambda: triton_fused.sums(logits, labels, None, -1, 1), size + beside
    yield "gradient", lambda: triton_fused.gradient(logits, labels, None, -1, 1, pulls), 2 * size + beside


def compile_all() -> None:
    """Every variant run once, in as many processes as there are cores, so that what they compile lies in the cache."""
    jobs = [(kind, family, n) for kind, families in (("distances", DISTANCES), ("fused", FUSED))
            for family, settings in families.items() for n in range(len(settings))]  # fmt: skip
    workers = min(14, max(1, (os.cpu_count() or 2) - 1))
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for name, error in pool.imap_unordered(compile_one, jobs):
            if error:
                print(f"{name}: {error}", flush=True)


def compile_one(job: tuple[str, str, int]) -> tuple[str, str]:
    from boundary_loss.distance import triton_edt
    from boundary_loss.losses import triton_fused

    kind, family, n = job
    try:
        if kind == "distances":
            set_to(triton_edt, DISTANCES[family][n])
            for shape in SHAPES.values():
                distances_of(torch.zeros(shape, dtype=torch.bool, device="cuda"))()
        else:
            set_to(triton_fused, FUSED[family][n])
            for shape, dtype in LOGITS:
                for _, run, _ in fused_of((*shape[:2], 32, 32, 32), dtype):
                    run()
        torch.cuda.synchronize()
    except Exception as error:  # said, and left out of the table too
        return f"{kind} {family} {n}", f"{type(error).__name__}: {str(error)[:200]}"
    return f"{kind} {family} {n}", ""


if __name__ == "__main__":
    main()
