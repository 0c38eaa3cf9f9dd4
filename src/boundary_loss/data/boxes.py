"""Where to look in a volume: one box a case, all of one size, around what a network (the locator) found.

The rule of the left-atrium V-Net: along each axis from the first to the last plane whose summed probability is 10 or
more; the largest extent of the training cases, with a buffer, gives the size for all.
"""

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

import numpy as np
import torch
from torch import Tensor

from boundary_loss.data.frame import Box, Shape
from boundary_loss.files import write_json, write_text
from boundary_loss.folders import records
from boundary_loss.labels import IGNORED
from boundary_loss.names import checked_name

BOXES = "boxes.csv"
STATS = "stats.json"
SETS = ("train", "val")
_HEADER = ["case", "set", "found", "x", "y", "z", "size_x", "size_y", "size_z", "kept"]
_MAX_CSV = 1 << 24
"""Bytes of a boxes.csv that is read; a case takes some fifty."""
_COUNT = re.compile(r"\d{1,9}", re.ASCII)


def object_extent(probs: Tensor, least: float = 10) -> Box | None:
    """Return the planes that hold an object, or None where along some axis no plane does.

    Args:
        probs: (X, Y, Z) probability of the object.
        least: the sum of a plane's probabilities from which on it holds the object, in voxels.
    """
    ends = []
    for axis in range(probs.ndim):
        others = [other for other in range(probs.ndim) if other != axis]
        planes = torch.nonzero(probs.sum(others, dtype=torch.float64) >= least).flatten().tolist()
        if not planes:
            return None
        ends.append((planes[0], planes[-1] + 1))
    return Box(tuple(first for first, _ in ends), tuple(end - first for first, end in ends))


def box_size(extents: Sequence[Box], *, buffer: int = 30, multiple: int = 16) -> Shape:
    """The size of all boxes: the largest extent along each axis, the buffer, and up to a multiple.

    Args:
        extents: of the training cases in which there is one, in voxels of the source.
        buffer: voxels in all, not at each end.
        multiple: what networks that halve the volume can take.

    Raises:
        ValueError: there is no extent.
    """
    if not extents:
        raise ValueError("the locator found nothing in any training case, so that no box has a size; train it longer")
    largest = np.max([extent.shape for extent in extents], axis=0)
    return tuple(-(-(int(size) + buffer) // multiple) * multiple for size in largest)


def placed(extent: Box | None, size: Sequence[int], source: Sequence[int]) -> Box:
    """The box of a case: centred on what was found, or in the volume where nothing was; shifted inside.

    Along an axis on which the volume is smaller than ``size`` the box is as long as the volume.
    """
    around = extent or Box((0,) * len(source), tuple(source))
    shape = tuple(map(min, size, source))
    centred = [first + (own - side) // 2 for first, own, side in zip(around.origin, around.shape, shape)]
    return Box(tuple(min(max(0, first), n - side) for first, n, side in zip(centred, source, shape)), shape)


def kept_share(labels: np.ndarray, box: Box) -> float:
    """Share of the object's voxels that lie in the box; 1 where there is no object. Ignored voxels are none."""
    inside, whole = (int(((part > 0) & (part != IGNORED)).sum()) for part in (labels[box.slices], labels))
    return inside / whole if whole else 1.0


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of many values, added up array by array (Chan et al., 1983)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    """Sum of squared distances from the mean."""

    def with_values(self, values: np.ndarray) -> "Moments":
        """These and the values of an array of any type."""
        count, total = values.size, self.count + values.size
        if not count:
            return self
        mean = float(values.mean(dtype=np.float64))
        squares = float(np.square(np.subtract(values, mean, dtype=np.float64)).sum())
        apart = mean - self.mean
        between = apart**2 * self.count * count / total
        return Moments(total, self.mean + apart * count / total, self.squares + squares + between)

    @property
    def deviation(self) -> float:
        """Standard deviation of the values as a population; 1 where it would be 0, which nothing can be divided by."""
        return math.sqrt(self.squares / self.count) if self.squares > 0 else 1.0


@dataclass(frozen=True)
class Normalisation:
    """What one modality is shown less, and divided by."""

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
    """Share of the object's voxels in the box, see :func:`kept_share`."""


@dataclass(frozen=True, kw_only=True)
class Boxes:
    """The boxes of a study, and how what lies in those of the training cases is normalised."""

    size: Shape
    """Of all boxes, except where a volume is smaller."""
    cases: Mapping[str, CaseBox]
    normalisation: Mapping[str, Normalisation]
    """By modality."""

    @property
    def remarks(self) -> list[str]:
        """A line for each case in which nothing was found, or whose box leaves out a part of the object."""
        lines = []
        for case, row in self.cases.items():
            if not row.found:
                lines.append(f"{case} ({row.which}): the locator found nothing; the box is in the volume's centre")
            if row.kept < 1:
                lines.append(f"{case} ({row.which}): the box leaves out {100 * (1 - row.kept):.3g} % of the object")
        return lines

    @property
    def checksum(self) -> str:
        """One sha256 over all that the two files say."""
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
        values = {name: {"mean": n.mean, "deviation": n.deviation} for name, n in sorted(self.normalisation.items())}
        return {"size": list(self.size), "normalisation": values}

    @classmethod
    def read(cls, folder: Path) -> "Boxes":
        """Read what :meth:`write` has written.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: one of them was spoilt; the message names the file and the line.
        """
        remedy = f"remove {folder} and run make again, which finds the boxes anew"
        stats = records.read_record(folder / STATS, _STATS, needs=tuple(_STATS), remedy=remedy)
        size = tuple(stats["size"])
        try:
            cases = _read_csv(folder / BOXES, size)
        except ValueError as error:
            raise ValueError(f"{error}; {remedy}") from None
        normalisation = {name: Normalisation(n["mean"], n["deviation"]) for name, n in stats["normalisation"].items()}
        return cls(size=size, cases=cases, normalisation=normalisation)


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
    "normalisation": records.by_name(
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
