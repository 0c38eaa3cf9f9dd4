"""A lazy batch of binary masks, one per image and class; each mask of a label image is built only when it is read."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Maps:
    """The N = B * K masks of B images, ordered by item, then by class."""

    labels: Tensor
    """(B, ...) integers; or bool, each image its own mask."""
    classes: tuple[int, ...] = (1,)
    inverted: bool = False
    """A mask holds what is *not* of the class."""
    ignored: int | None = None
    """The label of voxels that are in no mask of the inverted maps."""

    def others(self, ignored: int | None = None) -> "Maps":
        """What is not of the classes; nor of the label ``ignored``."""
        return replace(self, inverted=not self.inverted, ignored=ignored)

    def __len__(self) -> int:
        return len(self.labels) * len(self.classes)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, ...)"""
        return (len(self), *self.labels.shape[1:])

    @property
    def ndim(self) -> int:
        return self.labels.ndim

    @property
    def size(self) -> int:
        return len(self.classes) * self.labels.numel()

    def __getitem__(self, n: int) -> np.ndarray:
        """Return one mask, (...) bool; for images on the CPU."""
        b, k = divmod(n, len(self.classes))
        return self._compared(self.labels[b], self.classes[k]).numpy()

    def masks(self) -> Tensor:
        """Return all masks, (N, ...) bool, for a kernel that needs them at once."""
        each = [self._compared(self.labels, k) for k in self.classes]
        return each[0] if len(each) == 1 else torch.stack(each, dim=1).flatten(0, 1)

    def _compared(self, labels: Tensor, k: int) -> Tensor:
        if labels.dtype == torch.bool:
            return ~labels if self.inverted else labels
        if not self.inverted:
            return labels == k
        return labels != k if self.ignored is None else (labels != k) & (labels != self.ignored)
