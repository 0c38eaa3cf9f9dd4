"""Whole volumes: the arrays of a case as they are in its files, and beside them the numbers that scale them.

Nothing is resized, cropped or scaled on disk: how a network is shown a case is decided in training, so that one
preparation serves all. A fold other than the first links the arrays of its sibling (``--link``): only the split
differs, and the numbers that follow from it.
"""

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from boundary_loss import command
from boundary_loss.files import link_folder, write_array, write_json
from boundary_loss.folders.prepared import SPLIT
from boundary_loss.folders.source import Source
from boundary_loss.folders.split import Split
from boundary_loss.folders.whole import GT, WHOLE, WholeFolder, rules_in
from boundary_loss.preparation.label_values import to_classes
from boundary_loss.preparation.normalisation import Moments, Normalisation, picture_window
from boundary_loss.preparation.recording import Kind, Prepared, common, common_options, label_values
from boundary_loss.preparation.shown import Preparation
from boundary_loss.preparation.study import Case, Recipe, Study
from boundary_loss.shapes import IGNORED
from boundary_loss.unpack import read_source
from boundary_loss.volumes import Geometry, Volume, orientation, read_volume

OF_SPLIT = ("--retain", "--fold", "--seed", "--split")
"""Options that change the split alone, and no array."""


@dataclass
class Kept(Prepared):
    """What a worker reports of a case whose arrays it kept."""

    moments: dict[str, Moments] = field(default_factory=dict)
    window: dict[str, tuple[float, float]] = field(default_factory=dict)
    """The values that a picture of each modality shows black and white."""

    def as_json(self, scale: dict[str, tuple[float, float]], unpacked: Path) -> dict[str, Any]:
        """Return the entry of the case in whole.json; ``scale`` is that of each modality."""
        return {
            "shape": list(self.geometry.shape),
            "spacing": list(self.spacing_mm),
            "grid": self.grid(unpacked),
            "patient": self.patient,
            "orientation": self.orientation,
            "scale": {name: list(pair) for name, pair in scale.items()},
            "window": {name: list(pair) for name, pair in self.window.items()},
            "moments": {name: list(moments) for name, moments in self.moments.items()},
            "digests": self.digests,
            "counts": [self.positive, self.negative, self.num_slices, self.num_with_object],
        }

    @classmethod
    def from_json(cls, volume: str, entry: dict[str, Any], unpacked: Path) -> "Kept":
        """Return what :meth:`as_json` was called on."""
        positive, negative, num_slices, num_with_object = entry["counts"]
        x, y, z = entry["spacing"]
        return cls(
            volume=volume,
            patient=entry["patient"],
            spacing_mm=(x, y, z),
            orientation=entry["orientation"],
            source=unpacked / entry["grid"]["file"],
            geometry=Geometry.from_json(entry["grid"]),
            digests=entry["digests"],
            positive=positive,
            negative=negative,
            num_slices=num_slices,
            num_with_object=num_with_object,
            moments={name: Moments(*values) for name, values in entry["moments"].items()},
            window={name: (low, high) for name, (low, high) in entry["window"].items()},
        )


def add_options(parser: argparse.ArgumentParser, study: Study) -> None:
    parser.add_argument(
        "--normalise", nargs="+", default=rules_in(study.normalise), metavar="RULE",
        help=f"zscore, zscore(study), minmax, window(low,high); one for all or for each; otherwise {study.normalise}",
    )  # fmt: skip
    parser.add_argument(
        "--modalities", nargs="+", choices=study.modalities, default=study.modalities,
        help=f"these alone, of {' '.join(study.modalities)}",
    )  # fmt: skip
    parser.add_argument(
        "--link",
        type=Path,
        metavar="FOLDER",
        help="link the arrays of this folder if it differs in nothing but the split",
    )


def settings(study: Study, args: argparse.Namespace) -> dict[str, Any]:
    normalise = " ".join(args.normalise)
    Normalisation.of_modalities(normalise, study.modalities)  # refused before any volume is read
    own = {"kind": "volumes", "normalise": normalise, "square_planes": study.square_planes}
    return own | {"shape": None, "n_augment": 0, "discard_negatives": False}


def make_folders(folder: Path, recipe: Recipe) -> None:
    for name in (*recipe.modalities, GT):
        (folder / name).mkdir()


def keep_case(case: Case, recipe: Recipe, which: str, folder: Path) -> Kept:
    """Write the arrays of a case that has passed its checks; whether it trains or is held out makes no difference."""
    assert case.labels is not None
    first = read_volume(case.images[0].found[0], recipe.spacing_mm)
    kept = Kept(
        volume=case.volume,
        patient=case.patient,
        spacing_mm=first.spacing_mm,
        orientation=orientation(first.affine),
        source=case.images[0].found[0],
        geometry=first.geometry,
    )
    rules = Normalisation.of_modalities(recipe.normalise, recipe.modalities)
    for number, (name, files) in enumerate(zip(recipe.modalities, case.images, strict=True)):
        volume = first if number == 0 else read_volume(files.found[0], recipe.spacing_mm)
        kept.moments[name] = Moments.of(volume.array)
        kept.window[name] = rules[name].window or picture_window(volume.array)
        _write(folder, name, case.volume, _stored(volume), kept)
    labels = to_classes(read_volume(case.labels.found[0], labels=True).array, recipe.values)
    _count(labels, kept)
    _write(folder, GT, case.volume, labels, kept)
    return kept


