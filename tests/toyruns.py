"""Run folders as training and evaluation leave them, without training: the pictures, the report and the archive."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from boundary_loss.files import write_array, write_json, write_text
from boundary_loss.folders.pictures import write_png
from boundary_loss.folders.run import RunFolder
from boundary_loss.folders.sliced import SlicedFolder
from boundary_loss.metric_definitions import EVALUATION_ARRAYS, metric

LOSSES = {
    "gdl": ("gdl",),
    "gdl_surface_steal": ("gdl", "boundary"),
    "gdl_hausdorff_w": ("gdl", "hausdorff"),
}
LENGTHS = {"gdl": 6, "gdl_surface_steal": 8, "gdl_hausdorff_w": 4}


def write_runs(
    folder: Path, sliced: Path, lengths: Mapping[str, int] = LENGTHS, *, phantom: bool = True, debug: bool = False
) -> list[Path]:
    """A run a name: arrays, names, settings, predictions that grow towards the ground truth."""
    data = SlicedFolder.open(sliced)
    return [
        _write_run(folder / name, data, epochs, seed, phantom=phantom, debug=debug)
        for seed, (name, epochs) in enumerate(lengths.items())
    ]


def _write_run(run: Path, data: SlicedFolder, epochs: int, seed: int, *, phantom: bool, debug: bool) -> Path:
    rng, row = np.random.default_rng(seed), RunFolder(run).row
    stems, volumes = data.stems("val"), list(data.volumes("val"))
    losses = LOSSES.get(row, ("gdl",))
    names = {"train": data.stems("train"), "val": stems, "volumes": volumes, "classes": data.classes}
    write_json(run / "rows.json", names | {"losses": list(losses)})
    write_json(run / "run.json", _about(RunFolder(run).name, losses, epochs, data, phantom=phantom, debug=debug))
    rows = {"train": len(names["train"]), "val": len(stems), "slices": len(stems), "volumes": len(volumes), "": 3}
    for name in ("tra_loss", "val_loss", "tra_dice", "val_dice", *EVALUATION_ARRAYS):
        columns = len(losses) if metric(name).columns == "losses" else len(data.classes)
        array = _values(rng, epochs, rows[metric(name).rows], columns, bounded=metric(name).unit == "")
        if metric(name).unit == "mm":
            array[:, :, 0] = np.nan  # no distances of the background
        write_array(run / f"{name}.npy", array)
    best = epochs - 2
    for epoch in range(epochs):
        _predict(run / f"iter{epoch:03d}" / "val", data, stems, share=(epoch + 1) / epochs, rng=rng)
    _predict(run / "best_epoch" / "val", data, stems, share=(best + 1) / epochs, rng=rng)
    write_text(run / "best_epoch.txt", f"{best}\n")
    write_text(run / "metrics.csv", "epoch,val_dice\n0,0.1\n")
    write_text(run / "arguments.txt", "--data data/TOY\n")
    write_text(run / "checkpoint.pt", "not for the archive")
    one = {"cases": 1, "values": [40.0]}
    write_json(run / "evaluation.json", {"val_3d_hd95": {"touched": 1, "of": len(volumes) * epochs, "one_empty": one}})
    return run


def _values(rng: np.random.Generator, epochs: int, rows: int, columns: int, *, bounded: bool) -> np.ndarray:
    """Curves that rise to a plateau (overlaps) or fall from one (distances), a level for each row."""
    rise = 1 - np.exp(-np.arange(epochs) / max(epochs / 4, 1))[:, None, None]
    level = rng.uniform(0.5, 0.9, (1, rows, columns)) * rise + rng.normal(0, 0.03, (epochs, rows, columns))
    return (level.clip(0, 1) if bounded else 40 - 35 * level).astype(np.float32)


def _predict(folder: Path, data: SlicedFolder, stems: list[str], share: float, rng: np.random.Generator) -> None:
    """The ground truth, shifted less and less, with fewer and fewer false voxels."""
    folder.mkdir(parents=True)
    shift = round(6 * (1 - share)) + int(rng.integers(0, 2))
    for stem in stems:
        labels = np.roll(data.labels("val", stem), shift, axis=(0, 1))
        false = rng.random(labels.shape) < 0.002 * (1 - share)
        write_png(folder / f"{stem}.png", np.where(false, len(data.classes) - 1, labels).astype(np.uint8))


def _about(
    name: str, losses: tuple[str, ...], epochs: int, data: SlicedFolder, *, phantom: bool, debug: bool
) -> dict[str, Any]:
    return {
        "name": name,
        "terms": [f"{loss}:{1 if i == 0 else 0.01}@1" for i, loss in enumerate(losses)],
        "schedule": "steal(0.01)" if "steal" in name else "constant",
        "rate": "plateau(20)",
        "network": "UNet(width=8)",
        "num_parameters": 18704855,
        "epochs": epochs,
        "batch_size": 8,
        "learning_rate": 1e-3,
        "optimiser": "adam",
        "seed": 0,
        "best": "volume",
        "debug": debug,
        "losses": list(losses),
        "device": "cpu",
        "study": "toy",
        "phantom": phantom,
        "arguments": ["--data", "/home/someone/data/TOY", "--losses", "gdl:1", "--epochs", str(epochs)],
        "data_checksum": data.about.checksum,
        "num_train_slices": 12,
        "num_val_slices": 8,
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "versions": {"python": "3.11.2", "torch": "2.13.0"},
    }


def write_row(folder: Path, name: str, values: np.ndarray, *, volumes: Sequence[str] = (), metric: str = "val_3d_dsc",
              patients: Sequence[str] = (), best: int = 0) -> Path:  # fmt: skip
    """A run of one metric of volumes, with values (N,), or (E, N), of one class; nothing else is in it."""
    array = np.atleast_2d(values)[:, :, None]
    names = list(volumes) or [f"case_{i:02d}" for i in range(array.shape[1])]
    run = folder / name
    rows = {"train": [], "val": [f"{v}_00_0000" for v in names], "volumes": names, "classes": ["background", "lesion"]}
    write_json(run / "rows.json", rows | {"losses": ["gdl"]} | ({"patients": list(patients)} if patients else {}))
    write_json(run / "run.json", {"study": "toy", "epochs": len(array)})
    write_text(run / "best_epoch.txt", f"{best}\n")
    write_array(run / f"{metric}.npy", np.concatenate([np.full_like(array, np.nan), array], axis=2).astype(np.float32))
    return run
