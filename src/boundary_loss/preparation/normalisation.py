"""How the values of whole volumes become what a network sees: an offset and a factor for each case and modality.

    zscore           the mean of the case becomes 0, its standard deviation 1; all voxels count, air included
    zscore(study)    likewise with the mean and deviation of all voxels of the training cases
    minmax           the smallest value of the case becomes 0, its largest 1
    window(-200,250) the first value becomes 0, the second 1, and what lies outside either of the two

The arrays stay as they are: the numbers are written down, and applied where a network is shown something.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, isfinite, sqrt
from typing import NamedTuple

import numpy as np

from boundary_loss.call_syntax import parse_call
from boundary_loss.folders.whole import rules_in

_RULES = "zscore, zscore(study), minmax, window(low,high)"


class Moments(NamedTuple):
    """What is kept of the values of a volume to scale it by."""

    voxels: int
    mean: float
    deviation: float
    low: float
    high: float

    @classmethod
    def of(cls, array: np.ndarray) -> "Moments":
        """Measure an array (X, Y, Z), a plane at a time: no copy of it in another type is made."""
        mean = float(array.mean(dtype=np.float64))
        apart = (np.subtract(array[:, :, z], mean, dtype=np.float64) for z in range(array.shape[2]))
        squares = [float(np.square(plane).sum()) for plane in apart]
        return cls(array.size, mean, sqrt(fsum(squares) / array.size), float(array.min()), float(array.max()))

    @staticmethod
    def pooled(parts: Collection["Moments"]) -> "Moments":
        """Return the moments of all voxels of several volumes."""
        count = sum(part.voxels for part in parts)
        mean = fsum(part.voxels * part.mean for part in parts) / count
        squares = fsum(part.voxels * (part.deviation**2 + (part.mean - mean) ** 2) for part in parts)
        low, high = min(part.low for part in parts), max(part.high for part in parts)
        return Moments(count, mean, sqrt(squares / count), low, high)


@dataclass(frozen=True)
class Normalisation:
    """A rule, read from its words."""

    name: str
    of_study: bool = False
    window: tuple[float, float] | None = None

    @property
    def clips(self) -> bool:
        """Whether what lies outside [0, 1] after scaling becomes 0 or 1."""
        return self.window is not None

    @classmethod
    def parse(cls, text: str) -> "Normalisation":
        """Read ``zscore``, ``zscore(study)``, ``minmax`` or ``window(low,high)``.

        Raises:
            ValueError: it is none of them.
        """
        name, options = parse_call(text)
        values = list(options.values())
        if name == "zscore" and values in ([], ["study"]):
            return cls(name, of_study=bool(values))
        if name == "minmax" and not values:
            return cls(name)
        if name == "window" and len(values) == 2 and all(type(value) in (int, float) for value in values):
            low, high = map(float, values)
            if isfinite(low) and low < high:
                return cls(name, window=(low, high))
        raise ValueError(f"cannot normalise by '{text}'; known: {_RULES}")

    @classmethod
    def of_modalities(cls, text: str, modalities: Sequence[str]) -> dict[str, "Normalisation"]:
        """Read one rule for all modalities, or one for each with spaces between: ``window(-200,250) zscore``.

        Raises:
            ValueError: an unknown rule, or another number of rules.
        """
        rules = [cls.parse(word) for word in rules_in(text)]
        if len(rules) not in (1, len(modalities)):
            raise ValueError(
                f"--normalise has {len(rules)} rules for {len(modalities)} modalities ({', '.join(modalities)}); "
                "give one rule for all, or one for each"
            )
        return dict(zip(modalities, rules if len(rules) > 1 else rules * len(modalities), strict=True))

    def scales(self, moments: Mapping[str, Moments], training: Collection[str]) -> dict[str, tuple[float, float]]:
        """Return ``{case: (offset, factor)}`` of one modality; ``training`` are the cases that a study's mean is of."""
        if self.of_study:
            pooled = Moments.pooled([moments[case] for case in training])
            return dict.fromkeys(moments, self.scale(pooled))
        return {case: self.scale(of_case) for case, of_case in moments.items()}

    def scale(self, moments: Moments) -> tuple[float, float]:
        """Return offset and factor of a volume of these moments; a network sees (value - offset) * factor."""
        if self.window:
            low, high = self.window
            return low, 1 / (high - low)
        if self.name == "minmax":
            return moments.low, 1 / (moments.high - moments.low)
        return moments.mean, 1 / moments.deviation


def picture_window(array: np.ndarray) -> tuple[float, float]:
    """Return the values that a picture shows black and white: the 0.5th and 99.5th percentile of what is not the
    smallest value, which is that of the air around a head; all values where that leaves none between."""
    inside = array[array > array.min()]
    low, high = (float(value) for value in np.percentile(inside, (0.5, 99.5)))
    if low < high:
        return low, high
    return float(array.min()), float(array.max())
