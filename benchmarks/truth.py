"""Surface metrics beside the truth: what each definition and library makes of shapes whose distances are known.

    PYTHONPATH=src python benchmarks/truth.py [--rounds 3] [--picture docs/surface_truth.png] [--write FILE]
                                              [--speed_only]

Spheres, tori, ellipsoids and tubes on five spacings, at places that fit no grid. A prediction is the same shape grown
by some millimetres, so that each point of either surface is that far from the other; those of a shifted sphere are
integrated. Errors are in per cent of the true value. Then the time of HD95, ASSD and surface Dice together.
"""

import argparse
import os
import statistics
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from metrics import cases
from turns import publish, ratio, take_turns

from boundary_loss.metrics import surface_distances

HEADING, SPEED = "Surface metrics beside the truth", "Surfels and meshes, time"
SPACINGS = ((1.0, 1.0, 1.0), (0.7, 0.7, 0.7), (0.8, 0.8, 2.0), (1.5, 1.0, 1.0), (0.6, 0.6, 3.0))
Mask = np.ndarray
Spacing = tuple[float, ...]
Values = tuple[float, float, float]
"""ASSD, HD95 and HD in mm."""
Method = Callable[[Mask, Mask, Spacing], Values]
Pair = tuple[str, Spacing, Mask, Mask, Values]
"""Shape, spacing, prediction, ground truth and the true values."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--picture", type=Path, help="draw the errors into this file")
    parser.add_argument("--speed_only", action="store_true")
    parser.add_argument("--write", type=Path, help="replace the sections in this file")
    args = parser.parse_args()
    methods = {name: method for name, (method, package) in METHODS.items() if package is None or find_spec(package)}
    if not args.speed_only:
        errors = {name: errors_of(method) for name, method in methods.items()}
        publish(table(errors), HEADING, args.write)
        if args.picture:
            draw(errors, args.picture)
    publish(speed(args.rounds), SPEED, args.write)


# ---- shapes ------------------------------------------------------------------------------------------------------


def grown(shape: str, by: float) -> Callable[[np.ndarray], np.ndarray]:
    """Signed distance, negative inside, of points (..., 3) to the shape grown by so many mm."""
    return lambda points: DISTANCES[shape](points) - by


def sphere(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points, axis=-1) - 9


def torus(points: np.ndarray) -> np.ndarray:
    ring = np.hypot(points[..., 0], points[..., 1]) - 10
    return np.hypot(ring, points[..., 2]) - 4


def tube(points: np.ndarray) -> np.ndarray:
    """A vessel of 2.5 mm radius with round ends, not along any axis."""
    along = np.array([0.6, 0.48, 0.64])
    place = (points @ along).clip(-11, 11)
    return np.linalg.norm(points - place[..., None] * along, axis=-1) - 2.5


def ellipsoid(points: np.ndarray) -> np.ndarray:
    """Half axes of 12, 9 and 6 mm: the distance by Newton's steps to the foot of the perpendicular."""
    axes = np.array([12.0, 9.0, 6.0])
    size = np.linalg.norm(points / axes, axis=-1)
    t = np.maximum((axes.min() * (size - 1)) * axes.min(), -(axes.min() ** 2) * 0.999)
    for _ in range(60):  # sum (axes x / (axes² + t))² = 1, bracketed from below, is convex in t
        part = axes * points / (axes**2 + t[..., None])
        value = (part**2).sum(axis=-1) - 1
        slope = -2 * (part**2 / (axes**2 + t[..., None])).sum(axis=-1)
        t = np.maximum(t - value / np.minimum(slope, -1e-12), -(axes.min() ** 2) * 0.9999)
    foot = axes**2 * points / (axes**2 + t[..., None])
    return np.sign(size - 1) * np.linalg.norm(points - foot, axis=-1)


DISTANCES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sphere": sphere, "torus": torus, "ellipsoid": ellipsoid, "tube": tube,
}  # fmt: skip
GROWTHS = (1.0, 2.0)  # mm


def voxels(signed: Callable[[np.ndarray], np.ndarray], spacing: Spacing, offset: np.ndarray) -> Mask:
    """The mask of the voxels whose middles lie inside, in a box of 38 mm whose grid is moved by ``offset``."""
    sides = [(np.arange(round(38 / step)) - round(19 / step)) * step for step in spacing]
    points = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1) + offset
    return signed(points) <= 0


