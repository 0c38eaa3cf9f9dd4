"""Slices and volumes altered by PyTorch, on any device."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from boundary_loss.data.augmentation import warp
from boundary_loss.data.augmentation.drawn import Drawn
from boundary_loss.data.augmentation.noise import normal
from boundary_loss.data.prefetch import onto_device
from boundary_loss.shapes import Labels


def altered(images: Tensor, labels: Labels, drawn: Drawn) -> tuple[Tensor, Labels]:
    """(B, C, X, Y[, Z]) float32 and (B, X, Y[, Z]) uint8, altered as drawn."""
    images, labels = flipped(images, drawn.axes), flipped(labels, drawn.axes)
    if drawn.turn:
        grid = warp.sampling_grid(source_mm(images.shape[2:], drawn, images.device), _like(drawn.spacings, images))
        images, labels = warp.warp_images(images, grid), warp.warp_labels(labels, grid)
    if drawn.recolour is not None:
        images = _recoloured(images, _like(drawn.recolour, images))
    if drawn.speckle:
        streams = onto_device(torch.from_numpy(drawn.speckle.streams.view(np.int32)), images.device)
        deviations = _like(drawn.speckle.deviations, images).view(-1, *[1] * (images.ndim - 1))
        images = images + normal(images.shape, streams) * deviations
    return images, labels


def flipped(tensor: Tensor, axes: Sequence[tuple[int, ...]] | None) -> Tensor:
    """(B, ..., X, Y[, Z]), each item mirrored along its axes."""
    if axes is None:
        return tensor
    return torch.stack([item.flip(along) if along else item for item, along in zip(tensor, axes, strict=True)])


def source_mm(size: Sequence[int], drawn: Drawn, device: torch.device) -> Tensor:
    """(B, D, X, Y[, Z]) mm from the centre: where each voxel comes from, once mirrored; ``drawn`` has a turn."""
    assert drawn.turn is not None
    spacings, linear, shift = (_on(small, device) for small in (drawn.spacings, drawn.turn.linear, drawn.turn.shift))
    source = warp.source_mm(size, spacings, linear, shift)
    if drawn.bend:
        control = _on(drawn.bend.control, device)
        source = source + warp.spline_displacement(control, size, spacings, drawn.bend.apart_mm)
    return source


def _like(small: np.ndarray, images: Tensor) -> Tensor:
    return _on(small, images.device)


def _on(small: np.ndarray, device: torch.device) -> Tensor:
    """float32 on the device."""
    return onto_device(torch.from_numpy(small.astype(np.float32)), device)


def _recoloured(images: Tensor, recolour: Tensor) -> Tensor:
    over_space = tuple(range(2, images.ndim))
    gamma, contrast, brightness = recolour.view(*recolour.shape, *[1] * len(over_space)).unbind(1)
    images = images.clamp(min=0) ** gamma
    mean = images.mean(dim=over_space, keepdim=True)
    return (images - mean) * contrast + mean + brightness
