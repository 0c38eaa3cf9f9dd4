"""Compare every row with the base on every set, with Holm's correction over the whole contest."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from boundary_loss.contest.sets import ContestSet
from boundary_loss.statistics.claims import ALPHA, TESTED, corrected, uncorrected
from boundary_loss.statistics.difference import Choice, Difference


@dataclass(frozen=True, kw_only=True)
class Claims:
    """The comparisons of each set with the base; a positive gain means that the other row is better."""

    base: str
    when: Choice
    alpha: float
    by_set: dict[str, tuple[Difference, ...]]

    @cached_property
    def all(self) -> list[tuple[str, Difference]]:
        return [(name, difference) for name, own in self.by_set.items() for difference in own]

    @property
    def family(self) -> int:
        """Number of tests that Holm's correction counts."""
        return max((difference.family for _, difference in self.all), default=0)

    @property
    def shown(self) -> list[tuple[str, Difference]]:
        """What shows a difference: those of losses first."""
        return sorted(((name, d) for name, d in self.all if d.shown), key=lambda pair: not pair[1].of_losses)

    def get(self, name: str, metric: str, row: str) -> Difference | None:
        """Return the comparison of this row with the base; None if it was not made."""
        own = self.by_set.get(name, ())
        return next((d for d in own if d.metric == metric and row in (d.first, d.second)), None)

    def record(self, row: str) -> "Record":
        """Return how often a row is shown to be better or worse than the base."""
        own = [d for _, d in self.all if row in (d.first, d.second) and row != self.base]
        won = sum(d.better == row for d in own)
        lost = sum(d.better == self.base for d in own)
        return Record(won=won, lost=lost, undecided=len(own) - won - lost)


@dataclass(frozen=True, kw_only=True)
class Record:
    """Comparisons of losses with the base, over sets and tested metrics."""

    won: int
    lost: int
    undecided: int
    """Nothing could be concluded, or only something about networks."""


def claims(sets: Sequence[ContestSet], base: str, *, when: Choice = "last", alpha: float = ALPHA) -> Claims:
    """Compare every row with the base in the tested metrics, on each set that has the base."""
    raw = {
        each.name: uncorrected(each.comparisons, tested=TESTED, baseline=base, alpha=alpha, choices=(when,))
        for each in sets
        if base in each.rows
    }
    whole = iter(corrected([difference for own in raw.values() for difference in own]))
    return Claims(
        base=base, when=when, alpha=alpha,
        by_set={name: tuple(next(whole) for _ in own) for name, own in raw.items()},
    )  # fmt: skip


def sentence(name: str, difference: Difference) -> str:
    """Return what may be written of one comparison, with the set's name and what is missing for more."""
    return f"{name}: {difference.said}"
