"""A small folder of whole volumes, written by hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from boundary_loss.files import write_array, write_json, write_text

SHAPES = {"case_1": (6, 7, 4), "case_2": (8, 5, 3), "case_3": (6, 7, 5)}


def write_whole(
    folder: Path, shapes: Mapping[str, tuple[int, int, int]] = SHAPES, held_out: Sequence[str] = ("case_3",)
) -> Path:
    """Three cases of two modalities, int16 and float32, of which the last is held out; a box is the object."""
    cases = {}
    for seed, (name, shape) in enumerate(shapes.items()):
        rng = np.random.default_rng(seed)
        labels = np.zeros(shape, np.uint8)
        labels[1:4, 2:4, 1:3] = 1
        ct = (rng.integers(-100, 100, shape) + 50 * labels).astype(np.int16)
        arrays = {"ct": ct, "mtt": rng.random(shape).astype(np.float32), "gt": labels}
        for kind, array in arrays.items():
            write_array(folder / kind / f"{name}.npy", np.asfortranarray(array))
        cases[name] = {
            "shape": list(shape),
            "spacing": [0.8, 1.2, 5.0],
            "grid": {"file": f"{name}/ct.h5", "format": "hdf5", "shape": list(shape)},
            "patient": name,
            "orientation": "LPS",
            "scale": {"ct": [float(ct.mean()), 1 / float(ct.std())], "mtt": [0.0, 1.0]},
            "window": {"ct": [-100.0, 150.0], "mtt": [0.0, 1.0]},
            "moments": {kind: [arrays[kind].size, 0.0, 1.0, -1.0, 1.0] for kind in ("ct", "mtt")},
            "digests": dict.fromkeys(arrays, "0" * 64),
            "counts": [int(labels.sum()), int((labels == 0).sum()), shape[2], 2],
        }
    about = {"kind": "volumes", "study": "toy", "classes": ["background", "lesion"], "modalities": ["ct", "mtt"]}
    prepared = {"shape": None, "pictures": False, "label_values": [0, 1], "layout": {}, "orientations": ["LPS"]}
    prepared |= {"normalise": "zscore", "scale": {}}
    write_json(folder / "whole.json", about | {"preparation": prepared, "checksum": "0" * 64, "cases": cases})
    train = [name for name in shapes if name not in held_out]
    write_json(folder / "split.json", {"fold": 0, "folds": 3, "train": train, "val": list(held_out)})
    write_text(folder / "arguments.txt", "--toy\n")
    return folder
