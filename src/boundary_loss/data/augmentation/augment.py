"""Alters the slices of a batch, images, labels and maps together.

What is drawn for a slice follows from the epoch's seed and the slice's number alone: neither the batch size, nor the
order, nor how many processes or threads share the work changes it. A transform's draws do not depend on which others
there are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.random import Generator
from torch import Tensor

from boundary_loss.data.augmentation import compiled, plain
from boundary_loss.data.augmentation.drawn import Bend, Drawn, Speckle, Turn
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
from boundary_loss.shapes import Labels

Value = TypeVar("Value")


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
        drawn = self.draw(rows.tolist(), seed, images.shape[1:], spacings.double().numpy())
        by = compiled if compiled.can_alter(images, labels) else plain
        images, labels = by.altered(images, labels, drawn)
        return images, labels, [plain.flipped(m, drawn.axes) for m in maps]

    def draw(self, rows: Sequence[int], seed: int, shape: Sequence[int], spacings: np.ndarray) -> Drawn:
        """What is to become of the slices ``rows`` of shape (C, X, Y) and spacings (B, 2) mm."""
        num_modalities, size = shape[0], np.array(shape[1:])

        def each(name: str, draw: Callable[[Generator], Value]) -> list[Value]:
            """One draw a slice, each from a generator of its own."""
            kind = list(TRANSFORMS).index(name)
            return [draw(np.random.default_rng([seed % 2**64, row, kind])) for row in rows]

        drawn = Drawn(spacings)
        if self.flip:
            drawn.axes = each("flip", self.flip.draw)
        if self.deforms:
            ones = np.ones(len(rows))
            angles = np.stack(each("rotate", self.rotate.draw)) if self.rotate else 0 * ones
            drawn.turn = Turn(angles, np.stack(each("scale", self.scale.draw)) if self.scale else ones)
        if self.elastic:
            elastic, sizes_mm = self.elastic, iter(spacings * size)
            drawn.bend = Bend.of(each("elastic", lambda rng: elastic.draw(rng, next(sizes_mm))), elastic.apart_mm)
        if self.intensity:
            intensity = self.intensity
            drawn.recolour = np.stack(each("intensity", lambda rng: intensity.draw(rng, num_modalities)))
        if self.noise:
            drawn.speckle = Speckle.of(each("noise", self.noise.draw))
        return drawn
