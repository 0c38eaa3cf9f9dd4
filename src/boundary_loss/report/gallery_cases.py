"""Collect the cases of one sliced folder: images, ground truth, and predictions of the runs trained on it.

A row's runs on one folder differ in their seeds; a study with folds has a folder for each.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from boundary_loss.figures.contrast import windows
from boundary_loss.figures.overlays import is_turned, read_predictions, upright
from boundary_loss.figures.selection import predicted_stems
from boundary_loss.folders.naming import by_volume
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.run import RunFolder
from boundary_loss.report import pixels, slicemaps
from boundary_loss.report.excerpt import MOST_VOXELS, WHOLE, Excerpt, excerpt
from boundary_loss.report.payload import rounded
from boundary_loss.report.planes import planes
from boundary_loss.statistics.comparison import Comparison
from boundary_loss.statistics.values import nanmean

ORDERED_BY = "val_3d_dsc"

Case = dict[str, Any]


@dataclass
class Room:
    """The bytes that are left, and what did not fit."""

    bytes: int
    lossless: bool = True
    left_out: list[str] = field(default_factory=list)

    def take(self, pieces: Iterable[str], what: str) -> bool:
        """Return True and count the texts if all of them fit."""
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
    """Return the volumes with their mean foreground Dice at the run's best epoch, the worst first."""
    (measured,) = Comparison.of(ORDERED_BY, [run]).runs
    if measured.best is None:
        raise FileNotFoundError(f"{run.path} has no best epoch yet")
    dice = nanmean(measured.values[measured.best], axis=1)
    order = [int(i) for i in np.argsort(dice, kind="stable") if np.isfinite(dice[i])]
    if not order:
        raise FileNotFoundError(f"{ORDERED_BY} of {run.path} was not measured at its best epoch")
    return [(run.names["volumes"][i], float(dice[i])) for i in order]


