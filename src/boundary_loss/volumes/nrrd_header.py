"""The text of an NRRD header: its fields, and where they say that the voxels lie.

The format is at https://teem.sourceforge.net/nrrd/format.html. A header names one axis after the other, the fastest
first, so that its axes are those of a NIfTI file and of our arrays, (X, Y, Z), and nothing is transposed. Its places
are mm in the space that it names; those of a space that counts to the patient's left or back are turned here.

Values are parsed by pynrrd. It drops the comments, tells ``field: value`` from ``key:=value`` by nothing and cuts sizes
of 3.5 to 3, so lines are told apart, and sizes read, here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from boundary_loss.volumes.geometry import (
    PLAUSIBLE_MM,
    UNIT_MM,
    Geometry,
    in_words,
    invertible,
    resized,
    same_sizes,
    sizes,
    unplaced,
)
from boundary_loss.volumes.packages import package

_SPACES = {
    ("right-anterior-superior", "ras"): (1.0, 1.0, 1.0),
    ("left-anterior-superior", "las"): (-1.0, 1.0, 1.0),
    ("left-posterior-superior", "lps"): (-1.0, -1.0, 1.0),
}
_LPS = (-1.0, -1.0, 1.0)
_TO_RAS = {name: signs for names, signs in _SPACES.items() for name in names}
"""Signs of the axes of a named space, counted to the patient's right, front and head."""

_UNITS = {
    ("mm", "millimeter", "millimeters", "millimetre", "millimetres"): 1.0,
    ("cm", "centimeter", "centimeters", "centimetre", "centimetres"): 10.0,
    ("m", "meter", "meters", "metre", "metres"): 1000.0,
    ("um", "µm", "âµm", "î¼m", "micron", "microns", "micrometer", "micrometers"): 0.001,
}
"""Units by name, in mm. The third and fourth of a micrometre are the two signs of micro in UTF-8, read as latin-1."""
_IN_MM = {name: mm for names, mm in _UNITS.items() for name in names}

_TYPES = {
    "i1": "int8, int8_t, signed char",
    "u1": "uint8, uint8_t, unsigned char, uchar",
    "i2": "int16, int16_t, short, short int, signed short, signed short int",
    "u2": "uint16, uint16_t, unsigned short, unsigned short int, ushort",
    "i4": "int32, int32_t, int, signed int",
    "u4": "uint32, uint32_t, unsigned int, uint",
    "i8": "int64, int64_t, long long, long long int, signed long long, signed long long int, longlong",
    "u8": "uint64, uint64_t, unsigned long long, unsigned long long int, ulonglong",
    "f4": "float",
    "f8": "double",
}
"""NumPy's code of a type, and the names that headers have for it."""
_CODES = {name: code for code, names in _TYPES.items() for name in names.split(", ")}

_OF_SPACE = ("domain", "space", "none", "???")
"""Kinds of an axis that may be one of the three of space."""
_OF_STORAGE = {
    "byte skip", "byteskip", "line skip", "lineskip", "data file", "datafile", "block size", "blocksize",
    "min", "max", "old min", "oldmin", "old max", "oldmax",
}  # fmt: skip
"""Fields that say how one file keeps its values; they are left out of another that is written in its place."""


def fields_of(lines: Sequence[str]) -> dict[str, Any]:
    """Return the fields of a header by name, in lower case, parsed by pynrrd; comments and keys are passed over.

    Args:
        lines: without line ends; the first is ``NRRD0004`` or so.

    Raises:
        ValueError: a line is neither a field nor a comment, a field stands twice, or a value cannot be read.
    """
    nrrd = package("nrrd", "pynrrd", "an NRRD file")
    found: dict[str, str] = {}
    for number, line in enumerate(lines[1:], 2):
        if line.startswith("#"):
            continue
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f"line {number} of its header is neither a field nor a comment: {line[:40]!r}")
        if value.startswith("="):
            continue
        name = name.strip().lower()
        if name in found:
            raise ValueError(f"its header has the field '{name}' twice")
        found[name] = value.strip()
    return {
        name: _sizes(value) if name == "sizes" else _parsed(nrrd, lines[0], name, value)
        for name, value in found.items()
    }


def _parsed(nrrd: Any, magic: str, name: str, value: str) -> Any:
    try:
        with np.errstate(all="ignore"):  # numbers that are none
            return nrrd.read_header([magic, f"{name}: {value}"])[name]
    except (nrrd.NRRDError, ValueError, IndexError, TypeError, OverflowError) as error:
        raise ValueError(f"the field '{name}' of its header cannot be read, {value[:40]!r}: {error}") from None


