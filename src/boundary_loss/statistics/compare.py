"""Does one row beat another? Paired comparisons per patient, and a sentence that claims no more than they show.

    compare(comparisons).sentences("best")
    ["gdl_surface_steal is better than gdl in HD95 by 3.10 mm [1.20, 5.00], n = 20, p = 0.004."]

For every pair of rows, metric and class, at the best and at the last epoch: Wilcoxon's signed-rank test, exact up to
200 patients, two-sided; Holm's correction over all comparisons of the report, so that the chance of any false claim in
it stays below alpha; the mean difference with a bootstrap interval (BCa, 10 000 seeded draws, each interval by itself);
the matched-pairs rank-biserial correlation. "Better" is said where the corrected p is at most alpha, the interval
leaves out 0, and every seed's mean, of seeds that both rows have, points the same way; otherwise, why nothing can be
concluded. The test speaks of other patients, not of other trainings: that is what seeds are for.

What is paired is a patient: a patient's volumes (or slices) are averaged, over seeds too, and folds are joined
(boundary_loss.measured). Cases pair by name; rows that were validated on different ones are not compared.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from boundary_loss.comparison import Comparison
from boundary_loss.measured import Measured
from boundary_loss.naming import Stem
from boundary_loss.runfolder import metric
from boundary_loss.statistics.difference import Choice, Difference
from boundary_loss.statistics.paired import holm, interval, signed_rank

TESTED = ("val_3d_dsc", "val_3d_hd95")
"""One overlap and one distance, chosen before any result is seen: each further metric makes all harder to show."""
ALPHA = 0.05
ONE_SEED = (
    "With one seed this speaks of these trained networks on other patients; whether another training would do the same "
    "is for several to say: SEEDS='0 1 2'."
)
CHOICES: tuple[Choice, ...] = ("best", "last")


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Every comparison that was made."""

    differences: tuple[Difference, ...]
    alpha: float

    @cached_property
    def family(self) -> int:
        """Tests that were made: what Holm's correction counts."""
        return sum(not math.isnan(difference.p) for difference in self.differences)

    def at(self, when: Choice) -> list[Difference]:
        return [difference for difference in self.differences if difference.when == when]

    def sentences(self, when: Choice) -> list[str]:
        """What can be concluded, then what cannot and why; comparisons that fail for the same reason share a line."""
        found = self.at(when)
        failed: dict[str, list[Difference]] = {}
        for difference in found:
            if difference.better is None:
                failed.setdefault(difference.why_not, []).append(difference)
        said = [difference.sentence for difference in found if difference.better is not None]
        for reason, alike in failed.items():
            which = f"any of the {len(found)}" if len(alike) == len(found) else f"{len(alike)} of the {len(found)}"
            together = f"Nothing can be concluded in {which} comparisons: {reason}."
            said.append(alike[0].sentence if len(alike) == 1 else together)
        return said

    def get(self, name: str, column: str, when: Choice, first: str, second: str) -> Difference | None:
        """The comparison of these two rows, whichever of them it names first."""
        for d in self.at(when):
            if (d.metric, d.column) == (name, column) and {d.first, d.second} == {first, second}:
                return d
        return None

    @property
    def method(self) -> str:
        """What was done, in words that stand beside the numbers."""
        return (
            "Per patient, over seeds averaged, over folds joined. p: Wilcoxon's signed-rank test, exact, two-sided, "
            f"with Holm's correction over all {self.family} comparisons of this report, at best and last epochs. In "
            "brackets: 95 % bootstrap interval of the mean difference (BCa, 10 000 draws), each by itself. Better is "
            f"said where p is at most {self.alpha:g}, the interval leaves out 0 and all seeds point the same way."
            + ("" if all(d.seeds > 1 for d in self.differences) else f" {ONE_SEED}")
        )


