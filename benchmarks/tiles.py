"""Which tile sizes the CUDA kernels are fastest with on this device: one setting changed at a time.

    PYTHONPATH=src python benchmarks/tiles.py [--rounds 5] [--write FILE]

Exact distances (signed, 256^3 and 24 x 256^2) and the fused losses (2 x 14 x 160^3 and 2 x 4 x 128^3). Every variant is
compiled first, in several processes at once, since that takes longer than the measuring; then they take turns by the
device's clock. The fastest belong into distance/triton_edt.py and losses/triton_fused.py.
"""

import argparse
import multiprocessing
import os
import statistics
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from distances import masks_of
from turns import copy_bandwidth, device_milliseconds, machine, replayed, write_section

from boundary_loss.distance.maps import Maps

Setting = dict[str, Any]
DISTANCES: list[Setting] = [
    {},
    *[{"ROWS": r, "COLUMNS": c, "ROW_WARPS": w} for r, c, w in (
        (16, 64, 2), (16, 128, 4), (32, 64, 4), (32, 64, 8), (32, 32, 4), (16, 32, 2), (8, 128, 4), (8, 64, 2))],
    *[{"KNOT_WARPS": w} for w in (1, 2, 8)],
    *[{"KNOTS": n, "KNOT_WARPS": w} for n, w in ((8, 2), (8, 4), (32, 4), (32, 8))],
    *[{"SCAN_ELEMENTS": n, "SCAN_WARPS": w} for n, w in ((1024, 2), (1024, 4), (2048, 4), (2048, 8), (4096, 8))],
    {"FEW": 1 << 20},
]  # fmt: skip
FUSED: list[Setting] = [
    {"HELD": held, "VEC": vec, "WARPS": warps}
    for held, vec in ((16, 4), (32, 4), (64, 4), (32, 8), (64, 8), (16, 2), (32, 2))
    for warps in (4, 8)
]
PROGRAMS: list[Setting] = [{"PROGRAMS": n} for n in (256, 512, 2048, 4096)]
SHAPES = {"24 x 256x256": (24, 256, 256), "256x256x256": (1, 256, 256, 256)}
LOGITS = [((2, 14, 160, 160, 160), torch.float32), ((2, 14, 160, 160, 160), torch.bfloat16),
          ((2, 4, 128, 128, 128), torch.float32), ((2, 4, 128, 128, 128), torch.bfloat16)]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", type=Path, help="replace the section in this file")
    parser.add_argument("--device", choices=("cuda",), default="cuda")
    args = parser.parse_args()
    compile_all()
    lines = [f"{machine('cuda')}. Milliseconds as a CUDA graph, median of {args.rounds} rounds in turns."]
    for title, steps in measured():
        lines += ["", title, ""]
        times: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(args.rounds):
            for name, step in steps.items():
                times[name].append(device_milliseconds(step, 5))
        for name, took in sorted(times.items(), key=lambda pair: statistics.median(pair[1])):
            lines.append(f"- {statistics.median(took):.4f}  {name}")
        print("\n".join(lines[-len(times) - 2 :]), flush=True)
    if args.write:
        write_section(args.write, "Tiles", "\n".join(lines))


def set_to(module: Any, setting: Setting, defaults: Setting) -> None:
    for name, value in (defaults | setting).items():
        setattr(module, name, value)


@cache
def defaults_of(module: Any) -> Setting:
    """Asked for before anything is changed."""
    names = {name for setting in (*DISTANCES, *FUSED, *PROGRAMS) for name in setting}
    return {name: getattr(module, name) for name in names if hasattr(module, name)}


def measured() -> Iterator[tuple[str, dict[str, Callable[[], object]]]]:
    from boundary_loss.distance import triton_edt
    from boundary_loss.losses import triton_fused

    for shape_name, shape in SHAPES.items():
        masks = torch.from_numpy(masks_of("organ", shape[0], shape[1:])).cuda()
        run = distances_of(masks)
        yield f"Signed distances, {shape_name}", captured(triton_edt, DISTANCES, run)
    bandwidth = copy_bandwidth()
    for shape, dtype in LOGITS:
        for name, run, moved in fused_of(shape, dtype):
            title = f"{name}, {list(shape)} {dtype}; floor {moved / bandwidth:.4f}"
            yield title, captured(triton_fused, FUSED + (PROGRAMS if name == "sums" else []), run)
        torch.cuda.empty_cache()


def captured(module: Any, settings: list[Setting], run: Callable[[], object]) -> dict[str, Callable[[], object]]:
    steps, defaults = {}, defaults_of(module)
    for setting in settings:
        name = ", ".join(f"{k}={v}" for k, v in setting.items()) or "as it is"
        set_to(module, setting, defaults)
        try:
            steps[name] = replayed(run)
        except Exception as error:  # out of registers or shared memory: not a setting for this device
            print(f"{name}: {type(error).__name__}", flush=True)
        set_to(module, {}, defaults)
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
    jobs = [("distances", n) for n in range(len(DISTANCES))] + [("fused", n) for n in range(len(FUSED))]
    workers = min(14, max(1, (os.cpu_count() or 2) - 1))
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for name, error in pool.imap_unordered(compile_one, jobs):
            if error:
                print(f"{name}: {error}", flush=True)


def compile_one(job: tuple[str, int]) -> tuple[str, str]:
    from boundary_loss.distance import triton_edt
    from boundary_loss.losses import triton_fused

    kind, n = job
    try:
        if kind == "distances":
            set_to(triton_edt, DISTANCES[n], defaults_of(triton_edt))
            for shape in SHAPES.values():
                distances_of(torch.zeros(shape, dtype=torch.bool, device="cuda"))()
        else:
            set_to(triton_fused, FUSED[n], defaults_of(triton_fused))
            for shape, dtype in LOGITS:
                for _, run, _ in fused_of((*shape[:2], 32, 32, 32), dtype):
                    run()
        torch.cuda.synchronize()
    except Exception as error:  # said, and left out of the table too
        return f"{kind} {n}", f"{type(error).__name__}: {str(error)[:200]}"
    return f"{kind} {n}", ""


if __name__ == "__main__":
    main()
