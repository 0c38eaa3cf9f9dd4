"""One case, from volumes to the files of its slices."""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from boundary_loss.distance import signed_distance
from boundary_loss.files import write_array
from boundary_loss.folders.pictures import write_png
from boundary_loss.folders.sliced import IMAGES, LABELS, LABELS_PNG, MAPS_3D
from boundary_loss.preparation.copies import flipped, turned
from boundary_loss.preparation.label_values import to_classes
from boundary_loss.preparation.shown import prepare_images, resize_slices
from boundary_loss.preparation.study import Case, Recipe
from boundary_loss.shapes import IGNORED
from boundary_loss.volumes import Geometry, orientation, read_volume


@dataclass
class Cut:
    """What a worker reports of a case; ``digests`` are sha256 sums of arrays by file, ``voxels`` counts by sign."""

    volume: str
    patient: str
    spacing_mm: tuple[float, float, float]
    orientation: str
    """Where the axes X, Y, Z point in the patient, in nibabel's letters, as ``LPS``; ``?`` where no one can tell."""
    source: Path
    """The file of the first modality."""
    geometry: Geometry
    """Of that file: where its voxels lie, and how many there were before resizing."""
    stems: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    positive: int = 0
    negative: int = 0
    num_slices: int = 0
    num_with_object: int = 0


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
