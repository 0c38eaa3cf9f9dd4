"""Cases cut into slices: from volumes to the files of a sliced folder."""

import argparse
import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from boundary_loss.distance import signed_distance
from boundary_loss.files import write_array, write_json
from boundary_loss.folders.pictures import write_png
from boundary_loss.folders.prepared import SETS, SPLIT
from boundary_loss.folders.sliced import (
    GRIDS,
    IMAGES,
    LABELS,
    LABELS_PNG,
    MAPS_3D,
    SLICING,
    SPACING,
    SPACING_3D,
)
from boundary_loss.folders.split import Split
from boundary_loss.preparation.copies import flipped, turned
from boundary_loss.preparation.label_values import to_classes
from boundary_loss.preparation.options import at_least
from boundary_loss.preparation.recording import Kind, Prepared, common, common_options, label_values
from boundary_loss.preparation.shown import Preparation, prepare_images, resize_slices
from boundary_loss.preparation.study import Case, Recipe, Study
from boundary_loss.shapes import IGNORED
from boundary_loss.volumes import orientation, read_volume


@dataclass
class Cut(Prepared):
    """What a worker reports of a case that it cut; the voxel size is that of the resized slices."""

    stems: list[str] = field(default_factory=list)


def add_options(parser: argparse.ArgumentParser, study: Study) -> None:
    shape = "the slices' own" if study.shape is None else "{} {}".format(*study.shape)
    parser.add_argument(
        "--shape", type=at_least(1), nargs=2, metavar=("X", "Y"), help=f"resize slices; otherwise {shape}"
    )
    parser.add_argument("--n_augment", type=at_least(0), default=0, help="altered copies of every training slice")
    parser.add_argument("--discard_negatives", action="store_true", help="leave out training slices without object")


def settings(study: Study, args: argparse.Namespace) -> dict[str, Any]:
    return {
        "shape": tuple(args.shape) if args.shape else study.shape,
        "n_augment": args.n_augment,
        "discard_negatives": args.discard_negatives,
    }


def make_folders(folder: Path, recipe: Recipe) -> None:
    arrays = () if recipe.pictures else (IMAGES, LABELS, MAPS_3D)
    for which in SETS:
        for name in (LABELS_PNG, *recipe.modalities, *arrays):
            (folder / which / name).mkdir(parents=True)


def cut_case(case: Case, recipe: Recipe, which: str, folder: Path) -> Cut:
    """Write all slices of a case below ``folder/which``; the case has passed its checks."""
    assert case.labels is not None
    volumes = [read_volume(files.found[0], recipe.spacing_mm) for files in case.images]
    labels = to_classes(read_volume(case.labels.found[0], labels=True).array, recipe.values)
    spacing = volumes[0].spacing_mm
    images = prepare_images([volume.array for volume in volumes], recipe.shape, pictures=recipe.pictures)
    if recipe.shape is not None and recipe.shape != labels.shape[:2]:
        x, y = labels.shape[:2]
        spacing = (spacing[0] * x / recipe.shape[0], spacing[1] * y / recipe.shape[1], spacing[2])
        labels = resize_slices(labels, recipe.shape, order=0)
    maps = None if recipe.pictures else _signed_maps(labels, spacing, recipe.num_classes)

    grid = volumes[0].geometry
    cut = Cut(case.volume, case.patient, spacing, orientation(volumes[0].affine), case.images[0].found[0], grid)
    for z in range(labels.shape[2]):
        present = int(np.count_nonzero((labels[:, :, z] > 0) & (labels[:, :, z] != IGNORED)))
        if which == "train" and recipe.discard_negatives and not present:
            continue
        cut.positive += present
        cut.negative += int(np.count_nonzero(labels[:, :, z] == 0))
        cut.num_slices += 1
        cut.num_with_object += present > 0
        arrays = [images[..., z], labels[None, :, :, z]] + ([maps[..., z]] if maps is not None else [])
        for copy, altered in copies(arrays, case.volume, z, recipe, recipe.n_augment if which == "train" else 0):
            stem = recipe.stem(case.volume, copy, z)
            cut.stems.append(stem)
            write_slice(folder, which, stem, altered, recipe, cut.digests)
    return cut


