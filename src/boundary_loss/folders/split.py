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
        """Read ``split.json``, or any JSON file with lists ``train`` and ``val`` of patients.

        Args:
            remedy: what the user can do about a spoilt file; ends every message.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it cannot be read, or an entry is not what it should be.
        """
        return cls.from_json(records.read_record(path, FIELDS, remedy=remedy))
