"""Count false voxels in slices and volumes without foreground, and volumes that a run missed.

A mean hides these cases: one false voxel in an empty case turns a Dice of 1 into 0, and 0 mm into the diagonal.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from boundary_loss.figures.overlays import read_prediction
from boundary_loss.figures.selection import predicted_stems
from boundary_loss.folders.naming import by_volume
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.run import RunFolder
from boundary_loss.labels import IGNORED
from boundary_loss.report.gallery import leading

Fold = tuple[PreparedFolder, Sequence[RunFolder]]
"""The data of a fold, and for each row a run that was trained on it."""


@dataclass(frozen=True, kw_only=True)
class ClassCounts:
    """Cases in which a class is absent or was missed, at each run's best epoch; lists have one number for each row."""

    name: str
    slices: int
    empty: int
    """Slices without the class."""
    false: Sequence[int]
    """How many of these have false voxels."""
    voxels: Sequence[int]
    """Number of false voxels in them."""
    listed: Sequence[tuple[str, Sequence[int]]]
    """Slices without the class that have false voxels, and how many, largest number first."""
    volumes: int
    absent: Sequence[tuple[str, Sequence[int]]]
    """Volumes without the class, and the false voxels in them."""
    missed: Sequence[tuple[str, int, Sequence[str]]]
    """Volumes, their true voxels, and the rows that predicted none."""

    @property
    def num_rows(self) -> int | None:
        """Number of rows that were counted; None if the lists differ in length, as in a file that was edited."""
        lengths = {len(self.false), len(self.voxels), *(len(each) for _, each in (*self.listed, *self.absent))}
        return lengths.pop() if len(lengths) == 1 else None


def one_of_each_row(
    rows: Iterable[Sequence[RunFolder]], trained: Sequence[tuple[PreparedFolder, Mapping[int, RunFolder]]]
) -> list[Fold]:
    """Return the folds on which every row has a run, each with the rows' first runs; seeds are not pooled.

    Args:
        trained: sliced folders with the runs that were trained on each.
    """
    rows = list(rows)
    row_of = {run.path: i for i, own in enumerate(rows) for run in own}
    folds: list[Fold] = []
    for data, runs in trained:
        first = {row_of[runs[number].path]: runs[number] for number in leading(runs, row_of)}
        if len(first) == len(rows):
            folds.append((data, [first[i] for i in range(len(rows))]))
    return folds


def count(labels: Sequence[str], folds: Sequence[Fold]) -> list[ClassCounts]:
    """Count, for each foreground class, the cases in which it is absent or was missed, at each run's best epoch.

    Args:
        labels: of the rows, in the order of each fold's runs.
        folds: their cases are pooled.
    """
    if not folds:
        return []
    stems_of = [predicted_stems(runs) for _, runs in folds]
    found = [_voxels(runs, data, stems) for (data, runs), stems in zip(folds, stems_of, strict=True)]
    truth = np.concatenate([of_fold for of_fold, _ in found])
    predicted = np.concatenate([of_fold for _, of_fold in found], axis=1)
    stems = [stem for of_fold in stems_of for stem in of_fold]
    return [
        _of_class(name, labels, stems, by_volume(stems), truth[:, k], predicted[:, :, k])
        for k, name in enumerate(folds[0][0].classes)
        if k > 0
    ]


def _voxels(runs: Sequence[RunFolder], data: PreparedFolder, stems: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Count voxels: (slices, K) of the ground truth, (runs, slices, K) of the predictions, without ignored ones."""
    num_classes = len(data.classes)
    truth = np.zeros((len(stems), num_classes), np.int64)
    predicted = np.zeros((len(runs), len(stems), num_classes), np.int64)
    for i, stem in enumerate(stems):
        labels = data.labels("val", stem)
        counted = labels != IGNORED
        truth[i] = np.bincount(labels[counted], minlength=num_classes)[:num_classes]
        for r, run in enumerate(runs):
            classes = read_prediction(run, None, stem, labels.shape)
            predicted[r, i] = np.bincount(classes[counted], minlength=num_classes)[:num_classes]
    return truth, predicted


def _of_class(
    name: str, labels: Sequence[str], stems: list[str], volumes: dict[str, list[str]], truth: np.ndarray,
    predicted: np.ndarray,
) -> ClassCounts:  # fmt: skip
    empty = truth == 0
    false = predicted[:, empty]
    order = sorted(range(false.shape[1]), key=lambda i: (-int(false[:, i].sum()), i))
    names = [stem for stem, is_empty in zip(stems, empty, strict=True) if is_empty]
    place = {stem: i for i, stem in enumerate(stems)}
    absent, missed = [], []
    for volume, slices in volumes.items():
        rows = [place[stem] for stem in slices]
        total, found = int(truth[rows].sum()), predicted[:, rows].sum(axis=1)
        if total == 0:
            absent.append((volume, found.tolist()))
        elif (found == 0).any():
            missed.append((volume, total, [label for label, n in zip(labels, found, strict=True) if n == 0]))
    return ClassCounts(
        name=name,
        slices=len(stems),
        empty=int(empty.sum()),
        false=(false > 0).sum(axis=1).tolist(),
        voxels=false.sum(axis=1).tolist(),
        listed=[(names[i], false[:, i].tolist()) for i in order if false[:, i].any()],
        volumes=len(volumes),
        absent=absent,
        missed=missed,
    )
