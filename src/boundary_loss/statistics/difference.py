"""Two rows of a ledger under one metric: the numbers, and the sentence that they allow."""

import math
from dataclasses import dataclass
from typing import Literal

from boundary_loss.comparison import decimals, number, short_label
from boundary_loss.runfolder import metric
from boundary_loss.statistics.paired import smallest_p

Choice = Literal["best", "last"]
"""Each run's best epoch, or its last."""


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
    seeds: int
    """Seeds that both rows have."""
    seeds_agree: int
    """Those of them whose own mean gain has the sign of ``gain``."""
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
        if self.seeds_agree < self.seeds:
            return f"{lead}, {p_text(self.p_holm)}, but with {self.seeds_agree} of {self.seeds} seeds only"
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
        """``3.10 mm [1.20, 5.00]``: by how much the row with the better mean leads; never "by 0.00"."""
        sign = -1 if self.gain < 0 else 1
        low, high = sorted((sign * self.low, sign * self.high))
        unit = f" {metric(self.metric).unit}" if metric(self.metric).unit else ""
        size, least, most = (number(self.metric, value, self._places) for value in (abs(self.gain), low, high))
        return f"{size}{unit} [{least}, {most}]"

    @property
    def _places(self) -> int:
        """Decimals: the metric's, or where that would print 0, what two digits of the gain take."""
        usual, size = decimals(self.metric), abs(self.gain)
        if size == 0 or math.isnan(size) or float(f"{size:.{usual}f}") > 0:
            return usual
        return 1 - math.floor(math.log10(size))

    @property
    def _of(self) -> str:
        cases = str(self.n) if self.n == self.of else f"{self.n} of {self.of}"
        return cases + (f", {self.seeds_agree} of {self.seeds} seeds" if self.seeds > 1 else "")

    @property
    def _cases(self) -> str:
        cases = f"{self.n} case{'' if self.n == 1 else 's'}"
        return cases if self.unequal == self.n else f"{cases}, of which {self.unequal} differ,"


def p_text(p: float) -> str:
    """``p = 0.004``, ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
