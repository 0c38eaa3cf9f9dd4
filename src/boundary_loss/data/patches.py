"""Draws the patches of an epoch from whole volumes, on the host, and stacks unequal ones into a batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from boundary_loss.call_syntax import bind, parse_call, usage
from boundary_loss.data.frame import Box, Frame
from boundary_loss.shapes import IGNORED

_KIND = 1000
"""Third number of a patch's seed, after the epoch's and the sample's: none that a transform of the augmentation has."""


@dataclass(frozen=True)
class Patch:
    """``patch(x, y, z, object=0.3, each=1)``: patches of so many voxels, or of the frame where it is smaller.

    Args:
        object: share of the patches that are centred on a voxel of the object, drawn uniformly; the others are drawn
            uniformly from all places.
        each: patches of each case in an epoch.
    """

    x: int
    y: int
    z: int
    object: float = 0.3
    each: int = 1

    def __post_init__(self) -> None:
        if min(*self.shape, self.each) < 1:
            raise ValueError(f"patch: sides {self.shape} and each={self.each} must be at least 1")
        if not 0 <= self.object <= 1:
            raise ValueError(f"patch: object={self.object:g} must be between 0 and 1")

    @classmethod
    def parse(cls, text: str) -> "Patch":
        """Return the Patch of ``patch(128,128,128)``; ValueError with the usage if ill-formed or out of range."""
        name, options = parse_call(text)
        if name != "patch":
            raise ValueError(f"unknown patches '{text}'; they are written {usage('patch', cls)}")
        return bind(cls, options, "sample", name=name, numbered=True)()

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.x, self.y, self.z


@dataclass(frozen=True, eq=False)
class ObjectVoxels:
    """Locates the object in a part of a case by the number of its voxels in each plane.

    That takes little memory, and drawing a voxel reads one plane of a mapped file.
    """

    labels: np.ndarray
    """(X, Y, Z) uint8, in memory or mapped."""
    box: Box
    """The part, in voxels of the labels."""
    up_to: np.ndarray
    """(planes of the box,) voxels of the object in this plane and those before it."""

    @classmethod
    def of(cls, labels: np.ndarray, box: Box) -> "ObjectVoxels":
        counts = [int(_is_object(plane).sum()) for plane in np.moveaxis(labels[box.slices], -1, 0)]
        return cls(labels, box, np.cumsum(counts, dtype=np.int64))

    @property
    def count(self) -> int:
        """Return the number of voxels of the object; ignored ones do not count."""
        return int(self.up_to[-1]) if len(self.up_to) else 0

    def draw(self, rng: Generator) -> tuple[int, ...]:
        """Draw one of the voxels, as an index of the labels; there must be one."""
        number = int(rng.integers(self.count))
        plane = int(np.searchsorted(self.up_to, number, side="right"))
        before = int(self.up_to[plane - 1]) if plane else 0
        mask = _is_object(self.labels[self.box.slices][..., plane])
        x, y = np.argwhere(mask)[number - before]
        return tuple(int(start + step) for start, step in zip(self.box.origin, (x, y, plane)))


def draw_patch(patch: Patch, frame: Frame, objects: ObjectVoxels, seed: int, sample: int) -> Frame:
    """Return the frame of a patch; it follows from the epoch's seed and the sample's number alone.

    Args:
        frame: what is shown of the case; the patch lies within.
        objects: of the part of the case that the frame shows.
        seed: of the epoch.
        sample: sample s is of case s // each.
    """
    shape = tuple(map(min, patch.shape, frame.shape))
    rng = np.random.default_rng([seed % 2**64, sample, _KIND])
    room = np.subtract(frame.shape, shape)
    if rng.random() < patch.object and objects.count:
        centre = np.floor(frame.inverse.positions(np.array(objects.draw(rng))) + 0.5).astype(int)
        origin = np.clip(centre - np.array(shape) // 2, 0, room)
    else:
        origin = rng.integers(0, room + 1)
    return frame.box(origin.tolist(), shape)


def stack_padded(
    items: Sequence[Tensor], axes: int, value: float, size: Sequence[int] | None = None
) -> Tensor:  # fmt: skip
    """Stack items whose last ``axes`` axes differ in length: (B, ...), the shorter ones filled up at their ends.

    Args:
        value: the filling, 0 for images and maps; for labels use :func:`stack_labels`.
        size: of these axes in the batch; if not given, the longest item's along each.
    """
    sides = size or [max(item.shape[axis] for item in items) for axis in range(-axes, 0)]
    if all(tuple(item.shape[-axes:]) == tuple(sides) for item in items):
        return torch.stack(list(items))
    batch = items[0].new_full((len(items), *items[0].shape[:-axes], *sides), value)
    for place, item in zip(batch, items, strict=True):
        for axis in range(-axes, 0):
            place = place.narrow(axis, 0, item.shape[axis])
        place.copy_(item)
    return batch


def stack_labels(items: Sequence[Tensor]) -> Tensor:
    """Stack labels (X, Y, Z) as (B, X, Y, Z); the filling is ignored (255)."""
    return stack_padded(items, items[0].ndim, IGNORED)


def _is_object(labels: np.ndarray) -> np.ndarray:
    return (labels > 0) & (labels != IGNORED)
