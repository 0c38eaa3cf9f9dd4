"""A prediction and its ground truth on one grid, whatever format nnU-Net wrote them in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from boundary_loss.command import Stop
from boundary_loss.metrics.reading import as_classes
from boundary_loss.volumes import READ, corners, ending_of, in_words, read_volume, same_sizes

OFF = 0.1
"""Voxels by which the corners of two images may lie apart: headers round."""


@dataclass(frozen=True)
class Image:
    """Labels and where they lie."""

    labels: np.ndarray
    """(X, Y[, Z]) integers; an axis of one voxel is left out, for a mask one voxel thick is border throughout."""
    spacing_mm: tuple[float, ...]
    corners: np.ndarray | None
    """(8, 3) mm; None if the file does not say where it lies."""


def read_image(path: Path) -> Image:
    """Read a label image: NIfTI, NRRD or HDF5, or with nnU-Net installed whatever it reads.

    Raises:
        FileNotFoundError, ValueError: as :func:`boundary_loss.volumes.read_volume`; labels that are no whole numbers.
        Stop: another format, without nnU-Net.
    """
    if not ending_of(path.name):
        labels, spacing = _by_nnunet(path)
        return _flat(as_classes(labels, path.name), spacing, None)
    volume = read_volume(path, labels=True)
    places = corners(volume.array.shape, volume.affine)
    return _flat(as_classes(volume.array, path.name), volume.spacing_mm, places)


def _by_nnunet(path: Path) -> tuple[np.ndarray, tuple[float, ...]]:
    try:
        from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_file_ending as reader_for
    except ImportError:
        raise Stop(
            f"{path} ends in none of {', '.join(READ)}; nnU-Net reads other formats: pip install nnunetv2"
        ) from None
    reader: Any = reader_for(path.suffix, str(path), allow_nonmatching_filename=True, verbose=False)()
    labels, properties = reader.read_seg(str(path))
    return labels[0], tuple(map(float, properties["spacing"]))


def _flat(labels: np.ndarray, spacing_mm: tuple[float, ...], corners: np.ndarray | None) -> Image:
    if labels.ndim == 3 and 1 in labels.shape:
        axis = labels.shape.index(1)
        labels, spacing_mm = labels.take(0, axis), (*spacing_mm[:axis], *spacing_mm[axis + 1 :])
    return Image(labels, spacing_mm, corners)


def check_grids(prediction: Image, truth: Image, *, by_index: bool = False) -> None:
    """Refuse images whose voxels do not lie in the same places.

    Args:
        by_index: compare voxel by voxel, at the ground truth's spacing, as nnU-Net does, wherever the headers place
            them; only the sizes must agree then.

    Raises:
        ValueError: every way in which the grids differ.
    """
    if prediction.labels.shape != truth.labels.shape:
        raise ValueError(f"prediction of {_by(prediction)} voxels, ground truth of {_by(truth)}")
    if by_index:
        return
    faults = []
    if not same_sizes(prediction.spacing_mm, truth.spacing_mm):
        spacings = (
            f"prediction of {in_words(prediction.spacing_mm)} mm, ground truth of {in_words(truth.spacing_mm)} mm"
        )
        faults.append(f"voxels differ: {spacings}")
    if prediction.corners is not None and truth.corners is not None:
        apart = float(np.linalg.norm(prediction.corners - truth.corners, axis=1).max())
        if not apart <= OFF * min(truth.spacing_mm):
            faults.append(f"their corners lie {apart:.4g} mm apart")
    if faults:
        raise ValueError(f"{'; '.join(faults)}; --by-index compares voxel by voxel all the same")


def _by(image: Image) -> str:
    return " x ".join(map(str, image.labels.shape))
