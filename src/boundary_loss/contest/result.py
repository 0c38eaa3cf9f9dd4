"""Everything that the report of a contest says, computed once from the finished runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from boundary_loss.contest.claims import Claims, claims
from boundary_loss.contest.sets import METRICS, ContestSet, notes
from boundary_loss.contest.standings import Standing, field, standings
from boundary_loss.report.findings import differences, unverified
from boundary_loss.report.table import WHEN
from boundary_loss.statistics.comparison import number, warnings_of
from boundary_loss.statistics.difference import Choice
from boundary_loss.statistics.values import nanstd


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A row's mean in one metric on one set, with its spread over patients and over the seeds' means."""

    metric: str
    mean: float
    sd_patients: float
    sd_seeds: float
    """NaN with one seed."""
    patients: int
    seeds: int

    @property
    def text(self) -> str:
        """``0.812 ± 0.043 ± 0.010``: over patients, and over seeds if there are several."""
        spreads = [self.sd_patients] + ([self.sd_seeds] if self.seeds > 1 else [])
        return " ± ".join(number(self.metric, value) for value in (self.mean, *spreads))


@dataclass(frozen=True, kw_only=True)
class Result:
    """The contest as far as it is finished."""

    sets: tuple[ContestSet, ...]
    """Those with a finished run."""
    base: str
    when: Choice
    rows: tuple[str, ...]
    """Every row of any set, the base first, in the order asked for."""
    means: dict[tuple[str, str, str], Mean]
    """By set, row and metric."""
    standings: dict[str, list[Standing]]
    """By metric, the best mean rank first; a metric is missing where fewer than two rows are on all sets."""
    claims: Claims
    notes: tuple[str, ...]
    """What is not finished, what must be said beside the numbers, and settings that differ but should not."""
    warnings: tuple[str, ...]
    """Synthetic data, debug runs."""

    @property
    def epoch(self) -> str:
        return WHEN[self.when]

    @property
    def seeds(self) -> tuple[int, int]:
        """The smallest and the largest number of seeds of a row on a set."""
        found = [len(runs) for each in self.sets for runs in each.rows.values()]
        return min(found), max(found)

    def best(self, name: str, metric: str) -> set[str]:
        """Return the rows with the best printed mean on a set."""
        found = {row: m.mean for (own, row, of), m in self.means.items() if (own, of) == (name, metric)}
        if len(found) < 2:
            return set()
        shown = self._shown(name, metric)
        winner = (min if shown else max)(found.values())
        return {row for row, mean in found.items() if number(metric, mean) == number(metric, winner)}

    def _shown(self, name: str, metric: str) -> bool:
        own = next(each for each in self.sets if each.name == name).get(metric)
        return own is not None and own.metric.lower_is_better


def collect(sets: Sequence[ContestSet], base: str, when: Choice) -> Result:
    """Compute the result of these sets; those without a finished run are only noted.

    Raises:
        FileNotFoundError: no run of any set is finished.
    """
    done = tuple(each for each in sets if each.rows)
    if not done:
        names = ", ".join(each.name for each in sets)
        raise FileNotFoundError(f"no finished run of {names}; make -f contest.make train makes them")
    runs = [run for each in done for run in each.runs]
    unfair = [f"{each.name}: {text}" for each in done for text in differences(each.runs)]
    return Result(
        sets=done, base=base, when=when, rows=_rows(done, base),
        means={(each.name, row, name): mean for each in done for name in METRICS
               for row, mean in _means(each, name, when).items()},
        standings={name: standings(found, name, base) for name in METRICS if (found := field(done, name, when))},
        claims=claims(done, base, when=when),
        notes=(*notes(sets), *unfair, *unverified(run.record for run in runs)),
        warnings=tuple(warnings_of(runs)),
    )  # fmt: skip


def _rows(sets: Sequence[ContestSet], base: str) -> tuple[str, ...]:
    found = dict.fromkeys(row for each in sets for row in each.asked.rows if any(row in own.rows for own in sets))
    return (*(row for row in found if row == base), *(row for row in found if row != base))


def _means(each: ContestSet, name: str, when: Choice) -> dict[str, Mean]:
    found = {}
    for row, own in each.patients(name, when).items():
        of_seeds, of_patients = own.values.mean(axis=1), own.values.mean(axis=0)
        found[row] = Mean(
            metric=name, mean=float(of_patients.mean()), sd_patients=float(nanstd(of_patients, axis=0)),
            sd_seeds=float(nanstd(of_seeds, axis=0)), patients=own.values.shape[1], seeds=len(own.values),
        )  # fmt: skip
    return found