def _sizes(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"[0-9]{1,18}(\s+[0-9]{1,18})*", text):
        raise ValueError(f"its sizes are {text[:40]!r}, expected whole numbers")
    return tuple(map(int, text.split()))


def dtype_of(fields: dict[str, Any]) -> np.dtype:
    """Return the type of the voxels as they are stored.

    Raises:
        ValueError: a type that is no number, or one of several bytes without their order.
    """
    code = _CODES.get(fields["type"].lower())
    if code is None:
        raise ValueError(f"its type is {fields['type'][:40]!r}, expected integers or floats")
    if np.dtype(code).itemsize == 1:
        return np.dtype(code)
    order = {"little": "<", "big": ">"}.get(fields.get("endian", "").lower())
    if order is None:
        said = f"endian is {fields['endian'][:40]!r}" if "endian" in fields else "endian is missing"
        raise ValueError(f"its header does not say the order of bytes: {said}")
    return np.dtype(order + code)


def refuse_other_axes(fields: dict[str, Any]) -> None:
    """Raise ValueError unless there are three axes, all of space: no colours, no time, no vectors."""
    shape, kinds = fields["sizes"], [str(kind) for kind in fields.get("kinds", [])]
    told = in_words(shape) + (f" ({' '.join(kinds)[:60]})" if kinds else "")
    if fields["dimension"] != len(shape):
        raise ValueError(f"its dimension is {fields['dimension']}, its sizes {told}")
    for name, length in (("kinds", 3), ("space directions", 3), ("space origin", 3), ("spacings", 3)):
        if len(shape) == 3 and name in fields and len(fields[name]) != length:
            raise ValueError(f"its {name} are {len(fields[name])}, its axes {len(shape)}")
    directions = fields.get("space directions")
    of_space = all(kind.lower() in _OF_SPACE for kind in kinds)
    if directions is not None and len(shape) == 3:
        of_space &= directions.shape == (3, 3) and not np.isnan(directions).all(axis=1).any()
    if len(shape) != 3 or 0 in shape or not of_space or fields.get("space dimension", 3) != 3:
        raise ValueError(f"it is not a 3D volume: its sizes are {told}")


