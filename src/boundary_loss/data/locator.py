"""Finds where to look in a volume: one box a case, all of one size, around what a network sees on reduced volumes.

The rule of the left-atrium V-Net: along each axis from the first to the last plane whose summed probability is 10 or
more; the largest extent of the training cases, with a buffer, gives the size for all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from boundary_loss.data.boxes import CaseBox
from boundary_loss.data.frame import Box, Frame, Shape
from boundary_loss.labels import IGNORED


@torch.no_grad()
def locate(call: Callable[[Tensor], Tensor], image: Tensor, frame: Frame, least: float = 10) -> Box | None:
    """Return where in a case the network sees an object, in voxels of the source, or None where it sees none.

    Args:
        call: takes (1, C, X, Y, Z) and gives logits (1, K, X, Y, Z), background first.
        image: (C, *source), scaled as in training.
        frame: what the network is shown of the case.
        least: as of :func:`object_extent`.
    """
    logits = call(frame.resample(image, 1).unsqueeze(0)).float()
    extent = object_extent(1 - logits.softmax(1)[0, 0], least)
    return None if extent is None else frame.covered(extent)


def object_extent(probs: Tensor, least: float = 10) -> Box | None:
    """Return the planes that hold an object, or None where along some axis no plane does.

    Args:
        probs: (X, Y, Z) probability of the object.
        least: the sum of a plane's probabilities from which on it holds the object, in voxels.
    """
    ends = []
    for axis in range(probs.ndim):
        others = [other for other in range(probs.ndim) if other != axis]
        planes = torch.nonzero(probs.sum(others, dtype=torch.float64) >= least).flatten().tolist()
        if not planes:
            return None
        ends.append((planes[0], planes[-1] + 1))
    return Box(tuple(first for first, _ in ends), tuple(end - first for first, end in ends))


def box_size(extents: Sequence[Box], *, buffer: int = 30, multiple: int = 16) -> Shape:
    """Return the size of all boxes: the largest extent along each axis, plus the buffer, rounded up to a multiple.

    Args:
        extents: of the training cases in which there is one, in voxels of the source.
        buffer: voxels in all, not at each end.
        multiple: of the sides, as networks that halve the volume need.

    Raises:
        ValueError: there is no extent.
    """
    if not extents:
        raise ValueError("the locator found nothing in any training case, so that no box has a size; train it longer")
    largest = np.max([extent.shape for extent in extents], axis=0)
    return tuple(-(-(int(size) + buffer) // multiple) * multiple for size in largest)


def placed(extent: Box | None, size: Sequence[int], source: Sequence[int]) -> Box:
    """Return the box of a case: centred on what was found, or in the volume if nothing was; shifted inside.

    Along an axis on which the volume is smaller than ``size`` the box is as long as the volume.
    """
    around = extent or Box((0,) * len(source), tuple(source))
    shape = tuple(map(min, size, source))
    centred = [first + (own - side) // 2 for first, own, side in zip(around.origin, around.shape, shape)]
    return Box(tuple(min(max(0, first), n - side) for first, n, side in zip(centred, source, shape)), shape)


def kept_share(labels: np.ndarray, box: Box) -> float:
    """Return the share of the object's voxels that lie in the box; 1 without an object. Ignored voxels do not count."""
    inside, whole = (int(((part > 0) & (part != IGNORED)).sum()) for part in (labels[box.slices], labels))
    return inside / whole if whole else 1.0


@dataclass(frozen=True)
class Located:
    """What a locator found in a case."""

    which: str
    """``train`` or ``val``."""
    source: Shape
    """Of the volume."""
    extent: Box | None
    """Where the object is, in voxels of the source."""


def assign_boxes(
    cases: Mapping[str, Located], labels: Callable[[str], np.ndarray], *, buffer: int = 30, multiple: int = 16
) -> tuple[Shape, dict[str, CaseBox]]:
    """Return the size of all boxes, which follows from the training cases alone, and the box of each case.

    Args:
        labels: gives the labels of a case, (X, Y, Z).
        buffer, multiple: as of :func:`box_size`.

    Raises:
        ValueError: nothing was found in any training case.
    """
    extents = [case.extent for case in cases.values() if case.which == "train" and case.extent is not None]
    size = box_size(extents, buffer=buffer, multiple=multiple)
    boxes = {name: placed(case.extent, size, case.source) for name, case in cases.items()}
    return size, {
        name: CaseBox(case.which, boxes[name], case.extent is not None, kept_share(labels(name), boxes[name]))
        for name, case in cases.items()
    }
