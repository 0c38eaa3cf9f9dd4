"""Tiny data sets in the layouts of nnU-Net v2 and of the Decathlon."""

import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from PIL import Image

AFFINE = np.diag([-1.0, 1.2, 1.5, 1.0])
SHAPE = (18, 22, 16)
FOLDERS = {"image": "imagesTr", "label": "labelsTr"}
NNUNET_LABELS: dict[str, Any] = {"background": 0, "head": 1, "tail": 2}


def save(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)


def scan(
    number: int, channels: int = 1, values: Sequence[int] = (1, 2), shape: Sequence[int] = SHAPE
) -> tuple[np.ndarray, np.ndarray]:
    """Image (X, Y, Z, C) int16 and labels (X, Y, Z) uint8: boxes in a row, a value each, brighter than the rest."""
    rng = np.random.default_rng(number)
    labels = np.zeros(shape, np.uint8)
    length = (shape[1] - 6) // len(values)
    for place, value in enumerate(values):
        start = 3 + place * length
        labels[5:-5, start : start + length, (3 if shape[2] > 6 else 0) : (-3 if shape[2] > 6 else None)] = value
    image = rng.normal(100, 10, (*shape, channels)) + 60 * labels[..., None] + 5 * number
    return image.round().astype(np.int16), labels


def write_decathlon(root: Path, *, cases: int = 5, test: int = 2, channels: int = 1, **entries: Any) -> Path:
    """``entries`` replace those of dataset.json; None removes one."""
    names = [f"case_{number:02d}" for number in range(cases + test)]
    for number, name in enumerate(names):
        image, labels = scan(number, channels)
        folder = "imagesTr" if number < cases else "imagesTs"
        save(root / folder / f"{name}.nii.gz", image if channels > 1 else image[..., 0])
        if number < cases:
            save(root / "labelsTr" / f"{name}.nii.gz", labels)
    write_json(root, {
        "name": "Toy", "licence": "CC BY 4.0", "reference": "nobody", "tensorImageSize": "3D",
        "modality": {str(number): f"M/{number}" for number in range(channels)},
        "labels": {"0": "background", "1": "head", "2": "tail"}, "numTraining": cases, "numTest": test,
        "training": [{key: f"./{folder}/{name}.nii.gz" for key, folder in FOLDERS.items()} for name in names[:cases]],
        "test": [f"./imagesTs/{name}.nii.gz" for name in names[cases:]],
    }, entries)  # fmt: skip
    return root


def write_nnunet(
    root: Path, *, cases: int = 5, test: int = 2, channels: Mapping[str, str] | None = None,
    values: Sequence[int] = (1, 2), shape: Sequence[int] = SHAPE, **entries: Any,
) -> Path:  # fmt: skip
    """``entries`` replace those of dataset.json; None removes one."""
    channels = channels or {"0": "T1"}
    for number in range(cases + test):
        image, labels = scan(number, len(channels), values, shape)
        folder = "imagesTr" if number < cases else "imagesTs"
        for channel in range(len(channels)):
            save(root / folder / f"case_{number:02d}_{channel:04d}.nii.gz", image[..., channel])
        if number < cases:
            save(root / "labelsTr" / f"case_{number:02d}.nii.gz", labels)
    about = {"channel_names": channels, "labels": NNUNET_LABELS, "numTraining": cases, "file_ending": ".nii.gz"}
    write_json(root, about, entries)
    return root


def write_pictures(root: Path, *, cases: int = 5, test: int = 2, colour: bool = False) -> Path:
    """A data set of nnU-Net of PNGs; one in colour holds its three channels in one file."""
    for number in range(cases + test):
        image, labels = scan(number, 3 if colour else 1, shape=(40, 30, 1))
        picture = image[:, :, 0].clip(0, 255).astype(np.uint8)[..., slice(None) if colour else 0]
        files = {f"{'imagesTr' if number < cases else 'imagesTs'}/case_{number:02d}_0000.png": picture}
        if number < cases:
            files[f"labelsTr/case_{number:02d}.png"] = labels[..., 0]
        for name, pixels in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(root / name)
    channels = {"0": "R", "1": "G", "2": "B"} if colour else {"0": "grey"}
    about = {"channel_names": channels, "labels": NNUNET_LABELS, "numTraining": cases, "file_ending": ".png"}
    write_json(root, about, {})
    return root


def write_json(root: Path, about: dict[str, Any], entries: Mapping[str, Any]) -> None:
    kept = {key: value for key, value in (about | dict(entries)).items() if value is not None}
    (root / "dataset.json").write_text(json.dumps(kept))


def as_tar(root: Path, path: Path, *, hidden: bool = True) -> Path:
    """Pack a data set as the Decathlon's are, with what a Mac leaves beside the files."""
    with tarfile.open(path, "w") as archive:
        archive.add(root, root.name)
        if hidden:
            for file in sorted(root.rglob("*.nii.gz")):
                member = tarfile.TarInfo(str(Path(root.name) / file.relative_to(root).with_name(f"._{file.name}")))
                archive.addfile(member)
    return path