def _signed_maps(labels: np.ndarray, spacing_mm: tuple[float, ...], num_classes: int) -> np.ndarray:
    """(K, X, Y, Z) mm. 255 is said to be ignored: where there is no object, such labels could also be a mask."""
    return signed_distance(labels, spacing_mm, num_classes=num_classes, ignore_index=IGNORED, spatial_dims=3)


def copies(
    arrays: list[np.ndarray], volume: str, z: int, recipe: Recipe, count: int
) -> Iterator[tuple[int, list[np.ndarray]]]:
    """The slice itself as copy 0, then ``count`` altered ones."""
    yield 0, arrays
    for copy in range(1, count + 1):
        draw = random.Random(f"{recipe.seed} {recipe.stem(volume, copy, z)}")
        if recipe.pictures:
            image, labels = turned(arrays[0][0], arrays[1][0], draw)
            yield copy, [image[None], labels[None]]
        else:
            yield copy, flipped(arrays, draw)


def write_slice(
    folder: Path, which: str, stem: str, arrays: list[np.ndarray], recipe: Recipe, digests: dict[str, str]
) -> None:
    """Write the files of a slice, and note the digests of those that training reads."""
    image, (labels,) = arrays[0], arrays[1]
    content: dict[str, np.ndarray] = {f"{LABELS_PNG}/{stem}.png": labels}
    pictures = image if recipe.pictures else (image * 255).astype(np.uint8)
    shown = {f"{name}/{stem}.png": picture for name, picture in zip(recipe.modalities, pictures)}
    if recipe.pictures:
        content |= shown
    else:
        content |= {
            f"{IMAGES}/{stem}.npy": image,
            f"{LABELS}/{stem}.npy": labels,
            f"{MAPS_3D}/{stem}.npy": arrays[2],
        }
    for name, array in (shown | content).items():
        path = folder / which / name
        if path.suffix == ".npy":
            write_array(path, array)
        else:
            write_png(path, array)
    digests |= {f"{which}/{name}": digest(array) for name, array in content.items()}


def digest(array: np.ndarray) -> str:
    """sha256 of an array's dtype, shape and values: not of a file, whose compression depends on the library."""
    about = f"{array.dtype.str} {array.shape}\n".encode()
    return hashlib.sha256(about + np.ascontiguousarray(array).tobytes()).hexdigest()


def write_records(
    folder: Path, study: Study, recipe: Recipe, split: Split, cuts: Sequence[tuple[str, Cut]], unpacked: Path
) -> None:
    """Write what the slices are, where they come from, how large their voxels are and where they lay."""
    for which in SETS:
        spacing = {stem: list(cut.spacing_mm[:2]) for side, cut in cuts if side == which for stem in cut.stems}
        write_json(folder / which / SPACING, dict(sorted(spacing.items())))
    write_json(folder / SPACING_3D, {cut.volume: list(cut.spacing_mm) for _, cut in cuts})
    write_json(folder / GRIDS, {cut.volume: cut.grid(unpacked) for _, cut in cuts})
    write_json(folder / SPLIT, split.as_json())
    digests = {name: digest for _, cut in cuts for name, digest in cut.digests.items()}
    preparation = Preparation(
        shape=recipe.shape,
        pictures=recipe.pictures,
        label_values=label_values(recipe),
        layout=study.layout,
        orientations=tuple(sorted({cut.orientation for _, cut in cuts})),
    )
    about = common(study, preparation, cuts, digests, unpacked) | {
        "shape": list(recipe.shape) if recipe.shape else "native",
        "kinds": sorted({name.split("/")[1] for name in digests} | set(study.modalities)),
        "options": common_options(recipe)
        | {"n_augment": recipe.n_augment, "discard_negatives": recipe.discard_negatives},
    }
    write_json(folder / SLICING, about)


SLICES = Kind(
    record=SLICING,
    doing="slicing",
    done="sliced",
    again="slices it again",
    add_options=add_options,
    settings=settings,
    make_folders=make_folders,
    prepare=cut_case,
    doubts=lambda cases: [],
    write_records=write_records,
)