def pairs() -> list[Pair]:
    found: list[Pair] = []
    rng = np.random.default_rng(0)
    for spacing in SPACINGS:
        offset = rng.uniform(-0.5, 0.5, 3) * spacing
        for shape in DISTANCES:
            truth = voxels(grown(shape, 0), spacing, offset)
            for by in GROWTHS:
                found.append((shape, spacing, voxels(grown(shape, by), spacing, offset), truth, (by, by, by)))
        moved = np.array([0.0, 1.5, 2.0])
        pred = voxels(sphere, spacing, offset - moved)
        found.append(("sphere, shifted", spacing, pred, voxels(sphere, spacing, offset), shifted(2.5)))
    return found


def shifted(by: float, radius: float = 9.0) -> Values:
    """Of two equal spheres: over the surface, the distance | |x + shift| - radius | by fine integration."""
    cosine = (np.arange(200_000) + 0.5) / 100_000 - 1  # of a sphere each belt of equal height has the same area
    apart = np.abs(np.sqrt(radius**2 + by**2 + 2 * radius * by * cosine) - radius)
    return float(apart.mean()), float(np.percentile(apart, 95)), by


# ---- definitions and libraries -------------------------------------------------------------------------------------


def ours(surface: str) -> Method:
    def method(pred: Mask, gt: Mask, spacing: Spacing) -> Values:
        distances = surface_distances(pred, gt, spacing, surface=surface)
        return distances.assd, distances.hd95, distances.hausdorff

    return method


def monai(pred: Mask, gt: Mask, spacing: Spacing) -> Values:
    import torch
    from monai import metrics

    pair = [torch.from_numpy(mask)[None, None] for mask in (pred, gt)]
    options: dict[str, Any] = {"include_background": True, "spacing": spacing}
    return (
        float(metrics.compute_average_surface_distance(*pair, symmetric=True, **options)),
        float(metrics.compute_hausdorff_distance(*pair, percentile=95, **options)),
        float(metrics.compute_hausdorff_distance(*pair, **options)),
    )


def medpy(pred: Mask, gt: Mask, spacing: Spacing) -> Values:
    from medpy.metric import binary

    assd, hd95, hd = (float(metric(pred, gt, spacing)) for metric in (binary.assd, binary.hd95, binary.hd))
    return assd, hd95, hd


def deepmind(pred: Mask, gt: Mask, spacing: Spacing) -> Values:
    import surface_distance

    found = surface_distance.compute_surface_distances(gt, pred, spacing)
    hd95, hd = (float(surface_distance.compute_robust_hausdorff(found, percent)) for percent in (95, 100))
    return float(np.mean(surface_distance.compute_average_surface_distance(found))), hd95, hd


def meshmetrics(pred: Mask, gt: Mask, spacing: Spacing) -> Values:
    from meshmetrics import DistanceMetrics

    distances = DistanceMetrics(verbose=False)
    distances.set_input(ref=gt, pred=pred, spacing=spacing)
    return distances.assd(), distances.hd(95), distances.hd()


def exacta(pred: Mask, gt: Mask, spacing: Spacing, surface: str) -> Values:
    found = of_exacta(pred, gt, spacing, ("assd", {}), ("hd95", {}), ("hausdorff_distance", {}), surface=surface)
    return found[0], found[1], found[2]


def of_exacta(
    pred: Mask, gt: Mask, spacing: Spacing, *asked: tuple[str, dict[str, float]], surface: str
) -> tuple[float, ...]:
    import exacta.functional

    metrics = {name: {"surface": surface, **options} for name, options in asked}
    pair = [mask[None].astype(np.int64) for mask in (pred, gt)]
    found = exacta.functional.evaluate(*pair, metrics=metrics, spacing=spacing, num_classes=2, include_background=False)
    return tuple(float(found[name][0, 0]) for name in metrics)


METHODS: dict[str, tuple[Method, str | None]] = {
    "voxel": (ours("voxel"), None),
    "surfel": (ours("surfel"), None),
    "mesh": (ours("mesh"), None),
    "smooth": (ours("smooth"), None),
    "medpy": (medpy, "medpy"),
    "MONAI": (monai, "monai"),
    "surface-distance": (deepmind, "surface_distance"),
    "pymeshmetrics": (meshmetrics, "meshmetrics"),
    "exacta voxels": (partial(exacta, surface="voxels"), "exacta"),
    "exacta surfels": (partial(exacta, surface="surfels"), "exacta"),
    "exacta mesh": (partial(exacta, surface="mesh"), "exacta"),
}


