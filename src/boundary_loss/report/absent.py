"""Where there is nothing to find: slices and volumes without foreground, and what each run predicted there all the same.

Means hide these: a false voxel in an empty case costs a Dice of 1, a distance of the whole image.
"""

from typing import Any

import numpy as np

from boundary_loss.labels import IGNORED
from boundary_loss.naming import by_volume
from boundary_loss.overlays import read_prediction
from boundary_loss.report.table import Scores
from boundary_loss.slicechoice import predicted_stems
from boundary_loss.slicedfolder import SlicedFolder


def count(scores: Scores, data: SlicedFolder) -> list[dict[str, Any]]:
    """For each foreground class: the cases where it is absent or was missed, at each run's best epoch (a row's first run).

    Returns:
        A dictionary a class: ``name``; ``slices`` (how many), ``empty`` (slices without the class), ``false`` (a number
        a run: empty slices with false voxels), ``voxels`` (a number a run: false voxels in them), ``listed``
        (``[slice, false voxels of each run]``, those with any, most first); ``volumes`` (how many), ``absent``
        (``[volume, false voxels of each run]``), ``missed`` (``[volume, true voxels, runs that predicted none]``).
    """
    stems = predicted_stems(scores.pictured)
    volumes = by_volume(stems)
    truth, predicted = _voxels(scores, data, stems)
    return [
        _of_class(name, scores, stems, volumes, truth[:, k], predicted[:, :, k])
        for k, name in enumerate(data.classes)
        if k > 0
    ]


def _voxels(scores: Scores, data: SlicedFolder, stems: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """(slices, K) voxels of the ground truth and (runs, slices, K) of the predictions; ignored voxels count nowhere."""
    num_classes = len(data.classes)
    truth = np.zeros((len(stems), num_classes), np.int64)
    predicted = np.zeros((len(scores.pictured), len(stems), num_classes), np.int64)
    for i, stem in enumerate(stems):
        labels = data.labels("val", stem)
        counted = labels != IGNORED
        truth[i] = np.bincount(labels[counted], minlength=num_classes)[:num_classes]
        for r, run in enumerate(scores.pictured):
            classes = read_prediction(run, None, stem, labels.shape)
            predicted[r, i] = np.bincount(classes[counted], minlength=num_classes)[:num_classes]
    return truth, predicted


def _of_class(
    name: str, scores: Scores, stems: list[str], volumes: dict[str, list[str]], truth: np.ndarray,
    predicted: np.ndarray,
) -> dict[str, Any]:  # fmt: skip
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
            absent.append([volume, found.tolist()])
        elif (found == 0).any():
            missed.append([volume, total, [label for label, n in zip(scores.labels, found, strict=True) if n == 0]])
    return {
        "name": name,
        "slices": len(stems),
        "empty": int(empty.sum()),
        "false": (false > 0).sum(axis=1).tolist(),
        "voxels": false.sum(axis=1).tolist(),
        "listed": [[names[i], false[:, i].tolist()] for i in order if false[:, i].any()],
        "volumes": len(volumes),
        "absent": absent,
        "missed": missed,
    }
