"""What a folder of whole volumes holds: written by preparation, read by training, evaluation and viewing.

    data/ATRIA/
        whole.json           study, class and modality names, checksum of the content, and of each case: shape, spacing,
                             grid, patient, orientation, scale, window, and what a further fold is made of without
                             reading the arrays (moments, digests, counts)
        arguments.txt        the settings, as typed; make compares them
        split.json           {"fold": 0, "folds": 5, "train": [patients], "val": [patients]}
        lgemri/CASE.npy      (X, Y, Z) a modality, in the type and the grid of the source's file
        gt/CASE.npy          (X, Y, Z) uint8 class numbers (255 = ignored)

Arrays are in Fortran order, so that a plane is one piece of its file, and are mapped into memory: what is not shown is
not read, and the system's cache is the cache. A network sees ``(value - offset) * factor``, where ``scale`` holds the
two numbers of each case and modality.

A plane has the name that a slice has, ``CASE_00_0012``, and the folder answers the questions that a sliced folder does.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from boundary_loss.files import map_array
from boundary_loss.folders import records
from boundary_loss.folders.grids import check_grid, voxels
from boundary_loss.folders.naming import Stem
from boundary_loss.folders.prepared import SETS, SPLIT, PreparedFolder
from boundary_loss.folders.prepared_record import FIELDS, NEEDS

WHOLE = "whole.json"
GT = "gt"
CLIPPING = "window"
"""The rule of normalisation that cuts what lies outside [0, 1] after scaling."""


def rules_in(text: str) -> list[str]:
    """Return the rules of normalisation in a text, which are apart by spaces; those within brackets are part of one."""
    return re.split(r"\s+(?![^(]*\))", text.strip())


@dataclass(frozen=True)
class Scale:
    """From the values of a file to what a network sees."""

    offset: float
    factor: float
    clipped: bool = False
    """Whether what lies outside [0, 1] becomes 0 or 1."""

    def __call__(self, values: Any) -> Any:
        """Scale an array or tensor of floats."""
        scaled = (values - self.offset) * self.factor
        return scaled.clip(0, 1) if self.clipped else scaled


def _scale(value: Any, key: str, path: Path) -> None:
    """Refuse what is not an offset and a factor."""
    records.list_of(records.number)(value, key, path)
    if len(value) != 2 or not np.isfinite(value).all() or value[1] <= 0:
        raise ValueError(f"{path}: '{key}' is {value!r:.60}, expected an offset and a factor above 0")


def _window(value: Any, key: str, path: Path) -> None:
    """Refuse what is not the darkest and the brightest value of a picture."""
    records.list_of(records.number)(value, key, path)
    if len(value) != 2 or not -np.inf < value[0] < value[1] < np.inf:
        raise ValueError(f"{path}: '{key}' is {value!r:.60}, expected two numbers, the smaller first")


def _moments(value: Any, key: str, path: Path) -> None:
    """Refuse what is not number, mean, deviation, least and greatest of a volume's values."""
    records.list_of(records.number)(value, key, path)
    if len(value) != 5 or value[0] < 1:
        raise ValueError(f"{path}: '{key}' is {value!r:.60}, expected five numbers, the first above 0")


def _counts(value: Any, key: str, path: Path) -> None:
    """Refuse what is not four counts: voxels with and without an object, planes, planes with an object."""
    records.list_of(records.count)(value, key, path)
    if len(value) != 4:
        raise ValueError(f"{path}: '{key}' is {value!r:.60}, expected four counts")


_CASE: dict[str, records.Check] = {
    "shape": voxels,
    "spacing": records.lengths(3),
    "grid": check_grid,
    "patient": records.name,
    "orientation": records.text,
    "scale": records.by_name(_scale),
    "window": records.by_name(_window),
    "moments": records.by_name(_moments),
    "digests": records.by_name(records.text),
    "counts": _counts,
}
_FIELDS = FIELDS | {"kind": records.text, "cases": records.by_name(records.record(_CASE, needs=tuple(_CASE)))}


