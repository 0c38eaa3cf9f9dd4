"""What a folder of sliced data holds: written by slicing, read by training, evaluation and viewing.

    data/ISLES/
        slicing.json         study, class and modality names, slice shape, orientation and patient of each volume,
                             kinds of files, checksum of the content
        arguments.txt        the settings, as typed; make compares them
        split.json           {"fold": 0, "folds": 5, "train": [patients], "val": [patients]}
        spacing_3d.json      {volume: [dx, dy, dz]} in mm, after resizing
        grids.json           {volume: {"file", "shape", ...}}: the first modality's file, its shape and what its header
                             says of where the voxels lie, before resizing: the way back to the scanner's space
        {train,val}/
            spacing.json     {slice: [dx, dy]} in mm, after resizing
            ct/ cbf/ ...     8-bit PNG a modality, for people
            gt/              8-bit PNG, class numbers (255 = ignored)
            in_npy/          (C, X, Y) float32 in [0, 1], all modalities of the slice
            gt_npy/          (X, Y) uint8, class numbers (255 = ignored)
            3d_distmap/      (K, X, Y) float32 mm, the slice of the volume's signed distance map

A study of 8-bit images (ACDC) has ``img/`` and ``gt/`` alone: its network reads the PNGs, divided by 255.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from boundary_loss.files import read_array, read_json
from boundary_loss.naming import by_volume
from boundary_loss.pictures import read_png, write_png  # noqa: F401 - a sliced folder is mostly PNGs

SLICING, SPLIT, SPACING, SPACING_3D = "slicing.json", "split.json", "spacing.json", "spacing_3d.json"
GRIDS = "grids.json"
IMAGES, LABELS, MAPS_3D, LABELS_PNG = "in_npy", "gt_npy", "3d_distmap", "gt"
SETS = ("train", "val")


@dataclass(frozen=True)
class SlicedFolder:
    path: Path

    @classmethod
    def open(cls, path: Path) -> "SlicedFolder":
        if not (path / SLICING).is_file():
            raise FileNotFoundError(
                f"no sliced data at {path} ({SLICING} is missing); make -f STUDY.make {path} makes it"
            )
        return cls(path)

    @cached_property
    def about(self) -> dict[str, Any]:
        """The content of slicing.json: ``study``, ``classes``, ``modalities``, ``shape``, ``checksum``, ``phantom``."""
        return read_json(self.path / SLICING)

    @property
    def classes(self) -> list[str]:
        """Class names, background first."""
        return self.about["classes"]

    @property
    def modalities(self) -> list[str]:
        return self.about["modalities"]

    @property
    def preparation(self) -> dict[str, Any] | None:
        """How the slices came from volumes (boundary_loss.slicing.prepare); None if they were sliced before it was
        written down."""
        return self.about.get("preparation")

    def stems(self, which: str) -> list[str]:
        """Names of the slices of ``train`` or ``val``, sorted."""
        return sorted(path.stem for path in (self.path / which / LABELS_PNG).glob("*.png"))

    def volumes(self, which: str) -> dict[str, list[str]]:
        return by_volume(self.stems(which))

    @cached_property
    def _spacing(self) -> dict[str, dict[str, list[float]]]:
        return {which: read_json(self.path / which / SPACING) for which in SETS}

    @cached_property
    def _spacing_3d(self) -> dict[str, list[float]]:
        return read_json(self.path / SPACING_3D)

    def spacing(self, which: str, stem: str) -> tuple[float, ...]:
        """Millimetres along (X, Y) of a slice."""
        return tuple(self._spacing[which][stem])

    def spacing_3d(self, volume: str) -> tuple[float, ...]:
        """Millimetres along (X, Y, Z) of a volume, as resized."""
        return tuple(self._spacing_3d[volume])

    def grid(self, volume: str) -> dict[str, Any]:
        """Where the voxels of a volume lay before resizing: an entry of grids.json."""
        return self._grids[volume]

    @cached_property
    def _grids(self) -> dict[str, dict[str, Any]]:
        path = self.path / GRIDS
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} is missing: this data was sliced when the place of its voxels was not written down. Remove "
                f"{self.path} and slice it again; the same options give the same slices, and runs stay valid"
            )
        return read_json(path)

    def orientation(self, volume: str) -> str:
        """Where the axes of a volume point in the patient, as ``LPS``; empty if it is not known."""
        return self.about.get("orientation", {}).get(volume, "")

    def patient(self, volume: str) -> str:
        """Whose volume it is: ACDC has two of each patient."""
        return self.about.get("patient", {}).get(volume, volume)

    def image(self, which: str, stem: str) -> np.ndarray:
        """(C, X, Y) float32 in [0, 1]: what the network reads."""
        npy = self.path / which / IMAGES / f"{stem}.npy"
        if npy.is_file():
            return read_array(npy)
        layers = [read_png(self.path / which / name / f"{stem}.png") for name in self.modalities]
        return from_pictures(np.stack(layers))

    def labels(self, which: str, stem: str) -> np.ndarray:
        """(X, Y) uint8 class numbers; 255 = ignored."""
        npy = self.path / which / LABELS / f"{stem}.npy"
        if npy.is_file():
            return class_numbers(read_array(npy), npy)
        return read_png(self.path / which / LABELS_PNG / f"{stem}.png")

    def map_3d(self, which: str, stem: str) -> np.ndarray:
        """(K, X, Y) float32 mm: this slice of the volume's signed distance map."""
        npy = self.path / which / MAPS_3D / f"{stem}.npy"
        if not npy.is_file():
            raise FileNotFoundError(f"{npy} is missing: {self.about['study']} was sliced without 3D distance maps")
        return read_array(npy)

    def picture(self, which: str, stem: str, modality: str) -> np.ndarray:
        """(X, Y) uint8, one modality as its PNG shows it."""
        if modality not in self.modalities:
            raise ValueError(f"unknown modality '{modality}'; {self.path} has {', '.join(self.modalities)}")
        return read_png(self.path / which / modality / f"{stem}.png")


def from_pictures(pictures: np.ndarray) -> np.ndarray:
    """8-bit pictures as the network reads them: float32 in [0, 1]."""
    return pictures.astype(np.float32) / 255


def class_numbers(labels: np.ndarray, path: Path) -> np.ndarray:
    """Labels as uint8: integers of any width, bool, or floating point that holds whole numbers.

    Raises:
        ValueError: other values than 0 to 255, or more axes than a slice has; it names the file.
    """
    if labels.dtype == np.uint8 and labels.ndim == 2:
        return labels
    if labels.ndim != 2 or labels.dtype.kind not in "buif":
        raise ValueError(f"{path} holds {labels.dtype} of shape {labels.shape}, not the labels of a slice (X, Y)")
    fits = (labels >= 0) & (labels <= 255) & (labels == np.floor(labels))  # not so for NaN
    if not fits.all():
        strange = ", ".join(map(str, labels[~fits][:3].tolist()))
        raise ValueError(f"{path} holds the labels {strange}; they must be whole numbers, 0 to 255")
    return labels.astype(np.uint8)
