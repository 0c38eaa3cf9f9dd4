"""From slices back to a volume in the grid of its source.

Slicing resizes in the plane and does nothing else, so that undoing the resizing is the whole way back: nearest
neighbour for classes, linear for probabilities. Where slices were enlarged, the nearest neighbour of the nearest
neighbour is the voxel itself: labels come back exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boundary_loss.preparation.shown import resize_slices
from boundary_loss.volumes import Geometry, write_volume

SOFTMAX = "softmax"
"""Folder of the probabilities, beside the predicted labels."""


@dataclass(frozen=True)
class Prediction:
    """What a network says of one volume, in the size of its slices.

    ``classes``: (X', Y', Z) uint8. ``probs``: (K, X', Y', Z) float32, or None where nobody asked for them.
    """

    classes: np.ndarray
    probs: np.ndarray | None = None


def labels_in_source(classes: np.ndarray, geometry: Geometry, label_values: Sequence[int]) -> np.ndarray:
    """Classes (X', Y', Z) -> (X, Y, Z) label values as in the study's files, uint8 unless one does not fit."""
    _check_slices(classes.shape[2], geometry)
    if classes.shape != geometry.shape:
        classes = resize_slices(classes, geometry.shape[:2], order=0)
    return _values(label_values)[classes]


def _values(label_values: Sequence[int]) -> np.ndarray:
    return np.array(label_values, np.uint8 if max(label_values) < 256 else np.uint16)


def probs_in_source(probs: np.ndarray, geometry: Geometry) -> np.ndarray:
    """(K, X', Y', Z) -> (K, X, Y, Z) float32; they add up to 1 as before."""
    _check_slices(probs.shape[3], geometry)
    if probs.shape[1:] == geometry.shape:
        return probs
    return np.stack([resize_slices(layer, geometry.shape[:2], order=1, outside="edge") for layer in probs])


def _check_slices(found: int, geometry: Geometry) -> None:
    if found != geometry.shape[2]:
        raise ValueError(f"{found} slices cannot fill a volume of {geometry.shape[2]}")


def label_path(folder: Path, case: str, ending: str) -> Path:
    return folder / f"{case}{ending}"


def write_prediction(
    folder: Path, case: str, prediction: Prediction, geometry: Geometry, label_values: Sequence[int],
    classes: Sequence[str], *, place: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Write ``CASE.nii.gz``, after ``softmax/CASE_K_NAME.nii.gz`` of every class: with the labels a case is done.

    The format is that of the case's own file: ``CASE.nrrd`` for a case in NRRD.

    Args:
        place: (4, 4) affine of a prediction that is in a grid of its own, and is written in that.

    Returns:
        (X, Y, Z) the labels as written.
    """
    where: Geometry | np.ndarray = geometry if place is None else place
    if prediction.probs is not None:
        layers = prediction.probs if place is not None else probs_in_source(prediction.probs, geometry)
        for k, probs in enumerate(layers):
            name = f"{case}_{k}_{classes[k].replace(' ', '-')}{geometry.ending_of_floats or geometry.ending}"
            write_volume(folder / SOFTMAX / name, probs, where)
    if place is None:
        labels = labels_in_source(prediction.classes, geometry, label_values)
    else:
        labels = _values(label_values)[prediction.classes]
    write_volume(label_path(folder, case, geometry.ending), labels, where)
    return labels
