"""The words for the ways to ask a network of space, and what a view makes of them."""

import pytest
import torch

from boundary_loss.data.view import View, parse_inference
from boundary_loss.data.ways import Coarse, Dense, Prior, read_bytes
from boundary_loss.inference.field import coarse, dense, prior


class Striped:
    """A field of two classes that change every three voxels along x; it counts the points of each question."""

    bytes_per_point = 1 << 18

    def __init__(self) -> None:
        self.asked: list[int] = []

    def encode(self, volume: torch.Tensor) -> None:
        return None

    def at(self, code: None, points: torch.Tensor) -> torch.Tensor:
        self.asked.append(points.shape[1])
        high = points[..., 0].div(3, rounding_mode="floor") % 2
        return torch.stack([1 - high, high], dim=1)


@pytest.mark.parametrize(
    ("text", "way", "plain"),
    [
        ("dense(memory=0.5MiB)", Dense("0.5MiB"), lambda field, v: dense(field, v, memory=1 << 19)),
        ("prior", Prior(), prior),
        ("coarse(2,1MiB)", Coarse(2, "1MiB"), lambda field, v: coarse(field, v, stride=2, memory=1 << 20)),
    ],
)
def test_a_way_is_the_function_with_its_numbers(text, way, plain):
    assert parse_inference(text) == way
    volume, ours, theirs = torch.zeros(1, 7, 5, 3), Striped(), Striped()
    assert torch.equal(way(ours, volume).labels, plain(theirs, volume).labels)
    assert ours.asked == theirs.asked


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sparse", r"unknown inference 'sparse'; known: windows\(.*dense\(memory=2GiB\), prior"),
        ("dense(stride=4)", "no option 'stride'"),
        ("coarse(memory=much)", "memory=much is not understood; write it as 512MiB or 2GiB"),
        ("coarse(stride=3)", "stride=3 must be a power of 2"),
    ],
)
def test_a_way_that_is_none(text, message):
    with pytest.raises(ValueError, match=message):
        parse_inference(text)


def test_memory_is_read_as_it_is_written():
    assert read_bytes("2GiB") == 2 << 30 and read_bytes("0.5MiB") == 1 << 19


@pytest.mark.parametrize(
    ("sample", "infer", "words"),
    [
        ("points(100)", "", ("points(100,0,6,1)", "coarse(4,2GiB)")),
        ("points(100,border=0.5,band=sobel,each=2)", "prior", ("points(100,0.5,sobel,2)", "prior(2GiB)")),
        ("points(100,band=2.5)", "dense(memory=1GiB)", ("points(100,0,2.5,1)", "dense(1GiB)")),
    ],
)
def test_the_words_of_points_are_read_again(sample, infer, words):
    view = View.parse(["pad(32)"], sample, infer)
    assert view.of_volumes and view.of_points and (view.words["sample"], view.words["infer"]) == words
    assert View.parse(view.words["fit"], *words) == view


@pytest.mark.parametrize(
    ("sample", "infer", "message"),
    [
        ("points(100)", "windows", r"INFER=windows does not go with SAMPLE=points\(100\): dense"),
        ("patch(8,8,8)", "coarse", "INFER=coarse does not go with SAMPLE=patch"),
        ("whole", "dense", "INFER=dense does not go with SAMPLE=whole"),
        ("points(0)", "", "count=0"),
    ],
)
def test_words_that_do_not_go_together(sample, infer, message):
    with pytest.raises(ValueError, match=message):
        View.parse([], sample, infer)
