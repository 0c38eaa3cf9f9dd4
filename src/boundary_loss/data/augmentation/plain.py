"""Slices altered by PyTorch, on any device."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from boundary_loss.data.augmentation import warp
from boundary_loss.data.augmentation.drawn import Drawn, Turn
from boundary_loss.data.augmentation.noise import normal
from boundary_loss.data.prefetch import onto_device
from boundary_loss.shapes import Labels


def altered(images: Tensor, labels: Labels, drawn: Drawn) -> tuple[Tensor, Labels]:
    """(B, C, X, Y) float32 and (B, X, Y) uint8, altered as drawn."""
    images, labels = flipped(images, drawn.axes), flipped(labels, drawn.axes)
    if drawn.turn:
        grid = _grid(images, drawn, drawn.turn)
        images, labels = warp.warp_images(images, grid), warp.warp_labels(labels, grid)
    if drawn.recolour is not None:
        images = _recoloured(images, _like(drawn.recolour, images))
    if drawn.speckle:
        streams = onto_device(torch.from_numpy(drawn.speckle.streams.view(np.int32)), images.device)
        images = images + normal(images.shape, streams) * _like(drawn.speckle.deviations, images)[:, None, None, None]
    return images, labels


def flipped(tensor: Tensor, axes: Sequence[tuple[int, ...]] | None) -> Tensor:
    """(B, ..., X, Y), each item mirrored along its axes."""
    if axes is None:
        return tensor
    return torch.stack([item.flip(along) if along else item for item, along in zip(tensor, axes, strict=True)])


def _like(small: np.ndarray, images: Tensor) -> Tensor:
    """float32 on the images' device."""
    return onto_device(torch.from_numpy(small.astype(np.float32)), images.device)


def _grid(images: Tensor, drawn: Drawn, turn: Turn) -> Tensor:
    """(B, X, Y, 2) for ``grid_sample``."""
    size, spacings = (images.shape[2], images.shape[3]), _like(drawn.spacings, images)
    source = warp.source_mm(size, spacings, _like(turn.angles, images), _like(turn.factors, images))
    if drawn.bend:
        control = _like(drawn.bend.control, images)
        source = source + warp.spline_displacement(control, size, spacings, drawn.bend.apart_mm)
    return warp.sampling_grid(source, spacings)


def _recoloured(images: Tensor, recolour: Tensor) -> Tensor:
    gamma, contrast, brightness = recolour[..., None, None].unbind(1)
    images = images.clamp(min=0) ** gamma
    mean = images.mean(dim=(2, 3), keepdim=True)
    return (images - mean) * contrast + mean + brightness
