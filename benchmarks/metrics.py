"""HD + HD95 + ASSD in mm: ours beside medpy, MONAI and surface-distance, those that are installed.

    PYTHONPATH=src python benchmarks/metrics.py [--rounds 5] [--device cuda] [--write benchmarks/RESULTS.md]

Methods take turns in one process; "×" is the median over rounds of (their time / our time in that round).
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter
from turns import machine, milliseconds, publish

from boundary_loss.metrics import SurfaceDistances, measure, surface_distances

HEADING = "Surface metrics"
Method = Callable[[np.ndarray, np.ndarray, tuple[float, ...]], tuple[float, ...]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", help="measure ours there too, masks and all, as cuda")
    parser.add_argument("--labels_only", action="store_true", help="only label volumes that lie on the device")
    parser.add_argument("--write", type=Path, help="replace the section in this file")
    args = parser.parse_args()
    methods = {name: method for name, method in METHODS.items() if find_spec(name.split()[0].replace("-", "_"))}
    if args.device:
        methods = {f"ours on {args.device}": on_device(args.device), **methods}
    columns = "".join(f" {name} ms | × |" for name in methods)
    lines = [
        "HD, HD95 and ASSD of a pair of masks, all three, one thread; milliseconds, median of "
        f"{args.rounds} rounds; × = their time / ours, median of the rounds. `python benchmarks/metrics.py`, "
        f"{os.cpu_count()} cores shared with other work; "
        f"{', '.join(f'{name} {version(name)}' for name in ('scipy', *methods) if name in ('scipy', *METHODS))}.",
        "",
        f"| masks | border voxels | ours ms |{columns} largest difference from medpy, mm |",
        f"|---|---|---|{'---|---|' * len(methods)}---|",
    ]
    for case, (pred, gt, spacing) in cases().items() if not args.labels_only else ():
        lines.append(row(case, pred, gt, spacing, methods, args.rounds))
        print(lines[-1], flush=True)
    if args.labels_only:
        lines = [f"{machine(args.device)}. `python benchmarks/metrics.py --labels_only --device {args.device}`"]
    if args.device:
        lines += ["", *labels_on_device(args.device, args.rounds)]
    publish(lines, f"{HEADING} ({args.device.upper()})" if args.labels_only else HEADING, args.write)


def labels_on_device(device: str, rounds: int, size: int = 256) -> list[str]:
    """All classes of a pair of label volumes that lie on the device: HD, HD95 and ASSD of three organs."""
    import torch

    one, other = (torch.from_numpy(organs((size,) * 3, seed)).to(device) for seed in (0, 1))
    methods: dict[str, Callable[[], Any]] = {
        "ours, class by class": lambda: [
            summary(surface_distances(one == k, other == k, (1.0, 1.0, 1.0))) for k in (1, 2, 3)
        ],
        "ours, `measure`, which counts on the host": lambda: measure(one, other, (1.0, 1.0, 1.0), classes=(1, 2, 3)),
    }
    if find_spec("exacta"):
        import exacta.functional as EF

        asked = {"hausdorff_distance": {}, "hd95": {"combine": "pooled"}, "assd": {}}
        batch = [labels[None].long() for labels in (one, other)]
        methods["exacta evaluate"] = lambda: EF.evaluate(
            *batch, metrics=asked, spacing=1.0, num_classes=4, include_background=False
        )
    if find_spec("monai"):
        from monai import metrics

        def monai_labels() -> list[Any]:
            masks = [torch.stack([labels == k for k in range(4)])[None].float() for labels in (one, other)]
            return [
                metrics.compute_hausdorff_distance(*masks),
                metrics.compute_hausdorff_distance(*masks, percentile=95),
                metrics.compute_average_surface_distance(*masks, symmetric=True),
            ]

        methods["MONAI, HD, HD95 and ASSD"] = monai_labels
    times: dict[str, list[float]] = {name: [] for name in methods}
    for name, method in methods.items():
        method()  # warm
        for _ in range(rounds if not name.startswith("MONAI") else 1):
            times[name].append(milliseconds(method))
    ours = statistics.median(times["ours, class by class"])
    return [f"A pair of {size}³ labels of four classes on the device, three of them measured, milliseconds:"] + [
        f"- {name}: {statistics.median(took):.3g} ({statistics.median(took) / ours:.3g}x)"
        for name, took in times.items()
    ]


def organs(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Labels of three ellipsoids side by side, moved a little by the seed."""
    grid = np.ogrid[tuple(slice(-1, 1, size * 1j) for size in shape)]
    labels = np.zeros(shape, np.uint8)
    for k, centre in enumerate((-0.55, 0.0, 0.5), start=1):
        places = (centre + 0.02 * seed, 0.1 * k, -0.1 * k + 0.03 * seed)
        inside = sum(((axis - at) / 0.3) ** 2 for axis, at in zip(grid, places, strict=True)) < 1
        labels[inside] = k
    return labels


def summary(distances: SurfaceDistances) -> tuple[float, ...]:
    return distances.hausdorff, distances.hd95, distances.assd


