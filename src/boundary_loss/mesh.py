"""Surfaces of label volumes as meshes in mm, and a picture of each case.

    python -m boundary_loss.mesh results/atria/dice/mesh --source results/atria/dice/pred --truth data/ATRIA
    python -m boundary_loss.mesh out --source labelsTr                    (any folder of label volumes)

The folder gets CASE_K_NAME.ply and .obj of each class K but the background, surfaces.csv (area, volume, triangles) and
CASE.png: truth and prediction side by side. Coordinates are mm in the patient (RAS), as the header of the volume says.
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from tqdm import tqdm

from boundary_loss import command
from boundary_loss.figures.drawing import Figure, save
from boundary_loss.figures.surfaces import draw
from boundary_loss.files import new_folder, write_bytes, write_json, write_text
from boundary_loss.folders import records
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.meshes.encoding import ENCODERS
from boundary_loss.meshes.extraction import mask_surface, probability_surface
from boundary_loss.meshes.refinement import reduced, smoothed
from boundary_loss.meshes.surface import Surface
from boundary_loss.statistics import tables
from boundary_loss.volumes import READ, Geometry, Volume, ending_of, read_volume, stem_of

PREDICTIONS, SOFTMAX = "predictions.json", "softmax"
"""What boundary_loss.predict leaves beside the labels."""
TABLE, ABOUT = "surfaces.csv", "surfaces.json"
COLUMNS = ("case", "class", "vertices", "faces", "area_mm2", "volume_mm3", "voxels_mm3", "closed")
_RECORD: dict[str, records.Check] = {
    "classes": records.distinct_names,
    "label_values": records.list_of(records.whole),
    "run": records.text,
    "epoch": records.whole,
    "phantom": records.flag,
}


@dataclass(frozen=True)
class Labels:
    """Class numbers (X, Y, Z) and where they lie; ``affine``: (4, 4), voxel indices to mm."""

    array: np.ndarray
    affine: np.ndarray


@dataclass(frozen=True)
class LabelFolder:
    """A folder of label volumes, one a case; those that boundary_loss.predict wrote name their classes."""

    path: Path

    @cached_property
    def files(self) -> dict[str, Path]:
        """The volumes by case, sorted.

        Raises:
            FileNotFoundError: there is none.
            ValueError: two of one name.
        """
        found: dict[str, Path] = {}
        for path in sorted(self.path.glob("*")):
            if not path.is_file() or not ending_of(path.name) or path.name.startswith("."):
                continue
            if (case := stem_of(path.name)) in found:
                raise ValueError(f"{found[case]} and {path} are the same case; take one of them away")
            found[case] = path
        if not found:
            raise FileNotFoundError(
                f"no volumes ({', '.join(READ)}) in {self.path}; make -f STUDY.make pred makes some"
            )
        return found

    @cached_property
    def about(self) -> dict[str, object]:
        """What predictions.json says; empty if there is none."""
        path = self.path / PREDICTIONS
        if not path.is_file():
            return {}
        return records.read_record(path, _RECORD, needs=("classes", "label_values"), remedy="predict again")

    @cached_property
    def values(self) -> list[int]:
        """The label of each class; without a record, 0 and whatever else the files hold."""
        if self.about:
            return list(self.about["label_values"])  # type: ignore[call-overload]
        held = {int(value) for path in self.files.values() for value in np.unique(self._whole(path).array)}
        return [0, *sorted(held - {0})]

    @cached_property
    def classes(self) -> list[str]:
        """Names, background first."""
        if self.about:
            return list(self.about["classes"])  # type: ignore[call-overload]
        return ["background", *(f"label {value}" for value in self.values[1:])]

    def _whole(self, path: Path) -> Volume:
        volume = read_volume(path, labels=True)
        if volume.array.dtype.kind == "f" and not np.array_equal(volume.array, np.rint(volume.array)):
            raise ValueError(f"{path} holds values that are not whole numbers: it is no label volume")
        return volume

    def labels(self, case: str) -> Labels:
        """The case's classes; a value that is no class's counts as background."""
        volume = self._whole(self.files[case])
        classes = np.zeros(volume.array.shape, np.uint8)
        for k, value in enumerate(self.values):
            classes[volume.array == value] = k
        return Labels(classes, volume.affine)

    def probabilities(self, case: str) -> np.ndarray:
        """(K, X, Y, Z), from the folder ``softmax``."""
        if not self.about:
            raise ValueError(f"--softmax needs {self.path / PREDICTIONS}, which says the classes")
        ending = ending_of(self.files[case].name)
        names = [f"{case}_{k}_{name.replace(' ', '-')}{ending}" for k, name in enumerate(self.classes)]
        missing = [name for name in names if not (self.path / SOFTMAX / name).is_file()]
        if missing:
            raise FileNotFoundError(f"no {self.path / SOFTMAX / missing[0]}; PREDICT=--softmax of `predict` writes it")
        return np.stack([read_volume(self.path / SOFTMAX / name).array for name in names])


@dataclass(frozen=True)
class PreparedTruth:
    """The ground truth of prepared data, sliced or whole."""

    data: PreparedFolder

    def labels(self, case: str) -> Labels | None:
        """None if the case is not there."""
        for which in ("val", "train"):
            stems = self.data.volumes(which).get(case)
            if stems:
                array = np.stack([self.data.labels(which, stem) for stem in stems], axis=-1)
                geometry = Geometry.from_json(self.data.grid(case))
                return Labels(array, geometry.affine @ _resizing(array.shape, geometry.shape))
        return None


def _resizing(shape: Sequence[int], source: Sequence[int]) -> np.ndarray:
    """(4, 4): from voxel indices of a resized volume to those of its source, both of which fill the same space."""
    scale = np.divide(source, shape)
    affine = np.diag([*scale, 1.0])
    affine[:3, 3] = (scale - 1) / 2
    return affine


Truth = PreparedTruth | LabelFolder


def truth_at(path: Path) -> Truth:
    """Return the ground truth that a folder holds, prepared data or label volumes."""
    return PreparedTruth(PreparedFolder.open(path)) if PreparedFolder.is_at(path) else LabelFolder(path)


def true_labels(truth: Truth, case: str) -> Labels | None:
    """The case's ground truth; None if the folder has none."""
    if isinstance(truth, LabelFolder) and case not in truth.files:
        return None
    return truth.labels(case)


