"""The locator's rule: the seed's numbers, and what it does at the edges of volumes and where nothing is found."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from boundary_loss.data.boxes import CaseBox
from boundary_loss.data.frame import Box, Frame
from boundary_loss.data.locator import Located, assign_boxes, box_size, kept_share, locate, object_extent, placed

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


def test_a_case_is_located_in_the_grid_of_its_source() -> None:
    """A network that sees the bright voxels of the reduced volume."""
    image = torch.zeros(1, 40, 33, 20)
    image[:, 8:32, 4:24, 4:14] = 1
    frame = Frame.whole(image.shape[1:]).reduce((4, 4, 2)).pad(4)
    shapes = []

    def call(shown: torch.Tensor) -> torch.Tensor:
        shapes.append(tuple(shown.shape))
        return torch.cat([torch.zeros_like(shown), 40 * shown - 20], dim=1).bfloat16()

    found = locate(call, image, frame)
    assert found is not None and shapes == [(1, 1, 12, 12, 12)]
    assert found.origin[0] == 8 and found.shape[0] == 24 and (found.origin[2], found.shape[2]) == (4, 10)
    assert (found.origin[1], found.shape[1]) == (2, 21)  # 33 is no multiple of 4: the blocks lie from 2.5 to 22.5
    assert locate(call, 0 * image, frame) is None


def test_training_cases_alone_give_the_size() -> None:
    source = (64, 60, 40)
    truth = np.zeros(source, np.uint8)
    truth[30:40, 30:40, 10:20] = 1
    cases = {
        "a": Located("train", source, Box((30, 30, 10), (10, 10, 10))),
        "b": Located("train", source, None),
        "c": Located("val", source, Box((0, 30, 10), (60, 10, 10))),
        "d": Located("val", (20, 60, 40), None),
    }
    labels = {"a": truth, "b": np.zeros_like(truth), "c": np.roll(truth, 20, axis=0), "d": np.ones((20, 60, 40))}
    size, boxes = assign_boxes(cases, labels.__getitem__, buffer=6, multiple=16)
    assert size == (16, 16, 16)
    assert boxes["a"] == CaseBox("train", Box((27, 27, 7), size), found=True, kept=1)
    assert boxes["b"] == CaseBox("train", Box((24, 22, 12), size), found=False, kept=1)
    assert boxes["c"] == CaseBox("val", Box((22, 27, 7), size), found=True, kept=0)
    assert boxes["d"].box == Box((2, 22, 12), size) and not boxes["d"].found
    with pytest.raises(ValueError, match="found nothing in any training case"):
        assign_boxes({"c": cases["c"]}, labels.__getitem__)
