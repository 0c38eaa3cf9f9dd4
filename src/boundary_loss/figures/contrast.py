"""Choose the grey window of an image; the report, ``view``, its saved pictures and animations share it.

Slices keep the full range of their volume, in which one bright vessel would make everything else look black.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from boundary_loss.folders.prepared import PreparedFolder

BLACK, WHITE = 1.0, 99.0
"""Percentiles shown as black and white, over a volume's voxels above its minimum, which is background."""
IN_WORDS = "grey: 1st to 99th percentile of the volume without background"
KNEE = 223
"""Grey level of white in a page's pictures; higher levels keep brighter voxels for readers who darken the image."""
_ENOUGH = 2_000_000
"""Number of voxels of an image that the percentiles are computed from, at most."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """The values of an image that are shown black and white, and the largest of all."""

    black: float
    white: float
    largest: float

    @classmethod
    def of(cls, values: np.ndarray, largest: float) -> "Window":
        """From values of a volume, and its largest value."""
        above = values[values > values.min()]
        black, white = np.percentile(above, (BLACK, WHITE)) if above.size else (values.min(), values.min() + 1)
        if white <= black:  # a single value besides the background, as in a binary image
            black = values.min()
        return cls(black=float(black), white=float(white), largest=max(float(largest), float(white)))

    @property
    def reach(self) -> float:
        """The largest value where black is 0 and white is 1."""
        return (self.largest - self.black) / (self.white - self.black)

    def grey(self, values: np.ndarray) -> np.ndarray:
        """uint8, 0 at black, 255 at white and above."""
        return np.round(255 * self._share(values).clip(0, 1)).astype(np.uint8)

    def grey_and_brighter(self, values: np.ndarray) -> np.ndarray:
        """uint8, 0 at black, ``KNEE`` at white, 255 at the largest value, straight in between."""
        share = self._share(values).clip(0, self.reach)
        return np.round(np.interp(share, [0, 1, max(self.reach, 1 + 1e-6)], [0, KNEE, 255])).astype(np.uint8)

    def _share(self, values: np.ndarray) -> np.ndarray:
        return (values - self.black) / (self.white - self.black)


@lru_cache(maxsize=64)
def windows(data: PreparedFolder, volume: str) -> dict[str, Window]:
    """The window of each modality of a validation volume, the same for all its slices."""
    stems = data.volumes("val")[volume]
    channels, *shape = data.image("val", stems[0]).shape
    apart = max(1, int(np.sqrt(np.prod(shape) * len(stems) / _ENOUGH)))
    largest, seen = np.full(channels, -np.inf), []
    for stem in stems:
        image = data.image("val", stem)
        largest = np.maximum(largest, image.max(axis=(1, 2)))
        seen.append(image[:, ::apart, ::apart].copy())
    values = np.stack(seen, axis=1)
    return {name: Window.of(values[m], largest[m]) for m, name in enumerate(data.modalities)}
