"""Read one metric of several runs: columns, epochs and values. Imports NumPy only, so that plots start quickly."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boundary_loss.folders.run import ROWS, RUN, RunFolder, parts_in
from boundary_loss.metric_definitions import SLICES, Metric, metric
from boundary_loss.statistics.values import Measured, nanmean, pool

_SET_ASIDE = re.compile(r"_\d{8}-\d{6}(-\d+)?$")  # files.set_aside


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One metric of several rows, as one figure or one column of a table shows it."""

    name: str
    """The metric, as ``val_3d_hd95``."""
    study: str
    columns: tuple[str, ...]
    """Every class or loss shown, in order; a run may lack a loss."""
    runs: tuple[Measured, ...]
    """One entry for each row of the ledger; the runs of its seeds and folds are pooled."""
    items: str = SLICES
    """What the runs' lists of items name: slices, volumes or points."""

    @property
    def metric(self) -> Metric:
        return metric(self.name, self.items)

    @classmethod
    def of(
        cls,
        name: str,
        runs: Sequence[RunFolder],
        *,
        columns: Sequence[str] = (),
        labels: Sequence[str] = (),
        study: str = "",
    ) -> "Comparison":
        """Read ``name`` of every run.

        Args:
            columns: class numbers or names (loss names for a loss); none = every foreground class, every loss.
            labels: a name for each row in legends; none = the folders' names.

        Raises:
            ValueError: an unknown metric or column, a wrong number of labels, an array of another shape, runs of one
                row that do not belong together.
            FileNotFoundError: a run without that array.
        """
        rows = group(runs)
        if labels and len(labels) != len(rows):
            raise ValueError(f"{len(labels)} names were given for {len(rows)} runs ({', '.join(rows)})")
        chosen = choose_columns(name, runs, columns)
        measured = tuple(
            pool(label, [_measure(run, label, name, chosen) for run in own])
            for own, label in zip(rows.values(), labels or rows, strict=True)
        )
        return cls(name=name, study=study or study_of(runs), columns=chosen, runs=measured, items=runs[0].items)

    @property
    def set_name(self) -> str:
        return "training set" if self.name.startswith("tra_") else "validation set"

    @property
    def counted(self) -> str:
        """``22 slices of the validation set``; a range where the runs differ."""
        noun = self.metric.noun
        counts = sorted({m.values.shape[1] for m in self.runs})
        number = str(counts[0]) if len(counts) == 1 else f"{counts[0]}–{counts[-1]}"
        return f"{number} {noun if counts != [1] else noun.removesuffix('s')} of the {self.set_name}"

    @property
    def num_seeds(self) -> int:
        """The largest number of seeds of any row."""
        return max(measured.num_seeds for measured in self.runs)


def moving_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Mean of the ``width`` entries around each one along axis 0, fewer at the ends; NaN stays NaN and is not counted.

    An even width takes one entry more before than after.
    """
    if width < 1:
        raise ValueError(f"--smooth {width}: a moving mean needs at least 1 epoch")
    before, after = width // 2, (width - 1) // 2
    windows = [values[max(i - before, 0) : i + after + 1] for i in range(len(values))]
    smooth = np.stack([nanmean(window, axis=0) for window in windows])
    return np.where(np.isfinite(values), smooth, np.nan)


def find_runs(paths: Sequence[Path]) -> list[RunFolder]:
    """Return the runs at ``paths`` in the order given, without repeats."""
    return [RunFolder.find(path) for path in dict.fromkeys(paths)]


def names_of(runs: Sequence[RunFolder]) -> list[str]:
    """Return the folders' names, preceded by the parents' names if two are equal (``isles/gdl``, ``wmh/gdl``)."""
    names = [run.name for run in runs]
    if len(set(names)) == len(names):
        return names
    return [f"{run.home.name}/{run.name}" for run in runs]


def runs_of(shown: Comparison) -> list[RunFolder]:
    """Return every run of a comparison."""
    return [run for measured in shown.runs for run in measured.runs]


def group(runs: Sequence[RunFolder]) -> dict[str, tuple[RunFolder, ...]]:
    """Group the runs by their row of the ledger, in the order given; the keys are the rows' names.

    A row's only run keeps its own name, ``gdl/seed0``; rows of two studies that share a name get the study's too.
    """
    found: dict[Path, list[RunFolder]] = {}
    for run in runs:
        found.setdefault(run.home.resolve() / run.row, []).append(run)
    labels = [own[0].row if len(own) > 1 else own[0].name for own in found.values()]
    if len(set(labels)) < len(labels):
        labels = [f"{place.parent.name}/{label}" for place, label in zip(found, labels, strict=True)]
    return {label: tuple(own) for label, own in zip(labels, found.values(), strict=True)}


def study_of(runs: Sequence[RunFolder]) -> str:
    """Return the study that run.json names, or the results folder's name if it names none."""
    found = dict.fromkeys(run.record.study or run.home.resolve().name for run in runs)
    return ", ".join(found)


