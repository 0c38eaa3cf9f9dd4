"""Sliced folders of phantom cases, as slicing leaves them, for the benchmarks that train."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from boundary_loss.distance import signed_distance
from boundary_loss.files import write_array, write_json
from boundary_loss.folders.pictures import write_png
from boundary_loss.folders.sliced import SlicedFolder
from boundary_loss.phantom import acdc, isles, wmh

CLASSES = {
    "isles": ["background", "lesion"],
    "wmh": ["background", "lesion"],
    "acdc": ["background", "right ventricle", "myocardium", "left ventricle"],
}
MODALITIES = {"isles": ["ct", "cbf", "cbv", "mtt", "tmax"], "wmh": ["flair", "t1"], "acdc": ["img"]}


def write_study(folder: Path, study: str, size: int, num_slices: dict[str, int], seed: int = 0) -> SlicedFolder:
    """So many slices of ``size`` x ``size`` in ``train`` and ``val``, each volume in one of them."""
    rng = np.random.default_rng(seed)
    cases = _cases(study, rng, size)
    spacing_3d: dict[str, list[float]] = {}
    for which, wanted in num_slices.items():
        written, spacing = 0, dict[str, list[float]]()
        while written < wanted:
            images, labels = next(cases)
            volume = f"case_{len(spacing_3d)}"
            spacing_3d[volume] = [1.0, 1.0, 5.0]
            for z in range(min(labels.shape[-1], wanted - written)):
                stem = f"{volume}_00_{z:04d}"
                spacing[stem] = [1.0, 1.0]
                _write_slice(folder / which, stem, images[..., z], labels[..., z])
            maps = signed_distance(labels, (1.0, 1.0, 5.0), num_classes=len(CLASSES[study]))
            for z in range(min(labels.shape[-1], wanted - written)):
                write_array(folder / which / "3d_distmap" / f"{volume}_00_{z:04d}.npy", maps[..., z])
            written = len(spacing)
        write_json(folder / which / "spacing.json", spacing)
    write_json(folder / "spacing_3d.json", spacing_3d)
    about = {"study": study, "classes": CLASSES[study], "modalities": MODALITIES[study], "phantom": True}
    write_json(folder / "slicing.json", about | {"checksum": "benchmark", "shape": [size, size]})
    return SlicedFolder.open(folder)


def _cases(study: str, rng: np.random.Generator, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(C, X, Y, Z) float32 in [0, 1] and (X, Y, Z) uint8, without end, cut or filled to ``size``."""
    while True:
        if study == "isles":
            drawn, _ = isles.draw_case(rng, size)
            labels = drawn.pop("OT")
            images = list(drawn.values())
        elif study == "wmh":
            flair, t1, labels, _ = wmh.draw_case(rng, wmh.SITES["Utrecht.zip"], size)
            images, labels = [flair, t1], labels == 1
        else:
            ((image, labels), _), _ = acdc.draw_patient(rng, size)
            images = [image]
        stacked = np.stack([image / image.max() for image in images]).astype(np.float32)
        yield _fit(stacked, size), _fit(labels.astype(np.uint8), size)


def _fit(array: np.ndarray, size: int) -> np.ndarray:
    """(..., X, Y, Z) with X and Y cut to ``size``, or filled with zeros."""
    array = array[..., :size, :size, :]
    missing = [(0, 0)] * (array.ndim - 3) + [(0, size - n) for n in array.shape[-3:-1]] + [(0, 0)]
    return np.pad(array, missing)


def _write_slice(folder: Path, stem: str, image: np.ndarray, labels: np.ndarray) -> None:
    write_array(folder / "in_npy" / f"{stem}.npy", np.ascontiguousarray(image))
    write_array(folder / "gt_npy" / f"{stem}.npy", np.ascontiguousarray(labels))
    (folder / "gt").mkdir(parents=True, exist_ok=True)
    write_png(folder / "gt" / f"{stem}.png", np.ascontiguousarray(labels))
