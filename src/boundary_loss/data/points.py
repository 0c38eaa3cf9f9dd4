"""Draws the points of an epoch; on the host, so that they are the same for all devices."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from boundary_loss.call_syntax import bind, parse_call, usage
from boundary_loss.data.frame import Frame

_KIND = 1001
"""Third number of the points' seed, after the epoch's and the sample's: none that a patch or a transform has."""

_DECIMALS = 9
"""Of positions, as :class:`Frame` rounds them."""

_SOBEL_REACH = 6
"""Voxels by which OSSNet's border maps are dilated: a 13³ maximum."""

Values = TypeVar("Values", np.ndarray, Tensor)


@dataclass(frozen=True)
class Points:
    """``points(count, border=0, band=6, each=1)``: voxels of each case at which the network is trained.

    Args:
        count: points of a sample.
        border: share of them that lies in the band around the boundary of any class, all different; if the band has
            fewer voxels, the rest is drawn like the others, uniformly from the whole frame.
        band: half of its width in mm; the voxels on either side of the boundary are in it, however large they are.
            None, written ``sobel``: within 6 voxels (a cube) of where the Sobel filter sees an edge, as in OSS-Net
            (Reich et al. 2021).
        each: samples of each case in an epoch.
    """

    count: int
    border: float = 0.0
    band: float | None = 6.0
    each: int = 1

    def __post_init__(self) -> None:
        if min(self.count, self.each) < 1:
            raise ValueError(f"points: count={self.count} and each={self.each} must be at least 1")
        if not 0 <= self.border <= 1:
            raise ValueError(f"points: border={self.border:g} must be between 0 and 1")
        if self.band is not None and not self.band >= 0:
            raise ValueError(f"points: band={self.band:g} must be 0 or more")

    @classmethod
    def parse(cls, text: str) -> "Points":
        """Return the Points of ``points(16384,border=0.5)``; ValueError with the usage if ill-formed."""
        name, options = parse_call(text)
        if name != "points":
            raise ValueError(f"unknown points '{text}'; they are written {usage('points', cls)}")
        sobel = {key: None for key in ("band", "2") if options.get(key) == "sobel"}
        return bind(cls, {**options, **sobel}, "sample", name=name, numbered=True)()


@dataclass(frozen=True, eq=False)
class Band:
    """The voxels near an object's boundary, by their flat indices: about 1 MB for a case of BraTS."""

    index: np.ndarray
    """(V,) int32, rising; int64 for more than 2^31 voxels."""
    shape: tuple[int, ...]

    @classmethod
    def of(cls, mask: np.ndarray | Tensor) -> "Band":
        """Return the band of the True voxels of (X, Y, Z)."""
        where = np.flatnonzero(np.asarray(mask))
        return cls(where.astype(np.int32 if mask.size < 2**31 else np.int64), tuple(mask.shape))  # type: ignore[operator]

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw ``count`` different voxels (count, 3), or return all if there are fewer."""
        chosen = rng.choice(self.index, min(count, len(self.index)), replace=False, shuffle=False)
        return np.stack(np.unravel_index(chosen, self.shape), axis=1)


def draw_points(points: Points, shape: Sequence[int], band: Band | None, seed: int, sample: int) -> np.ndarray:
    """Draw voxels (count, 3) int64 of a case; they follow from the epoch's seed and the sample's number alone.

    Args:
        shape: of what is shown of the case.
        band: of the same shape; None if no points are drawn from it.
        seed: of the epoch.
        sample: sample s is of case s // each.
    """
    rng = np.random.default_rng([seed % 2**64, sample, _KIND])
    near = np.empty((0, 3), np.int64)
    if band is not None:
        if band.shape != tuple(shape):
            raise ValueError(f"the band is of shape {band.shape}, what is shown of shape {tuple(shape)}")
        near = band.draw(round(points.count * points.border), rng)
    anywhere = rng.integers(0, shape, (points.count - len(near), len(shape)))
    return np.concatenate([near, anywhere])


def values_at(volume: Values, points: Values) -> Values:
    """Return the values (..., P) of a volume (..., X, Y, Z), an array, memory map or tensor, at voxels (P, 3)."""
    x, y, z = points.T
    return volume[..., x, y, z]


def shown_at(maps: Tensor, frame: Frame, points: np.ndarray) -> Tensor:
    """Return what :meth:`Frame.resample` gives for maps at these voxels alone; 0 beyond the source.

    Args:
        maps: (..., *source) of floats, on any device.
        points: (P, 3) voxels of what is shown.

    Returns:
        (..., P) on the device of the maps.
    """
    positions = np.round(frame.positions(points), _DECIMALS)
    last = np.maximum(np.array(frame.source) - 1, 0)
    inside = ((positions >= -0.5) & (positions <= last + 0.5)).all(1)
    positions = np.clip(positions, 0, last)
    low = np.floor(positions).astype(np.int64)
    shares = positions - low
    reached = [(0, 1) if axis.any() else (0,) for axis in shares.T]  # of voxels themselves one corner of eight
    total = maps.new_zeros(())
    for corner in product(*reached):
        weight = np.where(corner, shares, 1 - shares).prod(1) * inside
        index = torch.from_numpy(np.minimum(low + corner, last)).to(maps.device)
        total = total + values_at(maps, index) * torch.from_numpy(weight.astype(np.float32)).to(maps.device)
    return total


def within(signed_map: Tensor | np.ndarray, band: float) -> np.ndarray:
    """Return True at the voxels of a signed distance map that lie within ``band`` (mm) of the boundary."""
    return np.abs(np.asarray(signed_map)) <= band


def touching(classes: np.ndarray) -> np.ndarray:
    """Return True at the voxels of a mask or class map (X, Y, Z) that share a face with one of another value."""
    found = np.zeros(classes.shape, bool)
    for axis, size in enumerate(classes.shape):
        before, after = ([slice(None)] * classes.ndim for _ in range(2))
        before[axis], after[axis] = slice(0, size - 1), slice(1, size)
        differ = classes[tuple(before)] != classes[tuple(after)]
        found[tuple(before)] |= differ
        found[tuple(after)] |= differ
    return found


def sobel_band(mask: Tensor) -> Tensor:
    """Return OSS-Net's border map: non-zero Sobel gradient of a mask (X, Y, Z), dilated by 6 voxels (a cube)."""
    values = mask.float()[None, None]
    edges = torch.zeros_like(values, dtype=torch.bool)
    for axis in range(3):
        part = values
        for other in range(3):
            part = _filtered(part, 2 + other, (-1, 0, 1) if other == axis else (1, 2, 1))
        edges |= part != 0
    near = edges.float()
    for axis in range(3):  # a maximum over a cube is one along each axis in turn
        size, reach = [1, 1, 1], [0, 0, 0]
        size[axis], reach[axis] = 2 * _SOBEL_REACH + 1, _SOBEL_REACH
        near = F.max_pool3d(near, size, 1, reach)
    return near[0, 0] > 0


def _filtered(values: Tensor, axis: int, taps: tuple[int, int, int]) -> Tensor:
    """Filter with three taps along an axis; the value at the edge is repeated outside."""
    size = values.shape[axis]
    first, last = values.narrow(axis, 0, 1), values.narrow(axis, size - 1, 1)
    before = torch.cat([first, values.narrow(axis, 0, size - 1)], axis)
    after = torch.cat([values.narrow(axis, 1, size - 1), last], axis)
    return taps[0] * before + taps[1] * values + taps[2] * after