class FoldCases:
    """Builds the cases of a folder in steps, until the room is used up.

    Args:
        data: the sliced folder.
        runs: those trained on it, by their numbers in the page.
        leading: the numbers of each row's first run here; of its other seeds fewer epochs are shown.
        num_runs: in the page.
        modalities: the image shown first, then the others.
        num_epochs: of each run.
    """

    def __init__(
        self, data: PreparedFolder, runs: Mapping[int, RunFolder], leading: Sequence[int], num_runs: int,
        modalities: list[str], num_epochs: int,
    ) -> None:  # fmt: skip
        self.data, self.runs, self.modalities, self.num_runs = data, dict(runs), modalities, num_runs
        self.leading = list(leading)
        self.seeds = [number for number in runs if number not in self.leading]
        self.slices = by_volume(predicted_stems(list(runs.values())))
        self.epochs = {number: shown_epochs(run, num_epochs) for number, run in runs.items()}
        self._dice = {number: _dice(run) for number, run in runs.items()}
        self._excerpts: dict[str, Excerpt] = {}
        self._texts: dict[tuple[int, int, str], list[str]] = {}
        self._maps: dict[str, dict[str, tuple[float, list[str]]]] = {}

    @property
    def first_run(self) -> RunFolder:
        return self.runs[self.leading[0]]

    def first(self) -> dict[str, str]:
        """Return ``{volume: worst, median or best}``; only the first volume if Dice was not measured."""
        try:
            return {volume: word for word, (volume, _) in cases(self.first_run).items()}
        except FileNotFoundError:
            return dict.fromkeys(list(self.slices)[:1], "")

    def order(self) -> list[str]:
        """Return the volumes, the worst first; sorted by name if Dice was not measured."""
        try:
            return [volume for volume, _ in ranking(self.first_run) if volume in self.slices]
        except FileNotFoundError:
            return list(self.slices)

    def begin(self, volume: str, word: str, room: Room) -> Case | None:
        """Return a case with its first image, the ground truth and the best epoch of each row's first run."""
        if volume not in self.slices:
            raise ValueError(f"not every run predicted {volume}: there is no common gallery")
        stems = self.slices[volume]
        truth = {stem: self.data.labels("val", stem) for stem in stems}
        shapes = {self.seen(labels, volume).shape for labels in truth.values()}
        if len(shapes) != 1:
            raise ValueError(f"the slices of {volume} in {self.data.path} differ in shape: {sorted(shapes)}")
        part = self._excerpt(volume, truth)
        stems = stems[part.slices]
        truth = {stem: truth[stem] for stem in stems}
        height, width = self.seen(truth[stems[0]], volume).shape
        dx, dy = self.data.spacing("val", stems[0])
        dz = self.data.spacing_3d(volume)[2] * part.step
        slices: list[dict[str, Any]] = [
            {
                "name": stem,
                "images": {self.modalities[0]: self.image(stem, volume, self.modalities[0], room)},
                "truth": pixels.runs(self.seen(truth[stem], volume)),
                "predictions": [{} for _ in range(self.num_runs)],
                "maps": {},
            }
            for stem in stems
        ]
        if not room.take([text for s in slices for text in (s["images"][self.modalities[0]], s["truth"])], volume):
            return None
        case = {
            "name": volume,
            "word": word,
            "fold": self.first_run.fold,
            "height": height,
            "width": width,
            "isCut": not part.is_whole,
            "aspect": dy / dx if is_turned(self.data.orientation(volume)) else dx / dy,
            **planes(self.data.orientation(volume), (dx, dy, dz)),
            "content": content_box(
                [self.seen(self.data.picture("val", stem, self.modalities[0]), volume) for stem in stems]
            ),
            "reach": {name: round(own.reach, 3) for name, own in windows(self.data, volume).items()},
            "start": largest(list(truth.values()), len(self.data.classes)),
            "slices": slices,
            "dice": {},
        }
        self.predict(case, self.best(self.leading), room, f"predictions of {volume}")
        return case

    def _excerpt(self, volume: str, truth: Mapping[str, np.ndarray]) -> Excerpt:
        """What is shown of a case, all of it unless it is large; kept, as each of its pictures is cut so."""
        if volume not in self._excerpts:
            found = WHOLE
            if sum(labels.size for labels in truth.values()) > MOST_VOXELS:
                shape = next(iter(truth.values())).shape
                best = [read_predictions(self.runs[number], None, list(truth), shape) for number in self.leading]
                found = excerpt(list(zip(truth.values(), *best, strict=True)))
            self._excerpts[volume] = found
        return self._excerpts[volume]

    def add_seeds(self, case: Case, room: Room) -> None:
        """Add the best epoch of the runs of other seeds."""
        self.predict(case, self.best(self.seeds), room, f"other seeds of {case['name']}")

    def add_epochs(self, case: Case, room: Room) -> None:
        self.predict(case, self.further(self.leading), room, f"further epochs of {case['name']}")

    def add_epochs_of_seeds(self, case: Case, room: Room) -> None:
        self.predict(case, self.further(self.seeds), room, f"further epochs of other seeds of {case['name']}")

    def best(self, numbers: Sequence[int]) -> dict[int, list[int]]:
        return {number: [self.runs[number].best_epoch] for number in numbers}

    def further(self, numbers: Sequence[int]) -> dict[int, list[int]]:
        return {n: [e for e in self.epochs[n] if e != self.runs[n].best_epoch] for n in numbers}

    def predict(self, case: Case, epochs: Mapping[int, list[int]], room: Room, what: str) -> None:
        """Add the runs' predictions of the slices at these epochs, all or none."""
        found = {
            (number, epoch): self.predicted(number, epoch, case) for number, own in epochs.items() for epoch in own
        }
        if not found or not room.take([text for texts in found.values() for text in texts], what):
            return
        for (number, epoch), texts in found.items():
            for s, text in zip(case["slices"], texts, strict=True):
                s["predictions"][number][str(epoch)] = text
            case["dice"].setdefault(str(number), {})[str(epoch)] = self.dice(number, epoch, case["name"])

    def predicted(self, number: int, epoch: int, case: Case) -> list[str]:
        """Return one text for each slice; cached, because two steps use it."""
        key = (number, epoch, case["name"])
        if key not in self._texts:
            self._texts[key] = self.read(self.runs[number], epoch, case)
        return self._texts[key]

    def read(self, run: RunFolder, epoch: int, case: Case) -> list[str]:
        stems = [s["name"] for s in case["slices"]]
        shape = self.data.labels("val", stems[0]).shape
        classes = read_predictions(run, None if epoch == run.best_epoch else epoch, stems, shape)
        return [pixels.runs(self.seen(array, case["name"])) for array in classes]

    def add_images(self, case: Case, room: Room) -> None:
        for modality in self.modalities[1:]:
            found = [self.image(s["name"], case["name"], modality, room) for s in case["slices"]]
            if room.take(found, f"{modality} of {case['name']}"):
                for s, text in zip(case["slices"], found, strict=True):
                    s["images"][modality] = text

    @property
    def has_maps_3d(self) -> bool:
        """True if slicing saved the maps of the volumes; otherwise those of the slices are computed."""
        return self.data.has_maps_3d("val")

    def add_maps(self, case: Case, room: Room) -> None:
        """Add the signed distance maps of the foreground classes."""
        if not (self.has_maps_3d or slicemaps.can_measure()):
            return
        volume = case["name"]
        if volume not in self._maps:
            self._maps[volume] = self.maps([s["name"] for s in case["slices"]], volume)
        for name, (limit, found) in self._maps[volume].items():
            if room.take(found, f"distance map of {volume}"):
                case.setdefault("limits", {})[name] = limit
                for s, text in zip(case["slices"], found, strict=True):
                    s["maps"][name] = text

    def maps(self, stems: Sequence[str], volume: str) -> dict[str, tuple[float, list[str]]]:
        """Return for each class that is present its largest distance and a picture of each slice."""
        signed = np.stack([self.signed(stem) for stem in stems])
        found = {}
        for k, name in enumerate(self.data.classes):
            limit = float(np.abs(signed[:, k]).max())
            if k > 0 and limit > 0:
                seen = [self.seen(pixels.distances(each[k], limit), volume) for each in signed]
                found[name] = limit, [pixels.picture(each) for each in seen]
        return found

    def signed(self, stem: str) -> np.ndarray:
        """(K, X, Y) mm."""
        if self.has_maps_3d:
            return self.data.map_3d("val", stem)
        return slicemaps.signed_maps(
            self.data.labels("val", stem), self.data.spacing("val", stem), len(self.data.classes)
        )

    def image(self, stem: str, volume: str, modality: str, room: Room) -> str:
        array = self.data.image("val", stem)[self.data.modalities.index(modality)]
        grey = windows(self.data, volume)[modality].grey_and_brighter(array)
        return pixels.picture(self.seen(grey, volume), lossless=room.lossless)

    def seen(self, array: np.ndarray, volume: str) -> np.ndarray:
        return upright(array[self._excerpts.get(volume, WHOLE).plane], self.data.orientation(volume))

    def dice(self, number: int, epoch: int, volume: str) -> float | None:
        values, volumes = self._dice[number]
        return rounded([values[epoch, volumes.index(volume)]])[0] if epoch < len(values) else None


