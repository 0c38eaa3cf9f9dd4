"""Every kind of call of the CUDA kernels, compiled for a GPU that is not there: ``python compiled_kernels.py``.

Triton's compiler, and the assembler behind it, need no device. The interpreter, in which other tests run the kernels,
lets pass what they refuse: types that do not fit, a whole number that became a constant (a size of 1), registers.
Prints the kernels and how many variants of each there are. A process of its own: it replaces Triton's driver.
"""

from collections import defaultdict
from contextlib import nullcontext
from itertools import product
from typing import Any
from unittest import mock

import numpy as np
import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from boundary_loss.distance import triton_edt
from boundary_loss.distance.maps import Maps
from boundary_loss.losses import triton_fused
from boundary_loss.networks import triton_pade


class Absent:
    """What Triton asks of a driver before a launch, for an H100 or H200."""

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cpu")


def distances() -> None:
    """Every mode with two classes; then other types, a volume, and sizes that are 1 or long."""
    for signed, faces, limit in product((True, False), (False, True), (np.inf, 3.0)):
        measure(torch.zeros(2, 30, 41, dtype=torch.uint8), (1, 2), signed, faces, signed == faces, limit)
    for dtype in (torch.bool, torch.int64):
        measure(torch.zeros(2, 30, 41, dtype=dtype), (1,), True, False, False, np.inf)
    for shape in ((1, 5, 6, 7), (1, 1, 1), (1, 7), (3, 1, 600)):
        measure(torch.zeros(shape, dtype=torch.uint8), (1,), True, False, True, 3.0)
    others = Maps(torch.zeros(2, 30, 41, dtype=torch.uint8), (1, 2)).others(255)
    triton_edt.distances(others, np.ones(2), faces=False, signed=False)


def measure(
    labels: torch.Tensor, classes: tuple[int, ...], signed: bool, faces: bool, per_map: bool, limit: float
) -> None:
    maps = Maps(labels, classes)
    spacing = np.full((len(maps), labels.ndim - 1) if per_map else labels.ndim - 1, 0.7)
    triton_edt.distances(maps, spacing, faces=faces, signed=signed, limit=limit)


def sums(dtype: torch.dtype, labels: torch.dtype, K: int, N: int, maps: bool, p: int, entropy: bool) -> None:
    logits, distances = torch.zeros(2, K, N, dtype=dtype), torch.zeros(2, max(K, 2), N) if maps else None
    classes = torch.zeros(2, N, dtype=labels)
    costs = torch.zeros(2, max(K, 2), dtype=torch.float64) if entropy else None
    triton_fused.sums(logits, classes, distances, -1, p, None if costs is None else costs[0])
    pulls = torch.zeros(2, 3, max(K, 2), dtype=torch.float64)
    triton_fused.gradient(logits, classes, distances, 255, p, pulls, costs)


def units(dtype: torch.dtype, N: int) -> None:
    x, numerator, denominator = torch.zeros(N, dtype=dtype), torch.zeros(6), torch.zeros(4)
    triton_pade.values(x, numerator, denominator)
    triton_pade.gradients(x, numerator, denominator, x)


def main() -> None:
    driver.set_active(Absent())
    found: dict[str, set[str]] = defaultdict(set)
    run = JITFunction.run

    def compile_only(kernel: Any, *args: Any, grid: Any, warmup: bool, **options: Any) -> Any:
        compiled = run(kernel, *args, grid=grid, warmup=True, **options)
        assert compiled.asm["cubin"], kernel
        found[kernel.fn.__name__].add(compiled.hash)
        return compiled

    here = mock.patch.multiple(torch.cuda, device=nullcontext, device_of=nullcontext)
    with mock.patch.object(JITFunction, "run", compile_only), here:
        distances()
        for dtype, labels, K, N, maps, p, entropy in (
            (torch.float32, torch.int64, 2, 40, False, 1, False),
            (torch.float32, torch.uint8, 3, 4096, True, 2, False),
            (torch.bfloat16, torch.uint8, 1, 41, True, 1, True),
            (torch.float16, torch.int32, 5, 1, False, 3, True),
            (torch.float64, torch.int64, 3, 40, True, 2, True),
        ):
            sums(dtype, labels, K, N, maps, p, entropy)
        for dtype, N in (
            (torch.float32, 4096), (torch.float32, 41), (torch.bfloat16, 4096), (torch.float16, 1), (torch.float64, 40),
        ):  # fmt: skip
            units(dtype, N)
    for name, variants in sorted(found.items()):
        print(name, len(variants))


if __name__ == "__main__":
    main()
