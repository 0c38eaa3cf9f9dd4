"""Finished studies of a contest, made up: values of every metric for each set, row and seed."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from toyruns import write_row

from boundary_loss.contest.sets import METRICS, Asked, ContestSet, read_set

Make = Callable[..., ContestSet]


def asked(name: str, rows: Mapping[str, object] | tuple[str, ...], seeds: int = 3) -> Asked:
    return Asked(name=name, about="made up", note="", rows=tuple(rows), seeds=tuple(map(str, range(seeds))))


@pytest.fixture
def write_set(tmp_path: Path) -> Make:
    """Write a set whose rows have these Dice means, and distances that fall where Dice rises; return it as read."""

    def write(name: str, means: Mapping[str, float], *, seeds: int = 3, patients: int = 20, spread: float = 0.01,
              draw: int = 0) -> ContestSet:  # fmt: skip
        rng = np.random.default_rng(draw)
        level = rng.normal(0, 0.05, patients)
        for row, mean in means.items():
            for seed in range(seeds):
                dice = mean + level + rng.normal(0, spread) + rng.normal(0, spread, patients)
                for metric in METRICS:
                    values = dice if metric in ("val_3d_dsc", "val_3d_nsd") else 20 - 10 * dice
                    write_row(tmp_path / name, f"{row}/seed{seed}", values, metric=metric)
        return read_set(tmp_path / name, asked(name, means, seeds))

    return write
