"""Estimate the difference of two rows over both new trainings and new patients; each needs three seeds or more.

A row's networks differ by their seeds and a study's patients differ among themselves; a mean difference moves with
both. Each has a t interval of its own: over the seeds' means (Welch, Biometrika 1947: two rows of independent networks,
each with its own variance) and over the patients' mean differences. The interval of both is

    gain ± √(h_seeds² + h_patients²),    h: half the width of either interval

the method of variance estimates recovery (MOVER; Zou & Donner, Statistics in Medicine 27, 2008). It is never narrower
than either of the two. p is the level at which it just reaches 0. The interaction of seeds and patients (how well one
network happens to do on one patient) is counted in both terms, and seeds that two rows share are taken as independent.
Both make the interval wider than necessary. benchmarks/claims.py simulates how often the interval makes a false claim.

With folds, each seed has one network in each fold. Seeds are compared within a fold, on the same patients, and the
means of the folds are weighted by their numbers of patients.

Axis letters: S seeds, N patients.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

SEEDS_NEEDED = 3
"""With fewer seeds the spread over seeds has one degree of freedom, too few to compare losses."""
SMALLEST_P = 1e-9
MOST_SEEDS = 100
"""Of :func:`seeds_needed`: beyond it another study is cheaper than further seeds."""


@dataclass(frozen=True, kw_only=True)
class SeededGain:
    """A mean difference with its two standard errors."""

    gain: float
    seeds_error: float
    seeds_freedom: float
    """Welch's degrees of freedom; infinite where all seeds are equal."""
    patients_error: float
    patients_freedom: int

    def half_width(self, p: float) -> float:
        """Return half the width of the interval of confidence 1 - ``p``."""
        errors = (self.seeds_error, self.seeds_freedom), (self.patients_error, self.patients_freedom)
        return math.hypot(*(error * _quantile(p, freedom) for error, freedom in errors if error))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the interval of the gain over other seeds and other patients."""
        half = self.half_width(1 - level)
        return self.gain - half, self.gain + half

    @property
    def p(self) -> float:
        """Two-sided p, found by bisection to a relative accuracy of 1e-6; never below SMALLEST_P."""
        low, high = math.log(SMALLEST_P), 0.0
        if self.half_width(SMALLEST_P) < abs(self.gain):
            return SMALLEST_P
        while high - low > 1e-6:
            middle = (low + high) / 2
            low, high = (low, middle) if self.half_width(math.exp(middle)) < abs(self.gain) else (middle, high)
        return math.exp(high)

    def with_seeds(self, now: int, then: int) -> "SeededGain":
        """Return what ``then`` seeds a row in place of ``now`` would give, if gain and spreads stayed as seen."""
        error = self.seeds_error * math.sqrt(now / then)
        return replace(self, seeds_error=error, seeds_freedom=self.seeds_freedom * (then - 1) / (now - 1))


def seeds_needed(found: SeededGain, now: int, p: float) -> int | None:
    """Return how many seeds a row would bring the p down to ``p``, if gain and spreads stayed as they were seen.

    Args:
        now: seeds a row, 2 or more.

    Returns:
        At most MOST_SEEDS; None if so many would not do, because the patients alone are too few or too different.
    """
    seeds = range(now + 1, MOST_SEEDS + 1)
    return next((n for n in seeds if found.with_seeds(now, n).half_width(p) < abs(found.gain)), None)


def seeded_gain(first: np.ndarray, second: np.ndarray, folds: np.ndarray, folds_of_second: np.ndarray) -> SeededGain:
    """Compare two rows of several seeds each, ``first`` minus ``second``.

    Args:
        first: (S, N) finite, at least two of each.
        second: (S', N) finite, of the same patients.
        folds: (N,) the fold of the first row that holds each patient out.
        folds_of_second: (N,) likewise of the second.
    """
    differences = first.mean(axis=0) - second.mean(axis=0)
    variances = [*_variances(first, folds), *_variances(second, folds_of_second)]
    total = sum(variance for variance, _ in variances)
    doubt = sum(variance**2 / freedom for variance, freedom in variances)
    return SeededGain(
        gain=float(differences.mean()),
        seeds_error=math.sqrt(total), seeds_freedom=total**2 / doubt if doubt else math.inf,
        patients_error=float(differences.std(ddof=1)) / math.sqrt(differences.size),
        patients_freedom=differences.size - 1,
    )  # fmt: skip


def _variances(row: np.ndarray, folds: np.ndarray) -> Iterator[tuple[float, int]]:
    """Yield each fold's part of the variance of the row's mean, with the degrees of freedom."""
    for fold in np.unique(folds):
        own = row[:, folds == fold]
        share = own.shape[1] / row.shape[1]
        yield share**2 * float(own.mean(axis=1).var(ddof=1)) / len(row), len(row) - 1


def _quantile(p: float, freedom: float) -> float:
    """Return the value that the absolute value of Student's t exceeds with probability ``p``."""
    from scipy.special import stdtrit  # here, because a report without seeds starts without SciPy

    return -float(stdtrit(freedom, p / 2))
