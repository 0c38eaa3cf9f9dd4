"""A folder of whole volumes answers what a sliced one does, and checks what its files say."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from wholes import SHAPES, write_whole

from boundary_loss.data import Slices
from boundary_loss.figures.contrast import windows
from boundary_loss.figures.overlays import Look, read_row
from boundary_loss.files import map_array, read_json, write_array, write_json
from boundary_loss.folders.sliced import SlicedFolder
from boundary_loss.folders.whole import Scale, WholeFolder


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return write_whole(tmp_path / "TOY")


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_it_answers_what_a_sliced_folder_does(whole: Path) -> None:
    assert public(SlicedFolder) <= public(WholeFolder)
    folder = WholeFolder.open(whole)
    assert folder.stems("val") == [f"case_3_00_{z:04d}" for z in range(5)]
    assert folder.volumes("train") == {
        name: [f"{name}_00_{z:04d}" for z in range(SHAPES[name][2])] for name in ("case_1", "case_2")
    }
    for which in ("train", "val"):
        for case, stems in folder.volumes(which).items():
            for z, stem in enumerate(stems):
                image = folder.image(which, stem)
                assert image.dtype == np.float32 and image.shape == (2, *SHAPES[case][:2])
                ct = np.load(whole / "ct" / f"{case}.npy").astype(np.float64)
                np.testing.assert_allclose(image[0], ((ct - ct.mean()) / ct.std())[:, :, z], atol=1e-5)
                np.testing.assert_array_equal(image[1], np.load(whole / "mtt" / f"{case}.npy")[:, :, z])
                np.testing.assert_array_equal(
                    folder.labels(which, stem), np.load(whole / "gt" / f"{case}.npy")[:, :, z]
                )
                assert folder.labels(which, stem).flags.writeable
                expected = np.rint(255 * ((ct[:, :, z] + 100) / 250).clip(0, 1))
                np.testing.assert_array_equal(folder.picture(which, stem, "ct"), expected)
                assert folder.spacing(which, stem) == (0.8, 1.2)
    assert folder.spacing_3d("case_1") == (0.8, 1.2, 5.0) and folder.orientation("case_1") == "LPS"
    with pytest.raises(FileNotFoundError, match="3D distance maps"):
        folder.map_3d("val", "case_3_00_0000")


def test_what_reads_slices_reads_planes(whole: Path) -> None:
    """Training's slices of one size, the window of pictures, and rows of the gallery."""
    folder: Any = WholeFolder.open(whole)
    slices = Slices(folder, "val")
    assert slices.names == folder.stems("val") and slices.images.shape == (5, 2, 6, 7)
    np.testing.assert_array_equal(slices.labels[2], folder.labels("val", "case_3_00_0002"))
    assert set(windows(folder, "case_3")) == {"ct", "mtt"}
    row = read_row(folder, [], "case_3_00_0002", None, Look(modality="ct"))
    assert row.truth.sum() == 6 and row.picture.shape == row.truth.shape


def test_a_plane_reads_no_more_than_itself_in_one_piece(whole: Path) -> None:
    folder = WholeFolder.open(whole)
    volume = folder.volume("case_1", "ct")
    assert volume is folder.volume("case_1", "ct")  # mapped once
    plane = volume[:, :, 2]
    assert plane.flags.f_contiguous and plane.base is not None and not plane.flags.writeable


@pytest.mark.parametrize("library", [np.array, torch.tensor])
def test_scales_apply_to_arrays_and_tensors(library: Callable[[Any], Any]) -> None:
    values = library([-2.0, 0.0, 2.0, 4.0])
    assert Scale(2, 0.5)(values).tolist() == [-2, -1, 0, 1]
    assert Scale(0, 0.5, clipped=True)(values).tolist() == [0, 0, 1, 1]


