"""Geometry of what a network is shown of a volume: padded, reduced, stretched or cropped, and the way back.

A frame holds numbers only. Frames compose, so a crop of a reduced volume is read and interpolated once, and a
prediction returns to the grid of its source in one step.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

Shape = tuple[int, ...]
Order = Literal[0, 1]
"""Of the interpolation: 0 takes the nearest voxel, 1 is linear along each axis."""
_SIGNED = {torch.uint16: torch.int16, torch.uint32: torch.int32, torch.uint64: torch.int64}
"""Types of the same width that torch can select from."""
_DECIMALS = 9
"""Of positions: rounded so, what lies halfway between two voxels is found there however it was computed."""


@dataclass(frozen=True)
class Box:
    """The voxels from ``origin[a]`` up to, but not including, ``origin[a] + shape[a]`` along each axis a."""

    origin: Shape
    shape: Shape

    def __post_init__(self) -> None:
        if len(self.origin) != len(self.shape) or min(self.shape, default=0) < 0:
            raise ValueError(f"a box at {self.origin} cannot have the shape {self.shape}")

    @property
    def slices(self) -> tuple[slice, ...]:
        """Return the slices of an array's last axes, for a box that begins at 0 or later."""
        return tuple(slice(first, first + size) for first, size in zip(self.origin, self.shape))


