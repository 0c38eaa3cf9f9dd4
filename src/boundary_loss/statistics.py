"""Does one row beat another? Paired comparisons per patient, and a sentence that claims no more than they show.

    compare(comparisons).sentences("best")
    ["gdl_surface_steal is better than gdl in HD95 by 3.10 mm [1.20, 5.00], n = 20, p = 0.004."]

For every pair of rows, metric and class, at the best and at the last epoch: Wilcoxon's signed-rank test, exact up to
200 patients, two-sided; Holm's correction over all comparisons of the report, so that the chance of any false claim in
it stays below alpha; the mean difference with a bootstrap interval (BCa, 10 000 seeded draws, each interval by itself);
the matched-pairs rank-biserial correlation. "Better" is said where the corrected p is at most alpha and the interval
leaves out 0; otherwise, why nothing can be concluded.

What is paired is a patient: a patient's volumes (or slices) are averaged, over seeds too, and folds are joined
(boundary_loss.measured). Cases pair by name; rows that were validated on different ones are not compared.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Literal

import numpy as np

from boundary_loss.comparison import Comparison, number, short_label
from boundary_loss.measured import Measured
from boundary_loss.naming import Stem
from boundary_loss.paired import holm, interval, signed_rank, smallest_p
from boundary_loss.runfolder import metric

TESTED = ("val_3d_dsc", "val_3d_hd95")
"""One overlap and one distance, chosen before any result is seen: each further metric makes all harder to show."""
ALPHA = 0.05
Choice = Literal["best", "last"]
CHOICES: tuple[Choice, ...] = ("best", "last")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Two rows under one metric and class, at one choice of epoch."""

    metric: str
    column: str
    several_classes: bool
    when: Choice
    first: str
    second: str
    n: int
    """Patients measured in both rows."""
    of: int
    """Patients that there are."""
    unequal: int
    """Those of them whose values differ."""
    gain: float
    """Mean advantage of ``first`` in the metric's unit: positive = ``first`` is better, whichever direction that is."""
    low: float
    high: float
    """The 95 % interval of the gain."""
    effect: float
    """Rank-biserial correlation, -1 to 1; positive = ``first`` is better."""
    p: float
    p_holm: float
    family: int
    """Comparisons that Holm's correction counts."""
    alpha: float
    refusal: str = ""
    """Why the two cannot be compared at all; empty where they can."""

    @property
    def ahead(self) -> str:
        """The row with the better mean."""
        return self.second if self.gain < 0 else self.first

    @property
    def behind(self) -> str:
        return self.first if self.gain < 0 else self.second

    @property
    def better(self) -> str | None:
        """The row that is shown to be better; None where nothing can be concluded."""
        return None if self.why_not else self.ahead

    @property
    def why_not(self) -> str:
        """Why nothing can be concluded; empty where something can."""
        if self.refusal:
            return self.refusal
        if self.n == 0:
            return "no case was measured in both"
        if self.unequal == 0:
            return f"all {self.n} cases are equal" if self.n > 1 else "the only case is equal"
        if smallest_p(self.unequal) > self.alpha:
            needed = math.ceil(1 + math.log2(1 / self.alpha))
            return f"{self._cases} {'are' if self.n > 1 else 'is'} too few, at least {needed} that differ are needed"
        lead = f"{self.ahead} leads by {self.amount}, n = {self._of}"
        if self.p > self.alpha:
            return f"{lead}, {p_text(self.p)}"
        if self.p_holm > self.alpha:
            few = self.family * smallest_p(self.unequal) > self.alpha
            many = f"for {self.family} comparisons" + (f", too many for {self.n} cases" if few else "")
            return f"{lead}, {p_text(self.p)} alone but {p_text(self.p_holm)} after Holm's correction {many}"
        if self.low <= 0 <= self.high or self.effect * self.gain <= 0:
            return f"{lead}, {p_text(self.p_holm)}: the ranks differ, but not surely the mean"
        return ""

    @property
    def sentence(self) -> str:
        """``gdl_surface_steal is better than gdl in HD95 by 3.10 mm [1.20, 5.00], n = 20, p = 0.004.``"""
        what = short_label(self.metric) + (f" of {self.column}" if self.several_classes else "")
        if self.better is None:
            return f"Between {self.first} and {self.second} nothing can be concluded in {what}: {self.why_not}."
        return (
            f"{self.ahead} is better than {self.behind} in {what} by {self.amount}, n = {self._of}, "
            f"{p_text(self.p_holm)}."
        )

    @property
    def amount(self) -> str:
        """``3.10 mm [1.20, 5.00]``: by how much the row with the better mean leads."""
        sign = -1 if self.gain < 0 else 1
        low, high = sorted((sign * self.low, sign * self.high))
        unit = f" {metric(self.metric).unit}" if metric(self.metric).unit else ""
        size = number(self.metric, abs(self.gain)) + unit
        return f"{size} [{number(self.metric, low)}, {number(self.metric, high)}]"

    @property
    def _of(self) -> str:
        return str(self.n) if self.n == self.of else f"{self.n} of {self.of}"

    @property
    def _cases(self) -> str:
        cases = f"{self.n} case{'' if self.n == 1 else 's'}"
        return cases if self.unequal == self.n else f"{cases}, of which {self.unequal} differ,"


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
            f"said where p is at most {self.alpha:g} and the interval leaves out 0."
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
        if metric(name).rows not in ("volumes", "val"):
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
    return Difference(
        metric=shown.name, column=column, several_classes=len(shown.columns) > 1, when=when,
        first=first.label, second=second.label, n=len(known), of=len(pairs), unequal=test.unequal,
        gain=float(gains.mean()) if gains.size else math.nan, low=low, high=high, effect=test.effect,
        p=test.p if gains.size else math.nan, p_holm=math.nan, family=0, alpha=alpha, refusal=refusal,
    )  # fmt: skip


def _corrected(found: Sequence[Difference]) -> tuple[Difference, ...]:
    family = sum(not math.isnan(difference.p) for difference in found)
    values = holm([difference.p for difference in found])
    return tuple(replace(difference, p_holm=p, family=family) for difference, p in zip(found, values, strict=True))


def by_patient(measured: Measured, column: str, when: Choice) -> dict[str, float]:
    """``{patient: value}``, the mean over the patient's volumes or slices; NaN where one of them was not measured.

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


def p_text(p: float) -> str:
    """``p = 0.004``, ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
