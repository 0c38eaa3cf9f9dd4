"""The values of one metric, of a run or of a ledger row that was trained several times (SEEDS, FOLDS).

Pooling: the cases of the folds are joined, because every case is held out once. Then each case is averaged over the
seeds, because two trainings on one case are not two cases. A case that one seed did not measure counts as not measured.

Axis letters: S seeds, E epochs, N cases (slices, volumes or batches), C the columns looked at (classes or losses).
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from boundary_loss.folders.run import RunFolder

When = Literal["best", "last"] | int
"""Which epoch: each run's best, each run's last, or a number."""


def nanmean(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the mean without NaN; NaN if there are no other values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(values, axis=axis)


def nanstd(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the sample standard deviation (n - 1) without NaN; NaN for fewer than two values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanstd(values, axis=axis, ddof=1)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run's values of a metric."""

    run: RunFolder
    label: str
    """Name of the run in legends."""
    columns: tuple[str, ...]
    cases: tuple[str, ...]
    """Names of the N cases; none for batches, which have no names."""
    values: np.ndarray
    """(E, N, C) float64; NaN where nothing was measured."""

    @property
    def runs(self) -> tuple[RunFolder, ...]:
        return (self.run,)

    @property
    def num_epochs(self) -> int:
        return len(self.values)

    @property
    def seed_names(self) -> tuple[str, ...]:
        """``seed0``, ...; an empty name where the row was trained once."""
        return (self.run.seed,)

    @property
    def num_seeds(self) -> int:
        return len(self.seed_names)

    @property
    def folds(self) -> tuple[str, ...]:
        """The fold that holds out each of the N cases; empty names without folds."""
        return (self.run.fold,) * len(self.cases)

    @cached_property
    def means(self) -> np.ndarray:
        """(E, C) mean over cases; NaN where an epoch was not measured."""
        return nanmean(self.values, axis=1)

    @property
    def seed_means(self) -> np.ndarray:
        """(S, E, C) mean over cases, a curve a seed."""
        return self.means[None]

    @property
    def best(self) -> int | None:
        """The run's best epoch; None if it has none yet, or if this array has fewer epochs."""
        try:
            epoch = self.run.best_epoch
        except FileNotFoundError:
            return None
        return epoch if epoch < self.num_epochs else None

    @property
    def last(self) -> int | None:
        """The last epoch that was measured; None if none was."""
        measured = np.flatnonzero(np.isfinite(self.values).any(axis=(1, 2)))
        return int(measured[-1]) if measured.size else None

    def epochs(self, when: When) -> tuple[int, ...]:
        """Return the chosen epoch of each run; empty if a run does not have it."""
        epoch = self.best if when == "best" else self.last if when == "last" else when
        return (epoch,) if epoch is not None and 0 <= epoch < self.num_epochs else ()

    def at(self, when: When) -> np.ndarray:
        """(N, C) value of each case at that epoch.

        Raises:
            ValueError: the run does not have it.
        """
        found = self.epochs(when)
        if not found:
            known = f"epochs 0 to {self.num_epochs - 1}"
            what = f"{known}, not {when}" if isinstance(when, int) else f"no {when} epoch among its {known}"
            raise ValueError(f"{self.run.path} has {what}")
        return self.values[found[0]]

    def seeds_at(self, when: When) -> np.ndarray:
        """(S, N, C) value of each case at that epoch, for each seed."""
        return self.at(when)[None]

    def seed_means_at(self, when: When) -> np.ndarray:
        """(S, C) mean over cases at that epoch, one a seed."""
        return nanmean(self.seeds_at(when), axis=1)