@dataclass(frozen=True)
class Finish:
    """How surfaces are finished."""

    passes: int
    """Of Taubin's filter."""
    faces: int
    """The most triangles of a surface; 0 = all."""

    def __call__(self, surface: Surface | None) -> Surface | None:
        return None if surface is None else reduced(smoothed(surface, self.passes), self.faces)


def surfaces_of(labels: Labels, classes: Sequence[str], finish: Finish, probs: np.ndarray | None) -> dict[str, Surface]:
    """The surfaces of the classes that occur, by name."""
    found = {}
    for k, name in enumerate(classes[1:], 1):
        mask = labels.array == k
        rough = (
            mask_surface(mask, labels.affine) if probs is None else probability_surface(probs, k, mask, labels.affine)
        )
        if (surface := finish(rough)) is not None:
            found[name] = surface
    return found


def write_case(
    folder: Path, case: str, source: LabelFolder, truth: Truth | None, finish: Finish,
    *, softmax: bool, limit_mm: float | None,
) -> Iterator[list[object]]:  # fmt: skip
    """Write the meshes and the picture of a case; yields the rows of the table, one a class."""
    labels = source.labels(case)
    found = surfaces_of(labels, source.classes, finish, source.probabilities(case) if softmax else None)
    voxel = abs(float(np.linalg.det(labels.affine[:3, :3])))
    for k, name in enumerate(source.classes[1:], 1):
        if name not in found:
            tqdm.write(f"{case}: no voxel of {name}, and no mesh")
            yield [case, name, 0, 0, 0, 0, 0, ""]
            continue
        surface = found[name]
        for ending, encode in ENCODERS.items():
            write_bytes(folder / f"{case}_{k}_{name.replace(' ', '-')}{ending}", encode(surface))
        numbers = (surface.area_mm2, surface.volume_mm3, voxel * int((labels.array == k).sum()))
        counts = (len(surface.vertices), len(surface.faces))
        yield [case, name, *counts, *map(tables.cell, numbers), "yes" if surface.is_closed else "no"]
    known = None if truth is None else true_labels(truth, case)
    if truth is not None and known is None:
        tqdm.write(f"{case}: no ground truth, the picture shows the prediction alone")
    true = None if known is None else surfaces_of(known, source.classes, finish, None)
    if found or true:
        save(picture(case, source, found, true, limit_mm), folder / f"{case}.png")


