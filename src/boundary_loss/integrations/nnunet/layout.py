"""Where nnU-Net keeps what is measured: predictions by fold, ground truths, and dataset.json, which names the labels.

nnUNet_results/DatasetXXX_NAME/TRAINER__PLANS__CONFIGURATION/
    dataset.json
    fold_0/validation/CASE.nii.gz, summary.json     the latter names the ground truth of each case
nnUNet_preprocessed/DatasetXXX_NAME/
    splits_final.json                               the cases of each fold
    gt_segmentations/CASE.nii.gz
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from boundary_loss.files import read_json

VALIDATION, SUMMARY, DATASET, SPLITS = "validation", "summary.json", "dataset.json", "splits_final.json"
_FOLD = re.compile(r"fold_(\d+|all)")


@dataclass(frozen=True, kw_only=True)
class Region:
    """A label, or several that are measured as one."""

    name: str
    key: str
    """As nnU-Net writes it in summary.json: ``1``, ``(1, 2)``."""
    values: tuple[int, ...]

    def mask(self, labels: np.ndarray) -> np.ndarray:
        """(...) bool."""
        return np.isin(labels, self.values)


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What a data set's dataset.json says of its label images."""

    regions: tuple[Region, ...]
    """The foreground, in the order of declaration."""
    ignored: int | None
    ending: str
    """Of the files' names."""

    @classmethod
    def read(cls, path: Path) -> "Labels":
        """Read dataset.json.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it declares no labels, or none that nnU-Net would take.
        """
        if not path.is_file():
            raise FileNotFoundError(f"no {DATASET} at {path}; --dataset names it")
        content = read_json(path)
        labels = content.get("labels") if isinstance(content, dict) else None
        ending = content.get("file_ending") if isinstance(content, dict) else None
        if not isinstance(labels, dict) or not isinstance(ending, str) or not ending:
            raise ValueError(f"{path} does not say 'labels' and 'file_ending', as nnU-Net v2 needs them")
        return cls(regions=_regions(labels, path), ignored=labels.get("ignore"), ending=ending)

    @property
    def names(self) -> dict[str, str]:
        """The name of each key of a summary."""
        return {region.key: region.name for region in self.regions}


def _regions(labels: Mapping[str, Any], path: Path) -> tuple[Region, ...]:
    values = {name: _values(name, given, path) for name, given in labels.items()}
    overlap = any(len(of_one) > 1 for of_one in values.values())
    found = [
        Region(name=name, key=_key(labels[name], of_one, overlap), values=of_one)
        for name, of_one in values.items()
        if name != "ignore" and set(of_one) != {0}
    ]
    if not found:
        raise ValueError(f"{path} declares no label beside the background")
    return tuple(found)


def _values(name: str, given: Any, path: Path) -> tuple[int, ...]:
    listed = given if isinstance(given, list) else [given]
    if not listed or not all(type(value) is int and value >= 0 for value in listed):
        raise ValueError(f"{path}: label '{name}' is {given!r:.60}, expected a whole number or a list of them")
    return tuple(listed)


def _key(given: Any, values: tuple[int, ...], overlap: bool) -> str:
    """As nnU-Net writes it: without regions every label is a number, with them a list stays one."""
    return str(values) if overlap and isinstance(given, list) else str(values[0])


def prediction_folders(path: Path) -> list[Path]:
    """Return the folders of predictions at a trainer's folder, a fold's, or ``path`` itself.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if not path.is_dir():
        raise FileNotFoundError(f"no folder of predictions at {path}")
    if (path / VALIDATION).is_dir():
        return [path / VALIDATION]
    folds = [fold for fold in path.glob(f"fold_*/{VALIDATION}") if _FOLD.fullmatch(fold.parent.name)]
    return sorted(folds, key=lambda fold: (len(fold.parent.name), fold.parent.name)) or [path]


def fold_of(predictions: Path) -> str:
    """Return ``0`` of ``.../fold_0/validation``, ``all`` of the training without a split, else nothing."""
    found = _FOLD.fullmatch(predictions.resolve().parent.name)
    return found[1] if found and predictions.name == VALIDATION else ""


def trainer_folder(predictions: Path) -> Path:
    """Return the folder that all folds of a trainer share; of other predictions their own."""
    return predictions.resolve().parents[1] if fold_of(predictions) else predictions.resolve()


def dataset_file(predictions: Path) -> Path:
    """Return the nearest dataset.json, in the folder or up to three levels above.

    Raises:
        FileNotFoundError: there is none.
    """
    for folder in (predictions.resolve(), *predictions.resolve().parents[:3]):
        if (folder / DATASET).is_file():
            return folder / DATASET
    raise FileNotFoundError(f"no {DATASET} in {predictions} or above it; --dataset names it")


def truth_folder(predictions: Path) -> Path:
    """Return the folder of ground truths that nnU-Net's summary.json names.

    Raises:
        FileNotFoundError: there is no such file, or no such folder any more.
    """
    path, remedy = predictions / SUMMARY, "--truth names the folder, as nnUNet_preprocessed/DatasetXXX/gt_segmentations"
    if not path.is_file():
        raise FileNotFoundError(f"{path}, which would name the ground truths, is missing; {remedy}")
    try:
        folder = Path(read_json(path)["metric_per_case"][0]["reference_file"]).parent
    except (KeyError, IndexError, TypeError):
        raise ValueError(f"{path} names no ground truth; {remedy}") from None
    if not folder.is_dir():
        raise FileNotFoundError(f"the ground truths that {path} names are not at {folder} any more; {remedy}")
    return folder


def expected_cases(predictions: Path, truth: Path) -> list[str] | None:
    """Return the cases that should be predicted, as the split beside the ground truths says; None if it does not.

    Raises:
        ValueError: the split cannot be read.
    """
    fold, path = fold_of(predictions), truth.resolve().parent / SPLITS
    if not fold.isdigit() or not path.is_file():
        return None
    splits = read_json(path)
    if not isinstance(splits, list) or not all(isinstance(each, dict) and "val" in each for each in splits):
        raise ValueError(f"{path} is not nnU-Net's list of splits")
    return sorted(splits[int(fold)]["val"]) if int(fold) < len(splits) else None  # beyond: nnU-Net splits at random
