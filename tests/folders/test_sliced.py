"""A folder of sliced data knows its files, and what its files say is checked where it is read."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boundary_loss.data import Slices
from boundary_loss.files import read_json, write_json, write_text
from boundary_loss.folders.prepared import SETS, PreparedFolder
from boundary_loss.folders.sliced import SlicedFolder


def without_five_truths(folder: Path) -> None:
    for path in sorted((folder / "train" / "gt").iterdir())[:5]:
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_five_truths, r"train/gt/case_1_00_0000\.png is missing \(5 of the 12 files .*slice it again"),
        (lambda folder: shutil.rmtree(folder / "train" / "in_npy"), r"in_npy/case_1_00_0000\.npy is missing \(12 of"),
        (lambda folder: (folder / "train/gt_npy/case_1_00_0002.npy").unlink(), r"gt_npy/case_1_00_0002\.npy is miss"),
        (lambda folder: (folder / "train/ct/case_3_00_0003.png").unlink(), r"ct/case_3_00_0003\.png is missing"),
        (lambda folder: (folder / "train/3d_distmap/case_1_00_0000.npy").unlink(), r"3d_distmap/.* is missing"),
        (lambda folder: (folder / "train/spacing.json").unlink(), r"train/spacing\.json is missing; .*slice it again"),
    ],
)
def test_a_missing_file_is_an_error_that_names_it(sliced: Path, spoil: Callable[[Path], object], message: str) -> None:
    spoil(sliced)
    with pytest.raises(FileNotFoundError, match=message):
        Slices(SlicedFolder.open(sliced), "train")


def test_volume_maps_may_be_removed_as_a_whole_and_further_files_are_no_slices(sliced: Path) -> None:
    before = SlicedFolder.open(sliced).stems("train")
    for which in SETS:
        shutil.rmtree(sliced / which / "3d_distmap")
    (sliced / "train" / "gt" / "copy of case_1_00_0000.png").touch()
    assert SlicedFolder.open(sliced).stems("train") == before


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("slicing.json", {"classes": ["background", "../../x"]}, "classes name '../../x' contains a slash"),
        ("slicing.json", {"classes": ["a", "a"]}, "'classes' lists a twice"),
        ("slicing.json", {"modalities": ["--help"]}, "begins with '-'"),
        ("slicing.json", {"modalities": "ct"}, "expected a list"),
        ("slicing.json", {"patient": {"case_1": "/etc"}}, "slash"),
        ("slicing.json", {"checksum": None}, "does not say 'checksum'"),
        ("slicing.json", {"checksum": 3}, "'checksum' is 3, expected text"),
        ("train/spacing.json", {"../x_00_0000": [1, 1]}, "slash"),
        ("train/spacing.json", {"case": [1, 1]}, "not a slice's name"),
        ("train/spacing.json", {"case_1_00_0000": [1]}, r"'case_1_00_0000' is \[1\], expected 2 lengths"),
        ("train/spacing.json", {"case_1_00_0000": [0.8, float("nan")]}, "expected a finite number above 0"),
        ("spacing_3d.json", {"case_1": [1, 1, -1]}, "expected a finite number above 0"),
    ],
)
def test_what_it_says_is_checked(sliced: Path, name: str, change: dict[str, Any], message: str) -> None:
    write_json(sliced / name, read_json(sliced / name) | change)
    with pytest.raises(ValueError, match=rf"{name}.*{message}.*|{message}") as raised:
        use(SlicedFolder.open(sliced))
    assert name in str(raised.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "[" * 100_000])
@pytest.mark.parametrize("name", ["slicing.json", "train/spacing.json", "spacing_3d.json"])
def test_spoilt_files_are_named_with_the_remedy(sliced: Path, name: str, content: str) -> None:
    write_text(sliced / name, content)
    with pytest.raises(ValueError, match=rf"{name} .*slice it again"):
        use(SlicedFolder.open(sliced))


def use(folder: SlicedFolder) -> None:
    assert folder.modalities and folder.classes
    folder.stems("train")
    folder.spacing_3d("case_1")


GRID = {"file": "ct.nii", "shape": [4, 5, 6], "qform_code": 1, "sform_code": 0, "xyzt_units": 2}
GRID |= dict.fromkeys(("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"), 0.0)
GRID |= {key: [1.0, 1.0, 1.0, 2.0] for key in ("srow_x", "srow_y", "srow_z", "pixdim")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": [4, 5]}, "expected three numbers of voxels"),
        ({"shape": [4, 5, 0]}, "expected three numbers of voxels"),
        ({"pixdim": ["1", 1, 1, 1]}, "'case_1, pixdim' is '1'|pixdim' is '1', expected a number"),
        ({"srow_x": [1.0]}, "has 1 numbers, expected 4"),
        ({"qform_code": None}, "does not say 'qform_code'"),
        ({"file": 3}, "expected text"),
    ],
)
def test_grids_are_checked(sliced: Path, change: dict[str, Any], message: str) -> None:
    write_json(sliced / "grids.json", {"case_1": GRID})
    assert SlicedFolder.open(sliced).grid("case_1") == GRID
    with pytest.raises(ValueError, match=r"grids\.json has no entry of case_9; .*slice it again"):
        SlicedFolder.open(sliced).grid("case_9")
    write_json(sliced / "grids.json", {"case_1": GRID | change})
    with pytest.raises(ValueError, match=rf"grids\.json.*({message}).*slice it again"):
        SlicedFolder.open(sliced).grid("case_1")


@pytest.mark.parametrize("array", [np.zeros((2, 4)), np.zeros((3, 4, 5), np.float32), np.zeros((2, 4, 5), "U3")])
def test_saved_maps_of_other_shapes_and_types_are_refused(sliced: Path, array: np.ndarray) -> None:
    np.save(sliced / "train" / "3d_distmap" / "case_1_00_0000.npy", array)
    with pytest.raises(ValueError, match=r"case_1_00_0000\.npy holds .*expected float32 \(2, X, Y\); .*slice it again"):
        SlicedFolder.open(sliced).map_3d("train", "case_1_00_0000")


def test_a_prepared_folder_is_opened_as_the_kind_that_its_record_says(sliced: Path, tmp_path: Path) -> None:
    found = PreparedFolder.open(sliced)
    assert isinstance(found, SlicedFolder) and found.volumes("val") == SlicedFolder.open(sliced).volumes("val")
    assert PreparedFolder.is_at(sliced) and not PreparedFolder.is_at(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"no sliced data or whole volumes at .*none \(slicing.json or"):
        PreparedFolder.open(tmp_path / "none")
