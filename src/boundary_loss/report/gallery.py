"""The cases that a page shows: images, ground truth and every run's predictions over the epochs, within a size.

Worst, median and best case come first, then their further epochs, images and distance maps, then the other cases, as
long as there is room; what was left out is said.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from boundary_loss.comparison import Comparison, names_of
from boundary_loss.measured import nanmean
from boundary_loss.naming import by_volume
from boundary_loss.overlays import check_runs, class_colour, is_turned, read_predictions, upright
from boundary_loss.report import pixels
from boundary_loss.report.payload import rounded
from boundary_loss.runfolder import RunFolder
from boundary_loss.slicechoice import pick_modality, predicted_stems
from boundary_loss.slicedfolder import MAPS_3D, SlicedFolder

ORDERED_BY = "val_3d_dsc"
ROOM = 11_000_000
"""Bytes of a page that pictures may take."""
NUM_EPOCHS = 16
"""So many epochs of each run, evenly spread, the best and the last among them."""


@dataclass
class Room:
    """What is left of the size, and what found no place."""

    bytes: int
    lossless: bool = True
    left_out: list[str] = field(default_factory=list)

    def take(self, pieces: Iterable[str], what: str) -> bool:
        """Whether all of it fits; then it is counted."""
        size = sum(len(piece) for piece in pieces)
        if size > self.bytes:
            self.left_out.append(what)
            return False
        self.bytes -= size
        return True


def cases(run: RunFolder) -> dict[str, tuple[str, float]]:
    """``{"worst": (volume, its mean foreground Dice), "median": ..., "best": ...}`` of a run's best epoch.

    Raises:
        FileNotFoundError: the run has no Dice per volume, or no best epoch.
    """
    ordered = ranking(run)
    places = {"worst": 0, "median": (len(ordered) - 1) // 2, "best": len(ordered) - 1}
    chosen: dict[str, tuple[str, float]] = {}
    for word, i in places.items():
        if ordered[i] not in chosen.values():
            chosen[word] = ordered[i]
    return chosen


def ranking(run: RunFolder) -> list[tuple[str, float]]:
    """Volumes with their mean foreground Dice at the run's best epoch, the worst first."""
    (measured,) = Comparison.of(ORDERED_BY, [run]).runs
    if measured.best is None:
        raise FileNotFoundError(f"{run.path} has no best epoch yet")
    dice = nanmean(measured.values[measured.best], axis=1)
    order = [int(i) for i in np.argsort(dice, kind="stable") if np.isfinite(dice[i])]
    if not order:
        raise FileNotFoundError(f"{ORDERED_BY} of {run.path} was not measured at its best epoch")
    return [(run.names["volumes"][i], float(dice[i])) for i in order]


def build(
    runs: Sequence[RunFolder],
    data: SlicedFolder,
    modality: str | None = None,
    *,
    wanted: Sequence[str] = (),
    num_epochs: int = NUM_EPOCHS,
    room: int = ROOM,
) -> dict[str, Any]:
    """What assets/gallery.js shows.

    Args:
        runs: a panel each.
        modality: the image shown first, and of every case; None = the last one.
        wanted: these volumes and no others, instead of worst, median, best and what there is room for.
        num_epochs: of each run.
        room: bytes that the pictures may take. Where not all fits, images are JPEG instead of PNG.
    """
    check_runs(data, runs)
    first = pick_modality(data, modality)
    builder = _Builder(runs, data, [first, *(name for name in data.modalities if name != first)], num_epochs)
    found, left = builder.fill(Room(room), wanted)
    if left.left_out:
        found, left = builder.fill(Room(room, lossless=False), wanted)
    names = names_of(runs)
    return {
        "shown": names,
        "classes": data.classes,
        "colours": [class_colour(k) for k in range(1, len(data.classes))],
        "modalities": builder.modalities,
        "orderedBy": f"mean foreground Dice per volume of {names[0]} at its best epoch",
        "best": [run.best_epoch for run in runs],
        "lossless": left.lossless,
        "leftOut": left.left_out,
        "cases": found,
    }


def begin_at(content: dict[str, Any], stem: str | None, epoch: int | None) -> None:
    """Let the page open at a slice, and at an epoch instead of each run's best."""
    if stem is not None:
        first = content["cases"][0]
        first["start"] = [s["name"] for s in first["slices"]].index(stem)
    if epoch is not None:
        content["epoch"] = epoch


