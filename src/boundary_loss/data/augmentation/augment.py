"""Alters the samples of a batch, images, labels and maps together.

What is drawn for a sample follows from the epoch's seed and the sample's number alone: neither the batch size, nor the
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
from boundary_loss.data.augmentation.drawn import Bend, Drawn, Speckle, Turn, rotations
from boundary_loss.data.augmentation.transforms import (
    TRANSFORMS,
    Elastic,
    Flip,
    Intensity,
    Noise,
    Rotate,
    Scale,
    Shift,
    parse_transform,
)
from boundary_loss.shapes import Labels

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """The transforms of a run; those that are None are left out.

    Samples are mirrored, turned, enlarged, moved and bent, then recoloured, then noise is added.
    """

    flip: Flip | None = None
    rotate: Rotate | None = None
    scale: Scale | None = None
    elastic: Elastic | None = None
    intensity: Intensity | None = None
    noise: Noise | None = None
    shift: Shift | None = None

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
        return any((self.rotate, self.scale, self.elastic, self.shift))

    def check_slices(self) -> None:
        """Refuse axes that slices do not have.

        Raises:
            ValueError: a flip along z, a rotation out of the plane.
        """
        if self.flip and "z" in self.flip.axes:
            raise ValueError(f"flip({self.flip.axes}): slices have the axes x and y; write flip(xy)")
        if self.rotate and self.rotate.axes != "z":
            raise ValueError(f"rotate: axes={self.rotate.axes} turn volumes; slices turn about z, as rotate(15)")

    def __call__(
        self, images: Tensor, labels: Labels, maps: Sequence[Tensor], spacings: Tensor, rows: Tensor, seed: int
    ) -> tuple[Tensor, Labels, list[Tensor]]:
        """The samples of a batch, altered.

        Args:
            images: (B, C, X, Y[, Z]) float32.
            labels: (B, X, Y[, Z]) uint8 on the same device.
            maps: (B, ..., X, Y[, Z]) each; they are flipped and nothing else, which is right unless this ``deforms``.
            spacings: (B, D) mm, on the host.
            rows: (B,) the samples' numbers, on the host.
            seed: of the epoch.
        """
        drawn = self.draw(rows.tolist(), seed, images.shape[1:], spacings.double().numpy())
        by = compiled if compiled.can_alter(images, labels) else plain
        images, labels = by.altered(images, labels, drawn)
        return images, labels, [plain.flipped(m, drawn.axes) for m in maps]

    def draw(self, rows: Sequence[int], seed: int, shape: Sequence[int], spacings: np.ndarray) -> Drawn:
        """What is to become of the samples ``rows`` of shape (C, X, Y[, Z]) and spacings (B, D) mm."""
        num_modalities, size, dims = shape[0], np.array(shape[1:]), len(shape) - 1
        if dims == 2:
            self.check_slices()

        def each(name: str, draw: Callable[[Generator], Value]) -> list[Value]:
            """One draw a sample, each from a generator of its own."""
            kind = list(TRANSFORMS).index(name)
            return [draw(np.random.default_rng([seed % 2**64, row, kind])) for row in rows]

        drawn = Drawn(spacings)
        if self.flip:
            flip = self.flip
            drawn.axes = each("flip", lambda rng: flip.draw(rng, dims))
        if self.deforms:
            drawn.turn = self._turn(each, len(rows), dims)
        if self.elastic:
            elastic, sizes_mm = self.elastic, iter(spacings * size)
            drawn.bend = Bend.of(each("elastic", lambda rng: elastic.draw(rng, next(sizes_mm))), elastic.apart_mm)
        if self.intensity:
            intensity = self.intensity
            drawn.recolour = np.stack(each("intensity", lambda rng: intensity.draw(rng, num_modalities)))
        if self.noise:
            drawn.speckle = Speckle.of(each("noise", self.noise.draw))
        return drawn

    def _turn(self, each: Callable[..., list[Any]], count: int, dims: int) -> Turn:
        axes, angles, factors, moved = "z", np.zeros((count, 1)), np.ones(count), np.zeros((count, dims))
        if self.rotate:
            axes, angles = self.rotate.axes, np.stack(each("rotate", self.rotate.draw))
        if self.scale:
            factors = np.stack(each("scale", self.scale.draw))
        if self.shift:
            shift = self.shift
            moved = np.stack(each("shift", lambda rng: shift.draw(rng, dims)))
        return Turn.of(rotations(angles, axes, dims), factors, moved)
