"""Losses at points of space, (B, K, P): the numbers of the same values in an image, or one line of advice."""

import pytest
import torch

from boundary_loss import class2one_hot
from boundary_loss.losses import LOSSES, build
from boundary_loss.losses.head import HEADS

B, K, SHAPE = 3, 3, (5, 4, 2)
KNOWN = ("boundary", "ce", "dice", "focal", "gdl", "surface", "tversky", "diceloss")
OTHERS = sorted({*LOSSES, *HEADS} - {*KNOWN})


def in_space(example, name, **options):
    loss = build(name, **options)
    probs, labels, target = example(loss, B, K, SHAPE)
    return loss, probs, labels, target


@pytest.mark.parametrize("options", [{}, {"classes": [1]}, {"classes": [2, 0]}], ids=["all", "one", "two"])
@pytest.mark.parametrize("name", KNOWN)
def test_points_are_voxels_without_a_grid(name, options, example):
    loss, probs, _, target = in_space(example, name, **options)
    flat = target.flatten(2 if loss.target == "distance" else 1)
    at_points = probs.detach().flatten(2).requires_grad_()
    expected, found = loss(probs, target), build(name, **options)(at_points, flat)
    torch.testing.assert_close(found, expected)
    expected.backward(), found.backward()
    torch.testing.assert_close(at_points.grad, probs.grad.flatten(2))


@pytest.mark.parametrize("name", KNOWN)
def test_masks_encodings_and_logits_of_points(name, example):
    loss, probs, labels, target = in_space(example, name)
    mask = torch.rand(labels.shape, generator=torch.Generator().manual_seed(1)) > 0.3
    maps = loss.target == "distance"
    encoded = target if maps else class2one_hot(labels, K).double()
    expected = loss(probs, encoded, mask=mask)
    for shaped in (mask.flatten(1), mask.flatten(1).unsqueeze(1)):
        torch.testing.assert_close(build(name)(probs.flatten(2), encoded.flatten(2), mask=shaped), expected)
    if not maps:
        ignored = labels.masked_fill(~mask, 255).flatten(1)
        torch.testing.assert_close(build(name)(probs.flatten(2), ignored), expected)
    made = LOSSES[name](activation="softmax")
    torch.testing.assert_close(made(probs.log().flatten(2), encoded.flatten(2)), build(name)(probs, encoded))


def test_cross_entropy_of_two_classes_is_the_binary_one(example):
    loss = build("ce")
    probs, labels, _ = example(loss, B, 2, (50,))
    expected = torch.nn.functional.binary_cross_entropy(probs[:, 1], labels.double())
    torch.testing.assert_close(loss(probs, labels), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", OTHERS)
def test_what_needs_a_grid_says_what_does_not(name, example):
    loss = build(name)
    probs, labels, _ = example(build("ce"), B, K, (7,))
    with pytest.raises(ValueError, match=r"got shape \(3, 3, 7\); .*of points \(B, K, P\).* take ce, focal, dice, gdl"):
        loss(probs, labels)


def test_two_axes_are_too_few(example):
    with pytest.raises(ValueError, match=r"or \(B, K, P\) at points, got shape \(4, 2\)"):
        build("dice")(torch.full((4, 2), 0.5), torch.zeros(4, dtype=torch.long))