def set_in(*path: str, value: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        content = read_json(folder / "whole.json")
        place = content
        for key in path[:-1]:
            place = place[key]
        if value is None:
            del place[path[-1]]
        else:
            place[path[-1]] = value
        write_json(folder / "whole.json", content)

    return spoil


def split(**sides: Any) -> Callable[[Path], None]:
    return lambda folder: write_json(folder / "split.json", sides)


CASE = ("cases", "case_3")
SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "no checksum": (set_in("checksum", value=None), "does not say 'checksum'"),
    "no cases": (set_in("cases", value=None), "does not say 'cases'"),
    "cases in a list": (set_in("cases", value=["case_3"]), "'cases' is .* expected an object"),
    "a name that is a path": (set_in("cases", "../up", value={}), "the cases name '../up' contains a slash"),
    "no scale": (set_in(*CASE, "scale", value=None), "does not say 'scale'"),
    "a scale of one number": (set_in(*CASE, "scale", "ct", value=[1.0]), "expected an offset and a factor"),
    "a factor of zero": (set_in(*CASE, "scale", "ct", value=[1.0, 0.0]), "expected an offset and a factor"),
    "an infinite offset": (set_in(*CASE, "scale", "ct", value=[math.inf, 1.0]), "expected an offset and a factor"),
    "no scale of a modality": (set_in(*CASE, "scale", value={"ct": [0.0, 1.0]}), "the scale of case_3 lacks mtt"),
    "no window of a modality": (set_in(*CASE, "window", value={"ct": [0.0, 1.0]}), "the window of case_3 lacks mtt"),
    "a window upside down": (set_in(*CASE, "window", "ct", value=[1.0, 0.0]), "two numbers, the smaller first"),
    "a shape of two": (set_in(*CASE, "shape", value=[6, 7]), "expected three numbers of voxels"),
    "a shape beside its grid": (set_in(*CASE, "shape", value=[6, 7, 6]), "case_3 has another shape than its grid"),
    "a negative spacing": (set_in(*CASE, "spacing", value=[1.0, -1.0, 1.0]), "expected a finite number above 0"),
    "a spacing in the plane": (set_in(*CASE, "spacing", value=[1.0, 1.0]), "expected 3 lengths"),
    "a grid of no format": (set_in(*CASE, "grid", "format", value="mha"), "'cases, case_3, grid, format' is 'mha'"),
    "a header of two lines in one": (
        set_in(*CASE, "grid", value={"file": "a", "format": "nrrd", "shape": [6, 7, 5], "header": ["a\nb"]}),
        "expected one line of text",
    ),
    "broken": (lambda folder: (folder / "whole.json").write_text("{"), "not valid JSON"),
    "no split": (lambda folder: (folder / "split.json").unlink(), "split.json is missing"),
    "a split without a side": (split(train=["case_1"]), "does not say 'val'"),
    "a split without a patient": (split(train=["case_1"], val=["case_3"]), "has patient case_2 of case_2 on neither"),
    "an array missing": (lambda folder: (folder / "mtt/case_3.npy").unlink(), "mtt/case_3.npy is missing"),
    "labels missing": (lambda folder: (folder / "gt/case_3.npy").unlink(), "gt/case_3.npy is missing"),
    "an array of another shape": (
        lambda folder: write_array(folder / "ct/case_3.npy", np.zeros((5, 7, 6))),
        r"holds float64 of shape \(5, 7, 6\), expected \(6, 7, 5\)",
    ),
    "labels that are no classes": (
        lambda folder: write_array(folder / "gt/case_3.npy", np.zeros((6, 7, 5))),
        r"gt/case_3.npy holds float64",
    ),
}


@pytest.mark.parametrize("what", SPOILT)
def test_what_is_spoilt_is_told_with_the_way_out(whole: Path, what: str) -> None:
    spoil, told = SPOILT[what]
    spoil(whole)
    with pytest.raises((ValueError, FileNotFoundError), match=rf"(?s){told}.*remove .*TOY and prepare it again"):
        folder = WholeFolder.open(whole)
        folder.image("val", folder.stems("val")[0])
        folder.labels("val", folder.stems("val")[0])


def test_questions_that_have_no_answer(whole: Path) -> None:
    folder = WholeFolder.open(whole)
    with pytest.raises(ValueError, match=r"unknown modality 'gt'; .* has ct, mtt"):
        folder.volume("case_1", "gt")
    with pytest.raises(ValueError, match=r"whole.json has no entry of case_9"):
        folder.spacing_3d("case_9")
    with pytest.raises(ValueError, match="no plane case_3_00_0005: there are 5"):
        folder.image("val", "case_3_00_0005")
    with pytest.raises(FileNotFoundError, match=r"no whole volumes at .*whole.json is missing"):
        WholeFolder.open(whole / "ct")


@pytest.mark.parametrize("keep", [0, 5, 100, 150, -1, 1])
def test_a_mapped_array_is_as_long_as_it_says(tmp_path: Path, keep: int) -> None:
    write_array(tmp_path / "a.npy", np.asfortranarray(np.arange(60).reshape(3, 4, 5)))
    np.testing.assert_array_equal(map_array(tmp_path / "a.npy"), np.arange(60).reshape(3, 4, 5))
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content + b"\0" if keep == 1 else content[:keep])
    with pytest.raises(ValueError, match=r"a.npy cannot be read as a NumPy array"):
        map_array(tmp_path / "a.npy")
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match="holds objects"):
        map_array(tmp_path / "objects.npy")
