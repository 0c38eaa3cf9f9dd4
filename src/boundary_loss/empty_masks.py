"""The empty-mask rule: what every metric is where a mask is empty and its formula says nothing. Light: no SciPy.

Two cases: a class is absent from the ground truth and from the prediction (both empty), or from exactly one of them
(one empty). What a metric then is depends on its kind.

``measure(..., empty="nan")`` gives NaN instead where the formula is undefined (:class:`Needs`), for ``np.nanmean`` to
leave such cases out, as MONAI and torchmetrics do. A missed lesion still has Dice 0, and a false one too: 2|P∩G| is 0
and |P| + |G| is not. (MONAI's ``ignore_empty`` leaves the latter out as well.) Its distances are NaN, so that a mean of
distances no longer sees that it was missed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import dist
from typing import Any

import numpy as np

RULE = (
    "Where a class is absent from both ground truth and prediction, scores (Dice, IoU, precision, recall, surface "
    "Dice, lesion recall, precision and F1) are 1, distances 0 mm and relative volume differences 0 %. Where it is "
    "absent from exactly one of them, scores are 0, distances are the diagonal of the volume (or slice) in mm, and "
    "relative volume differences 100 %. Volume errors, lesion counts and the boundary value need no rule; a ventricle "
    "without volume ejects 0 %."
)

SCORE = "score"
DISTANCE = "distance"
PERCENT = "percent"
EJECTION = "ejection"
NO_RULE = ""
"""The formula has a value everywhere."""


class Needs(Enum):
    """Which masks must not be empty for a metric's formula to have a value."""

    NONE = "no mask"
    ANY = "one of the two"
    PREDICTION = "the prediction"
    TRUTH = "the ground truth"
    BOTH = "both"

    def undefined(self, pred_empty: bool, gt_empty: bool) -> bool:
        """True if the formula has no value."""
        return {
            Needs.NONE: False,
            Needs.ANY: pred_empty and gt_empty,
            Needs.PREDICTION: pred_empty,
            Needs.TRUTH: gt_empty,
            Needs.BOTH: pred_empty or gt_empty,
        }[self]


WORST_PERCENT = 100.0
"""Of a relative volume difference where one mask is empty: that of an empty prediction."""

NEITHER, ONE, BOTH = 0, 1, 2
"""How many of a case's two masks are empty."""


def diagonal_mm(shape: Sequence[int], spacing_mm: Sequence[float] | None = None) -> float:
    """The length in mm of the box of all voxels: no distance in the image is longer."""
    spacing = spacing_mm if spacing_mm is not None else [1.0] * len(shape)
    return dist([size * step for size, step in zip(shape, spacing)], [0.0] * len(shape))


def distance_where_empty(a_empty: bool, b_empty: bool, diagonal: float) -> float | None:
    """0 where both masks are empty, the diagonal where one is, None where neither is and a distance can be measured."""
    if a_empty and b_empty:
        return 0.0
    return diagonal if a_empty or b_empty else None


@dataclass(frozen=True, kw_only=True)
class Decided:
    """Cases in which the rule decided a value, and the values that they became."""

    cases: int
    values: tuple[float, ...]
    """The smallest and the largest; one where they are the same."""


@dataclass(frozen=True, kw_only=True)
class Touched:
    """How many values of a metric the rule decided at one epoch, and what they became: an entry of evaluation.json."""

    touched: int
    of: int
    both_empty: Decided | None = None
    one_empty: Decided | None = None
    last: "Touched | None" = None
    """The same at the last epoch."""

    def to_json(self) -> dict[str, Any]:
        """Return the entry; what is None is left out."""
        entry: dict[str, Any] = {"touched": self.touched, "of": self.of}
        for name, found in (("both_empty", self.both_empty), ("one_empty", self.one_empty)):
            if found is not None:
                entry[name] = {"cases": found.cases, "values": list(found.values)}
        return entry if self.last is None else entry | {"last": self.last.to_json()}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "Touched":
        """Read what :meth:`to_json` returned, once the types are checked."""
        last = entry.get("last")
        both, one = (
            Decided(cases=found["cases"], values=tuple(found["values"])) if found is not None else None
            for found in (entry.get("both_empty"), entry.get("one_empty"))
        )
        return cls(
            touched=entry["touched"], of=entry["of"], both_empty=both, one_empty=one,
            last=None if last is None else cls.from_json(last),
        )  # fmt: skip

    def text(self, unit: str = "") -> str:
        """``3 of 20: 1 both empty (1), 2 one empty (0)``; a range in brackets where the values differ."""
        parts = []
        for name, found in (("both empty", self.both_empty), ("one empty", self.one_empty)):
            if found is not None:
                shown = " to ".join(f"{value:.4g}" for value in found.values)
                parts.append(f"{found.cases} {name} ({shown}{f' {unit}' if unit else ''})")
        text = f"{self.touched} of {self.of}"
        return f"{text}: {', '.join(parts)}" if parts else text


def count_touched(empty: np.ndarray, values: np.ndarray) -> Touched:
    """Return how many values the rule decided, and what they became.

    Args:
        empty: (n,) NEITHER, ONE or BOTH of each case.
        values: (n,) the metric of each case.
    """
    return Touched(
        touched=int((empty > NEITHER).sum()),
        of=int(empty.size),
        both_empty=_decided(values[empty == BOTH]),
        one_empty=_decided(values[empty == ONE]),
    )


def _decided(values: np.ndarray) -> Decided | None:
    if not len(values):
        return None
    extremes = {float(f"{value:.6g}") for value in (values.min(), values.max())}
    return Decided(cases=len(values), values=tuple(sorted(extremes)))
