"""Read and check the record of data that is ready for training, ``slicing.json``; the result has typed fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from boundary_loss.folders import records
from boundary_loss.folders.source import SOURCE, Source

NEEDS = ("study", "classes", "modalities", "checksum")
FIELDS: dict[str, records.Check] = {
    "study": records.name,
    "classes": records.distinct_names,
    "modalities": records.distinct_names,
    "kinds": records.distinct_names,
    "checksum": records.text,
    "phantom": records.flag,
    "preparation": records.mapping,
    "orientation": records.by_name(records.text),
    "patient": records.by_name(records.name),
    "source": SOURCE,
}
"""Checks of the fields that every kind of folder has."""


@dataclass(frozen=True, kw_only=True)
class PreparedRecord:
    """Classes and modalities of the images, their origin, and the files that each of them has."""

    study: str
    classes: tuple[str, ...]
    """Background first."""
    modalities: tuple[str, ...]
    kinds: tuple[str, ...] | None
    """The folders that hold a file of every slice; None in data of an older version."""
    checksum: str
    """sha256 of all arrays that training reads."""
    phantom: bool
    """The data are synthetic."""
    preparation: Mapping[str, Any] | None
    """How the images came from volumes, for :meth:`boundary_loss.preparation.shown.Preparation.from_json`."""
    orientation: Mapping[str, str]
    """Where the axes of a volume point in the patient: ``LPS``."""
    patient: Mapping[str, str]
    """The patient of each volume."""
    source: Source | None
    """The archives of the data; None if they were not unpacked here."""

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "PreparedRecord":
        """Make a record from content that :data:`FIELDS` have checked."""
        kinds = content.get("kinds")
        return cls(
            study=content["study"],
            classes=tuple(content["classes"]),
            modalities=tuple(content["modalities"]),
            kinds=None if kinds is None else tuple(kinds),
            checksum=content["checksum"],
            phantom=bool(content.get("phantom")),
            preparation=content.get("preparation"),
            orientation=content.get("orientation") or {},
            patient=content.get("patient") or {},
            source=Source.recorded(content.get("source")),
        )
