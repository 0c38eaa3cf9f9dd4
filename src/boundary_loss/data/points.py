"""Draw the points of volumes that a network is asked for in an epoch; on the host, so alike on all devices."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from boundary_loss.call_syntax import bind, parse_call, usage
from boundary_loss.data.frame import Frame, Order

_KIND = 1001
"""Third number of the points' seed, after the epoch's and the sample's: none that a patch or a transform has."""

_SOBEL_REACH = 6
"""Voxels by which OSSNet's border maps are dilated: a 13³ maximum."""

Values = TypeVar("Values", np.ndarray, Tensor)


@dataclass(frozen=True)
class Points:
    """``points(count, border=0, band=6, each=1)``: voxels of each case that the network is asked for.

    Args:
        count: points of a sample.
        border: share of them that lies in the band around the object's boundary, all different; where the band has
            fewer voxels, the rest is drawn like the others, anywhere with the same odds.
        band: half of its width in mm. None, written ``sobel``: within 6 voxels (a cube) of where the Sobel filter
            sees an edge, as in OSS-Net (Reich et al. 2021).
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
        """``points(16384,border=0.5)`` -> Points; ValueError with how it is written if ill-formed or out of range."""
        name, options = parse_call(text)
        if name != "points":
            raise ValueError(f"unknown points '{text}'; they are written {usage('points', cls)}")
        sobel = {"band": None} if options.get("band") == "sobel" else {}
        return bind(cls, {**options, **sobel}, "sample", name=name, numbered=True)()


@dataclass(frozen=True, eq=False)
class Band:
    """The voxels near an object's boundary, by their flat indices: about 1 MB for a case of BraTS."""

    index: np.ndarray
    """(V,) int32, rising; int64 for more than 2^31 voxels."""
    shape: tuple[int, ...]

    @classmethod
    def of(cls, mask: np.ndarray | Tensor) -> "Band":
        """Keep the True voxels of (X, Y, Z)."""
        where = np.flatnonzero(np.asarray(mask))
        return cls(where.astype(np.int32 if mask.size < 2**31 else np.int64), tuple(mask.shape))  # type: ignore[operator]

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """``count`` different voxels (count, 3), or all if there are fewer."""
        chosen = rng.choice(self.index, min(count, len(self.index)), replace=False, shuffle=False)
        return np.stack(np.unravel_index(chosen, self.shape), axis=1)


def draw_points(points: Points, shape: Sequence[int], band: Band | None, seed: int, sample: int) -> np.ndarray:
    """Voxels (count, 3) int64 of a case; they follow from the epoch's seed and the sample's number alone.

    Args:
        shape: of what is shown of the case.
        band: of the same shape; None where no share of the points lies there.
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


def values_at(volume: Values, points: np.ndarray) -> Values:
    """The values (..., P) of a volume (..., X, Y, Z), an array, mapped or not, or a tensor, at voxels (P, 3)."""
    x, y, z = points.T
    return volume[..., x, y, z]


def shown_at(volume: np.ndarray | Tensor, frame: Frame, points: np.ndarray, order: Order) -> Tensor:
    """What :meth:`Frame.resample` shows of a volume at these voxels alone; 0 beyond the source.

    Args:
        volume: (..., *source), an array, mapped or not, or a tensor on any device.
        points: (P, 3) voxels of what is shown.
        order: 0 for labels. 1 gives float32.

    Returns:
        (..., P) on the device of the volume.
    """
    positions = np.round(frame.positions(points), 9)
    size = np.array(frame.source)
    inside = ((positions >= -0.5) & (positions <= size - 0.5)).all(1)
    last = np.maximum(size - 1, 0)
    if order == 0:
        nearest = np.clip(np.floor(positions + 0.5), 0, last).astype(np.int64)
        return _zero_unless(inside, _taken(volume, nearest))
    positions = np.clip(positions, 0, last)
    low = np.floor(positions).astype(np.int64)
    shares = positions - low
    reached = [(0, 1) if axis.any() else (0,) for axis in shares.T]  # voxels themselves need one corner of eight
    total = torch.zeros(())
    for corner in product(*reached):
        weight = np.where(corner, shares, 1 - shares).prod(1).astype(np.float32)
        values = _taken(volume, np.minimum(low + corner, last)).float()
        total = total.to(values.device) + values * torch.from_numpy(weight).to(values.device)
    return _zero_unless(inside, total)


def _taken(volume: np.ndarray | Tensor, index: np.ndarray) -> Tensor:
    """The values (..., P) at indices (P, 3)."""
    if isinstance(volume, Tensor):
        x, y, z = torch.from_numpy(index).to(volume.device).unbind(1)
        return volume[..., x, y, z]
    return torch.from_numpy(np.array(values_at(volume, index)))


def _zero_unless(inside: np.ndarray, values: Tensor) -> Tensor:
    return values if inside.all() else values * torch.from_numpy(inside).to(values.device)


def within(signed_map: Tensor | np.ndarray, band: float) -> np.ndarray:
    """True at the voxels of a signed distance map whose distance to the boundary is at most ``band`` (mm)."""
    return np.abs(np.asarray(signed_map)) <= band


def sobel_band(mask: Tensor) -> Tensor:
    """Where the Sobel gradient of a mask (X, Y, Z) is not 0, and 6 voxels (a cube) around: OSS-Net's border maps."""
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
    """Three taps along an axis; the value at the edge is repeated outside."""
    size = values.shape[axis]
    first, last = values.narrow(axis, 0, 1), values.narrow(axis, size - 1, 1)
    before = torch.cat([first, values.narrow(axis, 0, size - 1)], axis)
    after = torch.cat([values.narrow(axis, 1, size - 1), last], axis)
    return taps[0] * before + taps[1] * values + taps[2] * after
