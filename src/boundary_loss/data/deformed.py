"""Rotates and deforms what a frame shows of a volume, by one interpolation from the source.

What lies around the frame in the source comes into view, instead of background.

Axis letters: C modalities, X Y Z voxels (see :mod:`boundary_loss.shapes`).
"""

import math
from itertools import product

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from boundary_loss.data.augmentation import compiled_volumes
from boundary_loss.data.augmentation.drawn import Drawn
from boundary_loss.data.augmentation.plain import source_mm
from boundary_loss.data.frame import Box, Frame
from boundary_loss.shapes import Labels

_TIE = 1e-4
"""Voxels: what lies halfway between two counts to the upper one, as in a frame, whatever float32 makes of it."""


def deformed_box(frame: Frame, drawn: Drawn) -> Box:
    """Return the voxels of the source that are read; at least one along each axis.

    Args:
        drawn: for one sample, with a turn and the spacing of what is shown.
    """
    assert drawn.turn is not None
    spacing, last = drawn.spacings[0], np.array(frame.shape) - 1
    corners = np.array(list(product((-0.5, 0.5), repeat=len(last)))) * last * spacing
    places = corners @ drawn.turn.linear[0].T + drawn.turn.shift[0]
    bent = np.abs(drawn.bend.control[0]).reshape(len(last), -1).max(1) if drawn.bend else 0.0  # of B-splines, no more
    low, high = places.min(0) - bent, places.max(0) + bent
    for axis in _mirrored(drawn):
        low[axis], high[axis] = -high[axis], -low[axis]
    ends = (frame.positions(edge / spacing + last / 2) for edge in (low, high))
    sides = []
    for size, first, final in zip(frame.source, *ends, strict=True):
        start = min(max(0, math.floor(first) - 1), size - 1)  # one voxel more, because of rounding
        sides.append((start, max(start + 1, min(size, math.ceil(final) + 2))))
    return Box(tuple(start for start, _ in sides), tuple(stop - start for start, stop in sides))


def deformed(image: Tensor, labels: Labels, frame: Frame, drawn: Drawn) -> tuple[Tensor, Labels]:
    """Return (C, *shape) float32, linear, and (*shape) uint8, nearest; beyond the source 0 and background.

    Args:
        image: (C, X, Y, Z) float32, scaled, the part of the source that :func:`deformed_box` names.
        labels: (X, Y, Z) uint8, likewise.
        frame: within that part.
        drawn: as there.
    """
    if compiled_volumes.can_deform(image, labels):
        return compiled_volumes.deformed(image, labels, frame, drawn, _mirrored(drawn), _TIE)
    return deformed_plainly(image, labels, frame, drawn)


def deformed_plainly(image: Tensor, labels: Labels, frame: Frame, drawn: Drawn) -> tuple[Tensor, Labels]:
    """The same by PyTorch, on any device."""
    source = source_mm(frame.shape, drawn, image.device)[0]
    places = [_place(source[axis], axis, frame, drawn) for axis in range(len(source))]

    def sampled(volume: Tensor, mode: str, beside: float = 0) -> Tensor:
        """Sample the volume at these places, moved by so many voxels."""
        between_faces = [(2 * (place + beside) + 1) / size - 1 for place, size in zip(places, frame.source)]
        grid = torch.stack(between_faces[::-1], dim=-1)[None]
        return F.grid_sample(volume[None], grid, mode=mode, padding_mode="zeros", align_corners=False)[0]

    nearest = sampled(labels[None].float(), "nearest", _TIE)
    return sampled(image, "bilinear"), nearest[0].to(labels.dtype)


def _place(source: Tensor, axis: int, frame: Frame, drawn: Drawn) -> Tensor:
    """Return indices in the part of the source, of millimetres from the centre of what is shown."""
    sign = -1 if axis in _mirrored(drawn) else 1
    shown = source * (sign / float(drawn.spacings[0, axis])) + (frame.shape[axis] - 1) / 2
    return shown * frame.scale[axis] + frame.offset[axis]


def _mirrored(drawn: Drawn) -> list[int]:
    """Return the axes along which the sample is mirrored, from 0."""
    return [axis + drawn.spacings.shape[1] for axis in (drawn.axes[0] if drawn.axes else ())]
