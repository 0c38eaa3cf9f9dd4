"""Exact distance maps beside their peers.

    PYTHONPATH=src python benchmarks/distances.py [--device cuda] [--rounds 7] [--write benchmarks/RESULTS.md]

Every method runs in every round, one after the other in one process; a figure is the median over the rounds of
SciPy's time divided by the method's (larger is faster), with the median milliseconds beside it. Peers that are not
installed are left out (``pip install -e .[bench]`` installs them).
"""

import importlib
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from turns import copy_bandwidth, machine, ratio, replayed, take_turns_on_device, write_section

from boundary_loss import command
from boundary_loss.distance import approximate_distance, euclidean_distance, minplus, signed_distance

Methods = dict[str, Callable[[], Any]]
clock = time.perf_counter
said: list[str] = []


def say(text: str) -> None:
    print(text, flush=True)
    said.append(text)


def installed(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def organ(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """One ellipsoid, a tenth to a third of the image long."""
    centre, radius = rng.uniform(0.35, 0.65, len(shape)), rng.uniform(0.06, 0.17, len(shape))
    axes = np.meshgrid(*[np.linspace(0, 1, n) for n in shape], indexing="ij", sparse=True)
    return sum(((x - c) / r) ** 2 for x, c, r in zip(axes, centre, radius)) < 1


def lesions(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Twelve small boxes anywhere."""
    mask = np.zeros(shape, bool)
    for _ in range(12):
        corner = [rng.integers(0, n - min(6, n // 2)) for n in shape]
        mask[tuple(slice(c, c + rng.integers(2, 6)) for c in corner)] = True
    return mask


def noise(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Every fiftieth voxel anywhere, as an untrained network predicts."""
    return rng.random(shape) < 0.02


def masks_of(kind: str, count: int, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([{"organ": organ, "lesions": lesions, "noise": noise}[kind](rng, shape) for _ in range(count)])


CASES = [
    ("24 x 256x256, organ", "organ", 24, (256, 256), [1.0, 1.0]),
    ("24 x 256x256, lesions", "lesions", 24, (256, 256), [1.0, 1.0]),
    ("24 x 256x256, noise", "noise", 24, (256, 256), [1.0, 1.0]),
    ("256x256x20, lesions, 0.9x0.9x3 mm", "lesions", 1, (256, 256, 20), [0.9, 0.9, 3.0]),
    ("96x144x224, organ", "organ", 1, (96, 144, 224), [1.0, 1.0, 1.0]),
    ("160x160x128, lesions", "lesions", 1, (160, 160, 128), [1.0, 1.0, 1.0]),
    ("96x144x224, noise", "noise", 1, (96, 144, 224), [1.0, 1.0, 1.0]),
]


def outside_methods(masks: np.ndarray, spacing: list[float]) -> Methods:
    """Distance to the mask, of each map."""
    methods: Methods = {
        "SciPy": lambda: [distance_transform_edt(~mask, sampling=spacing) for mask in masks],
        "ours": lambda: euclidean_distance(masks, spacing, spatial_dims=len(spacing)),
        "ours, to 10 mm": lambda: euclidean_distance(masks, spacing, spatial_dims=len(spacing), max_distance=10),
    }
    if edt := installed("edt"):
        for threads in (1, 2):
            methods[f"edt, {threads} thread"] = partial(edt_of_each, edt, masks, spacing, threads)
    if masks.ndim == 3 and spacing[0] == spacing[1] == 1 and (cv2 := installed("cv2")):
        bytes_ = (~masks).astype(np.uint8)
        methods["OpenCV"] = lambda: [cv2.distanceTransform(b, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for b in bytes_]
    if monai := installed("monai.transforms.utils"):
        rest = [~mask[None] for mask in masks]
        methods["MONAI"] = lambda: [monai.distance_transform_edt(mask, sampling=spacing)[0] for mask in rest]
    return methods


def signed_methods(masks: np.ndarray, spacing: list[float]) -> Methods:
    """Both sides of each map, as a boundary loss needs them."""
    one_hot = masks[:, None]

    def two_calls(distance: Callable[[np.ndarray], np.ndarray]) -> Callable[[], Any]:
        return lambda: [distance(~mask) * ~mask - distance(mask) * mask for mask in masks]

    methods: Methods = {
        "SciPy": two_calls(lambda m: distance_transform_edt(m, sampling=spacing)),
        "ours": lambda: signed_distance(one_hot, spacing, convention="symmetric", ignore_index=None),
        "ours, to 10 mm": lambda: signed_distance(
            one_hot, spacing, convention="symmetric", ignore_index=None, max_distance=10
        ),
    }
    if edt := installed("edt"):
        methods["edt, 1 thread"] = lambda: [edt.sdf(mask, anisotropy=spacing) for mask in masks]
        methods["edt, 2 thread"] = lambda: [edt.sdf(mask, anisotropy=spacing, parallel=2) for mask in masks]
    if masks.ndim == 3 and spacing[0] == spacing[1] == 1 and (cv2 := installed("cv2")):
        methods["OpenCV"] = two_calls(
            lambda m: cv2.distanceTransform(m.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        )
    return methods


def race(methods: Methods, rounds: int) -> dict[str, list[float]]:
    """Seconds of each method in each round, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for turn in range(rounds + 1):
        for name, method in methods.items():
            start = clock()
            method()
            if turn:
                seconds[name].append(clock() - start)
    return seconds


def cell(seconds: dict[str, list[float]], name: str, reference: str) -> str:
    if name not in seconds:
        return "–"
    ratio = statistics.median(r / s for r, s in zip(seconds[reference], seconds[name]))
    return f"{ratio:.2f}x ({1e3 * statistics.median(seconds[name]):.3g})"


def table(title: str, rows: dict[str, dict[str, list[float]]], reference: str) -> None:
    names = list(dict.fromkeys(name for seconds in rows.values() for name in seconds))
    say(f"\n{title}\n\n| | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for case, seconds in rows.items():
        say(f"| {case} | {' | '.join(cell(seconds, name, reference) for name in names)} |")


def largest_error(methods: Methods, name: str) -> float:
    exact, found = np.asarray(methods["SciPy"]()), np.asarray(methods[name]()).reshape(-1)
    return float((abs(found - exact.ravel()) / np.maximum(abs(exact.ravel()), 1e-9)).max())


def on_cpu(rounds: int) -> None:
    for title, build in (
        ("Distance to the mask (CPU): SciPy's time over the method's (ms)", outside_methods),
        ("Signed distance, both sides (CPU): SciPy's time over the method's (ms)", signed_methods),
    ):
        rows, error = {}, 0.0
        for case, kind, count, shape, spacing in CASES:
            methods = build(masks_of(kind, count, shape), spacing)
            error = max(error, largest_error(methods, "ours"))
            rows[case] = race(methods, rounds)
        table(title, rows, "SciPy")
        say(f"\nLargest relative difference of ours to SciPy: {error:.1e}.")


def edt_of_each(edt: ModuleType, masks: np.ndarray, spacing: list[float], threads: int) -> list[np.ndarray]:
    """The distance to each mask by the package edt."""
    return [edt.edt(~mask, anisotropy=spacing, parallel=threads) for mask in masks]


def approximation_errors() -> None:
    """The convolutional approximations against the exact distance."""
    say("\nError of the approximations (largest absolute in mm; largest relative), one organ, unit spacing\n")
    say("| | 65x65 | 128x128 | 24x28x32 |\n|---|---|---|---|")
    methods: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        f"ours, kernel {k}, h {h}": partial(approximate_distance, kernel_size=k, h=h)
        for k, h in ((3, 0.05), (5, 0.05), (7, 0.05), (5, 0.35))
    }
    if kornia := installed("kornia.contrib"):
        methods["kornia, kernel 3, h 0.35"] = lambda m: kornia.distance_transform(m[None, None])[0, 0]
    for name, method in methods.items():
        cells = []
        for shape in ((65, 65), (128, 128), (24, 28, 32)):
            mask = torch.from_numpy(masks_of("organ", 1, shape)[0]).float()
            exact = torch.as_tensor(euclidean_distance(mask))
            error = (method(mask) - exact).abs()
            cells.append(f"{error.max():.2f}; {100 * (error / exact)[exact > 0].max():.0f} %")
        say(f"| {name} | {' | '.join(cells)} |")


def brute_force(masks: torch.Tensor) -> torch.Tensor:
    """All pairs of voxels and foreground voxels by matrix products, as in DisTorch; unit spacing."""
    grid = torch.cartesian_prod(*[torch.arange(n, device=masks.device, dtype=torch.float32) for n in masks.shape[1:]])
    found = []
    for mask in masks:
        sources = mask.nonzero().float()
        chunks = grid.split(max(1, (1 << 28) // max(1, len(sources))))
        found.append(torch.cat([torch.cdist(chunk, sources).amin(dim=1) for chunk in chunks]).view(mask.shape))
    return torch.stack(found)


CUDA_CASES = [
    ("24 x 256x256, organ", "organ", 24, (256, 256)),
    ("24 x 256x256, noise", "noise", 24, (256, 256)),
    ("160x160x128, lesions", "lesions", 1, (160, 160, 128)),
    ("256x256x256, organ", "organ", 1, (256, 256, 256)),
    ("512x512x512, organ", "organ", 1, (512, 512, 512)),
]
SLOW = 1 << 22
"""Voxels above which what takes seconds is left out: SciPy, brute force, kornia."""


def cuda_methods(host: np.ndarray, masks: torch.Tensor) -> Methods:
    """Distance to the mask, of each map on the device."""
    spacing = np.ones(host.ndim - 1)
    methods: Methods = {
        "ours": lambda: euclidean_distance(masks, spacing, spatial_dims=len(spacing)),
    }
    if host.size <= 1 << 24:
        methods["plain torch"] = lambda: minplus.distances_to(masks, spacing, torch.float32)
    if cupy_edt := cupy_transform():
        arrays = as_cupy(~masks)
        methods["CuPy"] = lambda: [cupy_edt(mask) for mask in arrays]
    if exacta := installed("exacta._triton_edt"):
        methods["exacta"] = lambda: exacta.edt_sq(masks, spacing.tolist(), batch_ndim=1).sqrt_()
    if host.size <= SLOW:
        methods["SciPy on the host"] = lambda: [distance_transform_edt(~mask) for mask in host]
        methods["brute force"] = lambda: brute_force(masks)
        if kornia := installed("kornia.contrib"):
            floats = masks.float()
            image = floats[:, None] if host.ndim == 3 else floats[None]
            methods["kornia, approximate"] = lambda: kornia.distance_transform(image)
    return methods


def cuda_signed_methods(host: np.ndarray, masks: torch.Tensor) -> Methods:
    """Both sides of each map on the device."""
    spacing, one_hot = np.ones(host.ndim - 1), masks[:, None]
    methods: Methods = {"ours": lambda: signed_distance(one_hot, spacing, ignore_index=None)}
    if cupy_edt := cupy_transform():
        inside, outside = as_cupy(masks), as_cupy(~masks)
        methods["CuPy"] = lambda: [cupy_edt(o) - cupy_edt(i) for i, o in zip(inside, outside, strict=True)]
    if exacta := installed("exacta.losses.geometry"):
        methods["exacta"] = lambda: exacta.distance_maps(one_hot, spacing=1.0, signed=True)
    if host.size <= SLOW:
        methods["SciPy on the host"] = lambda: [
            distance_transform_edt(~mask) - distance_transform_edt(mask) for mask in host
        ]
    return methods


def cupy_transform() -> Callable[[Any], Any] | None:
    """CuPy's transform (PBA+ and its kin), or None: it compiles its kernels here and now, for which much may lack."""
    cupy, ndimage = installed("cupy"), installed("cupyx.scipy.ndimage")
    if not (cupy and ndimage):
        return None
    try:
        ndimage.distance_transform_edt(cupy.ones((4, 4), bool))
    except Exception as error:  # of whatever is half installed: ours are still to be measured
        say(f"\nCuPy is left out: {type(error).__name__}: {str(error).partition(chr(10))[0]}")
        return None
    transform: Callable[[Any], Any] = ndimage.distance_transform_edt
    return transform


def as_cupy(masks: torch.Tensor) -> list[Any]:
    return [importlib.import_module("cupy").asarray(mask) for mask in masks]


def same_bits(host: np.ndarray, masks: torch.Tensor) -> str:
    """How ours on the device differ from ours on the CPU."""
    spacing = np.ones(host.ndim - 1)
    there = signed_distance(masks[:, None], spacing, ignore_index=None).cpu().numpy()
    here = signed_distance(host[:, None], spacing, ignore_index=None)
    return "the CPU's bits" if np.array_equal(there, here) else f"up to {abs(there - here).max():.1e} mm off"


def on_cuda(rounds: int) -> None:
    """Ours beside the peers, all on tensors that lie on the device, by its clock."""
    bandwidth = copy_bandwidth()
    for title, build in (("Distance to the mask", cuda_methods), ("Signed distance, both sides", cuda_signed_methods)):
        rows: dict[str, dict[str, list[float]]] = {}
        say(
            f"\n{title}: ms, and their time over ours as called from Python; replayed = as a CUDA graph, without "
            "Python's time; floor = one pass an axis at the bandwidth of a copy\n"
        )
        for case, kind, count, shape in CUDA_CASES:
            host = masks_of(kind, count, shape)
            masks = torch.from_numpy(host).cuda()
            methods = build(host, masks)
            methods["ours, replayed"] = replayed(methods["ours"])
            rows[case] = take_turns_on_device(methods, rounds)
            rows[case]["floor"] = [(host.size * (1 + 4 + 8 * (len(shape) - 1))) / bandwidth] * rounds
            ours = rows[case]["ours"]
            cells = [f"{name} {statistics.median(t):.3g} ({ratio(t, ours):.3g}x)" for name, t in rows[case].items()]
            say(f"- {case}: {'; '.join(cells)}; {same_bits(host, masks)}")
            torch.cuda.empty_cache()


def main() -> None:
    arguments = command.parser("Compare exact distance maps with their peers.")
    arguments.add_argument("--rounds", type=int, default=7, help="rounds that count")
    arguments.add_argument("--one_thread", action="store_true", help="one thread each, and its processor time")
    arguments.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments.add_argument("--write", type=Path, help="replace the section in this file")
    args = arguments.parse_args()
    rounds = args.rounds
    if args.one_thread:
        global clock
        clock = time.process_time
        torch.set_num_threads(1)
        if cv2 := installed("cv2"):
            cv2.setNumThreads(0)
    if rounds < 1:
        raise ValueError(f"--rounds must be at least 1, got {rounds}")
    if args.device == "cuda":
        on_cuda(rounds)
    else:
        on_cpu(rounds)
        approximation_errors()
    if args.write:
        write_section(args.write, f"EDT ({args.device.upper()})", "\n".join([f"{machine(args.device)}.", *said]))


if __name__ == "__main__":
    command.run(main)
