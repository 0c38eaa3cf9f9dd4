"""Compare two treatments of the same patients: test, effect size, interval and correction. Imports NumPy only.

The input is n differences, one for each patient; the caller decides what they mean and which sign is better.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

RESOLUTION = 6
"""Decimals to which differences are rounded: values are stored in float32, so that smaller ones are rounding errors."""
EXACT_UP_TO = 200
"""Number of unequal pairs up to which p is exact; beyond it the normal approximation is as accurate."""
RESAMPLES = 10_000


@dataclass(frozen=True, kw_only=True)
class SignedRank:
    """Wilcoxon's signed-rank test of differences that are symmetric about 0."""

    p: float
    """Two-sided p; 1 if no pair is unequal."""
    effect: float
    """Matched-pairs rank-biserial correlation (Kerby 2014): share of the rank sum for, minus share against; 0 without
    any unequal pair. 1: every difference is positive."""
    unequal: int
    """Number of pairs that differ; equal pairs are left out, as in Wilcoxon (1945)."""


def signed_rank(differences: np.ndarray) -> SignedRank:
    """Return the test, exact even if absolute differences tie, as they do with few cases; SciPy's is approximate then.

    Args:
        differences: (n,) finite.
    """
    found = np.round(differences, RESOLUTION)
    found = found[found != 0]
    if not found.size:
        return SignedRank(p=1.0, effect=0.0, unequal=0)
    ranks = double_ranks(np.abs(found))
    total, positive = int(ranks.sum()), int(ranks[found > 0].sum())
    tail = min(positive, total - positive)
    p = _exact(ranks, tail) if found.size <= EXACT_UP_TO else _normal(ranks, tail)
    return SignedRank(p=min(1.0, 2 * p), effect=(2 * positive - total) / total, unequal=int(found.size))


def double_ranks(values: np.ndarray) -> np.ndarray:
    """Return twice the rank of each value, 2 for the smallest: an integer even if equal values share a mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (2 * np.cumsum(counts) - counts + 1)[place]


def _exact(ranks: np.ndarray, tail: int) -> float:
    """Return the probability of a rank sum of at most ``tail`` if every sign is random, by counting all sums."""
    chances = np.zeros(int(ranks.sum()) + 1)
    chances[0] = 1
    for rank in ranks:
        chances[rank:] = (chances[rank:] + chances[:-rank]) / 2
        chances[:rank] /= 2
    return float(chances[: tail + 1].sum())


def _normal(ranks: np.ndarray, tail: int) -> float:
    """Return the same from the normal distribution of equal mean and variance, with continuity correction."""
    mean, sd = ranks.sum() / 2, math.sqrt((ranks.astype(float) ** 2).sum()) / 2
    return NormalDist().cdf((tail + 1 - mean) / sd)  # of doubled ranks, so that half a step is 1


def smallest_p(unequal: int) -> float:
    """Return the smallest p that :func:`signed_rank` can give, that of pairs which all have the same sign."""
    return min(1.0, 2.0 ** (1 - unequal))


def interval(differences: np.ndarray, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Bootstrap interval of the mean: bias-corrected and accelerated (BCa; Efron, JASA 1987), from a seeded draw.

    Args:
        differences: (n,) finite. The result is NaN if there are none, and the value itself if all are equal.
    """
    n = len(differences)
    if n == 0:
        return math.nan, math.nan
    mean = float(differences.mean())
    deviations = differences - mean
    spread = float((deviations**2).sum())
    if np.round(differences, RESOLUTION).min() == np.round(differences, RESOLUTION).max():
        return mean, mean
    drawn = np.random.default_rng(seed).integers(0, n, (RESAMPLES, n))
    means = np.sort(differences[drawn].mean(axis=1))
    below = (np.count_nonzero(means < mean) + np.count_nonzero(means <= mean)) / (2 * RESAMPLES)
    bias = NormalDist().inv_cdf(min(max(below, 1 / RESAMPLES), 1 - 1 / RESAMPLES))
    acceleration = float((deviations**3).sum()) / (6 * spread**1.5)
    low, high = (
        np.quantile(means, _bca_level(bias, acceleration, tail)) for tail in ((1 - level) / 2, (1 + level) / 2)
    )
    return float(low), float(high)


def _bca_level(bias: float, acceleration: float, tail: float) -> float:
    """Return the quantile of the bootstrap to use instead of the nominal one."""
    z = bias + NormalDist().inv_cdf(tail)
    return NormalDist().cdf(bias + z / (1 - acceleration * z))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for the number of tests (Holm 1979).

    If those of at most alpha are called significant, the chance of any false one is at most alpha. NaN stands for no
    test: it stays NaN and is not counted.
    """
    order = sorted((i for i, p in enumerate(p_values) if not math.isnan(p)), key=lambda i: p_values[i])
    corrected, highest = [math.nan] * len(p_values), 0.0
    for place, i in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - place) * p_values[i]))
        corrected[i] = highest
    return corrected
