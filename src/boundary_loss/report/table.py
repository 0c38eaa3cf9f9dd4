"""Compute a report's numbers: each row's metrics at its best and at its last epoch.

A row is one run, or the runs of its seeds and folds pooled (boundary_loss.statistics.values). The spread over cases
shows how much patients differ, the spread over seeds how much trainings do; they are reported separately.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from boundary_loss.empty_masks import RULE
from boundary_loss.folders.run import RunFolder
from boundary_loss.metric_definitions import METRICS, expand, metric
from boundary_loss.statistics import tables
from boundary_loss.statistics.claims import CHOICES
from boundary_loss.statistics.comparison import Comparison, group, names_of, number, short_label, study_of
from boundary_loss.statistics.difference import Choice
from boundary_loss.statistics.values import Measured, When, epoch_words, nanmean, nanstd

WHEN: dict[When, str] = {"best": "at each run's best epoch", "last": "at each run's last epoch"}


@dataclass(frozen=True, kw_only=True)
class Score:
    """A row's metric for one class at one choice of epoch, over the cases that were measured there."""

    run: str
    """The row's label."""
    metric: str
    column: str
    when: When
    """``best`` or ``last``."""
    epochs: tuple[int, ...]
    """The epoch of each of the row's runs."""
    mean: float
    sd: float
    """Sample standard deviation over cases; NaN for fewer than two."""
    n: int
    """Cases that were measured."""
    of: int
    """All cases, measured or not."""
    seeds: int
    sd_seeds: float
    """Sample standard deviation of the seeds' means; NaN for fewer than two seeds."""

    @property
    def text(self) -> str:
        """``0.812 ± 0.043 ± 0.010``, over cases and over seeds; with the number of cases if some have no value."""
        if self.n == 0:
            return "–"
        spread = "".join(f" ± {number(self.metric, sd)}" for sd in (self.sd, self.sd_seeds) if np.isfinite(sd))
        cases = f" (n = {self.n})" if self.n < self.of else ""
        return number(self.metric, self.mean) + spread + cases