def row(
    case: str,
    pred: np.ndarray,
    gt: np.ndarray,
    spacing: tuple[float, ...],
    methods: dict[str, Method],
    rounds: int,
) -> str:
    everyone = {"ours": ours, **methods}
    seconds: dict[str, list[float]] = {name: [] for name in everyone}
    values = {name: method(pred, gt, spacing) for name, method in everyone.items() if name != "medpy"}  # warm
    for _ in range(rounds):
        for name, method in everyone.items():
            start = time.perf_counter()
            values[name] = method(pred, gt, spacing)
            seconds[name].append(time.perf_counter() - start)
    cells = [case, str(len(surface_distances(pred, gt, spacing).from_pred)), f"{median_ms(seconds['ours']):.1f}"]
    for name in methods:
        ratios = [theirs / own for theirs, own in zip(seconds[name], seconds["ours"])]
        cells += [f"{median_ms(seconds[name]):.0f}", f"{statistics.median(ratios):.1f}"]
    difference = np.abs(np.subtract(values["ours"], values["medpy"])).max() if "medpy" in values else np.nan
    return f"| {' | '.join([*cells, f'{difference:.0e}'])} |"


def median_ms(seconds: list[float]) -> float:
    return 1000 * statistics.median(seconds)


def ours(pred: np.ndarray, gt: np.ndarray, spacing: tuple[float, ...]) -> tuple[float, ...]:
    return summary(surface_distances(pred, gt, spacing))


def on_device(device: str) -> Method:
    """Ours of masks that lie on the device, as a network's predictions do."""
    import torch

    there: dict[int, Any] = {}  # copied once, in a round of its own

    def method(pred: np.ndarray, gt: np.ndarray, spacing: tuple[float, ...]) -> tuple[float, ...]:
        one, other = (there.setdefault(id(mask), torch.from_numpy(mask).to(device)) for mask in (pred, gt))
        return summary(surface_distances(one, other, spacing, device=device))

    return method


def medpy(pred: np.ndarray, gt: np.ndarray, spacing: tuple[float, ...]) -> tuple[float, ...]:
    from medpy.metric import binary

    return tuple(float(metric(pred, gt, spacing)) for metric in (binary.hd, binary.hd95, binary.assd))


def monai(pred: np.ndarray, gt: np.ndarray, spacing: tuple[float, ...]) -> tuple[float, ...]:
    import torch
    from monai import metrics

    y_pred, y = (torch.from_numpy(mask)[None, None] for mask in (pred, gt))
    options: dict[str, Any] = {"include_background": True, "spacing": spacing}
    return (
        float(metrics.compute_hausdorff_distance(y_pred, y, **options)),
        float(metrics.compute_hausdorff_distance(y_pred, y, percentile=95, **options)),
        float(metrics.compute_average_surface_distance(y_pred, y, symmetric=True, **options)),
    )


def surface_distance(pred: np.ndarray, gt: np.ndarray, spacing: tuple[float, ...]) -> tuple[float, ...]:
    import surface_distance as deepmind

    distances = deepmind.compute_surface_distances(gt, pred, spacing)
    average = deepmind.compute_average_surface_distance(distances)
    hausdorff, hd95 = (deepmind.compute_robust_hausdorff(distances, percent) for percent in (100, 95))
    return hausdorff, hd95, sum(average) / 2


METHODS: dict[str, Method] = {"medpy": medpy, "monai": monai, "surface-distance": surface_distance}


def cases() -> dict[str, tuple[np.ndarray, np.ndarray, tuple[float, ...]]]:
    stroke, lesions = (256, 256, 20), (160, 160, 160)
    return {
        "organ 256×256×20": (ellipsoid(stroke, 0), ellipsoid(stroke, 1), (0.9, 0.9, 5.0)),
        "lesions 256×256×20": (*blobs(stroke, 2.8), (0.9, 0.9, 5.0)),
        "organ 160³": (ellipsoid(lesions, 0), ellipsoid(lesions, 1), (1.0, 1.0, 1.0)),
        "lesions 160³": (*blobs(lesions, 3.2), (1.0, 1.0, 1.0)),
        "noise 64³": (noise((64, 64, 64), 0), noise((64, 64, 64), 1), (1.0, 1.0, 1.0)),
        "one slice 256×256": (ellipsoid((256, 256), 0), ellipsoid((256, 256), 1), (0.9, 0.9)),
    }


def ellipsoid(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """A smooth organ that fills a quarter of each axis, with a bumpy surface."""
    grid = np.ogrid[tuple(slice(-1, 1, size * 1j) for size in shape)]
    radius = sum((axis / size) ** 2 for axis, size in zip(grid, (0.45, 0.35, 0.6)))
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), [max(1, size / 40) for size in shape])
    return radius + 0.15 * noise / noise.std() < 1


def noise(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Border voxels everywhere: the worst for a tree."""
    return np.random.default_rng(seed).random(shape) < 0.5


def blobs(shape: tuple[int, ...], threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Scattered lesions, and a prediction that finds most of them."""
    rng = np.random.default_rng(0)
    base, error = (gaussian_filter(rng.normal(size=shape), [max(1, size / 60) for size in shape]) for _ in range(2))
    base, error = base / base.std(), error / error.std()
    return base + 0.2 * error > threshold, base > threshold


if __name__ == "__main__":
    main()
