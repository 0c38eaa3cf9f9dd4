"""nnU-Net's folders in small: ground truths, a split, trainers with predictions of two folds."""

import json
from pathlib import Path

import numpy as np

from boundary_loss.files import write_json
from boundary_loss.volumes import write_volume

AFFINE = np.diag([1.0, 1.5, 2.5, 1.0])
SPACING = (1.0, 1.5, 2.5)
LABELS = {"background": 0, "rim": 1, "core": 2}
REGIONS = {"background": 0, "whole": [1, 2], "core": 2}
IGNORED = 3


def truth(case: int, *, ignore: bool = False) -> np.ndarray:
    labels = np.zeros((14, 12, 8), np.uint8)
    labels[2 : 8 + case % 3, 3:9, 1:6] = 1
    labels[4:7, 5:8, 2:5] = 2
    if ignore:
        labels[:, -4:] = IGNORED
    return labels


def prediction(case: int, shift: int) -> np.ndarray:
    return np.roll(truth(case), shift, axis=case % 2)


def write_dataset(folder: Path, labels: dict, ending: str = ".nii.gz") -> Path:
    path = folder / "dataset.json"
    write_json(path, {"labels": labels, "file_ending": ending})
    return path


def write_nnunet(root: Path, shifts: dict[str, int], *, cases: int = 4, labels=LABELS, ignore: bool = False) -> Path:
    """Write ground truths and two folds of each trainer; return the folder of the trainers."""
    names = [f"case_{i:02d}" for i in range(cases)]
    base, results = root / "preprocessed" / "Dataset001_Toy", root / "results" / "Dataset001_Toy"
    for i, name in enumerate(names):
        write_volume(base / "gt_segmentations" / f"{name}.nii.gz", truth(i, ignore=ignore), AFFINE)
    write_json(base / "splits_final.json", [{"train": [], "val": names[::2]}, {"train": [], "val": names[1::2]}])
    for trainer, shift in shifts.items():
        home = results / f"{trainer}__nnUNetPlans__3d_fullres"
        for fold in (0, 1):
            folder = home / f"fold_{fold}" / "validation"
            for i in range(fold, cases, 2):
                write_volume(folder / f"{names[i]}.nii.gz", prediction(i, shift), AFFINE)
            reference = str(base / "gt_segmentations" / f"{names[fold]}.nii.gz")
            write_json(folder / "summary.json", {"metric_per_case": [{"reference_file": reference}]})
            write_json(folder.parent / "debug.json", {"num_epochs": "5", "batch_size": "2", "initial_lr": "0.01"})
        write_dataset(home, labels)
    return results


def content(path: Path):
    return json.loads(path.read_text())