@dataclass(frozen=True)
class Frame:
    """Index i of what is shown lies at index ``scale * i + offset`` of the source, along each axis.

    Voxels are boxes around their centres: the source covers -1/2 to n - 1/2. A voxel whose centre lies beyond is
    outside; between the outermost centres and the faces the outermost voxel counts, as in
    ``torch.nn.functional.interpolate(align_corners=False)`` and in ``skimage.transform.resize``.
    """

    source: Shape
    """Voxels of the source along each axis."""
    shape: Shape
    """Voxels of what is shown."""
    scale: tuple[float, ...]
    """Voxels of the source from one shown voxel to the next; above 1 the volume is reduced."""
    offset: tuple[float, ...]
    """Index in the source of the first shown voxel's centre; below 0 or fractional where padded or resampled."""

    def __post_init__(self) -> None:
        if not self.source or len({len(self.source), len(self.shape), len(self.scale), len(self.offset)}) != 1:
            raise ValueError(f"a frame needs as many numbers for each of its axes, got {self}")
        if min(self.source) < 0 or min(self.shape) < 1:
            raise ValueError(f"a frame of shape {self.shape} cannot show a volume of shape {self.source}")
        if not all(math.isfinite(o) and math.isfinite(s) and s > 0 for s, o in zip(self.scale, self.offset)):
            raise ValueError(f"a frame needs finite offsets and scales above 0, got {self.offset} and {self.scale}")

    @classmethod
    def whole(cls, source: Sequence[int]) -> "Frame":
        """Return the frame that shows a volume of this shape as it is."""
        shape = tuple(map(int, source))
        return cls(shape, shape, (1.0,) * len(shape), (0.0,) * len(shape))

    def pad(self, multiple: int) -> "Frame":
        """Extend each side to a multiple of so many voxels, evenly at both ends; an odd voxel goes before."""
        shape = tuple(_up_to(multiple, size) for size in self.shape)
        return self.box([-((new - old + 1) // 2) for new, old in zip(shape, self.shape)], shape)

    def reduce(self, by: Sequence[int]) -> "Frame":
        """Show one voxel in place of ``by[a]`` along each axis a; where they do not divide the side, evenly beyond it.

        So the spacing grows by ``by`` exactly, whatever the shape, and each shown voxel stands in its block's centre.
        """
        self._check_axes("reduce", by)
        if min(by) < 1:
            raise ValueError(f"reduce{tuple(by)}: a volume is reduced by whole numbers of 1 or more")
        shape = tuple(-(-size // factor) for size, factor in zip(self.shape, by))
        beyond = [(factor * new - old) / 2 for factor, new, old in zip(by, shape, self.shape)]
        offset = [(factor - 1) / 2 - excess for factor, excess in zip(by, beyond)]
        return self._then(shape, tuple(map(float, by)), offset)

    def stretch(self, side: int) -> "Frame":
        """Stretch the volume to a cube whose side is the longer one of a slice, and at most ``side`` voxels.

        As OSS-Net shows CT (LiTS): a study of 512 x 512 slices fills 512^3, its phantom of 64 x 64 slices 64^3.
        """
        if side < 1:
            raise ValueError(f"stretch({side}): the side must be 1 voxel or more")
        return self.resize((min(side, max(self.shape[:2])),) * len(self.shape))

    def resize(self, shape: Sequence[int]) -> "Frame":
        """Fit the same space to another shape, as ``interpolate(size=shape)`` and ``skimage.transform.resize`` do."""
        self._check_axes("resize", shape)
        if min(shape) < 1:
            raise ValueError(f"resize{tuple(shape)}: each side must be 1 voxel or more")
        scale = [old / new for old, new in zip(self.shape, shape)]
        return self._then(shape, scale, [(factor - 1) / 2 for factor in scale])

    def box(self, origin: Sequence[int], shape: Sequence[int]) -> "Frame":
        """Show these voxels of what is shown now; the box may reach beyond it, where there is background."""
        self._check_axes("box", origin)
        self._check_axes("box", shape)
        return self._then(shape, (1.0,) * len(self.shape), origin)

    def _then(self, shape: Sequence[int], scale: Sequence[float], offset: Sequence[float]) -> "Frame":
        """Return the frame whose index i is index ``scale * i + offset`` of this one."""
        return replace(
            self,
            shape=tuple(map(int, shape)),
            scale=tuple(mine * step for mine, step in zip(self.scale, scale)),
            offset=tuple(mine * step + first for mine, step, first in zip(self.scale, offset, self.offset)),
        )

    def _check_axes(self, step: str, numbers: Sequence[float]) -> None:
        if len(numbers) != len(self.shape):
            raise ValueError(
                f"{step}({', '.join(map(str, numbers))}) has {len(numbers)} numbers, the volume {len(self.shape)} axes"
            )

    @property
    def inverse(self) -> "Frame":
        """Return the frame that shows the source's grid of a volume that lies in this frame."""
        scale = tuple(1 / factor for factor in self.scale)
        offset = tuple(-first / factor for first, factor in zip(self.offset, self.scale))
        return Frame(self.shape, self.source, scale, offset)

    @property
    def is_crop(self) -> bool:
        """Return True if nothing is interpolated: shown voxels are voxels of the source, or outside it."""
        return all(line.is_slice for line in self._lines)

    def source_box(self, margin: int = 0) -> Box:
        """Return the voxels of the source that have to be read, and up to ``margin`` more on each side."""
        sides = [line.read(margin) for line in self._lines]
        return Box(tuple(first for first, _ in sides), tuple(last - first for first, last in sides))

    def covered(self, box: Box) -> Box:
        """Return the voxels of the source that these shown voxels cover, also in part; none beyond the source."""
        sides = []
        for first, size, scale, offset, most in zip(box.origin, box.shape, self.scale, self.offset, self.source):
            low, high = (scale * (edge - 0.5) + offset + 0.5 for edge in (first, first + size))
            ends = math.floor(round(low, _DECIMALS)), math.ceil(round(high, _DECIMALS))
            sides.append(tuple(min(max(0, end), most) for end in ends))
        return Box(tuple(low for low, _ in sides), tuple(high - low for low, high in sides))

    def cut(self, box: Box) -> "Frame":
        """Show only the part in this box of the source, to the nearest shown voxel; at least one voxel."""
        shape = [max(1, round(size / scale)) for size, scale in zip(box.shape, self.scale)]
        edges = [(first - 0.5 - offset) / scale for first, offset, scale in zip(box.origin, self.offset, self.scale)]
        return self.box([math.floor(round(edge + 0.5, _DECIMALS) + 0.5) for edge in edges], shape)

    def within(self, box: Box) -> "Frame":
        """Return the same frame, relative to the part of the source that lies in ``box``."""
        offset = tuple(first - start for first, start in zip(self.offset, box.origin))
        return replace(self, source=box.shape, offset=offset)

    def spacing(self, spacing_mm: Sequence[float]) -> tuple[float, ...]:
        """Return the mm from one shown voxel to the next, given those of the source."""
        self._check_axes("spacing", spacing_mm)
        return tuple(mm * factor for mm, factor in zip(spacing_mm, self.scale))

    def positions(self, indices: np.ndarray) -> np.ndarray:
        """Return float64 indices in the source of shown indices (..., D); ``inverse`` has the way back."""
        return np.asarray(indices, np.float64) * self.scale + np.asarray(self.offset)

    def positions_mm(self, indices: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
        """Return mm along the array's axes, from the centre of the source's first voxel, of shown indices (..., D)."""
        self._check_axes("spacing", spacing_mm)
        return self.positions(indices) * np.asarray(spacing_mm, np.float64)

    def resample(self, volume: Tensor, order: Order, outside: float | Sequence[float] = 0) -> Tensor:
        """Return what is shown of a volume: the voxels themselves if the scale is 1, else interpolated axis by axis.

        Args:
            volume: (..., *source) of any type.
            order: 0 for labels. 1 gives float32 of integers.
            outside: the value beyond the source; or one for each class of (..., K, *source), as 1, 0 of probabilities.

        Returns:
            (..., *shape) on the same device. A view of ``volume`` where nothing is interpolated or outside.

        Raises:
            ValueError: a volume of another shape, or a number of values that is not K.
        """
        if tuple(volume.shape[-len(self.source) :]) != self.source:
            raise ValueError(f"the frame is of a volume of shape {self.source}, got {tuple(volume.shape)}")
        lead, lines = volume.shape[: -len(self.source)], self._lines
        # crop first, then shrink, the strongest first
        for axis in sorted(range(len(lines)), key=lambda a: (not lines[a].is_slice, -self.scale[a])):
            volume = lines[axis].resampled(volume, axis - len(lines), order)
        volume = _floating(volume) if order == 1 else volume
        if volume.shape[-len(lines) :] == self.shape:
            return volume
        canvas = volume.new_empty((*lead, *self.shape))
        canvas.copy_(_as_background(outside, canvas, len(lines)))
        inside = canvas
        for axis, line in enumerate(lines, -len(lines)):
            inside = inside.narrow(axis, line.first, line.count)
        inside.copy_(volume)
        return canvas

    def to_source_grid(self, shown: Tensor, order: Order, outside: float | Sequence[float] = 0) -> Tensor:
        """Return a volume of this frame (..., *shape) in the grid of its source, (..., *source).

        ``outside`` fills what the frame does not cover. Labels (order 0) come back exactly wherever the scale is at
        most 1. Arguments and errors as of :meth:`resample`.
        """
        return self.inverse.resample(shown, order, outside)

    def read(self, array: np.ndarray, order: Order, outside: float = 0) -> Tensor:
        """Return what is shown of an array (..., *source), as :meth:`resample`; of a memory map reads only that."""
        part, frame = self.part(array)
        return frame.resample(part, order, outside)

    def part(self, array: np.ndarray, margin: int = 0) -> "tuple[Tensor, Frame]":
        """Return the part of an array (..., *source) that is needed, in its own type, and the frame that shows it.

        So only this part is copied to a device, to be scaled and interpolated there.

        Args:
            margin: voxels to read beyond what is shown, if there are so many.

        Returns:
            (..., *box) as of :meth:`source_box`, never a view of the array; and this frame within that box.
        """
        if array.shape[array.ndim - len(self.source) :] != self.source:
            raise ValueError(f"the frame is of a volume of shape {self.source}, got {array.shape}")
        box = self.source_box(margin)
        read: Any = (..., *box.slices)
        return torch.from_numpy(np.array(array[read])), self.within(box)

    @cached_property
    def _lines(self) -> "tuple[_Line, ...]":
        return tuple(map(_Line.of, self.source, self.shape, self.scale, self.offset))


@dataclass(frozen=True, eq=False)
class _Line:
    """The shown voxels along one axis that lie in the source."""

    size: int
    """Voxels of the source."""
    first: int
    """The first shown voxel whose centre is in the source."""
    positions: np.ndarray
    """Where it and those after it lie in the source, float64."""
    is_slice: bool
    """Whether they are voxels of the source, side by side."""

    @classmethod
    def of(cls, size: int, count: int, scale: float, offset: float) -> "_Line":
        positions = np.round(scale * np.arange(count) + offset, _DECIMALS)
        inside = np.flatnonzero((positions >= -0.5) & (positions <= size - 0.5)) if size else np.empty(0, int)
        first, last = (int(inside[0]), int(inside[-1]) + 1) if len(inside) else (0, 0)
        return cls(size, first, positions[first:last], scale == 1 and round(offset, _DECIMALS).is_integer())

    @property
    def count(self) -> int:
        return len(self.positions)

    def read(self, margin: int) -> tuple[int, int]:
        """Return first and last voxel, the last plus one, around the positions, widened by the margin."""
        if not self.count:
            return 0, 0
        low, high = math.floor(self.positions[0]), math.ceil(self.positions[-1]) + 1
        return max(0, low - margin), min(self.size, high + margin)

    def resampled(self, volume: Tensor, axis: int, order: Order) -> Tensor:
        if self.is_slice:
            return volume.narrow(axis, int(self.positions[0]) if self.count else 0, self.count)
        if order == 0:
            return self._at(volume, axis, np.floor(self.positions + 0.5))
        low = np.floor(np.clip(self.positions, 0, self.size - 1))
        share = np.clip(self.positions, 0, self.size - 1) - low
        below, above = (_floating(self._at(volume, axis, indices)) for indices in (low, low + 1))
        weight = torch.as_tensor(share, dtype=below.dtype, device=volume.device).view(-1, *[1] * (-axis - 1))
        return below.lerp_(above, weight)

    def _at(self, volume: Tensor, axis: int, indices: np.ndarray) -> Tensor:
        """Return the voxels at these indices; indices beyond the ends give the outermost voxels."""
        chosen = torch.from_numpy(np.clip(indices, 0, self.size - 1).astype(np.int64)).to(volume.device)
        if volume.dtype in _SIGNED:
            return volume.view(_SIGNED[volume.dtype]).index_select(axis, chosen).view(volume.dtype)
        return volume.index_select(axis, chosen)


def _floating(volume: Tensor) -> Tensor:
    """Return the same numbers; integers become float32."""
    return volume if volume.is_floating_point() else volume.float()


def _up_to(multiple: int, size: int) -> int:
    """Return the least multiple that is not below ``size``."""
    if multiple < 1:
        raise ValueError(f"pad({multiple}): sides are padded to a multiple of 1 or more")
    return -(-size // multiple) * multiple


def _as_background(outside: float | Sequence[float], canvas: Tensor, axes: int) -> Tensor:
    """Return the value, or (K, 1, ...) values, beyond the source."""
    values = torch.as_tensor(outside, dtype=canvas.dtype, device=canvas.device)
    if values.ndim == 0:
        return values
    if canvas.ndim <= axes or values.shape != canvas.shape[-axes - 1 : -axes]:
        raise ValueError(f"{values.numel()} values of what is outside do not fit a volume {tuple(canvas.shape)}")
    return values.view(-1, *[1] * axes)
