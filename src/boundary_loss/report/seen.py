"""What a report has read of the sliced data, or why it has read nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from boundary_loss.folders.split import Split
from boundary_loss.report.absent import ClassCounts


@dataclass(frozen=True)
class Unavailable:
    """Nothing was read of the data."""

    reason: str
    """In words that the page shows."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was read of the data, as ``report_data.json`` keeps it: a key a field."""

    runs: Sequence[Sequence[Any]]
    """Name, checksum of the data, best epoch and epochs on disk of each run, of which all of this was read."""
    gallery: dict[str, Any]
    """For the page's scripts, see :func:`boundary_loss.report.gallery.build`."""
    absent: Sequence[ClassCounts]
    splits: Sequence[Split]
    """Of each folder of data that has one."""
    names: Sequence[str]
    """Of the runs, in the report's order."""
    words: Sequence[str]
    """The command's options."""

    def to_json(self) -> dict[str, Any]:
        return vars(self) | {
            "absent": [vars(counts) for counts in self.absent],
            "splits": [split.as_json() for split in self.splits],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Seen":
        """Read what :meth:`to_json` made; further keys are left out."""
        absent = [ClassCounts(**_known(ClassCounts, counts)) for counts in content["absent"]]
        splits = [Split.from_json(split) for split in content["splits"]]
        return cls(**_known(cls, content) | {"absent": absent, "splits": splits})


def _known(kind: type, content: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: content[field.name] for field in fields(kind)}
