"""The worst, the median and the best case of a study, drawn: image, ground truth, every run's contours."""

from pathlib import Path

import numpy as np

from boundary_loss.comparison import Comparison
from boundary_loss.drawing import LIGHT, Theme, new_figure, style, to_png
from boundary_loss.measured import nanmean
from boundary_loss.naming import by_volume
from boundary_loss.overlays import Look, check_runs, draw_grid, grid_size, read_row
from boundary_loss.report.table import Scores
from boundary_loss.slicedfolder import SlicedFolder
from boundary_loss.view import pick_modality, predicted_stems

ORDERED_BY = "val_3d_dsc"


def cases(scores: Scores) -> dict[str, tuple[str, float]]:
    """``{"worst": (volume, its mean foreground Dice), "median": ..., "best": ...}`` of the first run's best epoch.

    Raises:
        FileNotFoundError: that run has no Dice per volume, or no best epoch.
    """
    run = scores.runs[0]
    (measured,) = Comparison.of(ORDERED_BY, [run]).runs
    if measured.best is None:
        raise FileNotFoundError(f"{run.path} has no best epoch yet")
    dice = nanmean(measured.values[measured.best], axis=1)
    order = [int(i) for i in np.argsort(dice, kind="stable") if np.isfinite(dice[i])]
    if not order:
        raise FileNotFoundError(f"{ORDERED_BY} of {run.path} was not measured at its best epoch")
    places = {"worst": order[0], "median": order[(len(order) - 1) // 2], "best": order[-1]}
    chosen: dict[str, tuple[str, float]] = {}
    for word, i in places.items():
        if all(run.names["volumes"][i] != volume for volume, _ in chosen.values()):
            chosen[word] = (run.names["volumes"][i], float(dice[i]))
    return chosen


def largest_slice(data: SlicedFolder, stems: list[str]) -> str:
    """The slice with the most foreground in the ground truth; the first of equals."""
    sizes = [int(((labels > 0) & (labels < len(data.classes))).sum()) for labels in
             (data.labels("val", stem) for stem in stems)]  # fmt: skip
    return stems[int(np.argmax(sizes))]


def draw(scores: Scores, folder: Path, modality: str | None, theme: Theme = LIGHT) -> bytes:
    """A PNG: a row a case, a column a run, at each run's best epoch."""
    data = SlicedFolder.open(folder)
    runs = scores.pictured
    check_runs(data, runs)
    look = Look(modality=pick_modality(data, modality))
    slices = by_volume(predicted_stems(runs))
    rows = []
    for word, (volume, dice) in cases(scores).items():
        if volume not in slices:
            raise ValueError(f"not every run predicted {volume}: there is no common gallery")
        stem = largest_slice(data, slices[volume])
        rows.append(read_row(data, runs, stem, None, look, f"{word}: {volume}\nDice {dice:.3f}"))
    with style(theme):
        figure = new_figure(*grid_size(rows, len(runs)))
        title = f"{scores.study}: worst, median and best case of {scores.labels[0]}"
        draw_grid(figure, rows, runs, data.classes, look, title, theme)
        return to_png(figure, dpi=130)
