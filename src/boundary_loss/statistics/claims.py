"""Test per patient whether one row is better than another, and state what the test supports in one sentence.

    compare(comparisons).sentences("best")
    ["gdl_surface_steal is better than gdl in HD95 by 3.10 mm [1.20, 5.00], 20 patients, 3 seeds, p = 0.004."]

Every pair of rows is compared for each metric and class, at the best and at the last epoch. Values are paired by
patient (boundary_loss.statistics.patients). Rows that were validated on different patients are not compared.

Rows of three seeds or more are compared as losses: interval and p hold the spread over seeds and over patients
(boundary_loss.statistics.seeded). With fewer seeds, only the trained networks are compared, averaged over their seeds:
Wilcoxon's signed-rank test (two-sided, exact up to 200 patients) and a bootstrap interval of the mean difference (BCa,
10 000 seeded draws). Both generalise to other patients, but not to other trainings.

Holm's correction covers all comparisons of the report, so that the chance of any false claim in it is at most alpha.
The effect size is the matched-pairs rank-biserial correlation. A row is called better if the corrected p is at most
alpha, the interval excludes 0 and the ranks favour the same row as the mean. Otherwise the sentence gives the reason
why nothing can be concluded.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from boundary_loss.metric_definitions import metric
from boundary_loss.statistics.alike import Unlike, unlike
from boundary_loss.statistics.comparison import Comparison
from boundary_loss.statistics.difference import MORE_SEEDS, Choice, Difference
from boundary_loss.statistics.paired import holm, interval, signed_rank
from boundary_loss.statistics.patients import Patients, by_patient
from boundary_loss.statistics.seeded import seeded_gain
from boundary_loss.statistics.values import Measured

TESTED = ("val_3d_dsc", "val_3d_hd95")
"""One overlap and one distance, chosen before any result was seen: further tests make Holm's threshold stricter."""
ALPHA = 0.05
OF_NETWORKS = (
    "With fewer than three seeds a row, a comparison is of these trained networks and not of their losses: another "
    "seed may turn the order. SEEDS='0 1 2' trains three."
)
OF_NETWORKS_ELSEWHERE = (
    "With fewer than three trainings a row, a comparison is of these trained networks and not of their losses: another "
    "training may turn the order."
)
"""The same of rows that this pipeline has not trained."""
_SEEDED = (
    "Rows of three seeds or more: interval and p hold the spread over seeds and over patients (95 % t intervals of "
    "either, Welch's over the seeds, joined by MOVER: gain ± √(h_seeds² + h_patients²))."
)
_NETWORKS = (
    "Rows of fewer than three: p is Wilcoxon's signed-rank test, exact, two-sided; in brackets the 95 % bootstrap "
    "interval of the mean difference (BCa, 10 000 draws)."
)
CHOICES: tuple[Choice, ...] = ("best", "last")


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Every comparison that was made."""

    differences: tuple[Difference, ...]
    alpha: float

    @cached_property
    def family(self) -> int:
        """Number of tests made, which Holm's correction counts."""
        return sum(not math.isnan(difference.p) for difference in self.differences)

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The choices of an epoch at which rows were compared."""
        return tuple(when for when in CHOICES if self.at(when))

    def at(self, when: Choice) -> list[Difference]:
        return [difference for difference in self.differences if difference.when == when]

    def shown(self, when: Choice) -> list[Difference]:
        """Return the comparisons that show a difference: those of losses first, then those of networks."""
        return sorted((d for d in self.at(when) if d.shown), key=lambda d: not d.of_losses)

    def sentences(self, when: Choice) -> list[str]:
        """Return what can be concluded, then what cannot and why; those that fail for one reason share a sentence."""
        return [d.sentence for d in self.shown(when)] + self.failures(when)

    def failures(self, when: Choice) -> list[str]:
        """Return why nothing can be concluded in the other comparisons."""
        found, said = self.at(when), []
        failed: dict[str, list[Difference]] = {}
        for difference in found:
            if not difference.shown:
                failed.setdefault(difference.why_not, []).append(difference)
        for reason, alike in failed.items():
            which = f"any of the {len(found)}" if len(alike) == len(found) else f"{len(alike)} of the {len(found)}"
            together = f"Nothing can be concluded in {which} comparisons: {reason}."
            said.append(alike[0].sentence if len(alike) == 1 else together)
        return said

    def get(self, name: str, column: str, when: Choice, first: str, second: str) -> Difference | None:
        """Return the comparison of these two rows, in either order; None if it was not made."""
        for d in self.at(when):
            if (d.metric, d.column) == (name, column) and {d.first, d.second} == {first, second}:
                return d
        return None

    @property
    def of_networks(self) -> bool:
        """True if some comparison has too few seeds to say anything about the losses."""
        return any(not d.of_losses for d in self.differences)

    @property
    def method(self) -> str:
        """Describe how the comparisons were made, for the text beside the numbers."""
        seeded = any(d.of_losses for d in self.differences)
        epochs = "best and last epochs" if len(self.choices) > 1 else f"each run's {' '.join(self.choices)} epoch"
        return " ".join(
            [
                "Per patient: a patient's volumes are averaged, seeds too, and folds joined.",
                *([_SEEDED] if seeded else []),
                *([_NETWORKS] if self.of_networks else []),
                f"Every p has Holm's correction over all {self.family} comparisons of this report, "
                f"at {epochs}; each interval stands by itself. Better is said where p is at most {self.alpha:g}, the "
                "interval leaves out 0 and the ranks point the same way.",
                *([self.limits] if self.of_networks else []),
            ]
        )

    @property
    def limits(self) -> str:
        """What a comparison of too few seeds cannot say, and how to train more where that is known."""
        return OF_NETWORKS if any(d.remedy for d in self.differences) else OF_NETWORKS_ELSEWHERE


def compare(
    comparisons: Sequence[Comparison],
    *,
    tested: Sequence[str] = TESTED,
    baseline: str | None = None,
    alpha: float = ALPHA,
) -> Statistics:
    """Compare every pair of rows, or every row with ``baseline``.

    Args:
        comparisons: the measured values, one entry for each metric; metrics not in ``tested`` are skipped.
        tested: metrics of validation cases.
        baseline: a row's label.
        alpha: the chance of any false claim, below 1.

    Raises:
        ValueError: no such baseline, an alpha outside (0, 1), a metric that is not of validation cases.
    """
    found = uncorrected(comparisons, tested=tested, baseline=baseline, alpha=alpha)
    return Statistics(differences=corrected(found), alpha=alpha)


def uncorrected(
    comparisons: Sequence[Comparison],
    *,
    tested: Sequence[str] = TESTED,
    baseline: str | None = None,
    alpha: float = ALPHA,
    choices: Sequence[Choice] = CHOICES,
) -> list[Difference]:
    """Make the comparisons of :func:`compare`, at these epochs, and leave :func:`corrected` to the caller.

    Raises:
        ValueError: as :func:`compare`.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is a chance between 0 and 1, usually 0.05, not {alpha:g}")
    for name in tested:
        if metric(name).rows not in ("volumes", "patients", "val", "slices"):
            raise ValueError(f"{name} cannot be tested: it is not of validation cases")
    labels = list(dict.fromkeys(measured.label for shown in comparisons for measured in shown.runs))
    if baseline is not None and baseline not in labels:
        raise ValueError(f"no run is called '{baseline}'; there are {', '.join(labels)}")
    others = unlike({measured.label: measured.runs for shown in comparisons for measured in shown.runs})
    return [
        _difference(shown, column, when, *pair, alpha=alpha, others=others)
        for when in choices
        if any(
            measured.epochs(when) for shown in comparisons for measured in shown.runs
        )  # else measured once, at the end
        for shown in comparisons
        if shown.name in tested
        for column in shown.columns
        for pair in _pairs(shown.runs, baseline)
    ]


