"""Data types: what a report has read of the sliced data, or why it has read nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from boundary_loss.folders.split import Split
from boundary_loss.report.absent import ClassCounts


@dataclass(frozen=True)
class Unavailable:
    """Nothing was read of the data."""

    reason: str
    """Shown on the page."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was read of the data; each field is a key of ``report_data.json``."""

    runs: Sequence[Sequence[Any]]
    """Name, checksum of the data, best epoch and epochs on disk of each run at the time of reading."""
    gallery: dict[str, Any]
    """Data for the page's scripts, see :func:`boundary_loss.report.gallery.build`."""
    absent: Sequence[ClassCounts]
    splits: Sequence[Split]
    """The split of each folder of data that has one."""
    names: Sequence[str]
    """Names of the runs, in the report's order."""
    words: Sequence[str]
    """The command's options."""

    def to_json(self) -> dict[str, Any]:
        return vars(self) | {
            "absent": [vars(counts) for counts in self.absent],
            "splits": [split.as_json() for split in self.splits],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Seen":
        """Read what :meth:`to_json` returned; unknown keys are ignored."""
        absent = [ClassCounts(**_known(ClassCounts, counts)) for counts in content["absent"]]
        splits = [Split.from_json(split) for split in content["splits"]]
        return cls(**_known(cls, content) | {"absent": absent, "splits": splits})


def _known(kind: type, content: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: content[field.name] for field in fields(kind)}
