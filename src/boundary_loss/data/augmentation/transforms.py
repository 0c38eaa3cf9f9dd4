"""The transforms that a ledger can name, with their ranges; what each draws for one slice.

Whatever is drawn here are few numbers on the host, so that they are the same on every device.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from boundary_loss.call_syntax import bind, parse_call, usage

_SAFE_SHARE = 0.48
"""Of the control points' distance: a cubic B-spline displacement below it never folds the plane (Choi & Lee 2000)."""


@dataclass(frozen=True)
class Flip:
    """Mirror along X, along Y, each with even odds; ``flip(x)`` along X alone."""

    axes: str = "xy"

    def __post_init__(self) -> None:
        if self.axes not in ("x", "y", "xy"):
            raise ValueError(f"flip({self.axes}): the axes are x, y or xy")

    def draw(self, rng: Generator) -> tuple[int, ...]:
        """The axes to mirror along: -2 is X, -1 is Y."""
        odds = rng.random(2)
        return tuple(axis for axis, name, u in zip((-2, -1), "xy", odds) if name in self.axes and u < 0.5)


@dataclass(frozen=True)
class Rotate:
    """Turn about the centre by an angle drawn evenly between -degrees and +degrees, in millimetres."""

    degrees: float

    def __post_init__(self) -> None:
        _within("rotate", "degrees", self.degrees, 0, 180)

    def draw(self, rng: Generator) -> np.ndarray:
        """() radians."""
        return np.asarray(np.deg2rad(rng.uniform(-self.degrees, self.degrees)))


@dataclass(frozen=True)
class Scale:
    """Enlarge by a factor drawn evenly between ``least`` and ``most``; below 1 it shrinks."""

    least: float
    most: float

    def __post_init__(self) -> None:
        _within("scale", "least", self.least, 0.1, 10)
        _within("scale", "most", self.most, self.least, 10)

    def draw(self, rng: Generator) -> np.ndarray:
        """() the factor."""
        return np.asarray(rng.uniform(self.least, self.most))


@dataclass(frozen=True)
class Elastic:
    """Displace by a cubic B-spline (Rueckert et al. 1999) whose control points, ``apart_mm`` apart, move by up to
    ``most_mm`` along each axis; at most 0.48 of their distance, so that nothing is folded."""

    most_mm: float
    apart_mm: float

    def __post_init__(self) -> None:
        _within("elastic", "apart_mm", self.apart_mm, 1, 1000)
        _within("elastic", "most_mm", self.most_mm, 0, _SAFE_SHARE * self.apart_mm)

    def draw(self, rng: Generator, size_mm: np.ndarray) -> np.ndarray:
        """(2, G, H) mm: where the control points of a slice of this size (2,) move along X and along Y."""
        points = np.ceil(size_mm / self.apart_mm).astype(int) + 3  # one before the slice and two after it
        return rng.uniform(-self.most_mm, self.most_mm, (2, *points))


@dataclass(frozen=True)
class Intensity:
    """Change each modality alone: x^gamma, then contrast about the mean, then brightness.

    Gamma is exp(u), contrast 1 + u and brightness u, each u drawn evenly between -amount and +amount.
    """

    amount: float

    def __post_init__(self) -> None:
        _within("intensity", "amount", self.amount, 0, 0.9)

    def draw(self, rng: Generator, num_modalities: int) -> np.ndarray:
        """(3, C) gamma, contrast, brightness."""
        u = rng.uniform(-self.amount, self.amount, (3, num_modalities))
        return np.stack([np.exp(u[0]), 1 + u[1], u[2]])


@dataclass(frozen=True)
class Noise:
    """Add independent normal noise; its standard deviation is drawn evenly between 0 and ``most``."""

    most: float

    def __post_init__(self) -> None:
        _within("noise", "most", self.most, 0, 1)

    def draw(self, rng: Generator) -> tuple[float, int]:
        """The standard deviation, and the seed of the noise, which is drawn on the device."""
        return rng.uniform(0, self.most), int(rng.integers(2**62))


Transform = Flip | Rotate | Scale | Elastic | Intensity | Noise

TRANSFORMS: dict[str, type[Transform]] = {
    "flip": Flip,
    "rotate": Rotate,
    "scale": Scale,
    "elastic": Elastic,
    "intensity": Intensity,
    "noise": Noise,
}


def parse_transform(text: str) -> tuple[str, Transform]:
    """``rotate(15)`` -> ("rotate", Rotate(15.0)); ValueError if unknown, ill-formed or out of range."""
    name, options = parse_call(text)
    if name not in TRANSFORMS:
        raise ValueError(
            f"unknown augmentation '{text}'; known: {', '.join(usage(n, t) for n, t in TRANSFORMS.items())}"
        )
    named: Callable[..., Transform] = TRANSFORMS[name]
    return name, bind(named, options, "augmentation", name=name, numbered=True)()


def _within(name: str, option: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name}: {option}={value} must be between {least:g} and {most:g}")
