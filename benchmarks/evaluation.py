"""All metrics of a run: time for each epoch and patient, of the whole set and of the first few, PNGs and packed.

    PYTHONPATH=src python benchmarks/evaluation.py [--patients 2] [--epochs 12] [--write benchmarks/RESULTS.md]

A made run of lesions in 256 x 256 x 40 voxels, 1 x 1 x 3 mm, another prediction in each epoch. One process, its CPU
time: other work on the machine does not count. Ways take turns; the median of the rounds is shown, and what it comes to
for 100 epochs of 20 patients on two cores.
"""

import argparse
import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from turns import machine, publish

from boundary_loss.evaluate.__main__ import main as evaluate
from boundary_loss.files import write_array, write_json, write_text
from boundary_loss.folders.epoch import write_packed
from boundary_loss.folders.naming import by_volume
from boundary_loss.folders.pictures import write_png

HEADING = "Metrics of a run"
SHAPE, SPACING = (256, 256, 40), (1.0, 1.0, 3.0)
FIRST = ("3d_dsc", "3d_hausdorff", "3d_hd95", "3d_assd", "hausdorff", "boundary")
"""What was measured before the others came."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path, help="replace the section in this file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data, runs = make(Path(folder), args.patients, args.epochs)
        ways = {
            f"{what}, {kind}": (lambda run=run, names=names: measure(run, data, names))
            for kind, run in runs.items()
            for what, names in {"every metric": ("all",), "Dice, HD, HD95, ASSD, 2D HD, boundary": FIRST}.items()
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(args.rounds):
            for name, way in ways.items():
                times[name].append(cpu_ms(way))
        sizes = {kind: sum(path.stat().st_size for path in run.glob("iter*/**/*")) for kind, run in runs.items()}
    count = args.patients * args.epochs
    lines = [
        f"{machine('cpu')}; CPU time of one process. Lesions in {'x'.join(map(str, SHAPE))} voxels, {args.patients} "
        f"patients, {args.epochs} epochs, none like another; median of {args.rounds} rounds in turns. "
        "`python benchmarks/evaluation.py`",
        "",
        "| metrics, predictions | ms an epoch and patient | 100 epochs of 20 patients, two cores |",
        "|---|---|---|",
    ]
    for name, found in times.items():
        each = statistics.median(found) / count
        lines.append(f"| {name} | {each:.0f} | {each * 2000 / 60e3 / 2:.1f} min |")
    per_epoch = {kind: size / args.epochs / args.patients / 1000 for kind, size in sizes.items()}
    lines += ["", f"Predictions on disk, kB a patient and epoch: PNG {per_epoch['PNG']:.0f}, packed "
              f"{per_epoch['packed']:.0f}."]  # fmt: skip
    publish(lines, HEADING, args.write)


def cpu_ms(way: Callable[[], None]) -> float:
    start = time.process_time()
    way()
    return 1e3 * (time.process_time() - start)


def measure(run: Path, data: Path, names: tuple[str, ...]) -> None:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        evaluate([str(run), "--data", str(data), "--workers", "1", "--metrics", *names])


def make(folder: Path, patients: int, epochs: int) -> tuple[Path, dict[str, Path]]:
    """Sliced data, and the same run with its predictions kept either way."""
    rng = np.random.default_rng(0)
    stems = [f"case_{p}_00_{z:04d}" for p in range(patients) for z in range(SHAPE[2])]
    volumes = list(by_volume(stems))
    data, runs = folder / "data", {"PNG": folder / "png", "packed": folder / "packed"}
    about = {"study": "toy", "classes": ["background", "lesion"], "modalities": [], "checksum": "0" * 64}
    write_json(data / "slicing.json", about)
    write_json(data / "spacing_3d.json", dict.fromkeys(volumes, SPACING))
    write_json(data / "train" / "spacing.json", {})
    write_json(data / "val" / "spacing.json", dict.fromkeys(stems, SPACING[:2]))
    truths = [smooth(rng) for _ in volumes]
    save(data / "val" / "gt", volumes, [truth > 3.2 for truth in truths])
    for run in runs.values():
        write_json(run / "rows.json", {"val": stems, "volumes": volumes, "classes": about["classes"]})
        write_array(run / "val_dice.npy", np.zeros((epochs, len(stems), 2), np.float32))
        write_text(run / "best_epoch.txt", "0\n")
    for epoch in range(epochs):
        masks = [truth + 0.4 * smooth(rng) > 3.2 for truth in truths]
        save(runs["PNG"] / f"iter{epoch:03d}" / "val", volumes, masks)
        every = np.moveaxis(np.array(masks, np.uint8), -1, 1).reshape(-1, *SHAPE[:2])
        write_packed(runs["packed"] / f"iter{epoch:03d}", "val", dict(zip(stems, every, strict=True)))
    return data, runs


def smooth(rng: np.random.Generator) -> np.ndarray:
    noise = gaussian_filter(rng.normal(size=SHAPE).astype(np.float32), (3, 3, 1))
    return noise / noise.std()


def save(folder: Path, volumes: list[str], masks: list[np.ndarray]) -> None:
    folder.mkdir(parents=True)
    for volume, mask in zip(volumes, masks):
        for z in range(SHAPE[2]):
            write_png(folder / f"{volume}_00_{z:04d}.png", mask[..., z].astype(np.uint8))


if __name__ == "__main__":
    main()