@dataclass(frozen=True, kw_only=True)
class Pooled(Measured):
    """A row's values over all its runs, with the interface of a single run; ``run`` is the first of them."""

    seeds: tuple[tuple[Measured, ...], ...]
    """For each seed the runs of its folds."""

    @property
    def runs(self) -> tuple[RunFolder, ...]:
        return tuple(fold.run for folds in self.seeds for fold in folds)

    @property
    def seed_names(self) -> tuple[str, ...]:
        return tuple(folds[0].run.seed for folds in self.seeds)

    @property
    def seed_means(self) -> np.ndarray:
        return np.stack([nanmean(values, axis=1) for values in _all_seeds(self.seeds)])

    @property
    def folds(self) -> tuple[str, ...]:
        return tuple(name for fold in self.seeds[0] for name in fold.folds)

    @property
    def best(self) -> int | None:
        """The best epoch, if it is the same in all runs; otherwise None."""
        return self._common("best")

    @property
    def last(self) -> int | None:
        return self._common("last")

    def _common(self, when: When) -> int | None:
        found = set(self.epochs(when))
        return found.pop() if len(found) == 1 else None

    def epochs(self, when: When) -> tuple[int, ...]:
        found = [fold.epochs(when) for folds in self.seeds for fold in folds]
        return tuple(epoch for (epoch,) in found) if all(found) else ()

    def at(self, when: When) -> np.ndarray:
        return self.seeds_at(when).mean(axis=0)

    def seeds_at(self, when: When) -> np.ndarray:
        return np.stack([np.concatenate([fold.at(when) for fold in folds]) for folds in self.seeds])


def over_columns(measured: Measured, name: str) -> Measured:
    """Return the mean over the columns of each case, as one column of that name; NaN where any of them is."""
    values = measured.values.mean(axis=2, keepdims=True)
    if isinstance(measured, Pooled):
        seeds = tuple(tuple(over_columns(fold, name) for fold in folds) for folds in measured.seeds)
        return replace(measured, columns=(name,), values=values, seeds=seeds)
    return replace(measured, columns=(name,), values=values)


def epoch_words(epochs: Sequence[int]) -> str:
    """Return ``epoch 12``, or ``epochs 8–14`` if the runs differ."""
    if not epochs:
        return "no epoch"
    low, high = min(epochs), max(epochs)
    return f"epoch {low}" if low == high else f"epochs {low}–{high}"


def pool(label: str, parts: Sequence[Measured]) -> Measured:
    """Pool the runs of a row, as described at the top of this file.

    Raises:
        ValueError: a seed lacks a fold that another has, or runs of one fold saw other cases or columns.
    """
    if len(parts) == 1:
        return parts[0]
    by_seed: dict[str, dict[str, Measured]] = {}
    for part in parts:
        by_seed.setdefault(part.run.seed, {})[part.run.fold] = part
    folds = list(dict.fromkeys(part.run.fold for part in parts))
    for seed, own in by_seed.items():
        lacking = [fold for fold in folds if fold not in own]
        if lacking:
            raise ValueError(
                f"{label}: {seed or 'the run without a seed'} lacks {', '.join(lacking) or 'folds'}, which another "
                "seed has; train them all, or name the runs to be compared (--runs)"
            )
    first = next(iter(by_seed.values()))
    seeds = tuple(tuple(_like(own[fold], first[fold]) for fold in folds) for own in by_seed.values())
    values = _all_seeds(seeds).mean(axis=0)
    return Pooled(run=parts[0].run, label=label, columns=parts[0].columns, values=values, seeds=seeds,
                  cases=tuple(case for fold in seeds[0] for case in fold.cases))  # fmt: skip


def _like(part: Measured, model: Measured) -> Measured:
    """Return ``part`` with its cases in the order of ``model``, another seed of the same fold."""
    same_rows = sorted(part.cases) == sorted(model.cases) and part.values.shape[1] == model.values.shape[1]
    if not same_rows or part.columns != model.columns:
        raise ValueError(
            f"{part.run.path} and {model.run.path} cannot be averaged: they were validated on other cases or classes; "
            "train both on the same data"
        )
    if part.cases == model.cases:
        return part
    order = [part.cases.index(case) for case in model.cases]
    return Measured(run=part.run, label=part.label, columns=part.columns, cases=model.cases,
                    values=part.values[:, order])  # fmt: skip


def _all_seeds(seeds: Sequence[Sequence[Measured]]) -> np.ndarray:
    """Join the folds of each seed, (S, E, N, C); runs shorter than the longest are continued with NaN."""
    longest = max(fold.num_epochs for folds in seeds for fold in folds)
    return np.stack([np.concatenate([_padded(fold.values, longest) for fold in folds], axis=1) for folds in seeds])


def _padded(values: np.ndarray, length: int) -> np.ndarray:
    return np.pad(values, ((0, length - len(values)), (0, 0), (0, 0)), constant_values=np.nan)
