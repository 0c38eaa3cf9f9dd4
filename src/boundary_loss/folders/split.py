"""Read and check ``split.json``: the patients that train and those that are held out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from boundary_loss.folders import records

SIDES = ("train", "val")
FIELDS: dict[str, records.Check] = {
    **dict.fromkeys(SIDES, records.names),
    **dict.fromkeys(("fold", "folds", "retain"), records.count),
    "seed": records.whole,
}
"""A check of each entry, see :func:`boundary_loss.folders.records.read_record`."""
_HEADINGS = {"training": "train", "train": "train", "validation": "val", "val": "val"}
SPLIT = records.record(FIELDS)
"""Refuses what :meth:`Split.from_json` cannot take."""


@dataclass(frozen=True)
class Split:
    """The patients of both sides. The ``folds`` of one seed partition the patients; a given split has none."""

    seed: int | None
    fold: int | None
    folds: int | None
    retain: int | None
    train: list[str]
    val: list[str]

    def as_json(self) -> dict[str, Any]:
        """Return the content of ``split.json``."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Split":
        """Make a split from content that :data:`SPLIT` has checked; a missing side is empty."""
        drawn = {key: content.get(key) for key in ("seed", "fold", "folds", "retain")}
        return cls(**drawn, train=list(content.get("train") or ()), val=list(content.get("val") or ()))

    @classmethod
    def read(cls, path: Path, *, remedy: str) -> "Split":
        """Read ``split.json``, or any JSON file with lists ``train`` and ``val`` of patients; or a ``.txt`` of names.

        In a text file the names stand below ``Training:`` and ``Validation:``, one a line, as in the split of BraTS
        that comes with OSS-Net (Reich et al. 2021).

        Args:
            remedy: what the user can do about a spoilt file; ends every message.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it cannot be read, or an entry is not what it should be.
        """
        if path.suffix == ".txt":
            return cls.from_json(records.checked_record(_listed(path, remedy), path, FIELDS))
        return cls.from_json(records.read_record(path, FIELDS, remedy=remedy))


def _listed(path: Path, remedy: str) -> dict[str, list[str]]:
    """The names below each heading of a text file."""
    found: dict[str, list[str]] = {}
    side = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        word = line.strip()
        if word.endswith(":"):
            side = _HEADINGS.get(word[:-1].lower())
        elif word and side is not None:
            found.setdefault(side, []).append(word)
        if word and side is None:
            raise ValueError(f"{path}, line {number}: '{word}' is below neither Training: nor Validation:; {remedy}")
    return found
