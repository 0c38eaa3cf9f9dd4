"""The transforms that a ledger can name, with their ranges; what each draws for one sample, a slice or a volume.

Whatever is drawn here are few numbers on the host, so that they are the same on every device.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from boundary_loss.call_syntax import bind_named

_SAFE_SHARE = 0.48
"""Of the control points' distance: a cubic B-spline displacement below it never folds the plane (Choi & Lee 2000)."""


@dataclass(frozen=True)
class Flip:
    """Mirror along X, along Y, each with even odds; ``flip(x)`` along X alone, ``flip(xyz)`` along Z too."""

    axes: str = "xy"

    def __post_init__(self) -> None:
        _check_axes("flip", self.axes)

    def draw(self, rng: Generator, dims: int = 2) -> tuple[int, ...]:
        """The axes to mirror along, counted from the last: of a slice -2 is X and -1 is Y."""
        odds = rng.random(dims)
        return tuple(axis - dims for axis, u in enumerate(odds) if "xyz"[axis] in self.axes and u < 0.5)


@dataclass(frozen=True)
class Rotate:
    """Turn about the centre by an angle drawn evenly between -degrees and +degrees, in millimetres.

    In the plane of slices, about z; ``rotate(10,xyz)`` turns volumes about x, then y, then z, by an angle each.
    """

    degrees: float
    axes: str = "z"

    def __post_init__(self) -> None:
        _within("rotate", "degrees", self.degrees, 0, 180)
        _check_axes("rotate", self.axes)

    def draw(self, rng: Generator) -> np.ndarray:
        """(axes,) radians."""
        return np.array([np.deg2rad(rng.uniform(-self.degrees, self.degrees)) for _ in self.axes])


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
        """(D, G...) mm: where the control points of a sample of this size (D,) move along each axis."""
        points = np.ceil(size_mm / self.apart_mm).astype(int) + 3  # one before the sample and two after it
        return rng.uniform(-self.most_mm, self.most_mm, (len(points), *points))


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


@dataclass(frozen=True)
class Shift:
    """Move along each axis by a length drawn evenly between -most_mm and +most_mm, after turning and enlarging."""

    most_mm: float

    def __post_init__(self) -> None:
        _within("shift", "most_mm", self.most_mm, 0, 1000)

    def draw(self, rng: Generator, dims: int) -> np.ndarray:
        """(D,) mm."""
        return rng.uniform(-self.most_mm, self.most_mm, dims)


Transform = Flip | Rotate | Scale | Elastic | Intensity | Noise | Shift

TRANSFORMS: dict[str, Callable[..., Transform]] = {
    "flip": Flip,
    "rotate": Rotate,
    "scale": Scale,
    "elastic": Elastic,
    "intensity": Intensity,
    "noise": Noise,
    "shift": Shift,
}
"""A transform's place among them is part of its draws' seed: new ones come last."""


def parse_transform(text: str) -> tuple[str, Transform]:
    """``rotate(15)`` -> ("rotate", Rotate(15.0)); ValueError if unknown, ill-formed or out of range."""
    name, make = bind_named(text, TRANSFORMS, "augmentation")
    return name, make()


def written(name: str, transform: Transform) -> str:
    """``rotate(15)``: a transform with its numbers, one text for one setting; a rotation's axis where it is not z."""
    values = dict(vars(transform))
    if isinstance(transform, Rotate) and transform.axes == "z":
        del values["axes"]
    plain = [value if isinstance(value, str) else f"{value:.12g}" for value in values.values()]
    return f"{name}({','.join(plain)})"


def _check_axes(name: str, axes: str) -> None:
    if not axes or axes != "".join(axis for axis in "xyz" if axis in axes):
        raise ValueError(f"{name}: axes={axes} must be x, y, z or several of them in this order, as xy")


def _within(name: str, option: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name}: {option}={value} must be between {least:g} and {most:g}")
