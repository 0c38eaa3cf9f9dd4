"""Read the sets of a contest: the finished runs of every row and seed that was asked for, and notes on the others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from boundary_loss.contest.costs import COSTS, StepCost, read_costs
from boundary_loss.files import unfinished
from boundary_loss.folders.run import ROWS, RunFolder
from boundary_loss.statistics.comparison import Comparison
from boundary_loss.statistics.difference import Choice
from boundary_loss.statistics.patients import Patients, by_patient
from boundary_loss.statistics.values import over_columns

METRICS = ("val_3d_dsc", "val_3d_hd95", "val_3d_assd", "val_3d_nsd")
"""Shown and ranked; only those of ``claims.TESTED`` are tested."""
ALL_CLASSES = "mean of the classes"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A set as contest.make describes it."""

    name: str
    about: str
    """What it is, in words."""
    note: str
    """What has to be said beside its numbers; empty if nothing."""
    rows: tuple[str, ...]
    seeds: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ContestSet:
    """A set with what is finished of it."""

    asked: Asked
    rows: dict[str, tuple[RunFolder, ...]]
    """The finished and measured runs of each row that has any, in the order of the seeds."""
    comparisons: tuple[Comparison, ...]
    """One for each of METRICS, each case's value the mean over its foreground classes; none without a run."""
    missing: tuple[str, ...]
    """What was asked for and is not finished, or could not be read, in sentences."""
    costs: dict[str, StepCost]
    """Of each row that was measured."""

    @property
    def name(self) -> str:
        return self.asked.name

    @property
    def runs(self) -> list[RunFolder]:
        return [run for own in self.rows.values() for run in own]

    @cached_property
    def classes(self) -> list[str]:
        """The foreground classes, which a case's value is the mean of."""
        names = self.runs[0].names["classes"] if self.runs else []
        return names[1:] if len(names) > 1 else names

    def get(self, metric: str) -> Comparison | None:
        return next((shown for shown in self.comparisons if shown.name == metric), None)

    def patients(self, metric: str, when: Choice) -> dict[str, Patients]:
        """Return the values of each row, (S, N), for rows of the same patients as the first; patients are sorted."""
        shown, found = self.get(metric), dict[str, Patients]()
        for measured in shown.runs if shown else ():
            own = by_patient(measured, ALL_CLASSES, when)
            if not found or own.names == next(iter(found.values())).names:
                found[measured.label] = own
        return found


def read_set(folder: Path, asked: Asked) -> ContestSet:
    """Read what is finished of a set in its folder of results, ``results/contest/acdc``.

    Raises:
        ValueError: a file of a run is spoilt, or the runs do not belong together.
    """
    rows: dict[str, tuple[RunFolder, ...]] = {}
    missing: list[str] = []
    for row in asked.rows:
        states = {seed: state_of(folder / row / f"seed{seed}") for seed in asked.seeds}
        finished = [folder / row / f"seed{seed}" for seed, state in states.items() if not state]
        if finished:
            rows[row] = tuple(map(RunFolder, finished))
        for what in dict.fromkeys(state for state in states.values() if state):
            seeds = [seed for seed, state in states.items() if state == what]
            missing.append(f"{asked.name}: {row} is {what} with seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}.")
    return ContestSet(
        asked=asked, rows=rows, comparisons=tuple(_compared(name, asked.name, rows) for name in METRICS if rows),
        missing=tuple(missing), costs=read_costs(folder / COSTS),
    )  # fmt: skip


def state_of(path: Path) -> str:
    """Return what keeps a run out of the report; empty if it is finished and measured."""
    if not (path / ROWS).is_file():
        return "still in training" if unfinished(path).is_dir() else "not trained"
    return "" if all(RunFolder(path).has(name) for name in METRICS) else "trained but not measured"


def _compared(name: str, study: str, rows: dict[str, tuple[RunFolder, ...]]) -> Comparison:
    runs = [run for own in rows.values() for run in own]
    shown = Comparison.of(name, runs, labels=list(rows), study=study)
    pooled = tuple(over_columns(measured, ALL_CLASSES) for measured in shown.runs)
    return replace(shown, columns=(ALL_CLASSES,), runs=pooled)


def notes(sets: Sequence[ContestSet]) -> list[str]:
    """Return what is not finished, and what has to be said beside the numbers."""
    said = [f"{each.name}: {each.asked.note.rstrip('.')}." for each in sets if each.asked.note]
    return said + [text for each in sets for text in each.missing]
