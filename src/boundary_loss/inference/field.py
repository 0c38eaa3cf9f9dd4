"""Find the classes of all voxels with a network that answers at points: ask everywhere, or where classes meet.

Three ways: :func:`dense` asks at every voxel, :func:`prior` as OSS-Net does (Reich et al. 2021), :func:`coarse` opens
the cells of a coarse lattice in which classes meet. Points are voxel centres of any lattice over the volume, so
another resolution is asked of the network itself, and nothing is interpolated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from boundary_loss.shapes import Labels, Logits

MEMORY = 1 << 31
"""Bytes for the points that are computed at a time."""

Shape = tuple[int, int, int]
Triple = tuple[float, float, float]


class Field(Protocol):
    """A network of space, as :class:`boundary_loss.networks.OSSNet`."""

    bytes_per_point: int

    def encode(self, volume: Tensor) -> Any:
        """Volumes (B, C, X, Y, Z) -> what :meth:`at` needs of them; ``aux``, if it has that, is a coarse map."""

    def at(self, code: Any, points: Tensor) -> Logits:
        """Positions (B, P, 3) in voxels of the volume -> logits (B, K, P)."""


@dataclass(frozen=True)
class Lattice:
    """The voxels that are asked for: voxel i lies at ``scale * i + offset`` in voxels of the volume, axis by axis."""

    shape: Shape
    scale: Triple = (1.0, 1.0, 1.0)
    offset: Triple = (0.0, 0.0, 0.0)

    def positions(self, index: Tensor) -> Tensor:
        """Flat indices (P,) -> positions (P, 3) in voxels of the volume."""
        _, size_y, size_z = self.shape
        voxels = torch.stack([index // (size_y * size_z), index // size_z % size_y, index % size_z], dim=1)
        scale, offset = (torch.tensor(triple, device=index.device) for triple in (self.scale, self.offset))
        return voxels * scale + offset


class Segmented(NamedTuple):
    labels: Labels
    """(X, Y, Z) uint8, on the device of the volume."""
    evaluated: int
    """Points that the network was asked at."""


class _Questions:
    """A network, a volume and a lattice; asks for classes in pieces that fit the memory."""

    def __init__(self, field: Field, volume: Tensor, lattice: Lattice | None, memory: int) -> None:
        self.piece = memory // field.bytes_per_point
        if self.piece < 1:
            raise ValueError(f"memory of {memory} bytes is too little: one point takes {field.bytes_per_point} bytes")
        if volume.ndim != 4:
            raise ValueError(f"one volume (C, X, Y, Z) at a time, got shape {tuple(volume.shape)}")
        x, y, z = volume.shape[1:]
        self.lattice = Lattice((x, y, z)) if lattice is None else lattice
        self.field, self.device, self.evaluated = field, volume.device, 0
        self.code = field.encode(volume[None])

    def classes(self, index: Tensor) -> Tensor:
        """Flat indices (P,) -> classes (P,) uint8."""
        if not len(index):
            return index.to(torch.uint8)
        self.evaluated += len(index)
        found = torch.empty(len(index), dtype=torch.uint8, device=self.device)
        for part, result in zip(index.split(self.piece), found.split(self.piece)):
            result.copy_(self.logits(part).argmax(0))
        return found

    def logits(self, index: Tensor) -> Logits:
        """Flat indices (P,), no more than a piece -> (K, P)."""
        return self.field.at(self.code, self.lattice.positions(index)[None])[0]


@torch.no_grad()
def dense(field: Field, volume: Tensor, lattice: Lattice | None = None, *, memory: int = MEMORY) -> Segmented:
    """Ask at every voxel.

    Args:
        field: in evaluation mode.
        volume: (C, X, Y, Z).
        lattice: the voxels to ask at; None = those of the volume.
        memory: bytes for the points that are computed at a time.

    Raises:
        ValueError: the memory is too little for one point.
    """
    questions = _Questions(field, volume, lattice, memory)
    labels = torch.empty(questions.lattice.shape, dtype=torch.uint8, device=volume.device)
    for start in range(0, labels.numel(), questions.piece):
        index = torch.arange(start, min(start + questions.piece, labels.numel()), device=volume.device)
        labels.view(-1)[start : start + len(index)] = questions.classes(index)
    return Segmented(labels, questions.evaluated)


@torch.no_grad()
def probabilities(
    field: Field, volume: Tensor, lattice: Lattice | None = None, *, memory: int = MEMORY, temperature: float = 1
) -> Tensor:
    """Ask at every voxel for the softmax, (K, X, Y, Z) float32 on the host; arguments as of :func:`dense`.

    Args:
        temperature: of the softmax.
    """
    questions = _Questions(field, volume, lattice, memory)
    shape = questions.lattice.shape
    parts = [
        questions.logits(torch.arange(start, min(start + questions.piece, prod(shape)), device=volume.device))
        .float()
        .div(temperature)
        .softmax(0)
        .cpu()
        for start in range(0, prod(shape), questions.piece)
    ]
    return torch.cat(parts, dim=1).view(-1, *shape)


@torch.no_grad()
def prior(
    field: Field,
    volume: Tensor,
    lattice: Lattice | None = None,
    *,
    strides: Sequence[int] = (4, 2, 1),
    memory: int = MEMORY,
) -> Segmented:
    """Ask as OSS-Net does: where the auxiliary map is above 1/2, then around what was found (Reich et al. 2021).

    The points of the first stride are asked where the network's coarse map of foreground, enlarged, is above 1/2; all
    of them where it has no such map. Those of each stride s after it within 3^s voxels (a cube) around foreground.
    Objects that the first points miss, and holes between points of a later stride, are missed; :func:`coarse` has a
    rule for what it misses.

    Args:
        field, volume, lattice, memory: as of :func:`dense`.
        strides: in voxels, falling.
    """
    questions = _Questions(field, volume, lattice, memory)
    known = torch.zeros(questions.lattice.shape, dtype=torch.uint8, device=volume.device)  # 1 + class where asked
    for turn, stride in enumerate(strides):
        wanted = torch.zeros_like(known, dtype=torch.bool)
        places = wanted[::stride, ::stride, ::stride]
        if turn == 0:
            places.copy_(_expected(questions.code, (places.shape[0], places.shape[1], places.shape[2])))
        else:
            places.copy_(_dilated(known > 1, 3**stride // 2)[::stride, ::stride, ::stride])
        wanted &= known == 0
        index = wanted.view(-1).nonzero().squeeze(1)
        known.view(-1)[index] = questions.classes(index) + 1
    return Segmented(known.clamp_(min=1) - 1, questions.evaluated)


def _expected(code: Any, shape: Shape) -> Tensor:
    """Where the coarse map of the whole volume has foreground, at ``shape`` points from its first to its last cell."""
    aux = getattr(code, "aux", None)
    if aux is None:
        return torch.tensor(True)
    foreground = 1 - aux.float().softmax(1)[:, :1]
    return F.interpolate(foreground, shape, mode="trilinear", align_corners=True)[0, 0] > 0.5


def _dilated(mask: Tensor, radius: int) -> Tensor:
    """True within a cube of ``radius`` around each True voxel."""
    for axis, size in enumerate(mask.shape):
        grown = mask.clone()
        for step in range(1, min(radius, size - 1) + 1):
            grown.narrow(axis, step, size - step).logical_or_(mask.narrow(axis, 0, size - step))
            grown.narrow(axis, 0, size - step).logical_or_(mask.narrow(axis, step, size - step))
        mask = grown
    return mask


@torch.no_grad()
def coarse(
    field: Field, volume: Tensor, lattice: Lattice | None = None, *, stride: int = 4, memory: int = MEMORY
) -> Segmented:
    """Ask at the corners of cells of ``stride`` voxels, and open each cell in which classes meet.

    A cell all of whose known voxels agree, its corners and what its neighbours asked on its faces, takes their class.
    Any other is halved and its new corners are asked, down to single voxels, until no cell is left to open.

    What is missed: components (26 neighbours) of a class that hold no corner, and nothing else. For neighbouring
    voxels lie in a common cell; if it stays closed, no known voxel in it disagrees, and what two closed cells share
    holds a corner of the smaller one, so they agree. A class that holds a ball of radius stride * sqrt(3) / 2 has a
    corner in it.

    Args:
        field, volume, lattice, memory: as of :func:`dense`.
        stride: a power of 2, in voxels.
    """
    if stride < 1 or stride & (stride - 1):
        raise ValueError(f"stride={stride} must be a power of 2")
    questions = _Questions(field, volume, lattice, memory)
    cells = _Cells(questions, stride)
    cells.ask(torch.ones(cells.counts(stride), dtype=torch.bool, device=volume.device), side=stride, step=stride)
    opened = True
    while opened:
        opened = False
        for side in cells.sides:
            found = cells.to_open(side)
            if found.any():
                opened = True
                cells.opened[side] |= found
                cells.ask(found, side=side, step=side // 2)
    return Segmented(cells.filled(), questions.evaluated)


class _Cells:
    """A lattice cut into cubes, each closed: neighbours share faces. The last ones reach beyond the lattice.

    Beyond it everything is as in its last plane, so that all cells are whole.
    """

    def __init__(self, questions: _Questions, stride: int) -> None:
        self.questions, self.shape = questions, questions.lattice.shape
        self.sides = [1 << power for power in range(stride.bit_length() - 1, 0, -1)]
        self.extent = [-(-size // stride) * stride for size in self.shape]  # voxels, but for the last plane
        self.known = torch.zeros([size + 1 for size in self.extent], dtype=torch.uint8, device=questions.device)
        """1 + class of the voxels that were asked, 0 of the others."""
        self.opened = {
            side: torch.zeros(self.counts(side), dtype=torch.bool, device=questions.device) for side in self.sides
        }

    def counts(self, side: int) -> list[int]:
        """Cells along each axis."""
        return [size // side for size in self.extent]

    def ask(self, chosen: Tensor, *, side: int, step: int) -> None:
        """Ask at the voxels on every ``step`` of the chosen closed cells that are not known yet."""
        wanted = torch.zeros_like(self.known, dtype=torch.bool)
        for corner in product(range(0, side + 1, step), repeat=3):
            wanted[self._at(corner, side)] |= chosen
        for axis, size in enumerate(self.shape):  # those beyond the lattice are asked in its last plane
            last, beyond = wanted.narrow(axis, size - 1, 1), wanted.narrow(axis, size, wanted.shape[axis] - size)
            last |= beyond.any(axis, keepdim=True)
        x, y, z = map(slice, self.shape)
        inside = self.known[x, y, z] == 0
        inside &= wanted[x, y, z]
        del wanted
        index = inside.view(-1).nonzero().squeeze(1)
        _, size_y, size_z = self.shape
        places = index // (size_y * size_z), index // size_z % size_y, index % size_z
        self.known[places] = self.questions.classes(index) + 1
        for axis, size in enumerate(self.shape):
            beyond = self.known.narrow(axis, size, self.known.shape[axis] - size)
            beyond.copy_(self.known.narrow(axis, size - 1, 1))

    def to_open(self, side: int) -> Tensor:
        """Closed cells in opened ones, or of the first size, whose known voxels are of several classes."""
        high, low = self.known, self.known - 1  # unknown: 0 and 255
        for axis, count in enumerate(self.counts(side)):
            high, low = (
                _over(values, better, axis, side, count)
                for values, better in ((high, torch.maximum), (low, torch.minimum))
            )
        found = (high - 1 != low) & ~self.opened[side]
        if side != self.sides[0]:
            above = self.opened[2 * side]
            for axis in range(3):
                above = above.repeat_interleave(2, dim=axis)
            found &= above
        return found

    def filled(self) -> Tensor:
        """Classes of all voxels of the lattice: what is not known is of its cell's class."""
        for side in self.sides:
            of_cells = self.known[self._at((0, 0, 0), side)].masked_fill(self.opened[side], 0)
            for corner in product(range(side), repeat=3):
                part = self.known[self._at(corner, side)]
                part.copy_(torch.where(part == 0, of_cells, part))
        x, y, z = map(slice, self.shape)
        return self.known[x, y, z] - 1

    def _at(self, corner: tuple[int, ...], side: int) -> tuple[slice, ...]:
        """The voxel at ``corner`` of each cell."""
        return tuple(
            slice(start, start + size - side + 1, side) for start, size in zip(corner, self.extent, strict=True)
        )


def _over(values: Tensor, better: Any, axis: int, side: int, count: int) -> Tensor:
    """The best of the ``side + 1`` values of each of ``count`` closed cells along an axis."""
    first = values.unfold(axis, 1, side).squeeze(-1)
    best = better(first.narrow(axis, 0, count), first.narrow(axis, 1, count))
    for step in range(1, side):
        rest = values.narrow(axis, step, values.shape[axis] - step).unfold(axis, 1, side).squeeze(-1)
        best = better(best, rest.narrow(axis, 0, count))
    return best
