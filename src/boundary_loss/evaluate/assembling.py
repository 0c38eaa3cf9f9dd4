"""From the comparisons of single volumes to a run folder's arrays, and to what the empty-mask rule did in them.

``results``: ``{volume: its comparisons, one a measured epoch}``; ``epochs``: their numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from boundary_loss.empty_masks import NO_RULE, Touched, count_touched
from boundary_loss.folders.naming import by_volume, frame_pairs
from boundary_loss.folders.run import RunFolder
from boundary_loss.metric_definitions import metric
from boundary_loss.metrics.ejection import ejection_error, in_order
from boundary_loss.metrics.volume import SLICE_METRICS, VOLUME_METRICS, VolumeMeasures

EJECTION = "ejection_error"
EJECTS = "ventricle"
"""How the names of the classes end that have an ejection fraction."""


def short(array: str) -> str:
    """The name of an evaluation's array without ``val_``."""
    return array.removeprefix("val_")


def ventricles(run: RunFolder) -> list[int]:
    """The classes that eject."""
    return [k for k, name in enumerate(run.names["classes"]) if name.endswith(EJECTS)]


def assemble(
    run: RunFolder,
    results: dict[str, list[VolumeMeasures]],
    metrics: Sequence[str],
    epochs: Sequence[int],
    num_epochs: int,
) -> dict[str, np.ndarray]:
    """``{array name: (E, rows, K) float32}``, rows in the order of rows.json."""
    row_of = {stem: row for row, stem in enumerate(run.slices)}
    stems_of = by_volume(run.slices)
    num_classes = len(run.names["classes"])
    arrays: dict[str, np.ndarray] = {}
    for name in metrics:
        rows = run.row_names(f"val_{name}") or []
        array = np.full((num_epochs, len(rows), num_classes), np.nan, np.float32)
        if name == EJECTION:
            _fill_ejection(array, run, results, epochs)
        else:
            for volume, comparisons in results.items():
                row: Any = rows.index(volume) if name in VOLUME_METRICS else [row_of[stem] for stem in stems_of[volume]]
                for epoch, comparison in zip(epochs, comparisons):
                    array[epoch, row] = (comparison.of_volume | comparison.of_slices)[name]
        arrays[f"val_{name}"] = array
    return arrays


def _pairs_ml(run: RunFolder, results: dict[str, list[VolumeMeasures]], position: int) -> Iterator[tuple[Any, Any]]:
    """For each patient the ventricles' volumes at both moments, of the prediction and of the ground truth."""
    for pair in frame_pairs(run.patients).values():
        both = [results[volume][position].volumes_ml[:, ventricles(run)] for volume in pair]
        yield (both[0][0], both[1][0]), (both[0][1], both[1][1])


def _fill_ejection(
    array: np.ndarray, run: RunFolder, results: dict[str, list[VolumeMeasures]], epochs: Sequence[int]
) -> None:
    for position, epoch in enumerate(epochs):
        for row, (pred, gt) in enumerate(_pairs_ml(run, results, position)):
            array[epoch, row, ventricles(run)] = ejection_error(pred, gt)


def touched(
    run: RunFolder,
    results: dict[str, list[VolumeMeasures]],
    arrays: dict[str, np.ndarray],
    epochs: Sequence[int],
    best: int,
) -> dict[str, Touched]:
    """What the empty-mask rule decided at the best epoch, and under ``last`` at the last; nothing if not measured."""
    last = max(epochs)
    if best not in epochs:
        return {}
    found = _touched_at(run, results, arrays, epochs.index(best), best)
    for name, entry in _touched_at(run, results, arrays, epochs.index(last), last).items():
        found[name] = replace(found[name], last=entry)
    return found


def _touched_at(
    run: RunFolder, results: dict[str, list[VolumeMeasures]], arrays: dict[str, np.ndarray], position: int, epoch: int
) -> dict[str, Touched]:
    """The same at one epoch, of (case, foreground class) values."""
    measured = {volume: comparisons[position] for volume, comparisons in results.items()}
    volumes = np.array([comparison.empty_volume for comparison in measured.values()])
    slices = np.concatenate([comparison.empty_slices for comparison in measured.values()])
    stems = [stem for own in by_volume(run.slices).values() for stem in own]
    found = {}
    for name, array in arrays.items():
        if metric(name).where_empty == NO_RULE:
            continue
        if short(name) == EJECTION:
            diastoles = [in_order(*pair)[0] for pair in _pairs_ml(run, results, position)]
            absent = np.array([(diastole == 0).sum(axis=0) for diastole in diastoles], int)
            found[name] = count_touched(absent.ravel(), array[epoch][:, ventricles(run)].ravel())
            continue
        of_slices = short(name) in SLICE_METRICS
        rows = run.row_names(name) or []
        order = [rows.index(row) for row in (stems if of_slices else measured)]
        empty = slices if of_slices else volumes
        found[name] = count_touched(empty[:, 1:].ravel(), array[epoch, order, 1:].ravel())
    return found
