"""Alters the slices of a batch, images, labels and maps together.

What is drawn for a slice follows from the epoch's seed and the slice's number alone: neither the batch size, nor the
order, nor how many processes share the work changes it. A transform's draws do not depend on which others there are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from boundary_loss.data.augmentation import warp
from boundary_loss.data.augmentation.transforms import (
    TRANSFORMS,
    Elastic,
    Flip,
    Intensity,
    Noise,
    Rotate,
    Scale,
    parse_transform,
)
from boundary_loss.data.prefetch import onto_device
from boundary_loss.shapes import Labels

Drawn = TypeVar("Drawn")


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """The transforms of a run, applied in this order; those that are None are left out."""

    flip: Flip | None = None
    rotate: Rotate | None = None
    scale: Scale | None = None
    elastic: Elastic | None = None
    intensity: Intensity | None = None
    noise: Noise | None = None

    @classmethod
    def parse(cls, texts: Sequence[str]) -> "Augmentation | None":
        """``["flip", "rotate(15)"]`` -> Augmentation; nothing, or ``["none"]``, -> None.

        Raises:
            ValueError: an unknown transform, one named twice, a number out of range.
        """
        if list(texts) in ([], ["none"]):
            return None
        parsed = [parse_transform(text) for text in texts]
        names = [name for name, _ in parsed]
        if len(set(names)) < len(names):
            raise ValueError(f"the augmentation names a transform twice: {' '.join(texts)}")
        given: dict[str, Any] = dict(parsed)
        return cls(**given)

    @property
    def deforms(self) -> bool:
        """Whether distances change, so that a map must be computed of the altered labels."""
        return any((self.rotate, self.scale, self.elastic))

    def __call__(
        self, images: Tensor, labels: Labels, maps: Sequence[Tensor], spacings: Tensor, rows: Tensor, seed: int
    ) -> tuple[Tensor, Labels, list[Tensor]]:
        """The slices of a batch, altered.

        Args:
            images: (B, C, X, Y) float32.
            labels: (B, X, Y) uint8 on the same device.
            maps: (B, ..., X, Y) each; they are flipped and nothing else, which is right unless this ``deforms``.
            spacings: (B, 2) mm, on the host.
            rows: (B,) the slices' numbers, on the host.
            seed: of the epoch.
        """
        draws = _Draws(seed, rows.tolist(), images.device)
        altered = list(maps)
        if self.flip:
            axes = draws.each("flip", self.flip.draw)
            images, labels, *altered = (_flipped(t, axes) for t in (images, labels, *altered))
        if self.deforms:
            grid = self._grid(images, spacings, draws)
            images, labels = warp.warp_images(images, grid), warp.warp_labels(labels, grid)
        if self.intensity:
            images = self._recolour(self.intensity, images, draws)
        if self.noise:
            images = images + _noise(draws.each("noise", self.noise.draw), images)
        return images, labels, altered

    def _grid(self, images: Tensor, spacings: Tensor, draws: "_Draws") -> Tensor:
        """(B, X, Y, 2) for ``grid_sample``."""
        size, on_device = (images.shape[2], images.shape[3]), draws.onto_device(spacings.float())
        ones = torch.ones(len(images), device=images.device)
        angles = draws.stack("rotate", self.rotate.draw) if self.rotate else 0 * ones
        factors = draws.stack("scale", self.scale.draw) if self.scale else ones
        source = warp.source_mm(size, on_device, angles, factors)
        if self.elastic:
            elastic, sizes_mm = self.elastic, iter(spacings.numpy() * np.array(size))
            control = draws.each("elastic", lambda rng: elastic.draw(rng, next(sizes_mm)))
            moved = draws.onto_device(_padded(control))
            source = source + warp.spline_displacement(moved, size, on_device, elastic.apart_mm)
        return warp.sampling_grid(source, on_device)

    @staticmethod
    def _recolour(intensity: Intensity, images: Tensor, draws: "_Draws") -> Tensor:
        drawn = draws.stack("intensity", lambda rng: intensity.draw(rng, images.shape[1]))  # (B, 3, C)
        gamma, contrast, brightness = drawn[..., None, None].unbind(1)
        images = images.clamp(min=0) ** gamma
        mean = images.mean(dim=(2, 3), keepdim=True)
        return (images - mean) * contrast + mean + brightness


class _Draws:
    """What is drawn for the slices of a batch, each from a generator of its own."""

    def __init__(self, seed: int, rows: Sequence[int], device: torch.device) -> None:
        self.seed, self.rows, self.device = seed % 2**64, rows, device

    def each(self, name: str, draw: Callable[[Generator], Drawn]) -> list[Drawn]:
        """One draw a slice, in order."""
        kind = list(TRANSFORMS).index(name)
        return [draw(np.random.default_rng([self.seed, row, kind])) for row in self.rows]

    def stack(self, name: str, draw: Callable[[Generator], np.ndarray]) -> Tensor:
        """(B, ...) float32 on the device."""
        return self.onto_device(torch.from_numpy(np.stack(self.each(name, draw)).astype(np.float32)))

    def onto_device(self, small: Tensor) -> Tensor:
        return onto_device(small, self.device)


def _flipped(tensor: Tensor, axes: Sequence[tuple[int, ...]]) -> Tensor:
    """(B, ..., X, Y), each item mirrored along its axes."""
    return torch.stack([item.flip(along) if along else item for item, along in zip(tensor, axes, strict=True)])


def _padded(control: Sequence[np.ndarray]) -> Tensor:
    """(2, G, H) each, of sizes that differ with the spacings -> (B, 2, G, H) float32, zeros where there is none."""
    most = np.max([points.shape for points in control], axis=0)
    padded = np.zeros((len(control), *most), np.float32)
    for row, points in zip(padded, control, strict=True):
        row[:, : points.shape[1], : points.shape[2]] = points
    return torch.from_numpy(padded)


def _noise(drawn: Sequence[tuple[float, int]], images: Tensor) -> Tensor:
    """Normal noise like ``images``, drawn on their device: the same numbers from the same kind of device."""
    noise = torch.empty_like(images)
    generator = torch.Generator(images.device)
    for item, (deviation, seed) in zip(noise, drawn, strict=True):
        item.normal_(0, deviation, generator=generator.manual_seed(seed))
    return noise