class _Builder:
    def __init__(self, runs: Sequence[RunFolder], data: SlicedFolder, modalities: list[str], num_epochs: int) -> None:
        self.runs, self.data, self.modalities = runs, data, modalities
        self.slices = by_volume(predicted_stems(self.runs))
        self.epochs = [shown_epochs(run, num_epochs) for run in self.runs]
        self._dice = [_dice(run) for run in self.runs]
        self._texts: dict[tuple[Path, int, str], list[str]] = {}

    def fill(self, room: Room, wanted: Sequence[str]) -> tuple[list[dict[str, Any]], Room]:
        """The cases in the order of the page."""
        chosen = dict.fromkeys(wanted, "") or self.first()
        for volume in chosen:
            if volume not in self.slices:
                raise ValueError(f"not every run predicted {volume}: there is no common gallery")
        shown = [case for volume, word in chosen.items() if (case := self.begin(volume, word, room)) is not None]
        for extend in (self.add_epochs, self.add_images, self.add_maps):
            for case in shown:
                extend(case, room)
        others = [] if wanted else [v for v in self.order() if v in self.slices and v not in chosen]
        for volume in others:
            whole = Room(room.bytes, room.lossless)  # a further case comes whole or not at all
            case = self.begin(volume, "", whole)
            if case is not None:
                for extend in (self.add_epochs, self.add_images, self.add_maps):
                    extend(case, whole)
            if case is None or whole.left_out:
                room.left_out.append(f"{len(others) - others.index(volume)} further cases")
                break
            room.bytes = whole.bytes
            shown.append(case)
        return shown, room

    def first(self) -> dict[str, str]:
        """``{volume: worst, median or best}``; the first volume where that was not measured."""
        try:
            return {volume: word for word, (volume, _) in cases(self.runs[0]).items()}
        except FileNotFoundError:
            return dict.fromkeys(list(self.slices)[:1], "")

    def order(self) -> list[str]:
        """The volumes, the worst first; by name where that was not measured."""
        try:
            return [volume for volume, _ in ranking(self.runs[0])]
        except FileNotFoundError:
            return list(self.slices)

    def begin(self, volume: str, word: str, room: Room) -> dict[str, Any] | None:
        """A case with its first image, the ground truth and each run's best epoch."""
        stems = self.slices[volume]
        truth = {stem: self.data.labels("val", stem) for stem in stems}
        shapes = {self.seen(labels, volume).shape for labels in truth.values()}
        if len(shapes) != 1:
            raise ValueError(f"the slices of {volume} in {self.data.path} differ in shape: {sorted(shapes)}")
        (shape,) = shapes
        dx, dy = self.data.spacing("val", stems[0])
        slices: list[dict[str, Any]] = [
            {
                "name": stem,
                "images": {self.modalities[0]: self.image(stem, volume, self.modalities[0], room)},
                "truth": pixels.runs(self.seen(truth[stem], volume)),
                "predictions": [{} for _ in self.runs],
                "maps": {},
            }
            for stem in stems
        ]
        if not room.take([text for s in slices for text in (s["images"][self.modalities[0]], s["truth"])], volume):
            return None
        case = {
            "name": volume,
            "word": word,
            "height": shape[0],
            "width": shape[1],
            "aspect": dy / dx if is_turned(self.data.orientation(volume)) else dx / dy,
            "content": content_box(
                [self.seen(self.data.picture("val", stem, self.modalities[0]), volume) for stem in stems]
            ),
            "start": largest(list(truth.values()), len(self.data.classes)),
            "slices": slices,
            "dice": {},
        }
        self.predict(case, [[run.best_epoch] for run in self.runs], room, f"predictions of {volume}")
        return case

    def predict(self, case: dict[str, Any], epochs: list[list[int]], room: Room, what: str) -> None:
        """Add each run's predictions of the slices at these epochs, all or none."""
        found = {
            (number, epoch): self.predicted(run, epoch, case)
            for number, (run, listed) in enumerate(zip(self.runs, epochs, strict=True))
            for epoch in listed
        }
        if not room.take([text for texts in found.values() for text in texts], what):
            return
        for (number, epoch), texts in found.items():
            for s, text in zip(case["slices"], texts, strict=True):
                s["predictions"][number][str(epoch)] = text
            case["dice"].setdefault(str(number), {})[str(epoch)] = self.dice(number, epoch, case["name"])

    def predicted(self, run: RunFolder, epoch: int, case: dict[str, Any]) -> list[str]:
        """One text a slice; read once, for both fillings."""
        key = (run.path, epoch, case["name"])
        if key not in self._texts:
            self._texts[key] = self.read(run, epoch, case)
        return self._texts[key]

    def read(self, run: RunFolder, epoch: int, case: dict[str, Any]) -> list[str]:
        stems = [s["name"] for s in case["slices"]]
        shape = self.data.labels("val", stems[0]).shape
        classes = read_predictions(run, None if epoch == run.best_epoch else epoch, stems, shape)
        return [pixels.runs(self.seen(array, case["name"])) for array in classes]

    def add_epochs(self, case: dict[str, Any], room: Room) -> None:
        others = [[e for e in listed if e != run.best_epoch] for run, listed in zip(self.runs, self.epochs)]
        if any(others):
            self.predict(case, others, room, f"further epochs of {case['name']}")

    def add_images(self, case: dict[str, Any], room: Room) -> None:
        for modality in self.modalities[1:]:
            found = [self.image(s["name"], case["name"], modality, room) for s in case["slices"]]
            if room.take(found, f"{modality} of {case['name']}"):
                for s, text in zip(case["slices"], found, strict=True):
                    s["images"][modality] = text

    def add_maps(self, case: dict[str, Any], room: Room) -> None:
        """The signed distance maps of the foreground classes that the data holds for training."""
        if not (self.data.path / "val" / MAPS_3D).is_dir():
            return
        maps = [self.data.map_3d("val", s["name"])[1:] for s in case["slices"]]
        for k, name in enumerate(self.data.classes[1:]):
            limit = max(float(np.abs(m[k]).max()) for m in maps)
            if limit == 0:
                continue
            found = [pixels.picture(self.seen(pixels.distances(m[k], limit), case["name"])) for m in maps]
            if room.take(found, f"distance map of {case['name']}"):
                case.setdefault("limits", {})[name] = limit
                for s, text in zip(case["slices"], found, strict=True):
                    s["maps"][name] = text

    def image(self, stem: str, volume: str, modality: str, room: Room) -> str:
        return pixels.picture(self.seen(self.data.picture("val", stem, modality), volume), lossless=room.lossless)

    def seen(self, array: np.ndarray, volume: str) -> np.ndarray:
        return upright(array, self.data.orientation(volume))

    def dice(self, number: int, epoch: int, volume: str) -> float | None:
        values, volumes = self._dice[number]
        return rounded([values[epoch, volumes.index(volume)]])[0] if epoch < len(values) else None


