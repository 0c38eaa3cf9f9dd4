"""The origin of a study's archives; unpacking records it, and slicing.json and run.json repeat it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from boundary_loss.folders import records

_ARCHIVE = ("name", "algorithm", "checksum")
_TEXTS = ("source", "licence", "citation", "note")
FIELDS: dict[str, records.Check] = {
    "lineage": records.name,
    "phantom": records.flag,
    "archives": records.list_of(
        records.record(dict.fromkeys(_ARCHIVE, records.name) | {"trusted": records.flag}, needs=_ARCHIVE)
    ),
    **dict.fromkeys(_TEXTS, records.texts),
}
"""A check of each entry, see :func:`boundary_loss.folders.records.read_record`."""
SOURCE = records.record(FIELDS)
"""Refuses what :meth:`Source.from_json` cannot take."""


@dataclass(frozen=True)
class Archive:
    """An archive that was unpacked."""

    name: str
    algorithm: str
    """``md5`` or ``sha256``."""
    checksum: str
    trusted: bool
    """True if the checksum is not an accepted one and the user accepted it (TRUST=1)."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """The archives that were unpacked, and what their lineage file says of them."""

    lineage: str | None
    """Name of that file."""
    phantom: bool
    """The archives are synthetic."""
    archives: tuple[Archive, ...]
    source: tuple[str, ...]
    """Where to get them."""
    licence: tuple[str, ...]
    citation: tuple[str, ...]
    note: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``lineage.json``."""
        return {
            "lineage": self.lineage,
            "phantom": self.phantom,
            "archives": [asdict(archive) for archive in self.archives],
            **{name: list(getattr(self, name)) for name in _TEXTS},
        }

    @classmethod
    def recorded(cls, content: Mapping[str, Any] | None) -> "Source | None":
        """Make a source from an entry ``source`` that may be null."""
        return None if content is None else cls.from_json(content)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Source":
        """Make a source from content that :data:`SOURCE` has checked; an older version may have written less."""
        archives = [
            Archive(each["name"], each["algorithm"], each["checksum"], bool(each.get("trusted")))
            for each in content.get("archives") or ()
        ]
        return cls(
            lineage=content.get("lineage"),
            phantom=bool(content.get("phantom")),
            archives=tuple(archives),
            **{name: tuple(content.get(name) or ()) for name in _TEXTS},
        )