def _stored(volume: Volume) -> np.ndarray:
    """Return the array in its own type, but for 64-bit floats, as scaled integers are: a network reads 32 bits."""
    array = volume.array
    return array.astype(np.float32) if array.dtype.kind == "f" and array.dtype.itemsize > 4 else array


def _write(folder: Path, name: str, case: str, array: np.ndarray, kept: Kept) -> None:
    array = np.asfortranarray(array)
    write_array(folder / name / f"{case}.npy", array)
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}\n".encode())
    digest.update(array.T.data.cast("B"))  # no copy: the last axis is the slowest in both
    kept.digests[name] = digest.hexdigest()


def _count(labels: np.ndarray, kept: Kept) -> None:
    for z in range(labels.shape[2]):
        plane = labels[:, :, z]
        present = int(np.count_nonzero((plane > 0) & (plane != IGNORED)))
        kept.positive += present
        kept.negative += int(np.count_nonzero(plane == 0))
        kept.num_slices += 1
        kept.num_with_object += present > 0


def doubts(cases: Sequence[tuple[str, Kept]]) -> list[str]:
    """List scans that came twice and are on both sides of the split, where one is learnt and the other measured.

    Two training cases of the left atria of 2018 have equal labels, voxel for voxel, and nearly equal images.
    """
    alike: dict[str, dict[str, str]] = {}
    for which, kept in cases:
        for name, digest in kept.digests.items():
            if name != GT or kept.positive:  # labels of background alone are alike
                alike.setdefault(digest, {})[kept.volume] = which
    groups = {tuple(sorted(sides.items())) for sides in alike.values() if len(set(sides.values())) > 1}
    named = [" and ".join(f"{volume} ({which})" for volume, which in group) for group in sorted(groups)]
    return [
        f"{names} are equal in image or labels, as one scan is that came twice; PREPARE='--split FILE' names a split "
        "that keeps them on one side"
        for names in named
    ]


def write_records(
    folder: Path, study: Study, recipe: Recipe, split: Split, cases: Sequence[tuple[str, Kept]], unpacked: Path
) -> None:
    """Write the split, and what the volumes are, where they come from and lie, and how they are scaled."""
    rules = Normalisation.of_modalities(recipe.normalise, recipe.modalities)
    training = [kept.volume for which, kept in cases if which == "train"]
    scales = {
        name: rules[name].scales({kept.volume: kept.moments[name] for _, kept in cases}, training)
        for name in recipe.modalities
    }
    digests = {
        f"{which}/{name}/{kept.volume}.npy": digest for which, kept in cases for name, digest in kept.digests.items()
    }
    digests |= {
        f"scale/{name}/{case}": f"{offset!r} {factor!r} {rules[name].name}"
        for name, of_cases in scales.items()
        for case, (offset, factor) in of_cases.items()
    }
    preparation = Preparation(
        shape=None,
        pictures=False,
        label_values=label_values(recipe),
        layout=study.layout,
        orientations=tuple(sorted({kept.orientation for _, kept in cases})),
        normalise=recipe.normalise,
        scale={name: of_cases[training[0]] for name, of_cases in scales.items() if rules[name].of_study},
    )
    entries = {
        kept.volume: kept.as_json({name: scales[name][kept.volume] for name in recipe.modalities}, unpacked)
        for _, kept in cases
    }
    about = {"kind": "volumes"} | common(study, preparation, cases, digests, unpacked)
    for key in ("orientation", "patient"):  # each case says its own
        del about[key]
    write_json(folder / WHOLE, about | {"options": common_options(recipe), "cases": entries})
    write_json(folder / SPLIT, split.as_json())


def standing(sibling: Path, words: Sequence[str], cases: Sequence[Case], unpacked: Path) -> list[Kept]:
    """Return what a folder holds of these cases if it differs in nothing but the split; otherwise nothing.

    Args:
        sibling: a folder of whole volumes, or none yet.
        words: the settings of the folder that is to be made.
    """
    if not (sibling / WHOLE).is_file() or _arrays(command.recorded(sibling) or []) != _arrays(words):
        return []
    about = WholeFolder.open(sibling).content
    entries = about["cases"]
    if Source.recorded(about.get("source")) != read_source(unpacked) or set(entries) != {case.volume for case in cases}:
        return []
    return [Kept.from_json(case.volume, entries[case.volume], unpacked) for case in cases]


def _arrays(words: Sequence[str]) -> list[str]:
    """Return the settings that change arrays."""
    return command.settings(["", *words], beside=OF_SPLIT)


def link_arrays(sibling: Path, folder: Path) -> None:
    """Link the arrays of a folder into another, or copy them where a disk has no links."""
    for arrays in sorted(path for path in sibling.iterdir() if path.is_dir()):
        link_folder(arrays, folder / arrays.name)


VOLUMES = Kind(
    record=WHOLE,
    doing="preparing",
    done="prepared",
    again="prepares it again",
    add_options=add_options,
    settings=settings,
    make_folders=make_folders,
    prepare=keep_case,
    doubts=doubts,
    write_records=write_records,
)
