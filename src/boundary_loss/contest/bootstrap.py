"""Means of every row of a set under other patients and other seeds, by the bootstrap.

The patients are drawn once for all rows, which were validated on the same ones; the seeds of each row by themselves,
for networks of two rows share nothing by having the same seed. Axis letters: B draws, R rows, S seeds, N patients.
"""

from collections.abc import Sequence

import numpy as np

DRAWS = 4000


def drawn_means(rows: Sequence[np.ndarray], rng: np.random.Generator, draws: int = DRAWS) -> np.ndarray:
    """Return (B, R) the mean of each row over drawn seeds and drawn patients.

    Args:
        rows: (S, N) values of each row, finite; S may differ, N may not.
    """
    patients = counts(rows[0].shape[1], rng, draws)
    return np.stack([np.einsum("bs,sn,bn->b", counts(len(row), rng, draws), row, patients) for row in rows], axis=1)


def counts(of: int, rng: np.random.Generator, draws: int) -> np.ndarray:
    """Return (B, of) the share of each item among as many drawn with replacement."""
    return rng.multinomial(of, np.full(of, 1 / of), size=draws) / of


def interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval of drawn values (B,)."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