# ---- tables and picture --------------------------------------------------------------------------------------------

Errors = list[tuple[str, Spacing, np.ndarray]]
_PAIRS: list[Pair] = []


def errors_of(method: Method) -> Errors:
    """Per cent of the true ASSD, HD95 and HD, of each pair."""
    if not _PAIRS:
        _PAIRS.extend(pairs())
    return [
        (shape, spacing, 100 * (np.array(method(pred, gt, spacing)) / np.array(truth) - 1))
        for shape, spacing, pred, gt, truth in _PAIRS
    ]


def table(errors: dict[str, Errors]) -> list[str]:
    shapes = list(dict.fromkeys(shape for shape, _, _ in errors["voxel"]))
    packages = [name for name in ("medpy", "monai", "surface-distance", "pymeshmetrics", "exacta") if has(name)]
    grows = " or ".join(f"{by:g}" for by in GROWTHS)
    lines = [
        f"{len(errors['voxel'])} pairs of masks: a shape and the same grown by {grows} mm, and a sphere shifted by "
        f"2.5 mm, on {len(SPACINGS)} spacings. Mean of the errors without their sign, in per cent of the true value; "
        "in brackets the mean with it. "
        f"{', '.join(f'{name} {version(name)}' for name in packages)}. `python benchmarks/truth.py`",
        "",
        f"| ASSD | {' | '.join(shapes)} | all | largest |",
        f"|---|{'---|' * (len(shapes) + 2)}",
    ]
    for name, found in errors.items():
        cells = [cell([error[0] for of, _, error in found if of == shape]) for shape in shapes]
        every = [error[0] for _, _, error in found]
        lines.append(f"| {name} | {' | '.join(cells)} | {cell(every)} | {np.abs(every).max():.0f} |")
    lines += ["", "| all shapes | ASSD | HD95 | HD |", "|---|---|---|---|"]
    for name, found in errors.items():
        columns = np.array([error for _, _, error in found]).T
        lines.append(f"| {name} | {' | '.join(cell(list(column)) for column in columns)} |")
    lines += ["", f"| ASSD | {' | '.join(' x '.join(f'{step:g}' for step in spacing) for spacing in SPACINGS)} |",
              f"|---|{'---|' * len(SPACINGS)}"]  # fmt: skip
    for name, found in errors.items():
        cells = [cell([error[0] for _, at, error in found if at == spacing]) for spacing in SPACINGS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def has(distribution: str) -> bool:
    return find_spec({"pymeshmetrics": "meshmetrics"}.get(distribution, distribution.replace("-", "_"))) is not None


def cell(errors: list[float]) -> str:
    return f"{np.abs(errors).mean():.1f} ({np.mean(errors):+.1f})"


def draw(errors: dict[str, Errors], path: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(11, 4.2), layout="constrained", sharey=True)
    names = list(errors)
    places = np.arange(len(names))[::-1]
    for axis, title, column in zip(axes, ("ASSD", "HD95", "HD"), range(3)):
        for place, name in zip(places, names):
            values = np.array([error[column] for _, _, error in errors[name]])
            jitter = np.linspace(-0.28, 0.28, len(values))
            axis.scatter(
                values, place + jitter, s=9, alpha=0.55, color="tab:blue" if name in LIGHT else "tab:gray", lw=0
            )
            axis.plot([values.mean()] * 2, [place - 0.36, place + 0.36], color="tab:red", lw=2)
        axis.axvline(0, color="black", lw=0.8)
        axis.set(title=title, xlabel="error, % of the true distance", yticks=places, yticklabels=names)
        axis.set_xscale("symlog", linthresh=20)
        ticks = [-50, -20, -10, 0, 10, 20, 50, 200]
        axis.set(xticks=ticks, xticklabels=[f"{tick:+d}" if tick else "0" for tick in ticks], xlim=(-60, 350))
        axis.tick_params(axis="x", labelsize=7)
        axis.grid(axis="x", alpha=0.3)
    figure.suptitle("Distances between shapes that are known: each dot is a pair of masks, red their mean", fontsize=10)
    figure.savefig(path, dpi=130)


LIGHT = ("voxel", "surfel", "mesh", "smooth")
"""Our own definitions; the others are those of other packages."""


# ---- time ----------------------------------------------------------------------------------------------------------


def speed(rounds: int) -> list[str]:
    asked: dict[str, tuple[Callable[[Mask, Mask, Spacing], tuple[float, ...]], str | None]] = {
        "voxel": (partial(three, surface="voxel"), None),
        "surfel": (partial(three, surface="surfel"), None),
        "surface-distance": (three_of_deepmind, "surface_distance"),
        "exacta surfels": (partial(three_of_exacta, surface="surfels"), "exacta"),
        "mesh": (partial(three, surface="mesh"), None),
        "pymeshmetrics": (three_of_meshmetrics, "meshmetrics"),
        "exacta mesh": (partial(three_of_exacta, surface="mesh"), "exacta"),
        "smooth": (partial(three, surface="smooth"), None),
    }
    methods = {name: method for name, (method, package) in asked.items() if package is None or find_spec(package)}
    theirs = {"surface-distance": "surfel", "exacta surfels": "surfel", "pymeshmetrics": "mesh", "exacta mesh": "mesh"}
    compared = [pair for pair in theirs.items() if pair[0] in methods]
    lines = [
        "HD95, ASSD and surface Dice at 2 mm of a pair of masks, all three; processor time in milliseconds, median of "
        f"{rounds} rounds in turns. × = the package's time / ours of the same definition, median of the rounds. "
        f"`python benchmarks/truth.py --speed_only`, {os.cpu_count()} cores shared with other work.",
        "",
        f"| masks | {' | '.join(methods)} | {' | '.join(' / '.join(pair) for pair in compared)} | largest difference |",
        f"|---|{'---|' * (len(methods) + len(compared) + 1)}",
    ]
    for case, (pred, gt, spacing) in cases().items():
        if case.startswith("noise"):
            pred, gt = (mask[:32, :32, :32] for mask in (pred, gt))
            case = "noise 32³"
        pair = (np.ascontiguousarray(pred), np.ascontiguousarray(gt), spacing)
        values: dict[str, tuple[float, ...]] = {}

        def step(name: str, pair: Any = pair, values: dict[str, tuple[float, ...]] = values) -> None:
            values[name] = methods[name](*pair)

        times = take_turns({name: partial(step, name) for name in methods}, rounds, time_of_processor)
        cells = [f"{statistics.median(times[name]):.3g}" for name in methods]
        ratios = [f"{ratio(times[a], times[b]):.1f}×" for a, b in compared]
        apart = [np.abs(np.subtract(values[a], values[b])).max() for a, b in compared]
        lines.append(f"| {case} | {' | '.join([*cells, *ratios])} | {max(apart, default=np.nan):.0e} |")
        print(lines[-1], flush=True)
    return lines


def time_of_processor() -> float:
    import time

    return time.process_time()


def three(pred: Mask, gt: Mask, spacing: Spacing, surface: str) -> tuple[float, ...]:
    distances = surface_distances(pred, gt, spacing, surface=surface)
    return distances.hd95, distances.assd, distances.surface_dice(2.0)


def three_of_deepmind(pred: Mask, gt: Mask, spacing: Spacing) -> tuple[float, ...]:
    import surface_distance

    found = surface_distance.compute_surface_distances(gt, pred, spacing)
    sides = [(found[f"distances_{a}_to_{b}"], found[f"surfel_areas_{a}"]) for a, b in (("gt", "pred"), ("pred", "gt"))]
    total = sum(sizes.sum() for _, sizes in sides)
    return (
        surface_distance.compute_robust_hausdorff(found, 95),
        sum((distances * sizes).sum() for distances, sizes in sides) / total,
        surface_distance.compute_surface_dice_at_tolerance(found, 2.0),
    )


def three_of_meshmetrics(pred: Mask, gt: Mask, spacing: Spacing) -> tuple[float, ...]:
    from meshmetrics import DistanceMetrics

    distances = DistanceMetrics(verbose=False)
    distances.set_input(ref=gt, pred=pred, spacing=spacing)
    return distances.hd(95), distances.assd(), distances.nsd(2.0)


def three_of_exacta(pred: Mask, gt: Mask, spacing: Spacing, surface: str) -> tuple[float, ...]:
    return of_exacta(pred, gt, spacing, ("hd95", {}), ("assd", {}), ("nsd", {"tolerance": 2.0}), surface=surface)


if __name__ == "__main__":
    main()
