"""Read what a report needs of the sliced data: the gallery, the cases without foreground, the splits.

It is saved beside the report as ``report_data.json``, so that the page can be rebuilt without the data, as from an
archive.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from boundary_loss.files import write_text
from boundary_loss.folders import records
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.split import SPLIT
from boundary_loss.report import absent, gallery, surfaces
from boundary_loss.report.payload import to_script
from boundary_loss.report.seen import Seen, Unavailable
from boundary_loss.report.table import Scores
from boundary_loss.statistics.comparison import names_of

KEPT = "report_data.json"
_REMEDY = "delete it, and a report with the data at hand writes it again"


def _run_name(value: Any, key: str, path: Path) -> None:
    """Refuse what is no run of the folder: ``gdl``, ``gdl/seed0``."""
    records.text(value, key, path)
    parts = value.split("/")
    records.names(parts, key, path)
    if len(parts) > 2:
        raise ValueError(f"{path}: '{key}' has {value!r}, which is no run of the folder")


def _counted(value: Any, key: str, path: Path) -> None:
    """Refuse what is not ``[case, further entries]``."""
    records.list_of(lambda *_: None)(value, key, path)
    records.name(value[0] if value else None, key, path)
    *counts, last = value[1:] or [None]
    records.list_of(records.count)(counts, key, path)
    records.list_of(records.text if counts else records.count)(last, key, path)


_COUNTS = records.list_of(records.count)
_ABSENT: dict[str, records.Check] = {
    "name": records.name,
    **dict.fromkeys(("slices", "empty", "volumes"), records.count),
    **dict.fromkeys(("false", "voxels"), _COUNTS),
    **dict.fromkeys(("listed", "absent", "missed"), records.list_of(_counted)),
}
_KEPT: dict[str, records.Check] = {
    "names": records.list_of(_run_name),
    "words": records.texts,
    "runs": records.list_of(records.list_of(lambda *_: None)),
    "gallery": records.mapping,
    "absent": records.list_of(records.record(_ABSENT, needs=tuple(_ABSENT))),
    "splits": records.list_of(SPLIT),
}
_PICTURE: dict[str, records.Check] = {"run": records.text, "dice": records.number, "image": records.text}
_PICTURED: dict[str, records.Check] = {
    "name": records.name,
    "word": records.text,
    "pictures": records.list_of(records.record(_PICTURE, needs=("run", "image"))),
}
_SURFACES: dict[str, records.Check] = {
    "cases": records.list_of(records.record(_PICTURED, needs=tuple(_PICTURED))),
    "notes": records.texts,
}
_LATER: dict[str, records.Check] = {"surfaces": records.record(_SURFACES)}
"""What reports of earlier versions did not keep."""


def take(scores: Scores, data: Sequence[Path], modality: str | None, words: Sequence[str]) -> Seen:
    """Read the data, one folder for each fold.

    Args:
        words: the command's options, which are saved too.

    Raises:
        FileNotFoundError: no data there, or no predictions.
        ValueError: other data than the runs were trained on.
    """
    folders = [PreparedFolder.open(path) for path in data]
    trained = gallery.trained_on(scores.runs, folders)
    return Seen(
        runs=identity(scores),
        gallery=gallery.build(scores.runs, folders, modality),
        absent=absent.count(scores.labels, absent.one_of_each_row(scores.rows.values(), trained)),
        splits=[split for data, _ in trained if (split := data.split) is not None],
        surfaces=surfaces.build(scores.rows, trained),
        names=names_of(scores.runs),
        words=list(words),
    )


def identity(scores: Scores) -> list[list[Any]]:
    """Return what a saved file must agree with to belong to these runs: names, data, best epoch, epochs on disk."""
    return [
        [name, run.record.data_checksum, run.best_epoch, run.epochs]
        for name, run in zip(names_of(scores.runs), scores.runs, strict=True)
    ]


def take_or_kept(
    scores: Scores, data: Sequence[Path], modality: str | None, folder: Path, words: Sequence[str]
) -> Seen | Unavailable:
    """Read the data and save what was read, or take what an earlier report saved in ``folder``.

    If there is neither, the result is the reason.

    Args:
        data: sliced folders, of the folds.
        words: the command's options, kept too.

    Raises:
        FileNotFoundError, ValueError: the data is there, but lacks files or is spoilt.
    """
    for path in data:
        if PreparedFolder.is_at(path):
            PreparedFolder.open(path).stems("val")  # spoilt data is an error; missing or other data is not
    try:
        if not data:
            raise FileNotFoundError("no data were given (--data data/ISLES)")
        found = take(scores, data, modality, words)
    except (FileNotFoundError, ValueError) as error:
        return kept(scores, folder) or Unavailable(str(error))
    write_text(folder / KEPT, to_script(found.to_json()) + "\n")
    return found


def kept(scores: Scores, folder: Path) -> Seen | None:
    """Return what an earlier report read, if it was of these runs as they are now; otherwise None."""
    content = read_kept(folder)
    try:
        if content is None or content.runs != identity(scores):
            return None
    except FileNotFoundError:  # a run without best epoch
        return None
    if any(counts.num_rows != len(scores.rows) for counts in content.absent):
        raise ValueError(f"{folder / KEPT} does not count {len(scores.rows)} rows, as there are; {_REMEDY}")
    return content


def read_kept(folder: Path) -> Seen | None:
    """Return what an earlier report saved in the folder; None if it saved nothing.

    Raises:
        ValueError: it cannot be read, or a field is not what it should be.
    """
    path = folder / KEPT
    if not path.is_file():
        return None
    return Seen.from_json(records.read_record(path, _KEPT | _LATER, needs=tuple(_KEPT), remedy=_REMEDY))
