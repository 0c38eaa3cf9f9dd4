"""NIfTI files in awkward places."""

from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.spatial.transform import Rotation


def turned(spacing: tuple[float, float, float], *, left_handed: bool = False) -> np.ndarray:
    """(4, 4): voxels of this size in an oblique frame, mirrored where asked."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [21, -34, 67], degrees=True).as_matrix() @ np.diag(spacing)
    if left_handed:
        affine[:3, 0] *= -1
    affine[:3, 3] = (-71.5, 12.25, 103)
    return affine


def save_nifti(
    path: Path,
    array: np.ndarray,
    qform: np.ndarray | None,
    sform: np.ndarray | None = None,
    codes: tuple = (1, 1),
    pixdim: tuple[float, float, float] | None = None,
    unit: str = "mm",
) -> None:
    """As a scanner's software might: either transform, both, two that differ, or none; with units.

    ``pixdim``: voxel sizes, if no qform gives them and they are not those of the sform.
    """
    image = nib.Nifti1Image(array, None)
    image.header.set_xyzt_units(unit, "sec")
    image.header.set_zooms(pixdim or np.linalg.norm((sform if qform is None else qform)[:3, :3], axis=0))
    image.set_qform(qform, codes[0] if qform is not None else 0, update_affine=False)
    image.set_sform(sform, codes[1] if sform is not None else 0, update_affine=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)


SPACING = (0.7, 1.3, 4.5)
ACDC = {"qform": np.diag([-1.3, -1.3, 10.0, 1.0]), "sform": np.diag([-1.0, -1.0, 1.0, 1.0]), "codes": (1, 1)}
"""The headers of the challenge: the sform was never filled in."""

PLACES: dict[str, dict] = {
    "straight": {"qform": np.diag([*SPACING, 1.0]), "sform": np.diag([*SPACING, 1.0])},
    "rotated": {"qform": turned(SPACING), "sform": turned(SPACING)},
    "left-handed": {"qform": turned(SPACING, left_handed=True), "sform": turned(SPACING, left_handed=True)},
    "qform alone": {"qform": turned(SPACING), "codes": (2, 0)},
    "sform alone": {"qform": None, "sform": turned(SPACING, left_handed=True), "codes": (0, 4)},
    "ACDC": ACDC,
    "two that differ": {"qform": turned(SPACING), "sform": np.diag([-0.7, -1.3, 4.5, 1.0]), "codes": (1, 2)},
}


def blob(shape: tuple[int, int, int]) -> np.ndarray:
    """A lopsided object that no flip or transposition maps onto itself."""
    labels = np.zeros(shape, np.uint8)
    x, y, z = (size // 4 for size in shape)
    labels[x : 3 * x, y : 2 * y, z:] = 1
    labels[x, y : 3 * y, z] = 1
    return labels


def world(path: Path) -> np.ndarray:
    """(N, 3) mm: where nibabel places the voxels of an image that are not 0."""
    image = nib.load(path)
    return nib.affines.apply_affine(image.affine, np.argwhere(np.asarray(image.dataobj)))
