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

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from boundary_loss.files import read_array
from boundary_loss.folders import records
from boundary_loss.folders.grids import check_grid
from boundary_loss.folders.naming import checked_stem
from boundary_loss.folders.pictures import read_png
from boundary_loss.folders.prepared import SETS, PreparedFolder
from boundary_loss.names import checked_name

SLICING, SPACING, SPACING_3D = "slicing.json", "spacing.json", "spacing_3d.json"
GRIDS = "grids.json"
IMAGES, LABELS, MAPS_3D, LABELS_PNG = "in_npy", "gt_npy", "3d_distmap", "gt"


@dataclass(frozen=True)
class SlicedFolder(PreparedFolder):
    """A folder of sliced data."""

    record = SLICING
    what = "sliced data"

    _complete: dict[str, list[str]] = field(default_factory=dict, init=False, compare=False, repr=False)

    @property
    def _remedy(self) -> str:
        return f"remove {self.path} and slice it again: the same options give the same slices, and runs stay valid"

    def stems(self, which: str) -> list[str]:
        """Names of the slices of ``train`` or ``val``, sorted.

        Raises:
            FileNotFoundError: a file of a slice is not there.
        """
        if which not in self._complete:
            stems = sorted(self._spacing[which])
            for kind in self._kinds(which):
                self._refuse_missing(which, kind, stems)
            self._complete[which] = stems
        return list(self._complete[which])

    def _kinds(self, which: str) -> list[str]:
        """The folders that hold a file of every slice; 3D maps may be removed as a whole, for they can be computed."""
        kinds = self.about.kinds or (LABELS_PNG,)
        return [kind for kind in kinds if kind != MAPS_3D or self.has_maps_3d(which)]

    def _refuse_missing(self, which: str, kind: str, stems: list[str]) -> None:
        folder, ending = self.path / which / kind, ".npy" if kind in (IMAGES, LABELS, MAPS_3D) else ".png"
        found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        missing = [f"{stem}{ending}" for stem in stems if f"{stem}{ending}" not in found]
        if missing:
            raise FileNotFoundError(
                f"{folder / missing[0]} is missing ({len(missing)} of the {len(stems)} files that slicing wrote there "
                f"are not there); {self._remedy}"
            )

    def _has(self, which: str, kind: str) -> bool:
        """Whether slicing wrote this kind; it did not say so in data of an older version."""
        kinds = self.about.kinds
        return kind in kinds if kinds is not None else (self.path / which / kind).is_dir()

    @cached_property
    def _spacing(self) -> dict[str, dict[str, tuple[float, ...]]]:
        return {which: self._read_spacing(self.path / which / SPACING, 2, checked_stem) for which in SETS}

    @cached_property
    def _spacing_3d(self) -> dict[str, tuple[float, ...]]:
        return self._read_spacing(self.path / SPACING_3D, 3, partial(checked_name, what="volume"))

    def _read_spacing(self, path: Path, num_axes: int, check: Callable[..., object]) -> dict[str, tuple[float, ...]]:
        """``{slice or volume: mm along each axis}``."""
        content = records.read_record(path, {}, remedy=self._remedy)
        try:
            for name, spacing in content.items():
                check(name, file=path)
                records.lengths(num_axes)(spacing, name, path)
        except ValueError as error:
            raise ValueError(f"{error}; {self._remedy}") from None
        return {name: tuple(map(float, spacing)) for name, spacing in content.items()}

    def spacing(self, which: str, stem: str) -> tuple[float, ...]:
        """Millimetres along (X, Y) of a slice."""
        return self._of(stem, self._spacing[which], f"{which}/{SPACING}")

    def spacing_3d(self, volume: str) -> tuple[float, ...]:
        """Millimetres along (X, Y, Z) of a volume, as resized."""
        return self._of(volume, self._spacing_3d, SPACING_3D)

    def grid(self, volume: str) -> dict[str, Any]:
        """Where the voxels of a volume lay before resizing: an entry of grids.json."""
        return self._of(volume, self._grids, GRIDS)

    def _of(self, item: str, entries: dict[str, Any], name: str) -> Any:
        """The entry of a slice or volume in the file ``name``."""
        if item not in entries:
            raise ValueError(f"{self.path / name} has no entry of {item}; {self._remedy}")
        return entries[item]

    @cached_property
    def _grids(self) -> dict[str, dict[str, Any]]:
        path = self.path / GRIDS
        return records.read_entries(path, check_grid, "volume", remedy=self._remedy)

    def image(self, which: str, stem: str) -> np.ndarray:
        """(C, X, Y) float32 in [0, 1]: what the network reads."""
        if self._has(which, IMAGES):
            return self._image(self.path / which / IMAGES / f"{stem}.npy")
        layers = [read_png(self.path / which / name / f"{stem}.png") for name in self.modalities]
        return from_pictures(np.stack(layers))

    def _image(self, npy: Path) -> np.ndarray:
        image = read_array(npy)
        if image.ndim != 3 or len(image) != len(self.modalities):
            raise ValueError(
                f"{npy} holds {image.dtype} of shape {image.shape}, expected float32 ({len(self.modalities)}, X, Y); "
                f"{self._remedy}"
            )
        return image

    def labels(self, which: str, stem: str) -> np.ndarray:
        """(X, Y) uint8 class numbers; 255 = ignored."""
        npy = self.path / which / LABELS / f"{stem}.npy"
        if self._has(which, LABELS):
            return class_numbers(read_array(npy), npy)
        return read_png(self.path / which / LABELS_PNG / f"{stem}.png")

    def has_maps_3d(self, which: str) -> bool:
        return (self.path / which / MAPS_3D).is_dir()

    def map_3d(self, which: str, stem: str) -> np.ndarray:
        """(K, X, Y) float32 mm: this slice of the volume's signed distance map."""
        npy = self.path / which / MAPS_3D / f"{stem}.npy"
        if not npy.is_file():
            raise FileNotFoundError(f"{npy} is missing: {self.about.study} was sliced without 3D distance maps")
        signed = read_array(npy)
        if signed.ndim != 3 or len(signed) != len(self.classes) or signed.dtype.kind != "f":
            raise ValueError(
                f"{npy} holds {signed.dtype} of shape {signed.shape}, expected float32 ({len(self.classes)}, X, Y); "
                f"{self._remedy}"
            )
        return signed

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
