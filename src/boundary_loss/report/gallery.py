"""Collect the cases that a page shows, with images, ground truth and predictions, up to a total size.

Worst, median and best case of each fold come first, with every seed, then their further epochs, images and distance
maps, then the other cases, until the size is reached. The page lists what was left out.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from boundary_loss.figures.contrast import IN_WORDS, KNEE
from boundary_loss.figures.overlays import check_runs, class_colour
from boundary_loss.figures.selection import pick_modality
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.run import RunFolder
from boundary_loss.report import slicemaps
from boundary_loss.report.gallery_cases import Case, FoldCases, Room
from boundary_loss.statistics.comparison import group

ROOM = 11_000_000
"""Bytes of a page that pictures may use."""
NUM_EPOCHS = 16
"""Epochs shown of each run, evenly spread, including the best and the last."""

Step = Callable[[FoldCases, Case, Room], None]
STEPS: tuple[Step, ...] = (
    FoldCases.add_seeds, FoldCases.add_epochs, FoldCases.add_images, FoldCases.add_maps, FoldCases.add_epochs_of_seeds,
)  # fmt: skip
"""What is added to a case after its first image and best epoch, in this order."""


def build(
    runs: Sequence[RunFolder],
    data: Sequence[PreparedFolder],
    modality: str | None = None,
    *,
    wanted: Sequence[str] = (),
    num_epochs: int = NUM_EPOCHS,
    room: int = ROOM,
) -> dict[str, Any]:
    """Return the data that assets/gallery.js shows.

    Args:
        runs: each row has a panel, in which the reader chooses among the runs of its seeds and folds.
        data: the folders that they were trained on, one for each fold.
        modality: the image shown first, and of every case; None = the last one.
        wanted: the only volumes to show, instead of worst, median, best and others.
        num_epochs: of each run.
        room: bytes that the pictures may use. If not everything fits, images are JPEG instead of PNG.

    Raises:
        ValueError: a run that was trained on none of the folders, a volume that was not predicted.
    """
    rows = group(runs)
    row_of = {run.path: i for i, own in enumerate(rows.values()) for run in own}
    first = pick_modality(data[0], modality)
    modalities = [first, *(name for name in data[0].modalities if name != first)]
    folds = [
        FoldCases(folder, own, leading(own, row_of), len(runs), modalities, num_epochs)
        for folder, own in trained_on(runs, data)
    ]
    found, left = fill(folds, Room(room), wanted)
    if left.left_out:
        found, left = fill(folds, Room(room, lossless=False), wanted)
    names = list(rows)
    seeds = list(dict.fromkeys(run.seed for run in runs if run.seed))
    part = " (its first seed)" if len(seeds) > 1 else ""
    return {
        "shown": names,
        "runs": [
            {"row": row_of[run.path], "fold": run.fold, "seed": run.seed, "part": run.part, "best": run.best_epoch}
            for run in runs
        ],
        "seeds": seeds if len(seeds) > 1 else [],
        "classes": data[0].classes,
        "colours": [class_colour(k) for k in range(1, len(data[0].classes))],
        "modalities": modalities,
        "knee": KNEE,
        "grey": IN_WORDS,
        "orderedBy": f"mean foreground Dice per volume of {names[0]}{part} at its best epoch",
        "mapsOf": maps_of(folds),
        "lossless": left.lossless,
        "leftOut": left.left_out,
        "cases": found,
    }


def trained_on(
    runs: Sequence[RunFolder], data: Sequence[PreparedFolder]
) -> list[tuple[PreparedFolder, dict[int, RunFolder]]]:
    """Return the folders with the runs that were trained on each, keyed by their index in ``runs``."""
    left, found = dict(enumerate(runs)), []
    for folder in data:
        own = {number: run for number, run in left.items() if _fits(run, folder)}
        left = {number: run for number, run in left.items() if number not in own}
        if own:
            found.append((folder, own))
    for run in left.values():
        check_runs(data[-1], [run])  # raises the error that names what does not fit
    return found


def _fits(run: RunFolder, folder: PreparedFolder) -> bool:
    try:
        check_runs(folder, [run])
    except ValueError:
        return False
    return True


def leading(runs: Mapping[int, RunFolder], row_of: Mapping[Path, int]) -> list[int]:
    """Return the first run of each row."""
    first: dict[int, int] = {}
    for number, run in runs.items():
        first.setdefault(row_of[run.path], number)
    return list(first.values())


def maps_of(folds: Sequence[FoldCases]) -> str:
    """Return what the distance maps are of, ``volume`` or ``slice``; empty if they cannot be shown."""
    if all(fold.has_maps_3d for fold in folds):
        return "volume"
    return "slice" if slicemaps.can_measure() else ""


def fill(folds: Sequence[FoldCases], room: Room, wanted: Sequence[str]) -> tuple[list[Case], Room]:
    """The cases in the order of the page."""
    if wanted:
        chosen = [(_holding(folds, volume), volume, "") for volume in wanted]
    else:
        chosen = [(fold, volume, word) for fold in folds for volume, word in fold.first().items()]
    shown = [(fold, case) for fold, volume, word in chosen if (case := fold.begin(volume, word, room)) is not None]
    for step in STEPS:
        for fold, case in shown:
            step(fold, case, room)
    begun = {volume for _, volume, _ in chosen}
    others = [(fold, v) for fold in folds for v in fold.order() if v not in begun and not wanted]
    for i, (fold, volume) in enumerate(others):
        whole = Room(room.bytes, room.lossless)  # a further case is shown with everything or not at all
        case = fold.begin(volume, "", whole)
        if case is not None:
            for step in STEPS[:-1]:
                step(fold, case, whole)
        if case is None or whole.left_out:
            room.left_out.append(f"{len(others) - i} further cases")
            break
        room.bytes = whole.bytes
        shown.append((fold, case))
    return [case for _, case in shown], room


def _holding(folds: Sequence[FoldCases], volume: str) -> FoldCases:
    """Return the fold that has the volume; if none has, the first, whose error says so."""
    return next((fold for fold in folds if volume in fold.slices), folds[0])


def begin_at(content: dict[str, Any], stem: str | None, epoch: int | None) -> None:
    """Let the page open at a slice, and at an epoch instead of each run's best."""
    if stem is not None:
        first = content["cases"][0]
        names = [s["name"] for s in first["slices"]]
        first["start"] = max(0, bisect_right(names, stem) - 1)  # of a large case not every slice is there
    if epoch is not None:
        content["epoch"] = epoch
