"""Read and check a run's ``run.json``; the result has typed fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boundary_loss.folders import records
from boundary_loss.folders.source import SOURCE, Source
from boundary_loss.settings import declared

_MAX_DEPTH = 8
"""Nested lists and objects, in an entry that this version does not know."""
_OF_TYPE: dict[Any, records.Check] = {
    str: records.text,
    int: records.whole,
    float: records.finite,
    bool: records.flag,
    tuple[str, ...]: records.texts,
    Path | None: records.text,
}
_FIELDS: dict[str, records.Check] = {setting.key: _OF_TYPE[setting.field.type] for setting in declared()} | {
    "name": records.text,
    "study": records.name,
    "trained_by": records.name,
    "losses": records.names,
    **dict.fromkeys(("epochs", "batch_size"), records.count),
    **dict.fromkeys(("num_parameters", "num_train_slices", "num_val_slices"), records.count),
    **dict.fromkeys(("num_train_volumes", "num_val_volumes"), records.count),
    **dict.fromkeys(("num_processes", "num_threads"), records.count),
    **dict.fromkeys(("phantom", "skip_nan"), records.flag),
    **dict.fromkeys(("arguments", "data_arguments", "other_arithmetic"), records.texts),
    "device": records.text,
    "data_checksum": records.name,
    "boxes_checksum": records.name,
    "boxes_kept": records.record(dict.fromkeys(("mean", "least"), records.finite), needs=("mean", "least")),
    "data_source": SOURCE,
    "commit": records.commit,
    "versions": records.by_name(records.text),
}


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The settings of a run and the facts about it; an older version may not have recorded all of them."""

    recorded: Mapping[str, object]
    """Every entry under its key, in the file's order, for tables that show or compare all of them."""
    study: str | None
    trained_by: str | None
    """The program that trained it, if it was not this pipeline."""
    terms: tuple[str, ...]
    """The losses as the ledger has them: ``gdl:1``."""
    schedule: str | None
    network: str | None
    epochs: int | None
    debug: bool
    """Trained on a few slices only."""
    phantom: bool
    """Trained on synthetic data."""
    arguments: tuple[str, ...]
    """Options of the training, as typed."""
    data_arguments: tuple[str, ...]
    """Options of the slicing, as typed."""
    data_checksum: str | None
    """sha256 of the sliced data."""
    data_source: Source | None
    """The archives of the data; None if the data did not come from archives that were checked."""
    commit: str | None
    """git commit of the code; ``unknown`` without git."""
    device: str | None
    num_processes: int | None
    num_threads: int | None
    versions: Mapping[str, str]
    """Versions of Python and of the packages that affect rounding."""
    other_arithmetic: tuple[str, ...]
    """What rounded differently before an interruption, one entry for each interruption."""

    @classmethod
    def read(cls, path: Path, *, remedy: str) -> "RunRecord":
        """Read ``run.json``.

        Args:
            remedy: what the user can do about a spoilt file; ends every message.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it cannot be read, or an entry is not what it should be.
        """
        content = records.read_record(path, _FIELDS, remedy=remedy)
        for key in content.keys() - _FIELDS.keys():
            if _depth(content[key]) > _MAX_DEPTH:
                raise ValueError(f"{path}: '{key:.60}' is nested deeper than {_MAX_DEPTH} levels; {remedy}")
        return cls.of(content)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "RunRecord":
        """Make a record from entries that training has just made, or that :meth:`read` has checked."""
        return cls(
            recorded=content,
            study=content.get("study"),
            trained_by=content.get("trained_by"),
            terms=tuple(content.get("terms") or ()),
            schedule=content.get("schedule"),
            network=content.get("network"),
            epochs=content.get("epochs"),
            debug=bool(content.get("debug")),
            phantom=bool(content.get("phantom")),
            arguments=tuple(content.get("arguments") or ()),
            data_arguments=tuple(content.get("data_arguments") or ()),
            data_checksum=content.get("data_checksum"),
            data_source=Source.recorded(content.get("data_source")),
            commit=content.get("commit"),
            device=content.get("device"),
            num_processes=content.get("num_processes"),
            num_threads=content.get("num_threads"),
            versions=content.get("versions") or {},
            other_arithmetic=tuple(content.get("other_arithmetic") or ()),
        )


def _depth(value: object, level: int = 0) -> int:
    """Return the depth of nested lists and objects, counted up to one more than allowed."""
    if level > _MAX_DEPTH or not isinstance(value, dict | list):
        return level
    inside = value.values() if isinstance(value, dict) else value
    return max((_depth(item, level + 1) for item in inside), default=level + 1)
