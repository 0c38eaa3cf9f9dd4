"""Distance maps of whole cases, in mm in the grid of their files; patches show parts of them.

A map of a patch alone would miss an object beyond its faces. A map takes 0.1 to 1.5 s and half a gigabyte for
the largest volumes, so all are kept only if a quarter of the memory holds them.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from boundary_loss.data.frame import Frame
from boundary_loss.data.needs import MapNeed
from boundary_loss.distance import signed_distance
from boundary_loss.encoding import encode_one_hot
from boundary_loss.shapes import IGNORED


def case_map(need: MapNeed, labels: Tensor, spacing_mm: Sequence[float], num_classes: int) -> Tensor:
    """Return the map that a loss needs, of a whole case.

    Args:
        labels: (X, Y, Z) uint8, 255 where ignored.

    Returns:
        (classes of the need, X, Y, Z) float32 mm.
    """
    if need.measure is not None:
        return _measured(need, labels, torch.tensor([spacing_mm]), num_classes)
    # ignore_index is given, because labels of 0 and 255 alone could also be a mask
    options: dict[str, Any] = {"ignore_index": IGNORED, "spatial_dims": labels.ndim, "num_classes": num_classes}
    maps = signed_distance(labels, spacing_mm, **options, classes=need.classes, **dict(need.options))
    return maps[list(need.classes)]


def _measured(need: MapNeed, labels: Tensor, spacing_mm: Tensor, num_classes: int) -> Tensor:
    assert need.measure is not None
    counted = (labels != IGNORED)[None, None]
    more = {} if bool(counted.all()) else {"mask": counted}
    maps = need.measure(encode_one_hot(labels[None], num_classes, torch.float32), spacing_mm, **more)
    return maps[0, list(need.classes)]


@dataclass
class CaseMaps:
    """The maps of a set's cases, each made when it is first needed."""

    make: Callable[[str, MapNeed], Tensor]
    """From a case's name to (classes of the need, X, Y, Z) float32 mm, see :func:`case_map`."""
    keep: bool
    """Whether they are kept; else each is made again when it is shown again."""
    _kept: dict[tuple[str, MapNeed], Tensor] = field(default_factory=dict, init=False, repr=False)

    def shown(self, case: str, need: MapNeed, frame: Frame) -> Tensor:
        """Return the map in the frame, (classes of the need, *shape); 0 beyond the case."""
        return frame.resample(self.whole(case, need), 1)

    def whole(self, case: str, need: MapNeed) -> Tensor:
        """Return the map of the whole case, (classes of the need, X, Y, Z)."""
        maps = self._kept.get((case, need))
        if maps is None:
            maps = self.make(case, need)
            if self.keep:
                self._kept[case, need] = maps
        return maps


def fit_in_memory(num_bytes: int, share: float = 0.25) -> bool:
    """Return True if so many bytes take at most this share of the machine's memory."""
    return num_bytes <= share * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