def compare(
    comparisons: Sequence[Comparison],
    *,
    tested: Sequence[str] = TESTED,
    baseline: str | None = None,
    alpha: float = ALPHA,
) -> Statistics:
    """Compare every pair of rows, or every row with ``baseline``.

    Args:
        comparisons: what was measured, one a metric; those not ``tested`` are passed over.
        tested: metrics of validation cases.
        baseline: a row's label.
        alpha: the chance of any false claim, below 1.

    Raises:
        ValueError: no such baseline, an alpha outside (0, 1), a metric that is not of validation cases.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is a chance between 0 and 1, usually 0.05, not {alpha:g}")
    for name in tested:
        if metric(name).rows not in ("volumes", "patients", "val"):
            raise ValueError(f"{name} cannot be tested: it is not of validation cases")
    labels = list(dict.fromkeys(measured.label for shown in comparisons for measured in shown.runs))
    if baseline is not None and baseline not in labels:
        raise ValueError(f"no run is called '{baseline}'; there are {', '.join(labels)}")
    found = [
        _difference(shown, column, when, *pair, alpha=alpha)
        for when in CHOICES
        for shown in comparisons
        if shown.name in tested
        for column in shown.columns
        for pair in _pairs(shown.runs, baseline)
    ]
    return Statistics(differences=_corrected(found), alpha=alpha)


def _pairs(rows: Sequence[Measured], baseline: str | None) -> list[tuple[Measured, Measured]]:
    """The later row of the ledger first: it is the one that is to be better."""
    pairs = [(later, earlier) for earlier, later in combinations(rows, 2)]
    if baseline is None:
        return pairs
    chosen = [pair for pair in pairs if baseline in (pair[0].label, pair[1].label)]
    return [(b, a) if a.label == baseline else (a, b) for a, b in chosen]


def _difference(
    shown: Comparison, column: str, when: Choice, first: Measured, second: Measured, *, alpha: float
) -> Difference:
    refusal, pairs = "", np.empty((0, 2))
    try:
        pairs = _paired(by_patient(first, column, when), by_patient(second, column, when), first, second)
    except ValueError as error:
        refusal = str(error)
    known = pairs[np.isfinite(pairs).all(axis=1)]
    gains = known[:, 0] - known[:, 1] if not shown.metric.lower_is_better else known[:, 1] - known[:, 0]
    test = signed_rank(gains)
    low, high = interval(gains)
    gain = float(gains.mean()) if gains.size else math.nan
    by_seed = [] if refusal else _seed_gains(shown, column, when, first, second)
    return Difference(
        metric=shown.name, column=column, several_classes=len(shown.columns) > 1, when=when,
        first=first.label, second=second.label, n=len(known), of=len(pairs), unequal=test.unequal,
        gain=gain, low=low, high=high, effect=test.effect, p=test.p if gains.size else math.nan, p_holm=math.nan,
        family=0, alpha=alpha, refusal=refusal, seeds=len(by_seed),
        seeds_agree=sum(own * gain > 0 for own in by_seed),
    )  # fmt: skip


def _seed_gains(shown: Comparison, column: str, when: Choice, first: Measured, second: Measured) -> list[float]:
    """The mean gain of each seed that both rows have: they begin with the same weights and see the same batches."""
    sign = -1 if shown.metric.lower_is_better else 1
    means = []
    for row in (first, second):
        values = row.seed_means_at(when)[:, row.columns.index(column)]
        means.append(dict(zip(row.seed_names, values, strict=True)))
    return [float(sign * (means[0][seed] - means[1][seed])) for seed in means[0] if seed in means[1]]


def _corrected(found: Sequence[Difference]) -> tuple[Difference, ...]:
    family = sum(not math.isnan(difference.p) for difference in found)
    values = holm([difference.p for difference in found])
    return tuple(replace(difference, p_holm=p, family=family) for difference, p in zip(found, values, strict=True))


def by_patient(measured: Measured, column: str, when: Choice) -> dict[str, float]:
    """``{patient: value}``, the mean over the patient's volumes or slices; NaN where one of them was not measured.

    Cases that are patients themselves stay as they are.

    Raises:
        ValueError: the row lacks the column or the epoch, or a case was held out in two folds.
    """
    if column not in measured.columns:
        raise ValueError(f"{measured.label} has no {column}")
    if not measured.epochs(when):
        raise ValueError(f"{measured.label} has no {when} epoch yet")
    if len(set(measured.cases)) < len(measured.cases):
        raise ValueError(f"a case was held out in several folds of {measured.label}: the folds are not of one split")
    patients = {volume: patient for run in measured.runs for volume, patient in run.patients.items()}
    patients |= {patient: patient for patient in patients.values()}
    values: dict[str, list[float]] = {}
    for case, value in zip(measured.cases, measured.at(when)[:, measured.columns.index(column)], strict=True):
        volume = case if case in patients else Stem.parse(case).volume
        values.setdefault(patients[volume], []).append(float(value))
    return {patient: float(np.mean(own)) for patient, own in values.items()}


def _paired(a: dict[str, float], b: dict[str, float], first: Measured, second: Measured) -> np.ndarray:
    """(n, 2) values of the same patients."""
    if a.keys() != b.keys():
        common = len(a.keys() & b.keys())
        raise ValueError(
            f"they were validated on different patients ({len(a)} of {first.label}, {len(b)} of {second.label}, "
            f"{common} of both)"
        )
    return np.array([(a[patient], b[patient]) for patient in sorted(a)])
