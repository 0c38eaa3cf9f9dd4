"""Losses of labels beside MONAI's of the same name, within its wrappers, and on its tensors."""

import pytest
import torch

from boundary_loss import BoundaryLoss, FromLabels, HausdorffLoss, signed_distance

monai = pytest.importorskip("monai", reason="needs MONAI")
losses = pytest.importorskip("monai.losses")

SHAPES = [(9, 7), (6, 8, 5)]


def example(shape, channels=3):
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(2, channels, *shape, generator=draw).requires_grad_()
    labels = torch.randint(0, max(channels, 2), (2, 1, *shape), generator=draw).float()
    labels[0] = labels[0] * (torch.rand(1, *shape, generator=draw) < 0.2)
    return logits, labels


def assert_same(found, expected, logits):
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(value, logits, retain_graph=True)[0] for value in (found, expected)]
    torch.testing.assert_close(*gradients)


@pytest.mark.skipif(not hasattr(losses, "BoundaryLoss"), reason="needs MONAI 1.6")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("background", [True, False])
def test_softmax_as_monai(shape, background):
    logits, labels = example(shape)
    theirs = losses.BoundaryLoss(softmax=True, to_onehot_y=True, include_background=background)
    ours = FromLabels(BoundaryLoss(classes=None if background else [1, 2], activation="softmax"))
    assert_same(ours(logits, labels), theirs(logits, labels), logits)


@pytest.mark.skipif(not hasattr(losses, "BoundaryLoss"), reason="needs MONAI 1.6")
@pytest.mark.parametrize("channels", [1, 3])
def test_sigmoid_as_monai(channels):
    logits, _ = example((9, 7), channels)
    regions = (torch.rand(logits.shape, generator=torch.Generator().manual_seed(1)) < 0.3).float()
    ours = FromLabels(BoundaryLoss(classes=[1] if channels == 1 else None, activation="sigmoid"))
    assert_same(ours(logits, regions), losses.BoundaryLoss(sigmoid=True)(logits, regions), logits)


@pytest.mark.parametrize("background", [True, False])
def test_hausdorff_as_monai(background):
    logits, labels = example((9, 7))
    theirs = losses.HausdorffDTLoss(include_background=background, to_onehot_y=True, sigmoid=True)
    loss = HausdorffLoss(classes=None if background else [1, 2], activation="sigmoid", sides="both")
    assert_same(FromLabels(loss)(logits, labels), theirs(logits, labels), logits)


@pytest.mark.parametrize("loss", [BoundaryLoss(activation="softmax"), HausdorffLoss(activation="softmax")])
def test_within_deep_supervision(loss):
    """MONAI's wrapper passes one level at a time: its spacing follows from the full size."""
    sizes = [(8, 12, 4), (4, 6, 2), (2, 3, 1)]
    outputs = [example(size)[0] for size in sizes]
    _, labels = example(sizes[0])
    spacing = (1.0, 0.8, 2.5)
    within = losses.DeepSupervisionLoss(FromLabels(loss, spacing_mm=spacing, full_size=sizes[0]))
    ours = FromLabels(loss, spacing_mm=spacing, level_weights=[1, 0.5, 0.25])
    assert_same(within(outputs, labels), ours(outputs, labels), outputs[1])


def test_within_a_masked_loss():
    """MONAI's wrapper makes background of what the mask leaves out; ``mask=`` leaves it out."""
    logits, labels = example((9, 7))
    mask = torch.ones_like(labels)
    mask[..., :3] = 0
    ours = FromLabels(BoundaryLoss(activation="softmax"))
    found = losses.MaskedLoss(ours)(logits, labels, mask)
    assert_same(found, ours(logits * mask, labels * mask), logits)
    assert not torch.equal(found, ours(logits, labels, mask=mask.bool()))


def test_meta_tensors_are_taken_and_plain_ones_returned():
    from monai.data import MetaTensor

    logits, labels = example((9, 7))
    loss = FromLabels(BoundaryLoss(activation="softmax"), spacing_mm=(1.0, 2.0))
    found = loss(MetaTensor(logits), MetaTensor(labels), mask=MetaTensor(labels != 2))
    assert type(found) is torch.Tensor
    assert_same(found, loss(logits, labels, mask=labels != 2), logits)
    maps = signed_distance(MetaTensor(labels), num_classes=3)
    assert torch.equal(maps, signed_distance(labels, num_classes=3))
