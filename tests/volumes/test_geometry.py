"""Which part of a header is believed: the size of a voxel, and where its axes point."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from niftis import ACDC, PLACES, SPACING, save_nifti, turned

from boundary_loss.volumes import NiftiGeometry, Volume, orientation, read_volume
from boundary_loss.volumes.geometry import sizes

MM = np.diag([1.0, 1.0, 1.0, 1.0])
LPS = np.diag([-1.3, -1.3, 10.0, 1.0])
RAS = np.diag([1.3, 1.3, 10.0, 1.0])


def read(folder: Path, spacing_mm: tuple[float, float, float] | None = None, **header: Any) -> Volume:
    save_nifti(folder / "v.nii.gz", np.arange(24, dtype=np.int16).reshape(2, 3, 4), **header)
    return read_volume(folder / "v.nii.gz", spacing_mm)


BELIEVED: dict[str, tuple[dict, tuple[float, float, float], str, str | None]] = {
    "ACDC: an sform that was not filled in": (ACDC, (1.3, 1.3, 10), "LPS", None),
    "an sform that agrees": ({"qform": LPS, "sform": LPS}, (1.3, 1.3, 10), "LPS", None),
    "an sform turned against the qform": ({"qform": LPS, "sform": RAS, "codes": (1, 2)}, (1.3, 1.3, 10), "RAS", None),
    "qform alone": ({"qform": LPS, "sform": MM, "codes": (1, 0)}, (1.3, 1.3, 10), "LPS", None),
    "sform alone": ({"qform": LPS, "sform": RAS, "codes": (0, 4)}, (1.3, 1.3, 10), "RAS", None),
    "no code": ({"qform": LPS, "sform": MM, "codes": (0, 0)}, (1.3, 1.3, 10), "LAS", None),
    "only pixdim": ({"qform": None, "pixdim": (0.9, 1.2, 3)}, (0.9, 1.2, 3), "LAS", None),
    "another sform": ({"qform": LPS, "sform": 2 * RAS}, (1.3, 1.3, 10), "LPS", r"1.3 x 1.3 x 10 mm .* 2.6 x 2.6 x 20"),
    "pixdim that was not filled in": ({"qform": None, "sform": RAS, "pixdim": (1, 1, 1)}, (1, 1, 1), "RAS", "1 x 1"),
    "a singular sform": ({"qform": LPS, "sform": 0 * MM}, (1.3, 1.3, 10), "LPS", "singular affine"),
    "micrometres": ({"qform": None, "sform": 1000 * RAS, "unit": "micron"}, (1.3, 1.3, 10), "RAS", None),
    "metres": ({"qform": 0.001 * LPS, "unit": "meter"}, (1.3, 1.3, 10), "LPS", None),
    "no unit": ({"qform": LPS, "unit": "unknown"}, (1.3, 1.3, 10), "LPS", None),
}  # fmt: skip


@pytest.mark.parametrize("what", BELIEVED)
def test_one_transform_is_believed_and_a_contradiction_is_told(tmp_path: Path, what: str) -> None:
    header, spacing, axes, told = BELIEVED[what]
    volume = read(tmp_path, **header)
    np.testing.assert_allclose(volume.spacing_mm, spacing, rtol=1e-6)
    np.testing.assert_allclose(sizes(volume.affine), spacing, rtol=1e-5)
    assert orientation(volume.affine) == axes
    dispute = volume.geometry.dispute()
    assert dispute is None if told is None else re.search(told, dispute or "")


@pytest.mark.parametrize("where", PLACES)
def test_real_headers_are_believed_without_a_word(tmp_path: Path, where: str) -> None:
    volume = read(tmp_path, **PLACES[where])
    assert volume.geometry.dispute() is None
    np.testing.assert_allclose(volume.spacing_mm, (1.3, 1.3, 10) if where == "ACDC" else SPACING, rtol=1e-6)
    assert bool(volume.geometry.doubts()) == (where == "two that differ")


def test_what_is_believed_with_a_doubt_says_so(tmp_path: Path) -> None:
    (told,) = read(tmp_path, qform=LPS, sform=RAS, codes=(1, 1)).geometry.doubts()
    assert "point RAS by the sform, which is believed, but LPS by the qform" in told
    (told,) = read(tmp_path, qform=LPS, unit="meter").geometry.doubts()
    assert "1300 x 1300 x 1e+04 mm a voxel: the header's unit is m (xyzt_units)" in told


@pytest.mark.parametrize("header", [ACDC, PLACES["rotated"], {"qform": None, "pixdim": (0, 0, 0)}])
def test_a_stated_size_overrules_the_header_and_is_not_written(tmp_path: Path, header: dict) -> None:
    volume = read(tmp_path, (1.0, 1.0, 5.0), **header)
    assert volume.spacing_mm == (1, 1, 5)
    np.testing.assert_allclose(sizes(volume.affine), (1, 1, 5), rtol=1e-6)
    assert volume.geometry == read(tmp_path, **header).geometry


def test_a_qform_that_is_no_rotation_is_left_alone(tmp_path: Path) -> None:
    geometry = read(tmp_path, qform=turned(SPACING)).geometry
    spoilt = NiftiGeometry(geometry.shape, geometry.fields | {"quatern_b": 7.0})
    assert spoilt.qform is None and spoilt.doubts() == ["its qform is no rotation; left alone"]
    assert orientation(spoilt.affine) == "LAS"


@pytest.mark.parametrize("field", ["pixdim", "srow_x", "quatern_b", "qoffset_y"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 3e38])
def test_headers_without_sense_are_computed_with_in_silence(tmp_path: Path, field: str, value: float) -> None:
    geometry = read(tmp_path, **PLACES["two that differ"]).geometry
    spoilt = [value] * 4 if field in ("pixdim", "srow_x") else value
    geometry = NiftiGeometry(geometry.shape, geometry.fields | {field: spoilt})
    assert len(orientation(geometry.affine)) == 3
    assert isinstance(geometry.doubts(), list)
    assert geometry.dispute() is None or "affine" in geometry.dispute()
