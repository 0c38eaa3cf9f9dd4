"""A surface of triangles."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Surface:
    """Triangles whose corners are counterclockwise when they are seen from outside the object.

    ``vertices``: (V, 3) float64, mm (RAS). ``faces``: (F, 3) int64, rows of ``vertices``.
    """

    vertices: np.ndarray
    faces: np.ndarray

    @cached_property
    def _crosses(self) -> np.ndarray:
        """(F, 3): outward normals, each as long as twice the area of its triangle."""
        a, b, c = (self.vertices[self.faces[:, corner]] for corner in range(3))
        return np.cross(b - a, c - a)

    @property
    def area_mm2(self) -> float:
        return float(np.linalg.norm(self._crosses, axis=1).sum() / 2)

    @property
    def volume_mm3(self) -> float:
        """What a closed surface encloses, by the divergence theorem."""
        if not len(self.faces):
            return 0.0
        first = self.vertices[self.faces[:, 0]] - self.vertices.mean(axis=0)
        return float(np.einsum("fi,fi->", first, self._crosses) / 6)

    @cached_property
    def normals(self) -> np.ndarray:
        """(V, 3) outward unit vectors: the mean over a vertex's triangles, weighted by their areas."""
        sums = np.zeros_like(self.vertices)
        for corner in range(3):
            np.add.at(sums, self.faces[:, corner], self._crosses)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        return np.divide(sums, lengths, out=np.zeros_like(sums), where=lengths > 0)

    @cached_property
    def is_closed(self) -> bool:
        """True if each edge has two triangles, which run along it in opposite directions."""
        ends = np.concatenate([self.faces[:, pair] for pair in ([0, 1], [1, 2], [2, 0])])
        keys, back = (e[:, 0] * len(self.vertices) + e[:, 1] for e in (ends, ends[:, ::-1]))
        return len(np.unique(keys)) == len(keys) and bool(np.array_equal(np.sort(keys), np.sort(back)))


def joined(surfaces: list[Surface]) -> Surface:
    """Return several surfaces as one."""
    starts = np.cumsum([0, *(len(own.vertices) for own in surfaces)])
    faces = [own.faces + start for own, start in zip(surfaces, starts)]
    return Surface(np.concatenate([own.vertices for own in surfaces]), np.concatenate(faces))
