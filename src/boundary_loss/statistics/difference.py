"""Compare two rows of a ledger in one metric: the numbers, and the sentence that they support."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from boundary_loss.metric_definitions import metric
from boundary_loss.statistics.comparison import decimals, number, short_label
from boundary_loss.statistics.paired import smallest_p
from boundary_loss.statistics.seeded import MOST_SEEDS, SEEDS_NEEDED, SeededGain, seeds_needed

Choice = Literal["best", "last"]
"""Each run's best epoch, or its last."""
MORE_SEEDS = "(SEEDS='0 1 2')"
"""The make variable to set if a comparison is of networks only."""

SEEDS_RULE = (
    f"Seeds needed: the smallest number a row, up to {MOST_SEEDS}, at which p would pass the strictest step of Holm's "
    "correction if gain and spreads stayed as seen; if the seen gain is the true one, that is about an even chance."
)
"""What ``seeds_needed`` means."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Comparison of two rows in one metric and class, at one choice of epoch."""

    metric: str
    column: str
    several_classes: bool
    when: Choice
    first: str
    second: str
    noun: str
    """What the cases are: ``volumes``."""
    alpha: float
    seeds: tuple[int, int]
    """Number of seeds of ``first`` and of ``second``."""
    networks: int
    """Number of trained networks of both rows, one for each seed and fold."""
    unlike: tuple[str, ...] = ()
    """Settings beside the losses in which the two differ."""
    remedy: str = MORE_SEEDS
    """How to train more seeds, in brackets; empty if that is not known of these rows."""
    refusal: str = ""
    """Why the two cannot be compared at all; empty if they can."""
    n: int = 0
    """Patients measured in both rows."""
    of: int = 0
    """All patients, measured or not."""
    cases: int = 0
    """Number of volumes, or slices, of the ``n`` patients."""
    unequal: int = 0
    """How many of the ``n`` patients have different values in the two rows."""
    gain: float = math.nan
    """Mean advantage of ``first`` in the metric's unit: positive = ``first`` is better, whichever direction that is."""
    low: float = math.nan
    high: float = math.nan
    """The 95 % interval of the gain."""
    effect: float = math.nan
    """Rank-biserial correlation, -1 to 1; positive = ``first`` is better."""
    p: float = math.nan
    """p of Wilcoxon's test for a comparison of networks, that of the interval for one of losses."""
    p_holm: float = math.nan
    family: int = 0
    """Number of comparisons that Holm's correction counts."""
    seeded: SeededGain | None = None
    """The gain with its spreads over seeds and patients, if the losses are compared."""

    @property
    def ahead(self) -> str:
        """The row with the better mean."""
        return self.second if self.gain < 0 else self.first

    @property
    def behind(self) -> str:
        return self.first if self.gain < 0 else self.second

    @property
    def of_losses(self) -> bool:
        """True if there are enough seeds to compare the losses, and not only these networks."""
        return min(self.seeds) >= SEEDS_NEEDED

    @property
    def shown(self) -> bool:
        """True if one row, or one row's networks, are shown to be better."""
        return not self.why_not

    @property
    def better(self) -> str | None:
        """The row whose loss is shown to be better; None if nothing can be concluded about the losses."""
        return self.ahead if self.shown and self.of_losses else None

    @property
    def better_networks(self) -> str | None:
        """The row whose networks are shown to be better, if the seeds are too few for a comparison of losses."""
        return self.ahead if self.shown and not self.of_losses else None

    @property
    def why_not(self) -> str:
        """Why nothing can be concluded; empty if something can."""
        if self.refusal:
            return self.refusal
        if self.n == 0:
            return "no patient was measured in both"
        if self.unequal == 0:
            return f"all {self.n} patients are equal" if self.n > 1 else "the only patient is equal"
        if smallest_p(self.unequal) > self.alpha:
            needed = math.ceil(1 + math.log2(1 / self.alpha))
            return (
                f"{self._differing} {'are' if self.n > 1 else 'is'} too few, at least {needed} that differ are needed"
            )
        lead = f"{self.ahead} leads by {self.amount}, {self._counted}"
        if self.p > self.alpha:
            return f"{lead}, {p_text(self.p)}"
        if self.p_holm > self.alpha:
            few = not self.of_losses and self.family * smallest_p(self.unequal) > self.alpha
            many = f"for {self.family} comparisons" + (f", too many for {self.n} patients" if few else "")
            return f"{lead}, {p_text(self.p)} alone but {p_text(self.p_holm)} after Holm's correction {many}"
        if self.low <= 0 <= self.high:
            return f"{lead}, {p_text(self.p_holm)}: the ranks differ, but not surely the mean"
        if self.effect * self.gain <= 0:
            return f"{lead}, {p_text(self.p_holm)}: a few patients carry the mean, most do not follow it"
        return ""

    @property
    def sentence(self) -> str:
        """``gdl_surface_steal is better than gdl in HD95 by 3.10 mm [1.20, 5.00], 20 patients, 3 seeds, p = 0.004.``"""
        what = short_label(self.metric) + (f" of {self.column}" if self.several_classes else "")
        if not self.shown:
            return f"Between {self.first} and {self.second} nothing can be concluded in {what}: {self.why_not}."
        by = f"in {what} by {self.amount}, {self._counted}, {p_text(self.p_holm)}"
        beside = f"; they differ in {_listed(self.unlike)} too" if self.unlike else ""
        remedy = f" {self.remedy}" if self.remedy else ""
        if self.of_losses:
            return f"{self.ahead} is better than {self.behind} {by}{beside}."
        if self.networks == 2:
            who = f"The network of {self.ahead} is better than that of {self.behind}"
            return f"{who} {by}: these two networks; another seed may turn it{remedy}{beside}."
        who = f"The networks of {self.ahead} are better than those of {self.behind}"
        return f"{who} {by}: these {self.networks} networks; other seeds may turn it{remedy}{beside}."

    @property
    def seeds_needed(self) -> int | None:
        """Number of seeds a row that would show a difference if gain and spreads stayed as seen; None if none would.

        The p has to pass the strictest step of Holm's correction, alpha divided by the number of comparisons.
        """
        if self.shown or self.seeded is None or not self.gain:
            return None
        return seeds_needed(self.seeded, min(self.seeds), self.alpha / max(self.family, 1))

    @property
    def outlook(self) -> str:
        """What it would take to conclude something, as a sentence; empty if it is, or :attr:`why_not` says it."""
        if self.shown or self.refusal or smallest_p(self.unequal) > self.alpha:
            return ""
        if not self.of_losses:
            return f"To compare the losses, and not these networks, at least {SEEDS_NEEDED} seeds a row are needed."
        if self.seeded is None:
            return "One patient is too few, whatever the number of seeds."
        if self.seeds_needed is None:
            return (
                f"With gain and spreads as seen, {MOST_SEEDS} seeds a row would not show it: more patients are needed."
            )
        return f"With gain and spreads as seen, {self.seeds_needed} seeds a row would show it."

    @property
    def said(self) -> str:
        """The sentence, and the outlook if there is one."""
        return f"{self.sentence} {self.outlook}".rstrip()

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
        """Number of decimals: the metric's own, or enough for two digits of the gain if it would print as 0."""
        usual, size = decimals(self.metric), abs(self.gain)
        if size == 0 or math.isnan(size) or float(f"{size:.{usual}f}") > 0:
            return usual
        return 1 - math.floor(math.log10(size))

    @property
    def _counted(self) -> str:
        """``25 patients (50 volumes), 3 seeds``"""
        of = "" if self.n == self.of else f" of {self.of}"
        cases = "" if self.cases == self.n else f" ({self.cases} {self.noun})"
        return f"{self.n}{of} {_patients(self.of)}{cases}" + self._seeds

    @property
    def _seeds(self) -> str:
        fewer, more = sorted(self.seeds)
        return (
            "" if more == 1 else f", {more} seeds" if fewer == more else f", {self.seeds[0]} and {self.seeds[1]} seeds"
        )

    @property
    def _differing(self) -> str:
        patients = f"{self.n} {_patients(self.n)}"
        return patients if self.unequal == self.n else f"{patients}, of whom {self.unequal} differ,"


def _patients(number: int) -> str:
    return "patient" if number == 1 else "patients"


def _listed(words: Sequence[str]) -> str:
    """``network, batch size and layout``"""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def p_text(p: float) -> str:
    """``p = 0.004``, ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
