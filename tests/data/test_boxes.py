"""The boxes of a study: the seed's rule and numbers, files that are read as they were written, and spoilt ones."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from boundary_loss.data.boxes import (
    Boxes,
    CaseBox,
    Moments,
    Normalisation,
    box_size,
    kept_share,
    object_extent,
    placed,
)
from boundary_loss.data.frame import Box, Frame
from boundary_loss.files import write_json

triples = st.tuples(*[st.integers(1, 40)] * 3)


def probabilities(shape: tuple[int, ...], *boxes: Box, value: float = 1.0) -> torch.Tensor:
    probs = torch.zeros(shape)
    for box in boxes:
        probs[box.slices] = value
    return probs


def test_planes_with_a_sum_of_ten_are_the_objects() -> None:
    block = Box((3, 4, 5), (4, 5, 6))
    assert object_extent(probabilities((12, 14, 16), block)) == block
    speck = Box((0, 0, 0), (2, 2, 2))  # 4 voxels a plane
    assert object_extent(probabilities((12, 14, 16), block, speck)) == block
    assert object_extent(probabilities((12, 14, 16), block, speck), least=4) == Box((0, 0, 0), (7, 9, 11))
    assert object_extent(probabilities((12, 14, 16), block, value=0.3)) is None  # 9 of X, 7.2 of Y, 6 of Z
    assert object_extent(probabilities((9, 9, 9), Box((0, 0, 0), (1, 1, 9)))) is None  # along Z: 1 a plane
    exactly = probabilities((1, 10, 10), Box((0, 0, 0), (1, 10, 10)))
    assert object_extent(exactly) == Box((0, 0, 0), (1, 10, 10))


def test_the_seeds_atria_are_shown_as_96_x_144_x_224() -> None:
    """Volumes padded to 96 x 640 x 640, reduced by (2, 4, 4); a total buffer of 30 voxels, sizes up to a multiple."""
    reduced = Frame.whole((96, 640, 640)).reduce((2, 4, 4))
    assert reduced.shape == (48, 160, 160)
    found = [Box((7, 60, 50), (33, 20, 48)), Box((9, 70, 40), (25, 28, 30))]
    extents = []
    for box in found:
        extent = object_extent(probabilities(reduced.shape, box))
        assert extent == box
        extents.append(reduced.covered(box))
    assert extents[0] == Box((14, 240, 200), (66, 80, 192))
    size = box_size(extents)
    assert size == (96, 144, 224)
    assert placed(extents[0], size, (96, 640, 640)) == Box((0, 208, 184), size)
    assert placed(Box((80, 0, 620), (10, 8, 20)), size, (96, 640, 640)) == Box((0, 0, 416), size)
    assert placed(extents[0], size, (88, 576, 576)) == Box((0, 208, 184), (88, 144, 224))
    assert placed(None, size, (88, 576, 576)) == Box((0, 216, 176), (88, 144, 224))


@given(triples, triples, triples)
def test_boxes_lie_inside_and_hold_the_extent_where_there_is_room(
    source: tuple[int, ...], size: tuple[int, ...], corner: tuple[int, ...]
) -> None:
    origin = tuple(min(first, n) - 1 for first, n in zip(corner, source))
    extent = Box(origin, tuple(min(n - first, side, 7) for n, first, side in zip(source, origin, size)))
    box = placed(extent, size, source)
    assert box.shape == tuple(map(min, size, source))
    assert all(first >= 0 and first + side <= n for first, side, n in zip(box.origin, box.shape, source))
    truth = np.zeros(source, np.uint8)
    truth[extent.slices] = 1
    assert kept_share(truth, box) == 1


def test_an_odd_voxel_more_goes_before() -> None:
    assert placed(Box((10, 10, 10), (4, 4, 4)), (7, 6, 5), (40, 40, 40)).origin == (8, 9, 9)


def test_no_extent_has_no_size() -> None:
    with pytest.raises(ValueError, match="found nothing in any training case"):
        box_size([])
    assert box_size([Box((0, 0, 0), (1, 16, 17))], buffer=0) == (16, 16, 32)


def test_ignored_voxels_are_no_object() -> None:
    labels = np.zeros((4, 4, 4), np.uint8)
    assert kept_share(labels, Box((0, 0, 0), (1, 1, 1))) == 1
    labels[0, 0, :4], labels[3] = 1, 255
    assert kept_share(labels, Box((0, 0, 0), (2, 2, 3))) == 0.75
    assert kept_share(labels, Box((1, 1, 1), (2, 2, 3))) == 0


def test_moments_of_parts_are_those_of_the_whole() -> None:
    values = np.random.default_rng(0).normal(1e4, 3, 1000).astype(np.float32)
    found = Moments()
    for part in (values[:1], values[1:1], values[1:400].reshape(3, 133), values[400:]):
        found = found.with_values(part)
    assert found.count == 1000
    assert found.mean == pytest.approx(values.mean(dtype=np.float64), rel=1e-12)
    assert found.deviation == pytest.approx(values.std(dtype=np.float64), rel=1e-9)
    integers = Moments().with_values(np.array([0, 255], np.uint8))
    assert (integers.mean, integers.deviation) == (127.5, 127.5)
    assert Moments().deviation == Moments().with_values(np.full(3, 7, np.int16)).deviation == 1


def made() -> Boxes:
    return Boxes(
        size=(96, 144, 224),
        cases={
            "B,b": CaseBox("val", Box((0, 1, 2), (88, 144, 224)), found=False, kept=1e-3 / 3),
            "A": CaseBox("train", Box((5, 200, 0), (96, 144, 224)), found=True, kept=1.0),
        },
        normalisation={"lgemri": Normalisation(31.25, 0.1 + 0.2)},
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    made().write(tmp_path)
    assert Boxes.read(tmp_path) == made()
    assert Boxes.read(tmp_path).checksum == made().checksum
    assert (tmp_path / "boxes.csv").read_text().splitlines()[1] == "A,train,yes,5,200,0,96,144,224,1.0"
    changed = Boxes(size=made().size, cases={}, normalisation=made().normalisation)
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
    stats = {"size": [96, 144, 224], "normalisation": {"a": {"mean": 0, "deviation": 1}}}
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
        (in_stats(normalisation={"a": {"mean": 0, "deviation": 0}}), "finite number above 0"),
        (in_stats(normalisation={"a": {"mean": float("nan"), "deviation": 1}}), "expected a finite number"),
        (in_stats(normalisation={"a": {"mean": 1}}), "does not say 'deviation'"),
        (in_stats(normalisation=None), "does not say 'normalisation'"),
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
