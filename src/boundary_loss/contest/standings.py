"""How the rows of a contest stand over all sets: mean ranks, and how often each leads the base.

A row is ranked among all rows of a set by its mean over patients and seeds, 1 the best; equal rows share their mean
rank. The interval of a mean rank is that of the bootstrap over patients and seeds. Where rows hardly differ their drawn
ranks are almost random, so that intervals reach to the middle and no order should be read.

Axis letters: B draws, R rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from boundary_loss.contest.bootstrap import drawn_means, interval
from boundary_loss.contest.sets import ContestSet
from boundary_loss.metric_definitions import metric
from boundary_loss.statistics.difference import Choice


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A row in one metric, over the sets."""

    row: str
    metric: str
    rank: float
    """Mean over the sets; 1 is the best."""
    low: float
    high: float
    """The 95 % interval over patients and seeds."""
    leads: int
    """Number of sets in which its mean is better than the base's."""
    leads_low: float
    leads_high: float
    sets: int


@dataclass(frozen=True, kw_only=True)
class Field:
    """The rows that have values in every set, in one metric: their means, and those of each draw."""

    rows: tuple[str, ...]
    means: tuple[np.ndarray, ...]
    """(R,) of each set."""
    drawn: tuple[np.ndarray, ...]
    """(B, R) of each set."""


def ranks(means: np.ndarray, *, lower_is_better: bool) -> np.ndarray:
    """Return the ranks (..., R) of means (..., R), 1 the best; equal means share the mean of their ranks."""
    ahead = means[..., None, :] < means[..., :, None]
    if not lower_is_better:
        ahead = means[..., None, :] > means[..., :, None]
    equal = means[..., None, :] == means[..., :, None]
    return ahead.sum(axis=-1) + (equal.sum(axis=-1) + 1) / 2


def field(sets: Sequence[ContestSet], name: str, when: Choice, seed: int = 0) -> Field | None:
    """Return the rows that every set has in this metric; None if there are not two of them."""
    values = [
        {row: own.values for row, own in each.patients(name, when).items() if np.isfinite(own.values).all()}
        for each in sets
    ]
    rows = [row for row in (values[0] if values else {}) if all(row in own for own in values)]
    if len(rows) < 2:
        return None
    rng = np.random.default_rng(seed)
    return Field(
        rows=tuple(rows),
        means=tuple(np.array([own[row].mean() for row in rows]) for own in values),
        drawn=tuple(drawn_means([own[row] for row in rows], rng) for own in values),
    )


def standings(found: Field, name: str, base: str) -> list[Standing]:
    """Return every row's standing, the best mean rank first."""
    lower = metric(name).lower_is_better
    rank = np.mean([ranks(means, lower_is_better=lower) for means in found.means], axis=0)
    drawn = np.mean([ranks(means, lower_is_better=lower) for means in found.drawn], axis=0)
    lead = _leads(found.means, found.rows, base, lower=lower)
    drawn_lead = _leads(found.drawn, found.rows, base, lower=lower)
    stand = []
    for r, row in enumerate(found.rows):
        (low, high), (fewest, most) = interval(drawn[:, r]), interval(drawn_lead[:, r])
        stand.append(
            Standing(row=row, metric=name, rank=float(rank[r]), low=low, high=high, leads=int(lead[r]),
                     leads_low=fewest, leads_high=most, sets=len(found.means))
        )  # fmt: skip
    return sorted(stand, key=lambda each: each.rank)


def _leads(means: Sequence[np.ndarray], rows: Sequence[str], base: str, *, lower: bool) -> np.ndarray:
    """Return (..., R) the number of sets in which each row is better than the base; 0 without the base."""
    if base not in rows:
        return np.zeros(means[0].shape)
    b = rows.index(base)
    sign = -1 if lower else 1
    return np.sum([sign * (own - own[..., b : b + 1]) > 0 for own in means], axis=0)