def _dice(run: RunFolder) -> tuple[np.ndarray, list[str]]:
    """(E, volumes) mean Dice over the foreground classes; no epoch where it was not measured."""
    if not run.has(ORDERED_BY):
        return np.empty((0, 0)), run.names["volumes"]
    (measured,) = Comparison.of(ORDERED_BY, [run]).runs
    return nanmean(measured.values, axis=2), run.names["volumes"]


def content_box(pictures: Sequence[np.ndarray]) -> list[int]:
    """Left, top, right and bottom pixel of what is not black in any of the pictures; of all where all is black."""
    bright = np.any([array > 0 for array in pictures], axis=0)
    if not bright.any():
        bright = np.ones_like(bright)
    (rows,), (columns,) = np.nonzero(bright.any(axis=1)), np.nonzero(bright.any(axis=0))
    return [int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])]


def shown_epochs(run: RunFolder, most: int) -> list[int]:
    """Up to ``most`` of the epochs on disk, evenly spread; the best and the last are among them."""
    found = run.epochs
    if len(found) > most:
        places = np.unique(np.linspace(0, len(found) - 1, most - 1).round().astype(int))
        found = [found[i] for i in places]
    return sorted({*found, run.best_epoch})


def largest(labels: Sequence[np.ndarray], num_classes: int) -> int:
    """The place of the slice with the most foreground; the first of equals."""
    return int(np.argmax([int(((array > 0) & (array < num_classes)).sum()) for array in labels]))