def warnings_of(runs: Sequence[RunFolder]) -> list[str]:
    """Return the warnings that every figure of these runs must show: synthetic data, debug run."""
    texts = []
    if any(run.record.phantom for run in runs):
        texts.append("SYNTHETIC DATA (phantom): these numbers say nothing about patients")
    if any(run.record.debug for run in runs):
        texts.append("DEBUG RUN: a few slices only")
    return texts


def short_label(name: str) -> str:
    """``validation HD95 per volume, pooled`` -> ``HD95``."""
    label = metric(name).label.removeprefix("validation ").removeprefix("training ")
    return label.split(" per ")[0].split(",")[0]


def axis_label(name: str) -> str:
    """Return an axis label, ``HD95 (mm, lower is better)``; a long name gets a line of its own."""
    found = metric(name)
    direction = "lower is better" if found.lower_is_better else "higher is better"
    label = short_label(name)
    space = " " if len(label) < 24 else "\n"
    return f"{label[0].upper()}{label[1:]}{space}({found.unit + ', ' if found.unit else ''}{direction})"


def decimals(name: str) -> int:
    """Return how many decimals are printed: the metric's own number, or 4 for the boundary value, which is near 0."""
    return 4 if name == "val_boundary" else metric(name).decimals


def number(name: str, value: float, places: int | None = None) -> str:
    """Format a value as tables and sentences print it.

    Args:
        places: number of decimals; None = that of :func:`decimals`.
    """
    text = f"{value:.{decimals(name) if places is None else places}f}"
    return text.lstrip("-") if float(text) == 0 else text  # no -0.00


def choose_columns(name: str, runs: Sequence[RunFolder], wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the columns to show; all, in the arrays' order, if none are asked for."""
    known = list(dict.fromkeys(column for run in runs for column in run.column_names(name)))
    if not wanted:
        by_class = metric(name).columns == "classes" and len(known) > 1
        return tuple(known[1:] if by_class else known)
    chosen = []
    for word in wanted:
        column = known[int(word)] if word.isdigit() and int(word) < len(known) else word
        if column not in known:
            listed = ", ".join(f"{i} {column}" for i, column in enumerate(known))
            raise ValueError(f"{name} has no column '{word}'; it has {listed}")
        chosen.append(column)
    return tuple(dict.fromkeys(chosen))


def _measure(run: RunFolder, label: str, name: str, wanted: Sequence[str]) -> Measured:
    array, names, rows = run.array(name), run.column_names(name), run.row_names(name)
    found = array.shape[1:] if rows is None else array.shape[1:2]
    if array.ndim != 3 or array.shape[2] != len(names) or (rows is not None and found != (len(rows),)):
        expected = f"(epochs, {'batches' if rows is None else len(rows)}, {len(names)})"
        raise ValueError(f"{run.path / name}.npy has shape {array.shape}, expected {expected}: make it again")
    columns = tuple(column for column in wanted if column in names)
    values = array[:, :, [names.index(column) for column in columns]].astype(np.float64)
    return Measured(run=run, label=label, columns=columns, cases=tuple(rows or ()),
                    values=np.where(np.isfinite(values), values, np.nan))  # fmt: skip


def runs_in(folder: Path) -> list[Path]:
    """Return the finished runs of a results folder, sorted; the seeds and folds of a row follow each other.

    Unfinished runs are left out, and those that were moved aside under a dated name.

    Raises:
        FileNotFoundError: there is no such folder, or a finished run in it has lost its ``rows.json``.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no results at {folder}; train with make, or check the folder's name")
    places = [path for path in sorted(folder.iterdir()) if not _SET_ASIDE.search(path.name)]
    for about in (found for place in places for found in (*place.glob(RUN), *place.glob(f"*/{RUN}"))):
        if not about.parent.name.endswith("_tmp"):
            RunFolder.find(about.parent)
    return [
        run
        for place in places
        for run in ([place] if (place / ROWS).is_file() else parts_in(place))
        if not run.name.endswith("_tmp")
    ]
