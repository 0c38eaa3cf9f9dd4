"""The interface of the training engine to its data: samples of a set, in batches.

A sample is what the network is shown at once: a slice, a patch of a volume, points of space. An item is what the
arrays of a run have a row for: a slice, or a case. Axis letters: B samples of a batch (see
:mod:`boundary_loss.shapes`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from boundary_loss.data.needs import MapNeed
from boundary_loss.encoding import probs2class
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.metric_definitions import SLICES
from boundary_loss.shapes import DistMaps, Labels, OneHot, Probs


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Samples on the device. Labels and logits have the same places: pixels, voxels or points."""

    index: Tensor
    """(B,) the rows of the samples' items in the run's arrays."""
    names: list[str]
    """Of these items."""
    inputs: tuple[Tensor, ...]
    """What the network is called with, as (images,), (B, C, ...) float32 each."""
    labels: Labels
    """(B, ...) uint8."""
    gt: OneHot
    """(B, K, ...) float32."""
    maps: dict[MapNeed, DistMaps]
    """(B, K, ...) float32 each."""
    mask: Tensor | None
    """(B, 1, ...) bool, True where a voxel counts; None if no item of the set has ignored voxels."""
    spacings: Tensor
    """(B, D) mm, on the host."""
    dense: Labels | None = None
    """(B, X, Y, Z) where the labels are of points: those of the whole volumes, for an auxiliary output."""


class Samples(ABC):
    """The samples of ``train`` or ``val``; random draws for sample s in an epoch follow from s and the epoch alone."""

    folder: PreparedFolder
    which: str
    names: list[str]
    """Of the items, in the order of the arrays' rows."""
    volumes: dict[str, list[int]]
    """The rows of each volume, in the order of its planes."""
    num_classes: int
    has_ignored: bool
    absent: list[int]
    """Classes that no item has."""
    each: int = 1
    """Samples of each item in an epoch: sample s is of item s // each."""
    items: str = SLICES
    """What the items are: one of ``metric_definitions.ITEMS``."""
    keeps_validated: bool = True
    """Whether what a validation predicts is what is kept; else items of kept epochs are predicted once more."""
    is_dealt: bool = False
    """Whether ranks take whole batches in turn, each of one item, instead of a part of each."""

    @property
    def planes(self) -> list[str]:
        """Return the planes of the items on the disk; slices are their own planes."""
        return self.names

    @property
    def remarks(self) -> list[str]:
        """Return what a user should know of how the samples differ from what was asked; a line each."""
        return []

    def __len__(self) -> int:
        """Return the number of samples in an epoch."""
        return len(self.names) * self.each

    def shuffled(self, batch_size: int, seed: int) -> list[Tensor]:
        """Return all samples in batches, in an order that follows from the seed."""
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        return list(order.split(batch_size))

    def in_order(self, batch_size: int, *, group: bool) -> list[Tensor]:
        """Return all samples in batches, in their order; with ``group`` one batch a volume."""
        if not group:
            return list(torch.arange(len(self)).split(batch_size))
        own = range(self.each)
        return [torch.tensor([row * self.each + k for row in rows for k in own]) for rows in self.volumes.values()]

    def names_of(self, samples: Tensor) -> list[str]:
        """Return the items' names of these samples (B,)."""
        return [self.names[sample // self.each] for sample in samples.tolist()]

    @abstractmethod
    def batches(
        self, batches: Sequence[Tensor], device: torch.device, seed: int = 0, whole: Sequence[Tensor] | None = None
    ) -> Iterator[Batch]:
        """Yield each batch of samples (B,), augmented if there is an augmentation.

        Args:
            seed: of the epoch.
            whole: the batches of all ranks, of which ``batches`` are this rank's parts. In each of them samples are
                filled up to one size.
        """

    def forward(self, call: Callable[..., Any], batch: Batch) -> Any:
        """Call the network on a batch: once, unless a set is predicted in parts that are then put together."""
        return call(*batch.inputs)

    def predict(self, net: Any, item: str, device: torch.device) -> Labels:
        """Return the classes of an item as they are kept, (X, Y, Z) uint8, if validation predicts only parts."""
        raise NotImplementedError

    def classes(self, probs: Probs, batch: Batch) -> tuple[Labels, Labels]:
        """Return predicted and true classes (B, ...) uint8, as they are counted and kept."""
        return probs2class(probs, dtype=torch.uint8), batch.labels
