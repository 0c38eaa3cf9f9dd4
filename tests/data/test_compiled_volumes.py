"""The kernel in C and PyTorch deform volumes alike."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from boundary_loss.data import deformed as module
from boundary_loss.data.augmentation import Augmentation, compiled_volumes, plain
from boundary_loss.data.augmentation.drawn import Drawn, Turn, rotations
from boundary_loss.data.deformed import deformed, deformed_box, deformed_plainly
from boundary_loss.data.frame import Frame
from boundary_loss.data.volumes import altered
from boundary_loss.native import library

pytestmark = pytest.mark.skipif(library() is None, reason="the kernels are not compiled")

UPRIGHT = ["flip(xyz)", "rotate(20)", "shift(9)"]
ALL = ["flip(xyz)", "rotate(180,xyz)", "scale(0.5,2)", "elastic(4,9)", "shift(9)"]
FRAMES = {
    "box": (Frame.whole((40, 31, 20)).box((5, 4, 3), (20, 22, 11)), (1.0, 1.0, 1.0)),
    "whole": (Frame.whole((17, 31, 9)), (0.6, 0.9, 2.0)),
    "reduced": (Frame.whole((40, 30, 12)).reduce((2, 3, 1)), (1.2, 2.7, 2.0)),
    "padded": (Frame.whole((13, 7, 5)).pad(16), (1.0, 2.0, 0.5)),
    "thin": (Frame.whole((1, 5, 1)), (1.0, 1.0, 1.0)),
}


def case(
    frame: Frame, texts: list[str], spacing: tuple[float, ...], seed: int = 3
) -> tuple[Tensor, Tensor, Frame, Drawn]:
    """Two modalities, labels of three classes with ignored voxels, the frame within what is read, and what is drawn."""
    numbers = torch.Generator().manual_seed(seed)
    image = torch.rand((2, *frame.source), generator=numbers)
    labels = (image[0] * 3).to(torch.uint8).masked_fill(image[1] < 0.2, 255)
    augmentation = Augmentation.parse(texts)
    assert augmentation is not None
    drawn = augmentation.draw([5], seed, (2, *frame.shape), np.array([spacing]))
    box = deformed_box(frame, drawn)
    return image[(slice(None), *box.slices)], labels[box.slices], frame.within(box), drawn


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("texts", [["rotate(3)"], UPRIGHT, ["elastic(4,9)"], ["rotate(20,x)"], ALL], ids=str)
def test_both_ways_deform_alike(name: str, texts: list[str]) -> None:
    frame, spacing = FRAMES[name]
    for seed in range(3):
        image, labels, within, drawn = case(frame, texts, spacing, seed)
        found, expected = deformed(image, labels, within, drawn), deformed_plainly(image, labels, within, drawn)
        torch.testing.assert_close(found[0], expected[0], atol=2e-4, rtol=1e-4)
        assert (found[1] != expected[1]).sum() <= 0.002 * labels.numel(), "either side of half-way between two voxels"
        assert found[1].dtype == torch.uint8 and found[0].shape == (2, *frame.shape)


@pytest.mark.parametrize("axis", "xyz")
def test_quarter_turns_are_exact(axis: str) -> None:
    frame = Frame.whole((9, 9, 9))
    drawn = case(frame, ["rotate(1)"], (1.0, 1.0, 1.0))[3]
    turn = Turn.of(rotations(np.full((1, 1), np.pi / 2), axis, 3), np.ones(1), np.zeros((1, 3)))
    plane = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    full = torch.rand(1, 9, 9, 9), torch.randint(0, 3, (9, 9, 9), dtype=torch.uint8)
    found = deformed(*full, frame, replace(drawn, turn=turn))
    assert torch.equal(found[1], full[1].rot90(1, plane))
    torch.testing.assert_close(found[0][0], full[0][0].rot90(1, plane), atol=1e-5, rtol=0)


def test_threads_and_layout_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    image, labels, within, drawn = case(FRAMES["box"][0], ALL, FRAMES["box"][1])
    before, found = (image.clone(), labels.clone()), []
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        for of_image in (image, image.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)):
            found.append(deformed(of_image, labels, within, drawn))
    assert all(torch.equal(one[0], found[0][0]) and torch.equal(one[1], found[0][1]) for one in found)
    assert torch.equal(image, before[0]) and torch.equal(labels, before[1])


@pytest.mark.parametrize(
    "texts", [["flip(xyz)"], ["intensity(0.3)"], ["noise(0.5)"], ["flip(xyz)", "intensity(0.3)", "noise(0.5)"]]
)
def test_colours_are_those_of_pytorch(texts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    frame, spacing = FRAMES["whole"]
    image, labels, _, drawn = case(frame, ["rotate(1)", *texts], spacing)
    drawn = replace(drawn, turn=None)
    found = altered(image, labels, drawn)
    monkeypatch.setattr(compiled_volumes, "coloured", lambda *_: None)
    expected = altered(image, labels, drawn)
    torch.testing.assert_close(found[0], expected[0], atol=2e-5, rtol=1e-5)
    assert torch.equal(found[1], expected[1])
    assert texts == ["flip(xyz)"] or not torch.equal(found[0], plain.flipped(image[None], drawn.axes)[0])


def test_what_there_is_no_kernel_for_goes_the_other_way(monkeypatch: pytest.MonkeyPatch) -> None:
    image, labels, within, drawn = case(FRAMES["box"][0], UPRIGHT, FRAMES["box"][1])
    assert compiled_volumes.can_deform(image, labels)
    assert not compiled_volumes.can_deform(image.double(), labels)
    assert not compiled_volumes.can_deform(image.to("meta"), labels)
    monkeypatch.setattr(module.compiled_volumes, "can_deform", lambda *_: False)
    plainly = deformed(image, labels, within, drawn)
    assert all(torch.equal(a, b) for a, b in zip(plainly, deformed_plainly(image, labels, within, drawn)))
