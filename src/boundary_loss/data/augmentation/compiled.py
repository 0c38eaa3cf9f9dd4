"""Slices altered by the kernel in C (``native/augment.c``), each read once and written once, in torch's threads."""

import numpy as np
import torch
from torch import Tensor

from boundary_loss.data.augmentation.drawn import Drawn, Turn
from boundary_loss.native import address, library
from boundary_loss.shapes import Labels


def can_alter(images: Tensor, labels: Labels) -> bool:
    """Whether there is a kernel for these: slices on the host."""
    fits = images.ndim == 4 and images.dtype == torch.float32 and labels.dtype == torch.uint8
    fits = fits and images[0].numel() < 2**31
    return fits and images.device.type == "cpu" and 0 not in images.shape and library() is not None


def altered(images: Tensor, labels: Labels, drawn: Drawn) -> tuple[Tensor, Labels]:
    """What :func:`boundary_loss.data.augmentation.plain.altered` does, to rounding."""
    kernels = library()
    assert kernels is not None
    images, labels = images.contiguous(), labels.contiguous()
    found = torch.empty_like(images), torch.empty_like(labels)
    axes = drawn.axes or [()] * len(images)
    mirrored = np.array([(-2 in along, -1 in along) for along in axes], np.uint8)
    affine = control = knots = None
    if drawn.turn:
        affine = _affine(images.shape[2:], drawn.spacings, drawn.turn)
    if drawn.bend:
        control = np.ascontiguousarray(drawn.bend.control / drawn.spacings[:, :, None, None], np.float32)  # in pixels
        knots = np.ascontiguousarray(drawn.spacings / drawn.bend.apart_mm, np.float64)
    recolour = None if drawn.recolour is None else np.ascontiguousarray(drawn.recolour, np.float32)
    deviations, streams = drawn.speckle or (None, None)
    points = np.array((0, 0) if control is None else control.shape[2:], np.int64)
    shape = np.array(images.shape, np.int64)
    given = (images, labels, shape, mirrored, affine, control, points, knots, recolour, deviations, streams, *found)
    status = kernels.bl_augment(*map(address, given), torch.get_num_threads())
    if status != 0:
        raise MemoryError(f"altered slices of shape {tuple(images.shape)}")
    return found


def _affine(size: torch.Size, spacings: np.ndarray, turn: Turn) -> np.ndarray:
    """(B, 2, 3): pixel (x, y) comes from a + b x + c y along each axis; :func:`warp.source_mm` in pixels."""
    centre, ratio = (np.array(size) - 1) / 2, spacings[:, 1] / spacings[:, 0]
    (xx, xy), (yx, yy) = turn.linear.transpose(1, 2, 0)
    linear = np.stack([xx, xy * ratio, yx / ratio, yy], axis=1).reshape(-1, 2, 2)
    origin = centre - linear @ centre + turn.shift / spacings
    return np.ascontiguousarray(np.concatenate([origin[:, :, None], linear], axis=2))
