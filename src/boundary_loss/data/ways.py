"""Reads in which way an occupancy network is evaluated at all voxels of a case: ``coarse(stride=4)``."""

import re
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from boundary_loss.inference.field import Field, Lattice, Segmented, coarse, dense, prior

_BYTES = {"MiB": 2**20, "GiB": 2**30}
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)(MiB|GiB)")


def read_bytes(text: str) -> int:
    """Return 2147483648 for ``2GiB``; ValueError if it is written otherwise."""
    found = _MEMORY.fullmatch(text)
    if found is None:
        raise ValueError(f"memory={text} is not understood; write it as 512MiB or 2GiB")
    return int(float(found[1]) * _BYTES[found[2]])


class Way(Protocol):
    """Evaluates an occupancy network; :mod:`boundary_loss.inference.field` says where each way does."""

    @property
    def memory(self) -> str:
        """For the points that are computed at a time."""
        ...

    def __call__(self, field: Field, volume: Tensor, lattice: Lattice | None = None) -> Segmented:
        """Return the classes at every voxel of the lattice over a volume (C, X, Y, Z), or at those of the volume."""
        ...


@dataclass(frozen=True)
class Dense:
    """``dense(memory=2GiB)``: at every voxel; ``memory`` bounds the points that are computed at a time."""

    memory: str = "2GiB"

    def __post_init__(self) -> None:
        read_bytes(self.memory)

    def __call__(self, field: Field, volume: Tensor, lattice: Lattice | None = None) -> Segmented:
        return dense(field, volume, lattice, memory=read_bytes(self.memory))


@dataclass(frozen=True)
class Prior:
    """``prior(memory=2GiB)``: as OSS-Net: where its coarse map has foreground, then around what was found."""

    memory: str = "2GiB"

    def __post_init__(self) -> None:
        read_bytes(self.memory)

    def __call__(self, field: Field, volume: Tensor, lattice: Lattice | None = None) -> Segmented:
        return prior(field, volume, lattice, memory=read_bytes(self.memory))


@dataclass(frozen=True)
class Coarse:
    """``coarse(stride=4, memory=2GiB)``: at every so many voxels, then only where classes meet."""

    stride: int = 4
    memory: str = "2GiB"

    def __post_init__(self) -> None:
        read_bytes(self.memory)
        if self.stride < 1 or self.stride & (self.stride - 1):
            raise ValueError(f"coarse: stride={self.stride} must be a power of 2, 1 or more")

    def __call__(self, field: Field, volume: Tensor, lattice: Lattice | None = None) -> Segmented:
        return coarse(field, volume, lattice, stride=self.stride, memory=read_bytes(self.memory))


WAYS: dict[str, type[Way]] = {"dense": Dense, "prior": Prior, "coarse": Coarse}
