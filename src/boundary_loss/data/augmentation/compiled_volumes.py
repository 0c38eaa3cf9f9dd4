"""Volumes turned and bent by the kernel in C (``native/deform.c``), in torch's threads."""

from ctypes import c_double, c_int64

import numpy as np
import torch
from torch import Tensor

from boundary_loss.data.augmentation import compiled
from boundary_loss.data.augmentation.drawn import Bend, Drawn, Turn
from boundary_loss.data.frame import Frame
from boundary_loss.native import address, library
from boundary_loss.shapes import Labels


def can_deform(image: Tensor, labels: Labels) -> bool:
    """Whether there is a kernel for these: float32 (C, X, Y, Z) and uint8 on the host."""
    return compiled.can_alter(image[None, :, 0], labels[None, 0]) and image.numel() < 2**31


def deformed(
    image: Tensor, labels: Labels, frame: Frame, drawn: Drawn, mirrored: list[int], tie: float
) -> tuple[Tensor, Labels]:
    """What :func:`boundary_loss.data.deformed.deformed` returns, to rounding.

    Args:
        mirrored: axes that the sample is mirrored along, from 0.
        tie: voxels that are added before labels are rounded.
    """
    kernels = library()
    assert kernels is not None and drawn.turn is not None
    image, labels = image.contiguous(), labels.contiguous()
    found = image.new_empty((len(image), *frame.shape)), labels.new_empty(frame.shape)
    to_source = np.array(frame.scale) / drawn.spacings[0]
    to_source[mirrored] *= -1
    affine = _affine(frame, drawn.turn, drawn.spacings[0], to_source)
    control, knots = _bend(drawn.bend, drawn.spacings[0], to_source) if drawn.bend else (None, None)
    points = np.array((0, 0, 0) if control is None else control.shape[1:], np.int64)
    sizes = np.array(frame.source, np.int64), np.array(frame.shape, np.int64)
    status = kernels.bl_deform(
        address(image), address(labels), c_int64(len(image)), *map(address, (*sizes, affine, control, points, knots)),
        c_double(tie), *map(address, found), torch.get_num_threads(),
    )  # fmt: skip
    if status != 0:
        raise MemoryError(f"deformed volumes of shape {tuple(image.shape)}")
    return found


def _affine(frame: Frame, turn: Turn, spacing: np.ndarray, to_source: np.ndarray) -> np.ndarray:
    """(3, 4): voxel (x, y, z) comes from a + b x + c y + d z along each axis, in voxels of the source.

    Args:
        spacing: (3,) mm, of what is shown.
        to_source: (3,) voxels of the source per mm, negative along mirrored axes.
    """
    centre = (np.array(frame.shape) - 1) / 2
    linear = to_source[:, None] * turn.linear[0] * spacing
    origin = centre * frame.scale + frame.offset + to_source * turn.shift[0] - linear @ centre
    return np.ascontiguousarray(np.concatenate([origin[:, None], linear], axis=1))


def _bend(bend: Bend, spacing: np.ndarray, to_source: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Control points (3, G, H, I) float32 in voxels of the source, and a shown voxel's share of their distance (3,)."""
    control = bend.control[0] * to_source[:, None, None, None]
    return np.ascontiguousarray(control, np.float32), np.ascontiguousarray(spacing / bend.apart_mm, np.float64)


def coloured(images: Tensor, labels: Labels, drawn: Drawn) -> tuple[Tensor, Labels] | None:
    """Recoloured and with noise, (B, C, X, Y, Z) and (B, X, Y, Z); None if there is no kernel for these.

    Args:
        drawn: without flips, turns or bends: for a colour, a volume is a slice of X * Y rows.
    """
    rows, of_labels = images.flatten(2, 3), labels.flatten(1, 2)
    if not compiled.can_alter(rows, of_labels):
        return None
    images, labels = (a.view(b.shape) for a, b in zip(compiled.altered(rows, of_labels, drawn), (images, labels)))
    return images, labels