@dataclass(frozen=True)
class WholeFolder(PreparedFolder):
    """A folder of whole volumes. Planes are those of the last axis; ``which`` is ``train`` or ``val`` of split.json."""

    record = WHOLE
    what = "whole volumes"
    fields = _FIELDS

    _mapped: dict[Path, np.ndarray] = field(default_factory=dict, init=False, compare=False, repr=False)

    @cached_property
    def content(self) -> dict[str, Any]:
        """The content of whole.json: ``study``, ``classes``, ``modalities``, ``checksum``, ``phantom``, ``cases``."""
        needs = (*NEEDS, "kind", "preparation", "cases")
        content = records.read_record(self.record_path, self.fields, needs=needs, remedy=self._remedy)
        for case, entry in content["cases"].items():
            self._refuse_contradiction(case, entry, content["modalities"])
        return content

    def _refuse_contradiction(self, case: str, entry: dict[str, Any], modalities: list[str]) -> None:
        path = self.record_path
        if entry["shape"] != entry["grid"]["shape"]:
            raise ValueError(f"{path}: {case} has another shape than its grid; {self._remedy}")
        for key in ("scale", "window", "moments", "digests"):
            missing = [name for name in modalities if name not in entry[key]]
            if missing:
                raise ValueError(f"{path}: the {key} of {case} lacks {missing[0]}; {self._remedy}")

    @property
    def _remedy(self) -> str:
        return f"remove {self.path} and prepare it again: the same options give the same volumes, and runs stay valid"

    @property
    def preparation(self) -> dict[str, Any]:
        """How a new case is prepared alike (boundary_loss.preparation.shown)."""
        return self.content["preparation"]

    @cached_property
    def _split(self) -> dict[str, list[str]]:
        """``{which: its cases}``, sorted."""
        path = self.path / SPLIT
        split = records.read_record(path, dict.fromkeys(SETS, records.names), needs=SETS, remedy=self._remedy)
        sides = {patient: which for which in SETS for patient in split[which]}
        cases: dict[str, list[str]] = {which: [] for which in SETS}
        for case in sorted(self.content["cases"]):
            patient = self.patient(case)
            if patient not in sides:
                raise ValueError(f"{path} has patient {patient} of {case} on neither side; {self._remedy}")
            cases[sides[patient]].append(case)
        return cases

    def cases(self, which: str) -> list[str]:
        """Names of the volumes of ``train`` or ``val``, sorted.

        Raises:
            FileNotFoundError: an array of one is not there.
        """
        for case in self._split[which]:
            for name in (*self.modalities, GT):
                if not self._array(case, name).is_file():
                    raise FileNotFoundError(f"{self._array(case, name)} is missing; {self._remedy}")
        return list(self._split[which])

    def stems(self, which: str) -> list[str]:
        """Names of the planes of ``train`` or ``val``, sorted."""
        return sorted(
            f"{case}_00_{z:04d}" for case in self.cases(which) for z in range(self.content["cases"][case]["shape"][2])
        )

    def _array(self, case: str, name: str) -> Path:
        return self.path / name / f"{case}.npy"

    def _entry(self, case: str) -> dict[str, Any]:
        if case not in self.content["cases"]:
            raise ValueError(f"{self.path / WHOLE} has no entry of {case}; {self._remedy}")
        return self.content["cases"][case]

    def volume(self, case: str, modality: str) -> np.ndarray:
        """(X, Y, Z) one modality as in its file, mapped into memory: to be scaled where it is used."""
        if modality not in self.modalities:
            raise ValueError(f"unknown modality '{modality}'; {self.path} has {', '.join(self.modalities)}")
        return self._map(case, modality)

    def truth(self, case: str) -> np.ndarray:
        """(X, Y, Z) uint8 class numbers, mapped into memory; 255 = ignored."""
        return self._map(case, GT)

    def _map(self, case: str, name: str) -> np.ndarray:
        path = self._array(case, name)
        if path not in self._mapped:
            shape = tuple(self._entry(case)["shape"])
            array = map_array(path)
            fits = array.dtype == np.uint8 if name == GT else array.dtype.kind in "iuf"
            if array.shape != shape or not fits:
                raise ValueError(f"{path} holds {array.dtype} of shape {array.shape}, expected {shape}; {self._remedy}")
            self._mapped[path] = array
        return self._mapped[path]

    def scale(self, case: str, modality: str) -> Scale:
        """How the values of a case become what a network sees."""
        offset, factor = self._entry(case)["scale"][modality]
        rules = rules_in(str(self.preparation.get("normalise", "")))
        rule = rules[self.modalities.index(modality)] if len(rules) > 1 else rules[0]
        return Scale(offset, factor, clipped=rule.startswith(CLIPPING))

    def spacing(self, which: str, stem: str) -> tuple[float, ...]:
        """Millimetres along (X, Y) of a plane."""
        return self.spacing_3d(Stem.parse(stem).volume)[:2]

    def spacing_3d(self, volume: str) -> tuple[float, ...]:
        """Millimetres along (X, Y, Z) of a volume."""
        return tuple(map(float, self._entry(volume)["spacing"]))

    def shape(self, volume: str) -> tuple[int, ...]:
        """Voxels along (X, Y, Z) of a volume."""
        return tuple(self._entry(volume)["shape"])

    def grid(self, volume: str) -> dict[str, Any]:
        """Where the voxels of a volume lie: what the header of its file says."""
        return self._entry(volume)["grid"]

    def orientation(self, volume: str) -> str:
        """Where the axes of a volume point in the patient, as ``LPS``; ``?`` for what is not known."""
        return self._entry(volume)["orientation"]

    def patient(self, volume: str) -> str:
        """Whose volume it is."""
        return self._entry(volume)["patient"]

    def image(self, which: str, stem: str) -> np.ndarray:
        """(C, X, Y) float32: a plane as the network reads it."""
        case = Stem.parse(stem).volume
        layers = [
            self.scale(case, name)(self._plane(self.volume(case, name), stem).astype(np.float32))
            for name in self.modalities
        ]
        return np.stack(layers).astype(np.float32, copy=False)

    def labels(self, which: str, stem: str) -> np.ndarray:
        """(X, Y) uint8 class numbers; 255 = ignored."""
        return np.array(self._plane(self.truth(Stem.parse(stem).volume), stem))

    def picture(self, which: str, stem: str, modality: str) -> np.ndarray:
        """(X, Y) uint8, one modality of a plane between the two values of its window."""
        case = Stem.parse(stem).volume
        plane = self._plane(self.volume(case, modality), stem).astype(np.float64)
        low, high = self._entry(case)["window"][modality]
        return np.rint(255 * ((plane - low) / (high - low)).clip(0, 1)).astype(np.uint8)

    def _plane(self, volume: np.ndarray, stem: str) -> np.ndarray:
        position = Stem.parse(stem).position
        if position >= volume.shape[2]:
            raise ValueError(f"{self.path} has no plane {stem}: there are {volume.shape[2]}")
        return volume[:, :, position]
