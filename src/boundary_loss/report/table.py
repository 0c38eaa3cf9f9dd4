"""The numbers of a report: each run's metrics at its best and at its last epoch."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from boundary_loss.comparison import Comparison, Measured, names_of, nanmean, nanstd, short_label, study_of
from boundary_loss.emptyrule import RULE, touched_text
from boundary_loss.metrictable import METRICS, expand, metric
from boundary_loss.runfolder import RunFolder

WHEN = {"best": "at each run's best epoch", "last": "at each run's last epoch"}


@dataclass(frozen=True, kw_only=True)
class Score:
    """A run's metric for one class at one epoch, over the cases that were measured there."""

    run: str
    metric: str
    column: str
    when: str
    """``best`` or ``last``."""
    epoch: int
    mean: float
    sd: float
    """Sample standard deviation over cases; NaN for fewer than two."""
    n: int
    """Cases that were measured."""
    of: int
    """Cases that there are."""

    @property
    def text(self) -> str:
        """``0.812 ± 0.043``; the number of cases too where some were not measured."""
        if self.n == 0:
            return "–"
        spread = f" ± {number(self.metric, self.sd)}" if np.isfinite(self.sd) else ""
        cases = f" (n = {self.n})" if self.n < self.of else ""
        return number(self.metric, self.mean) + spread + cases


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Everything a report counts."""

    study: str
    runs: tuple[RunFolder, ...]
    labels: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    """One a metric, in order, of the runs that have it."""
    missing: tuple[str, ...]
    """What could not be reported, in words."""
    all: tuple[Score, ...]

    def get(self, run: str, name: str, column: str, when: str) -> Score | None:
        return self._index.get((run, name, column, when))

    @property
    def _index(self) -> dict[tuple[str, str, str, str], Score]:
        return {(score.run, score.metric, score.column, score.when): score for score in self.all}

    def best(self, name: str, column: str, when: str) -> list[Score]:
        """The scores with the best mean of a column, as printed: several on a tie, none for fewer than two runs."""
        found = [s for s in self.all if (s.metric, s.column, s.when) == (name, column, when) and s.n]
        if len(found) < 2:
            return []
        pick = min if metric(name).lower_is_better else max
        winner = pick(found, key=lambda score: score.mean)
        return [score for score in found if number(name, score.mean) == number(name, winner.mean)]


def number(name: str, value: float) -> str:
    """As many decimals as the metric has; four for the boundary value, where most pixels count 0."""
    decimals = 4 if name == "val_boundary" else metric(name).decimals
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text  # no -0.00


def collect(
    runs: Sequence[RunFolder], metrics: Sequence[str] = (), columns: Sequence[str] = (), study: str = ""
) -> Scores:
    """Read every metric that at least one run has; what is missing is said, not refused.

    Raises:
        ValueError: an unknown metric, or none of the metrics in any run.
    """
    labels = names_of(runs)
    comparisons, missing = [], []
    for name in expand(metrics or ["default"]):
        having = [(run, label) for run, label in zip(runs, labels, strict=True) if run.has(name)]
        lacking = [label for run, label in zip(runs, labels, strict=True) if not run.has(name)]
        if lacking:
            missing.append(f"{name} is missing from {', '.join(lacking)}; make metrics computes it")
        if having:
            chosen, named = zip(*having, strict=True)
            comparisons.append(Comparison.of(name, chosen, columns=columns, labels=named, study=study))
    if not comparisons:
        raise ValueError("none of the runs has any of the metrics; make metrics computes them: " + ", ".join(METRICS))
    scores = [score for shown in comparisons for measured in shown.runs for score in _scores(shown.name, measured)]
    return Scores(
        study=study or study_of(runs), runs=tuple(runs), labels=tuple(labels), comparisons=tuple(comparisons),
        missing=tuple(missing), all=tuple(scores),
    )  # fmt: skip


def _scores(name: str, measured: Measured) -> list[Score]:
    found = []
    for when, epoch in (("best", measured.best), ("last", measured.last)):
        if epoch is None:
            continue
        means, deviations = nanmean(measured.values[epoch], axis=0), nanstd(measured.values[epoch], axis=0)
        counts = np.isfinite(measured.values[epoch]).sum(axis=0)
        found += [
            Score(run=measured.label, metric=name, column=column, when=when, epoch=epoch,
                  mean=float(means[c]), sd=float(deviations[c]), n=int(counts[c]),
                  of=measured.values.shape[1])
            for c, column in enumerate(measured.columns)
        ]  # fmt: skip
    return found


def to_csv(scores: Scores) -> str:
    """A line a run, metric, class and epoch; full precision, empty where undefined."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "metric", "unit", "class", "when", "epoch", "mean", "standard_deviation", "cases"])
    for s in scores.all:
        numbers = ["" if np.isnan(value) else f"{value:.6g}" for value in (s.mean, s.sd)]
        writer.writerow([s.run, s.metric, metric(s.metric).unit, s.column, s.when, s.epoch, *numbers, s.n])
    return text.getvalue()


def to_text(scores: Scores) -> str:
    """For a terminal: a block a metric, a line a run; ``*`` marks the best mean of a column."""
    blocks = []
    for shown in scores.comparisons:
        unit = f"{shown.metric.unit}, " if shown.metric.unit else ""
        direction = "lower" if shown.metric.lower_is_better else "higher"
        title = f"{shown.metric.label} ({unit}{direction} is better), {shown.counted}"
        header = ["run"]
        for when in WHEN:
            header += [f"{when} epoch", *shown.columns]
        lines = [header, *(_line(scores, shown, measured) for measured in shown.runs)]
        notes = [f"  empty masks, {text}" for text in touched_texts(shown)]
        blocks.append("\n".join([title, _aligned(lines), *notes]))
    blocks.append(f"empty masks: {RULE}")
    blocks.append("mean ± standard deviation over cases; * best mean of its column")
    return "\n\n".join(blocks)


def touched_texts(shown: Comparison) -> list[str]:
    """What the empty-mask rule did to a metric: ``gdl, best epoch: Dice 3 of 20: 2 both empty (1), ...``."""
    label, found = short_label(shown.name), []
    for measured in shown.runs:
        entry = measured.run.touched(shown.name)
        if entry and entry["touched"]:
            found.append(f"{measured.label}, best epoch: {label} {touched_text(entry, shown.metric.unit)}")
    return found


def _line(scores: Scores, shown: Comparison, measured: Measured) -> list[str]:
    line = [measured.label]
    for when in WHEN:
        found = [scores.get(measured.label, shown.name, column, when) for column in shown.columns]
        epochs = [score.epoch for score in found if score is not None]
        line.append(str(epochs[0]) if epochs else "–")
        for score, column in zip(found, shown.columns, strict=True):
            mark = " *" if score in scores.best(shown.name, column, when) else "  "
            line.append(("–" if score is None else score.text) + mark)
    return line


def _aligned(lines: list[list[str]]) -> str:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    rows = [
        "  " + "  ".join([line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))])
        for line in lines
    ]
    return "\n".join(row.rstrip() for row in rows)


def heading_of(name: str) -> tuple[str, str]:
    """``("HD95 ↓", "volumes, mm")``."""
    found = metric(name)
    label = short_label(name)
    unit = f", {found.unit}" if found.unit else ""
    return f"{label[0].upper()}{label[1:]} {'↓' if found.lower_is_better else '↑'}", found.noun + unit