def _dice(run: RunFolder) -> tuple[np.ndarray, list[str]]:
    """Return (E, volumes) mean Dice over the foreground classes, with no epochs if it was not measured."""
    if not run.has(ORDERED_BY):
        return np.empty((0, 0)), run.names["volumes"]
    (measured,) = Comparison.of(ORDERED_BY, [run]).runs
    return nanmean(measured.values, axis=2), run.names["volumes"]


def content_box(pictures: Sequence[np.ndarray]) -> list[int]:
    """Return left, top, right and bottom of the pixels that are not black in every picture; the whole if all are."""
    bright = np.any([array > 0 for array in pictures], axis=0)
    if not bright.any():
        bright = np.ones_like(bright)
    (rows,), (columns,) = np.nonzero(bright.any(axis=1)), np.nonzero(bright.any(axis=0))
    return [int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])]


def shown_epochs(run: RunFolder, most: int) -> list[int]:
    """Return up to ``most`` of the epochs on disk, evenly spread, including the best and the last."""
    found = run.epochs
    if len(found) > most:
        places = np.unique(np.linspace(0, len(found) - 1, most - 1).round().astype(int))
        found = [found[i] for i in places]
    return sorted({*found, run.best_epoch})


def largest(labels: Sequence[np.ndarray], num_classes: int) -> int:
    """Return the index of the slice with the most foreground; the first if several are equal."""
    return int(np.argmax([int(((array > 0) & (array < num_classes)).sum()) for array in labels]))
