"""A folder of data that is ready for training, whatever kind: what its readers may ask.

A plane is one 2D image of a volume, named as a slice is: ``case_10_00_0003`` is plane 3 of the volume ``case_10``. A
sliced folder keeps planes as files; a folder of whole volumes reads them out of its arrays.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from boundary_loss.folders import records
from boundary_loss.folders.naming import by_volume
from boundary_loss.folders.prepared_record import FIELDS, NEEDS, PreparedRecord
from boundary_loss.folders.split import Split

SPLIT = "split.json"
SETS = ("train", "val")


@dataclass(frozen=True)
class PreparedFolder(ABC):
    """What its files say is checked where it is read; errors name the file and the remedy."""

    path: Path

    record: ClassVar[str]
    """The JSON file that makes a folder one of this kind."""
    what: ClassVar[str] = "prepared data"
    """What errors call it."""
    fields: ClassVar[Mapping[str, records.Check]] = FIELDS

    kinds: ClassVar[list[type[Self]]] = []
    """Every kind that there is: the package imports them."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        PreparedFolder.kinds.append(cls)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Return the folder at ``path``, of the kind that its record says.

        Raises:
            FileNotFoundError: there is no folder of a kind that is a ``cls``.
        """
        kinds = [kind for kind in PreparedFolder.kinds if issubclass(kind, cls)]
        for kind in kinds:
            if (path / kind.record).is_file():
                return kind(path)
        what, missing = (" or ".join(getattr(kind, name) for kind in kinds) for name in ("what", "record"))
        raise FileNotFoundError(f"no {what} at {path} ({missing} is missing); make -f STUDY.make {path} makes it")

    @classmethod
    def is_at(cls, path: Path) -> bool:
        """Whether there is a folder of such a kind at ``path``."""
        return any((path / kind.record).is_file() for kind in PreparedFolder.kinds if issubclass(kind, cls))

    @property
    def record_path(self) -> Path:
        return self.path / self.record

    @cached_property
    def content(self) -> dict[str, Any]:
        """The record as it is in its file, with all fields checked."""
        content = records.read_record(self.record_path, self.fields, needs=NEEDS, remedy=self._remedy)
        if not content["classes"]:
            raise ValueError(f"{self.record_path}: 'classes' is empty; {self._remedy}")
        return content

    @cached_property
    def about(self) -> PreparedRecord:
        """What every kind of record says: study, classes, modalities, checksum."""
        return PreparedRecord.of(self.content)

    @cached_property
    def split(self) -> Split | None:
        """Which patients train and which are held out; None if it was not written down."""
        path = self.path / SPLIT
        return Split.read(path, remedy=self._remedy) if path.is_file() else None

    @property
    def _remedy(self) -> str:
        return f"remove {self.path} and make it again: the same options give the same data, and runs stay valid"

    @property
    def classes(self) -> list[str]:
        """Class names, background first."""
        return list(self.about.classes)

    @property
    def modalities(self) -> list[str]:
        return list(self.about.modalities)

    @property
    def preparation(self) -> Mapping[str, Any] | None:
        """How the data came from volumes (boundary_loss.preparation.shown); None if it was made before that was
        written down."""
        return self.about.preparation

    def orientation(self, volume: str) -> str:
        """Where the axes of a volume point in the patient, as ``LPS``; empty if it is not known."""
        return self.about.orientation.get(volume, "")

    def patient(self, volume: str) -> str:
        """Whose volume it is: ACDC has two of each patient."""
        return self.about.patient.get(volume, volume)

    def volumes(self, which: str) -> dict[str, list[str]]:
        """The planes of each volume of ``train`` or ``val``, in order."""
        return by_volume(self.stems(which))

    @abstractmethod
    def stems(self, which: str) -> list[str]:
        """Names of the planes of ``train`` or ``val``, sorted.

        Raises:
            FileNotFoundError: a file that holds some of them is not there.
        """

    @abstractmethod
    def image(self, which: str, stem: str) -> np.ndarray:
        """(C, X, Y) float32: what a 2D network reads of a plane."""

    @abstractmethod
    def labels(self, which: str, stem: str) -> np.ndarray:
        """(X, Y) uint8 class numbers of a plane; 255 = ignored."""

    @abstractmethod
    def picture(self, which: str, stem: str, modality: str) -> np.ndarray:
        """(X, Y) uint8, one modality of a plane for people."""

    @abstractmethod
    def spacing(self, which: str, stem: str) -> tuple[float, ...]:
        """Millimetres along (X, Y) of a plane."""

    @abstractmethod
    def spacing_3d(self, volume: str) -> tuple[float, ...]:
        """Millimetres along (X, Y, Z) of a volume, as prepared."""

    @abstractmethod
    def grid(self, volume: str) -> dict[str, Any]:
        """Where the voxels of a volume lay in its source."""

    def has_maps_3d(self, which: str) -> bool:
        """Whether the planes of the volumes' signed distance maps are on the disk."""
        return False

    def map_3d(self, which: str, stem: str) -> np.ndarray:
        """(K, X, Y) float32 mm: this plane of the volume's signed distance map, where it is on the disk."""
        raise FileNotFoundError(f"{self.path} keeps no 3D distance maps")
