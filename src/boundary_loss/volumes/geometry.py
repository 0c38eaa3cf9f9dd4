"""Where the voxels of a volume lie in the patient, whatever the format of its file.

Places are in mm, counted as nibabel does: x grows to the patient's right, y to the front, z to the head (RAS). A format
that counts otherwise, as NRRD and ITK do (LPS), is turned where its header is read, and nowhere else.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from nibabel.orientations import aff2axcodes

SIZE_TOLERANCE = 0.01
"""Relative difference between two voxel sizes of a header that count as equal."""

UNIT_MM = (1.0, 1.0, 1.0)
"""What headers say whose voxel size was lost."""

PLAUSIBLE_MM = (0.001, 100.0)
"""Voxel sizes outside suggest that a header names the wrong unit."""


class Geometry(ABC):
    """Where the voxels of a file lie, as its header says it. Each format has a class of its own.

    It keeps the header as written, so that a volume written back with it has the same header.
    """

    format: ClassVar[str]
    """Its name in JSON."""
    shape: tuple[int, int, int]
    ending: ClassVar[str]
    """Of the name of a file that is written back with this geometry."""
    ending_of_floats: ClassVar[str] = ""
    """Likewise of a file of probabilities, where the format takes whole numbers alone; else empty."""
    _formats: ClassVar[dict[str, type["Geometry"]]] = {}

    def __init_subclass__(cls, *, format: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        if format:
            cls.format = format
            Geometry._formats[format] = cls

    @staticmethod
    def from_json(content: dict[str, Any]) -> "Geometry":
        """Return what :meth:`as_json` was called on; NIfTI does not name its format."""
        return Geometry._formats[content.get("format", "nifti")]._from_json(content)

    @classmethod
    @abstractmethod
    def _from_json(cls, content: dict[str, Any]) -> "Geometry":
        """Return the geometry of this format that a JSON object holds."""

    @abstractmethod
    def as_json(self) -> dict[str, Any]:
        """Return what :meth:`from_json` takes: ``shape``, ``format`` unless it is NIfTI, and what the header says."""

    @property
    @abstractmethod
    def spacing_mm(self) -> tuple[float, float, float]:
        """The size of a voxel. Zero, negative or NaN if the header says so; 1 x 1 x 1 if it says nothing."""

    @property
    @abstractmethod
    def affine(self) -> np.ndarray:
        """(4, 4), voxel indices to mm (RAS)."""

    @abstractmethod
    def restated(self, spacing_mm: tuple[float, float, float]) -> "Geometry":
        """Return the geometry as if its header gave this voxel size: for headers whose own is known to be wrong."""

    def dispute(self) -> str | None:
        """Return how the header contradicts itself so that the size of a voxel cannot be known; None if it can."""
        return None

    def doubts(self) -> list[str]:
        """Return what of the header is believed though something speaks against it."""
        return []


@dataclass(frozen=True)
class SizeAlone(Geometry):
    """A geometry of a format that says nothing but how many voxels there are, and the size that a user stated."""

    shape: tuple[int, int, int]
    stated_mm: tuple[float, float, float] | None = None

    @classmethod
    def _from_json(cls, content: dict[str, Any]) -> Self:
        x, y, z = content["shape"]
        return cls((x, y, z))

    def as_json(self) -> dict[str, Any]:
        return {"format": self.format, "shape": list(self.shape)}

    def restated(self, spacing_mm: tuple[float, float, float]) -> Self:
        return replace(self, stated_mm=spacing_mm)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        return UNIT_MM if self.stated_mm is None else self.stated_mm


@np.errstate(all="ignore")
def sizes(affine: np.ndarray) -> np.ndarray:
    """Return the length of a voxel along each of the three axes of a (4, 4) affine."""
    return np.linalg.norm(affine[:3, :3], axis=0)


@np.errstate(all="ignore")
def corners(shape: Sequence[int], affine: np.ndarray) -> np.ndarray:
    """Return where the centres of the eight corner voxels of a volume lie, (8, 3) mm."""
    ends = np.array(list(np.ndindex(2, 2, 2))) * (np.array(shape) - 1)
    return ends @ affine[:3, :3].T + affine[:3, 3]


@np.errstate(all="ignore")
def invertible(affine: np.ndarray) -> bool:
    """Whether a (4, 4) affine is finite and maps no two voxels to one place."""
    if not np.isfinite(affine).all():
        return False
    return bool(abs(np.linalg.det(affine[:3, :3])) > 1e-6 * sizes(affine).prod())


@np.errstate(all="ignore")
def same_sizes(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> bool:
    """Whether voxel sizes agree but for rounding; NaN agrees with nothing."""
    return bool((np.abs(np.subtract(a, b)) <= SIZE_TOLERANCE * np.abs(b)).all())


@np.errstate(all="ignore")
def resized(affine: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Return an invertible affine with its directions and origin, and voxels of another size."""
    return affine @ np.diag([*(np.array(spacing_mm) / sizes(affine)), 1.0])


def unplaced(spacing_mm: Sequence[float]) -> np.ndarray:
    """Return the affine of voxels of which nothing but their size is known: as in NRRD, along left, back and head."""
    x, y, z = spacing_mm
    return np.diag([-x, -y, z, 1.0])


def orientation(affine: np.ndarray) -> str:
    """Return where the axes of a volume point in the patient, in nibabel's letters, as ``LPS``; ``?`` if unknown."""
    if not np.isfinite(affine).all():
        return "???"
    return "".join(letter or "?" for letter in aff2axcodes(affine))


def in_words(values: Sequence[float] | np.ndarray) -> str:
    """Return ``0.9 x 1.2 x 3``."""
    return " x ".join(f"{value:.4g}" for value in values)