@dataclass(frozen=True, kw_only=True)
class Scores:
    """All numbers of a report."""

    study: str
    rows: dict[str, tuple[RunFolder, ...]]
    """The runs of each row, under its label."""
    comparisons: tuple[Comparison, ...]
    """One entry for each metric, in order, of the runs that have it."""
    missing: tuple[str, ...]
    """Notes on what could not be reported."""
    all: tuple[Score, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.rows)

    @property
    def runs(self) -> tuple[RunFolder, ...]:
        """Every run of every row."""
        return tuple(run for own in self.rows.values() for run in own)

    @property
    def num_seeds(self) -> int:
        return max((score.seeds for score in self.all), default=1)

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The choices of an epoch at which some row has values."""
        return tuple(when for when in CHOICES if any(score.when == when for score in self.all))

    def get(self, run: str, name: str, column: str, when: When) -> Score | None:
        return self._index.get((run, name, column, when))

    @cached_property
    def _index(self) -> dict[tuple[str, str, str, When], Score]:
        return {(score.run, score.metric, score.column, score.when): score for score in self.all}

    def best(self, name: str, column: str, when: When) -> list[Score]:
        """Return the scores with the best printed mean of a column: several if tied, none if all are the same."""
        found = [s for s in self.all if (s.metric, s.column, s.when) == (name, column, when) and s.n]
        if len(found) < 2:
            return []
        pick = min if metric(name).lower_is_better else max
        winner = pick(found, key=lambda score: score.mean)
        best = [score for score in found if number(name, score.mean) == number(name, winner.mean)]
        return best if len(best) < len(found) else []


def collect(
    runs: Sequence[RunFolder], metrics: Sequence[str] = (), columns: Sequence[str] = (), study: str = ""
) -> Scores:
    """Read every metric that at least one run has; metrics that others lack are noted in ``missing``.

    Raises:
        ValueError: an unknown metric, or none of the metrics in any run.
    """
    rows = group(runs)
    comparisons, missing = [], []
    for name in expand(metrics or ["default"]):
        having = {label: own for label, own in rows.items() if all(run.has(name) for run in own)}
        lacking = [label for label in rows if label not in having]
        if lacking:
            missing.append(f"{name} is missing from {', '.join(lacking)}; make metrics computes it")
        if having:
            chosen = [run for own in having.values() for run in own]
            comparisons.append(Comparison.of(name, chosen, columns=columns, labels=list(having), study=study))
    if not comparisons:
        raise ValueError("none of the runs has any of the metrics; make metrics computes them: " + ", ".join(METRICS))
    scores = [score for shown in comparisons for measured in shown.runs for score in _scores(shown.name, measured)]
    return Scores(
        study=study or study_of(runs), rows=rows, comparisons=tuple(comparisons), missing=tuple(missing),
        all=tuple(scores),
    )  # fmt: skip


def _scores(name: str, measured: Measured) -> list[Score]:
    found = []
    for when in WHEN:
        epochs = measured.epochs(when)
        if not epochs:
            continue
        values, by_seed = measured.at(when), measured.seed_means_at(when)
        means, deviations, counts = nanmean(values, axis=0), nanstd(values, axis=0), np.isfinite(values).sum(axis=0)
        over_seeds = nanstd(by_seed, axis=0)
        found += [
            Score(run=measured.label, metric=name, column=column, when=when, epochs=epochs,
                  mean=float(means[c]), sd=float(deviations[c]), n=int(counts[c]), of=len(values),
                  seeds=measured.num_seeds, sd_seeds=float(over_seeds[c]))
            for c, column in enumerate(measured.columns)
        ]  # fmt: skip
    return found


def to_csv(scores: Scores) -> str:
    """Return a line for each row, metric, class and choice of epoch, with empty cells for NaN.

    The column ``counted`` names what the cases are: volumes, slices or patients.
    """
    header = ["run", "metric", "unit", "class", "when", "epoch", "mean", "standard_deviation", "cases", "counted",
              "seeds", "standard_deviation_over_seeds"]  # fmt: skip
    return tables.to_csv(header, map(_csv_line, scores.all))


def _csv_line(s: Score) -> list[object]:
    mean, sd, sd_seeds = map(tables.cell, (s.mean, s.sd, s.sd_seeds))
    unit, epochs = metric(s.metric).unit, " ".join(map(str, s.epochs))
    return [s.run, s.metric, unit, s.column, s.when, epochs, mean, sd, s.n, metric(s.metric).noun, s.seeds, sd_seeds]


def to_text(scores: Scores) -> str:
    """Return a block of text for each metric, with a line for each run; ``*`` marks the best mean of a column."""
    blocks = []
    for shown in scores.comparisons:
        unit = f"{shown.metric.unit}, " if shown.metric.unit else ""
        direction = "lower" if shown.metric.lower_is_better else "higher"
        title = f"{shown.metric.label} ({unit}{direction} is better), {shown.counted}"
        header = ["run"]
        for when in scores.choices:
            header += [f"{when} epoch", *shown.columns]
        lines = [header, *(_line(scores, shown, measured) for measured in shown.runs)]
        notes = [f"  empty masks, {text}" for text in touched_texts(shown)]
        blocks.append("\n".join([title, textwrap.indent(tables.aligned(lines, right=True), "  "), *notes]))
    blocks.append(textwrap.fill(f"empty masks: {RULE}", 118))
    blocks.append(f"{legend(scores)}; * best mean of its column")
    return "\n\n".join(blocks)


def legend(scores: Scores) -> str:
    """Return what the numbers of a cell are."""
    counted = " or ".join(dict.fromkeys(shown.metric.noun for shown in scores.comparisons))
    if scores.num_seeds < 2:
        return f"mean ± standard deviation over {counted}"
    return f"mean ± standard deviation over {counted} (each averaged over its seeds) ± standard deviation over seeds"


def touched_texts(shown: Comparison) -> list[str]:
    """Return which values the empty-mask rule decided: ``gdl, best epoch: Dice 3 of 20: 2 both empty (1), ...``."""
    label, found = short_label(shown.name), []
    runs = [run for measured in shown.runs for run in measured.runs]
    for run, name in zip(runs, names_of(runs), strict=True):
        best = run.counted.get(shown.name)
        for when, counted in (("best", best), ("last", best and best.last)):
            if counted is not None and counted.touched:
                found.append(f"{name}, {when} epoch: {label} {counted.text(shown.metric.unit)}")
    return found


def _line(scores: Scores, shown: Comparison, measured: Measured) -> list[str]:
    line = [measured.label]
    for when in scores.choices:
        found = [scores.get(measured.label, shown.name, column, when) for column in shown.columns]
        epochs = [score.epochs for score in found if score is not None]
        line.append(epoch_words(epochs[0]).split()[1] if epochs else "–")
        for score, column in zip(found, shown.columns, strict=True):
            mark = " *" if score in scores.best(shown.name, column, when) else "  "
            line.append(("–" if score is None else score.text) + mark)
    return line


def heading_of(shown: Comparison) -> tuple[str, str]:
    """``("HD95 ↓", "volumes, mm")``."""
    found, label = shown.metric, short_label(shown.name)
    unit = f", {found.unit}" if found.unit else ""
    return f"{label[0].upper()}{label[1:]} {'↓' if found.lower_is_better else '↑'}", found.noun + unit
