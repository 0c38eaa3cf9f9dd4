"""Writes and reads the boxes that a locator found, one a case, and the intensities in them."""

import csv
import hashlib
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boundary_loss.data.frame import Box, Shape
from boundary_loss.files import write_json, write_text
from boundary_loss.folders import records
from boundary_loss.names import checked_name

BOXES = "boxes.csv"
STATS = "stats.json"
SETS = ("train", "val")
_HEADER = ["case", "set", "found", "x", "y", "z", "size_x", "size_y", "size_z", "kept"]
_MAX_CSV = 1 << 24
"""Bytes of a boxes.csv that is read; a case takes some fifty."""
_COUNT = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True)
class Intensities:
    """Mean and standard deviation of one modality, over all voxels in the boxes of the training cases."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class CaseBox:
    """The box of one case."""

    which: str
    """``train`` or ``val``."""
    box: Box
    """In voxels of the source."""
    found: bool
    """Whether the locator found anything; if not, the box lies in the volume's centre."""
    kept: float
    """Share of the object's voxels in the box, see :func:`boundary_loss.data.locator.kept_share`."""


@dataclass(frozen=True, kw_only=True)
class Boxes:
    """The boxes of a study, and the intensities in those of its training cases."""

    size: Shape
    """Of all boxes, except where a volume is smaller."""
    cases: Mapping[str, CaseBox]
    intensities: Mapping[str, Intensities]
    """By modality."""

    @property
    def kept(self) -> dict[str, float]:
        """Return the share of the object's voxels in the boxes of the validation cases: mean and minimum over cases."""
        shares = [row.kept for row in self.cases.values() if row.which == "val"] or [1.0]
        return {"mean": sum(shares) / len(shares), "least": min(shares)}

    @property
    def remarks(self) -> list[str]:
        """Return a line for each case in which nothing was found, or whose box leaves out a part of the object."""
        lines = []
        for case, row in self.cases.items():
            if not row.found:
                lines.append(f"{case} ({row.which}): the locator found nothing; the box is in the volume's centre")
            if row.kept < 1:
                lines.append(f"{case} ({row.which}): the box leaves out {100 * (1 - row.kept):.3g} % of the object")
        return lines

    @property
    def checksum(self) -> str:
        """Return one sha256 of the contents of both files."""
        return hashlib.sha256((self._csv() + json.dumps(self._stats())).encode()).hexdigest()

    def write(self, folder: Path) -> None:
        """Write ``boxes.csv`` and ``stats.json``, each whole or not at all."""
        write_text(folder / BOXES, self._csv())
        write_json(folder / STATS, self._stats())

    def _csv(self) -> str:
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(_HEADER)
        for case, row in sorted(self.cases.items()):
            found = "yes" if row.found else "no"
            table.writerow([case, row.which, found, *row.box.origin, *row.box.shape, float(row.kept)])
        return text.getvalue()

    def _stats(self) -> dict[str, Any]:
        values = {name: {"mean": n.mean, "deviation": n.deviation} for name, n in sorted(self.intensities.items())}
        return {"size": list(self.size), "intensities": values}

    @classmethod
    def read(cls, folder: Path) -> "Boxes":
        """Read what :meth:`write` has written.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: one of them is damaged; the message names the file and the line.
        """
        remedy = f"remove {folder} and run make again, which finds the boxes anew"
        stats = records.read_record(folder / STATS, _STATS, needs=tuple(_STATS), remedy=remedy)
        size = tuple(stats["size"])
        try:
            cases = _read_csv(folder / BOXES, size)
        except ValueError as error:
            raise ValueError(f"{error}; {remedy}") from None
        intensities = {name: Intensities(n["mean"], n["deviation"]) for name, n in stats["intensities"].items()}
        return cls(size=size, cases=cases, intensities=intensities)


def _size(value: Any, key: str, path: Path) -> None:
    records.list_of(records.count)(value, key, path)
    if len(value) != 3 or not all(1 <= side < 10**9 for side in value):
        raise ValueError(f"{path}: '{key}' is {str(value)[:60]}, expected three numbers of voxels")


def _finite(value: Any, key: str, path: Path) -> None:
    records.number(value, key, path)
    if not math.isfinite(value):
        raise ValueError(f"{path}: '{key}' is {value}, expected a finite number")


_STATS: dict[str, records.Check] = {
    "size": _size,
    "intensities": records.by_name(
        records.record({"mean": _finite, "deviation": records.length}, needs=("mean", "deviation"))
    ),
}


def _read_csv(path: Path, size: Shape) -> dict[str, CaseBox]:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; remove {path.parent} and run make again")
    if path.stat().st_size > _MAX_CSV:
        raise ValueError(f"{path} has more than {_MAX_CSV} bytes")
    try:
        lines = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as a table: {error}") from None
    if not lines or lines[0] != _HEADER:
        raise ValueError(f"{path} does not begin with the line {','.join(_HEADER)}")
    cases: dict[str, CaseBox] = {}
    for number, line in enumerate(lines[1:], 2):
        case, row = _read_row(line, size, path, f"{path}, line {number}")
        if case in cases:
            raise ValueError(f"{path}, line {number}: {case} comes twice")
        cases[case] = row
    return cases


def _read_row(line: Sequence[str], size: Shape, path: Path, place: str) -> tuple[str, CaseBox]:
    if len(line) != len(_HEADER):
        raise ValueError(f"{place} has {len(line)} fields, expected {len(_HEADER)}")
    case, which, found, *counts, kept = line
    checked_name(case, "case", path)
    if which not in SETS or found not in ("yes", "no"):
        raise ValueError(f"{place}: expected {' or '.join(SETS)}, then yes or no, got {which[:60]!r}, {found[:60]!r}")
    if not all(map(_COUNT.fullmatch, counts)):
        raise ValueError(f"{place}: origin and size are not all whole numbers of 0 or more")
    numbers = tuple(map(int, counts))
    box = Box(numbers[:3], numbers[3:])
    if not all(1 <= side <= most for side, most in zip(box.shape, size)):
        raise ValueError(f"{place}: the box has the shape {box.shape}, expected at most {size}, that of {STATS}")
    return case, CaseBox(which, box, found == "yes", _share(kept, place))


def _share(text: str, place: str) -> float:
    with suppress(ValueError):
        if 0 <= float(text) <= 1:
            return float(text)
    raise ValueError(f"{place}: kept is {text[:60]!r}, expected a number from 0 to 1")
