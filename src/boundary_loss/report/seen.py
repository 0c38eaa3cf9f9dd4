"""Data types: what a report has read of the sliced data, or why it has read nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from boundary_loss.folders.split import Split
from boundary_loss.report.absent import ClassCounts
from boundary_loss.report.surfaces import Surfaces


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
    surfaces: Surfaces = field(default_factory=Surfaces)
    """Pictures of the runs' meshes, where some were made."""

    def to_json(self) -> dict[str, Any]:
        return vars(self) | {
            "absent": [vars(counts) for counts in self.absent],
            "splits": [split.as_json() for split in self.splits],
            "surfaces": vars(self.surfaces),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Seen":
        """Read what :meth:`to_json` returned; unknown keys are ignored."""
        absent = [ClassCounts(**_known(ClassCounts, counts)) for counts in content["absent"]]
        splits = [Split.from_json(split) for split in content["splits"]]
        surfaces = Surfaces(**_known(Surfaces, content.get("surfaces") or {}))
        return cls(**_known(cls, content) | {"absent": absent, "splits": splits, "surfaces": surfaces})


def _known(kind: type, content: Mapping[str, Any]) -> dict[str, Any]:
    return {own.name: content[own.name] for own in fields(kind) if own.name in content}