def picture(
    case: str, source: LabelFolder, found: dict[str, Surface], true: dict[str, Surface] | None, limit_mm: float | None
) -> Figure:
    """The case's picture, whose heading says what the predictions are of."""
    about = source.about
    parts = [f"{what} {about[what]}" for what in ("run", "epoch") if what in about]
    subtitle = ", ".join(parts) or str(source.path.name)
    banners = ["SYNTHETIC DATA (phantom)"] if about.get("phantom") else []
    return draw(found, true, source.classes[1:], title=case, subtitle=subtitle, banners=banners, limit_mm=limit_mm)


def arguments() -> argparse.Namespace:
    parser = command.parser("Write the surfaces of label volumes as meshes in mm.")
    parser.add_argument("folder", type=Path, help="folder to make")
    parser.add_argument("--source", type=Path, required=True, help="label volumes, as results/atria/dice/pred")
    parser.add_argument("--truth", type=Path, help="for the pictures: prepared data, or volumes of the same names")
    parser.add_argument("--epoch", default="best", help="refuse a source that holds the predictions of another epoch")
    parser.add_argument("--softmax", action="store_true", help="surfaces of the probabilities beside the labels")
    parser.add_argument("--smooth", type=int, default=20, metavar="PASSES", help="of Taubin's filter; 0: none")
    parser.add_argument("--faces", type=int, default=20000, help="the most triangles of a surface; 0: all")
    parser.add_argument("--limit", type=float, metavar="MM", help="distance at which the colours of all pictures end")
    parser.add_argument("--fresh", action="store_true", help="set an existing folder aside and make it anew")
    args = parser.parse_args()
    if args.smooth < 0 or args.faces < 0 or (args.limit is not None and not 0 < args.limit < np.inf):
        parser.error("--smooth and --faces must be 0 or more, --limit above 0")
    return args


def main() -> None:
    args = arguments()
    words = command.settings(sys.argv[1:], ("--fresh",))
    if command.refuse_other_settings(args.folder, words, fresh=args.fresh, in_results=True):
        print(f"{args.folder} is already there")
        return
    source, truth = LabelFolder(args.source), truth_at(args.truth) if args.truth else None
    if args.epoch != "best" and str(source.about.get("epoch")) != args.epoch:
        raise ValueError(f"{args.source} does not hold the predictions of epoch {args.epoch}; FRESH=1 makes it anew")
    finish = Finish(args.smooth, args.faces)
    rows: list[list[object]] = []
    with new_folder(args.folder) as grown:
        for case in tqdm(source.files, desc="meshes", disable=None, leave=False):
            rows += write_case(grown, case, source, truth, finish, softmax=args.softmax, limit_mm=args.limit)
        write_text(grown / TABLE, tables.to_csv(COLUMNS, rows))
        if source.about:
            write_json(grown / ABOUT, {key: source.about[key] for key in ("run", "epoch") if key in source.about})
        command.record(grown, words)
    made = sum(bool(row[3]) for row in rows)
    print(f"{args.folder}: {made} surface{'' if made == 1 else 's'} of {len(source.files)} cases, {TABLE}")


if __name__ == "__main__":
    command.run(main)
