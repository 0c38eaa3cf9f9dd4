"""Collect the pictures of surfaces that ``make mesh`` made of the runs, up to a total size.

Worst, median and best case of each fold come first, then the others. Of a row's seeds the first is shown. A mesh of
another epoch than the run's best, as after a training went on, is left out and named.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from boundary_loss.folders import records
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.run import MESHES, RunFolder
from boundary_loss.report.gallery_cases import Room, cases, ranking
from boundary_loss.report.pixels import JPEG_QUALITY, address

Rows = Mapping[str, Sequence[RunFolder]]

ROOM = 2_000_000
"""Bytes of a page that these pictures may use, beside those of the gallery."""
ABOUT = "surfaces.json"
_ABOUT: dict[str, records.Check] = {"run": records.text, "epoch": records.whole}


@dataclass(frozen=True)
class Surfaces:
    """Pictures of surfaces, and what was left out."""

    cases: Sequence[Mapping[str, Any]] = ()
    """Each ``{"name", "word", "pictures": [{"run", "dice", "image"}, ...]}``; an image is the address of a JPEG."""
    notes: Sequence[str] = field(default_factory=list)


def build(
    rows: Rows,
    trained: Sequence[tuple[PreparedFolder, Mapping[int, RunFolder]]],
    *,
    room: int = ROOM,
) -> Surfaces:
    """Read the pictures of the first run of each row on each folder of data.

    Args:
        rows: the runs of each row, by the row's name.
        trained: the folders with the runs that were trained on each.
        room: bytes that the pictures may use.
    """
    left, found, notes = Room(room), [], []
    for _, own in trained:
        leading, late = _with_meshes(rows, list(own.values()))
        notes += late
        dice = {label: dict(_dice(run)) for label, run in leading.items()}
        for volume, word in _order(leading):
            shown = list(_pictures(leading, volume, dice))
            if shown and left.take([picture["image"] for picture in shown], volume):
                found.append({"name": volume, "word": word, "pictures": shown})
    if left.left_out:
        notes.append(f"Left out, as they would make the page too large: {', '.join(left.left_out)}.")
    return Surfaces(found, notes)


def _with_meshes(rows: Rows, runs: Sequence[RunFolder]) -> tuple[dict[str, RunFolder], list[str]]:
    """The first of each row's runs, if it has meshes of its best epoch; and of which rows they are of another."""
    found, late = {}, []
    for label, own in rows.items():
        run = next((run for run in own if run in runs), None)
        if run is None or (epoch := meshed_epoch(run)) is None:
            continue
        if epoch == run.best_epoch:
            found[label] = run
        else:
            late.append(
                f"The surfaces of {label} are of epoch {epoch}, not of the best, {run.best_epoch}, and are not shown; "
                "make pred mesh FRESH=1 makes them anew."
            )
    return found, late


def meshed_epoch(run: RunFolder) -> int | None:
    """The epoch whose predictions the run's meshes are of; None if there are none, or nothing says it.

    Raises:
        ValueError: the record is spoilt.
    """
    path = run.path / MESHES / ABOUT
    if not path.is_file():
        return None
    content = records.read_record(path, _ABOUT, needs=("epoch",), remedy="make mesh again")
    return int(content["epoch"])


def _order(runs: Mapping[str, RunFolder]) -> Iterator[tuple[str, str]]:
    """Volumes with ``worst``, ``median``, ``best`` of the first run, then the others, the worst first."""
    if not runs:
        return
    first = next(iter(runs.values()))
    try:
        chosen = {volume: word for word, (volume, _) in cases(first).items()}
        others = [volume for volume, _ in ranking(first)]
    except FileNotFoundError:
        chosen, others = {}, list(first.names["volumes"])
    yield from chosen.items()
    yield from ((volume, "") for volume in others if volume not in chosen)


def _pictures(
    runs: Mapping[str, RunFolder], volume: str, dice: Mapping[str, Mapping[str, float]]
) -> Iterator[dict[str, Any]]:
    """Yield the picture of a volume by each run that has one; ``dice`` of each run and volume."""
    for label, run in runs.items():
        path = run.path / MESHES / f"{volume}.png"
        if path.is_file():
            yield {"run": label, "dice": dice[label].get(volume), "image": _as_jpeg(path)}


def _dice(run: RunFolder) -> list[tuple[str, float]]:
    try:
        return ranking(run)
    except FileNotFoundError:
        return []


def _as_jpeg(path: Path) -> str:
    """Return a picture as the ``data:`` URL of a JPEG, a third of the PNG's size."""
    buffer = io.BytesIO()
    with Image.open(path) as picture:
        picture.convert("RGB").save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return address(buffer.getvalue(), "image/jpeg")