@dataclass(frozen=True)
class NrrdGeometry(Geometry, format="nrrd"):
    """Where the voxels of an NRRD file lie: the lines of its header, as written."""

    ending = ".nrrd"

    shape: tuple[int, int, int]
    lines: tuple[str, ...]
    """From ``NRRD0004`` to the line before the empty one, comments and keys included. The bytes are taken for latin-1,
    which has a letter for each, so that they come back."""
    stated_mm: tuple[float, float, float] | None = None
    """The size of a voxel, where the header is known to be wrong; it is not written."""

    @classmethod
    def _from_json(cls, content: dict[str, Any]) -> "NrrdGeometry":
        x, y, z = content["shape"]
        if any("\n" in line or "\r" in line for line in content["header"]):
            raise ValueError("a line of an NRRD header holds the end of a line")
        return cls((x, y, z), tuple(content["header"]))

    def as_json(self) -> dict[str, Any]:
        return {"format": self.format, "shape": list(self.shape), "header": list(self.lines)}

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The fields by name, parsed."""
        return fields_of(self.lines)

    def restated(self, spacing_mm: tuple[float, float, float]) -> "NrrdGeometry":
        return replace(self, stated_mm=spacing_mm)

    @cached_property
    @np.errstate(all="ignore")
    def spacing_mm(self) -> tuple[float, float, float]:
        if self.stated_mm is not None:
            return self.stated_mm
        along = self._spacings if self._directions is None else sizes(self._directions)
        x, y, z = map(float, UNIT_MM if along is None else along)
        return x, y, z

    @cached_property
    @np.errstate(all="ignore")
    def affine(self) -> np.ndarray:
        """(4, 4), voxel indices to mm. A space that is not named is taken for left-posterior-superior, as ITK does."""
        affine = unplaced(self.spacing_mm)
        if self._directions is not None and invertible(self._directions):
            affine[:3, :3] = resized(self._directions, self.spacing_mm)[:3, :3]
        origin = np.asarray(self.fields.get("space origin", (0.0, 0.0, 0.0)), float)
        affine[:3, 3] = self._signs * self._space_units * origin
        return affine

    @cached_property
    @np.errstate(all="ignore")
    def _directions(self) -> np.ndarray | None:
        """(4, 4), voxel indices to mm from the first voxel, by ``space directions``."""
        if "space directions" not in self.fields:
            return None
        directions = np.eye(4)
        directions[:3, :3] = (self._signs * self._space_units)[:, None] * self.fields["space directions"].T
        return directions

    @property
    def _signs(self) -> np.ndarray:
        return np.array(_TO_RAS.get(self.fields.get("space", "").lower(), _LPS))

    @property
    def _space_units(self) -> np.ndarray:
        return self._in_mm("space units")

    @property
    @np.errstate(all="ignore")
    def _spacings(self) -> np.ndarray | None:
        if "spacings" not in self.fields:
            return None
        return np.asarray(self.fields["spacings"], float) * self._in_mm("units")

    def _in_mm(self, field: str) -> np.ndarray:
        units = [unit.lower() for unit in self.fields.get(field, [])]
        return np.array([_IN_MM.get(unit, 1.0) for unit in units] if len(units) == 3 else UNIT_MM)

    def dispute(self) -> str | None:
        if self._directions is None:
            return None
        if not invertible(self._directions):
            rows = np.round(self.fields["space directions"], 4).tolist()
            return f"singular affine (space directions): {rows}"
        if self._spacings is not None and not same_sizes(self._spacings, self.spacing_mm):
            said = in_words(self._spacings)
            return f"header says {said} mm a voxel, its affine (space directions) {in_words(self.spacing_mm)}"
        return None

    def doubts(self) -> list[str]:
        doubts = []
        space = self.fields.get("space", "")
        if self._directions is not None and space.lower() not in _TO_RAS:
            named = f"its space is {space[:40]!r}" if space else "its header does not name the space of its directions"
            doubts.append(f"{named}; taken for left-posterior-superior")
        units = [unit for field in ("space units", "units") for unit in self.fields.get(field, [])]
        unknown = [unit for unit in units if unit and unit.lower() not in _IN_MM]
        if unknown:
            doubts.append(f"its header has the unit {unknown[0][:20]!r}; taken for mm")
        elif set(units) - {"mm", ""} and not all(PLAUSIBLE_MM[0] <= mm <= PLAUSIBLE_MM[1] for mm in self.spacing_mm):
            doubts.append(f"{in_words(self.spacing_mm)} mm a voxel: the header's unit is {units[0][:20]}")
        return doubts


def header_for(array: np.ndarray, place: np.ndarray | Geometry) -> list[str]:
    """Return the lines of a header for an array that is stored gzipped, in little-endian bytes.

    Args:
        place: a (4, 4) affine (RAS); or the geometry of a file, whose lines are all kept if it is NRRD, but for what
            they say of type, order of bytes and encoding, and ``_OF_STORAGE``.
    """
    code = array.dtype.str[1:]
    if code not in _TYPES:
        raise ValueError(f"an NRRD file cannot hold {array.dtype} voxels")
    stored = {"type": _TYPES[code].split(",")[0], "encoding": "gzip"}
    if array.dtype.itemsize > 1:
        stored["endian"] = "little"
    if not isinstance(place, NrrdGeometry):
        return _new_header(array.shape, place.affine if isinstance(place, Geometry) else place, stored)
    kept, lines = dict(stored), []
    for line in place.lines:
        name, colon, value = line.partition(":")
        field = name.strip().lower() if colon and not value.startswith("=") and not line.startswith("#") else ""
        if field in stored:
            lines.append(f"{name}: {kept.pop(field)}")
        elif field not in _OF_STORAGE and not (field == "endian" and array.dtype.itemsize == 1):
            lines.append(line)
    return lines + [f"{name}: {value}" for name, value in kept.items()]


def _new_header(shape: tuple[int, ...], affine: np.ndarray, stored: dict[str, str]) -> list[str]:
    """Return a header in left-posterior-superior, the space that every NRRD reader of the field knows."""
    turned = np.array(_LPS)[:, None] * affine[:3]
    directions = " ".join(_vector(column) for column in turned[:, :3].T)
    lines = [
        "NRRD0004",
        f"type: {stored['type']}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, shape))}",
        f"space directions: {directions}",
        "kinds: domain domain domain",
        f"encoding: {stored['encoding']}",
        f"space origin: {_vector(turned[:, 3])}",
    ]
    return lines + ([f"endian: {stored['endian']}"] if "endian" in stored else [])


def _vector(values: np.ndarray) -> str:
    return f"({','.join(repr(float(value) + 0.0) for value in values)})"
