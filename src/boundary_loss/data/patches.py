"""Patches of whole volumes: which are shown in an epoch, drawn on the host, and how unequal ones become a batch."""

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
    """``patch(x, y, z, object=0.3, each=1)``: patches of so many voxels, at most of what is shown of the case.

    Args:
        object: share of the patches that are centred on a voxel of the object, any with the same odds; the others lie
            anywhere with the same odds.
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
        """``patch(128,128,128)`` -> Patch; ValueError with how it is written if ill-formed or out of range."""
        name, options = parse_call(text)
        if name != "patch":
            raise ValueError(f"unknown patches '{text}'; they are written {usage('patch', cls)}")
        return bind(cls, options, "sample", name=name, numbered=True)()

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.x, self.y, self.z


@dataclass(frozen=True, eq=False)
class ObjectVoxels:
    """Where the object is in a part of a case, by the number of its voxels in each plane.

    So little is kept, and to draw a voxel one plane of a mapped file is read.
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
        """Voxels of the object; ignored ones are none."""
        return int(self.up_to[-1]) if len(self.up_to) else 0

    def draw(self, rng: Generator) -> tuple[int, ...]:
        """One of the voxels, as an index of the labels; there has to be one."""
        number = int(rng.integers(self.count))
        plane = int(np.searchsorted(self.up_to, number, side="right"))
        before = int(self.up_to[plane - 1]) if plane else 0
        mask = _is_object(self.labels[self.box.slices][..., plane])
        x, y = np.argwhere(mask)[number - before]
        return tuple(int(start + step) for start, step in zip(self.box.origin, (x, y, plane)))


def draw_patch(patch: Patch, frame: Frame, objects: ObjectVoxels, seed: int, sample: int) -> Frame:
    """What is shown of a case as a patch; it follows from the epoch's seed and the sample's number alone.

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
    """One batch of items whose last ``axes`` axes differ in length: (B, ...), the shorter ones filled up at their ends.

    Args:
        value: what fills up, as 0 for images and maps; labels have :func:`stack_labels`.
        size: of these axes in the batch; that of the longest item along each if not given.
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
    """One batch of labels (X, Y, Z): (B, X, Y, Z), where voxels that fill up are ignored (255)."""
    return stack_padded(items, items[0].ndim, IGNORED)


def _is_object(labels: np.ndarray) -> np.ndarray:
    return (labels > 0) & (labels != IGNORED)
