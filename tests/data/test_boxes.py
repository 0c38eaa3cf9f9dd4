"""The boxes of a study: files that are read as they were written, and spoilt ones."""

from collections.abc import Callable
from pathlib import Path

import pytest

from boundary_loss.data.boxes import Boxes, CaseBox, Intensities
from boundary_loss.data.frame import Box
from boundary_loss.files import write_json


def made() -> Boxes:
    return Boxes(
        size=(96, 144, 224),
        cases={
            "B,b": CaseBox("val", Box((0, 1, 2), (88, 144, 224)), found=False, kept=1e-3 / 3),
            "A": CaseBox("train", Box((5, 200, 0), (96, 144, 224)), found=True, kept=1.0),
        },
        intensities={"lgemri": Intensities(31.25, 0.1 + 0.2)},
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    made().write(tmp_path)
    assert Boxes.read(tmp_path) == made()
    assert Boxes.read(tmp_path).checksum == made().checksum
    assert (tmp_path / "boxes.csv").read_text().splitlines()[1] == "A,train,yes,5,200,0,96,144,224,1.0"
    changed = Boxes(size=made().size, cases={}, intensities=made().intensities)
    assert changed.checksum != made().checksum


def test_what_was_not_found_or_cut_off_is_said() -> None:
    assert made().remarks == [
        "B,b (val): the locator found nothing; the box is in the volume's centre",
        "B,b (val): the box leaves out 100 % of the object",
    ]


def in_csv(old: str, new: str) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        text = (folder / "boxes.csv").read_text()
        assert old in text
        (folder / "boxes.csv").write_text(text.replace(old, new))

    return spoil


def in_stats(**content: object) -> Callable[[Path], object]:
    stats = {"size": [96, 144, 224], "intensities": {"a": {"mean": 0, "deviation": 1}}}
    return lambda folder: write_json(folder / "stats.json", stats | content)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "boxes.csv").write_bytes(b"\xff"), "cannot be read as a table"),
        (lambda folder: (folder / "boxes.csv").write_text(""), "does not begin with the line case,set,found"),
        (in_csv("found", "seen"), "does not begin with the line case,set,found"),
        (in_csv("A,train", '"A,train'), "cannot be read as a table"),
        (in_csv("A,train,yes,", "A,train,"), "line 2 has 9 fields, expected 10"),
        (in_csv("A,", "../A,"), "slash"),
        (in_csv("A,train", "A,test"), "expected train or val, then yes or no, got 'test', 'yes'"),
        (in_csv(",yes,", ",maybe,"), "got 'train', 'maybe'"),
        (in_csv(",5,200", ",-5,200"), "not all whole numbers"),
        (in_csv(",5,200", ",5,2e2"), "not all whole numbers"),
        (in_csv(",5,200", f",5,{'9' * 5000}"), "not all whole numbers"),
        (in_csv("224,1.0\n", "224,1.5\n"), "kept is '1.5', expected a number from 0 to 1"),
        (in_csv("224,1.0\n", "224,nan\n"), "kept is 'nan'"),
        (in_csv("224,1.0\n", "224,all\n"), "kept is 'all'"),
        (in_csv("0,96,144,224", "0,96,144,225"), r"shape \(96, 144, 225\), expected at most \(96, 144, 224\)"),
        (in_csv("0,96,144,224", "0,96,0,224"), r"shape \(96, 0, 224\)"),
        (in_csv('"B,b"', "A"), "line 3: A comes twice"),
        (in_stats(size=[96, 144]), "three numbers of voxels"),
        (in_stats(size=[96, 144, 0]), "three numbers of voxels"),
        (in_stats(size="large"), "expected a list"),
        (in_stats(intensities={"a": {"mean": 0, "deviation": 0}}), "finite number above 0"),
        (in_stats(intensities={"a": {"mean": float("nan"), "deviation": 1}}), "expected a finite number"),
        (in_stats(intensities={"a": {"mean": 1}}), "does not say 'deviation'"),
        (in_stats(intensities=None), "does not say 'intensities'"),
    ],
)
def test_spoilt_files_are_named_with_the_way_out(spoil: Callable[[Path], object], says: str, tmp_path: Path) -> None:
    made().write(tmp_path)
    spoil(tmp_path)
    with pytest.raises(ValueError, match=rf"{says}.*; remove .* finds the boxes anew$"):
        Boxes.read(tmp_path)


@pytest.mark.parametrize("name", ["boxes.csv", "stats.json"])
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    made().write(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name} is missing; remove"):
        Boxes.read(tmp_path)