def _pairs(rows: Sequence[Measured], baseline: str | None) -> list[tuple[Measured, Measured]]:
    """Pair the rows, the later row of the ledger first: it is the one expected to be better."""
    pairs = [(later, earlier) for earlier, later in combinations(rows, 2)]
    if baseline is None:
        return pairs
    chosen = [pair for pair in pairs if baseline in (pair[0].label, pair[1].label)]
    return [(b, a) if a.label == baseline else (a, b) for a, b in chosen]


def _difference(
    shown: Comparison, column: str, when: Choice, first: Measured, second: Measured, *, alpha: float,
    others: Iterable[Unlike],
) -> Difference:  # fmt: skip
    found = Difference(
        metric=shown.name, column=column, several_classes=len(shown.columns) > 1, when=when,
        first=first.label, second=second.label, noun=shown.metric.noun, alpha=alpha,
        seeds=(first.num_seeds, second.num_seeds), networks=len(first.runs) + len(second.runs),
        unlike=tuple(dict.fromkeys(each.what for each in others if each.touches(first.label, second.label))),
        remedy="" if any(run.record.trained_by for run in (*first.runs, *second.runs)) else MORE_SEEDS,
    )  # fmt: skip
    try:
        a, b = _paired(by_patient(first, column, when), by_patient(second, column, when), first, second)
    except ValueError as error:
        return replace(found, refusal=str(error))
    return _tested(found, b, a) if shown.metric.lower_is_better else _tested(found, a, b)


def _tested(found: Difference, plus: Patients, minus: Patients) -> Difference:
    """Fill in the numbers of a comparison, over the patients that both rows measured."""
    known = np.isfinite(plus.values).all(axis=0) & np.isfinite(minus.values).all(axis=0)
    if not known.any():
        return replace(found, of=known.size)
    first, second = plus.values[:, known], minus.values[:, known]
    gains = first.mean(axis=0) - second.mean(axis=0)
    test, seeded = signed_rank(gains), None
    if found.of_losses and gains.size > 1:
        seeded = seeded_gain(first, second, plus.folds[known], minus.folds[known])
        p, (low, high) = seeded.p, seeded.interval()
    else:
        p, (low, high) = test.p, interval(gains)
    return replace(
        found, n=gains.size, of=known.size, cases=int(plus.cases[known].sum()), unequal=test.unequal,
        gain=float(gains.mean()), low=low, high=high, effect=test.effect, p=p, seeded=seeded,
    )  # fmt: skip


def corrected(found: Sequence[Difference]) -> tuple[Difference, ...]:
    """Return the comparisons with Holm's correction over all of them."""
    family = sum(not math.isnan(difference.p) for difference in found)
    values = holm([difference.p for difference in found])
    return tuple(replace(difference, p_holm=p, family=family) for difference, p in zip(found, values, strict=True))


def _paired(a: Patients, b: Patients, first: Measured, second: Measured) -> tuple[Patients, Patients]:
    """Return both rows' values; raise ValueError if they are of different patients."""
    if a.names != b.names:
        common = len(set(a.names) & set(b.names))
        raise ValueError(
            f"they were validated on different patients ({len(a.names)} of {first.label}, {len(b.names)} of "
            f"{second.label}, {common} of both)"
        )
    return a, b
