"""The Hausdorff losses under other works' names; MONAI's numbers are constants of its own tests."""

import pytest
import torch

from boundary_loss import HausdorffDTLoss, HausdorffLoss, HDLoss, class2one_hot


def example(shape=(9, 8), K=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    probs = (2 * torch.randn(2, K, *shape, generator=generator, dtype=torch.float64)).softmax(1)
    return probs, torch.randint(0, K, (2, *shape), generator=generator)


def test_equals_ours_on_two_classes():
    probs, labels = example()
    expected = HausdorffLoss()(probs, labels)
    torch.testing.assert_close(HDLoss()(probs, class2one_hot(labels, 2)), expected)
    torch.testing.assert_close(HDLoss(to_onehot_y=True)(probs, labels[:, None]), expected)
    torch.testing.assert_close(HDLoss(softmax=True, to_onehot_y=True)(probs.log(), labels[:, None]), expected)


def test_without_background():
    probs, labels = example()
    loss = HDLoss(include_background=False, to_onehot_y=True)
    torch.testing.assert_close(loss(probs, labels[:, None]), HausdorffLoss(classes=[1])(probs, labels))


def test_reductions():
    probs, labels = example(K=3)
    kept = HDLoss(to_onehot_y=True, reduction="none")(probs, labels[:, None])
    assert kept.shape == (2, 3)
    pooled = HDLoss(to_onehot_y=True, reduction="none", batch=True)(probs, labels[:, None])
    torch.testing.assert_close(pooled, kept.mean(0))
    torch.testing.assert_close(HDLoss(to_onehot_y=True, reduction="sum")(probs, labels[:, None]), kept.sum())


def test_one_channel_and_other_activations():
    probs, labels = example()
    logit = probs[:, 1:].logit()
    expected = HausdorffLoss(classes=[1])(probs, labels)
    for loss in (HDLoss(sigmoid=True), HDLoss(other_act=torch.sigmoid, include_background=False)):
        torch.testing.assert_close(loss(logit, labels[:, None]), expected)


def test_gradient():
    probs, labels = example((4, 3))
    loss = HDLoss(softmax=True, to_onehot_y=True)
    assert torch.autograd.gradcheck(lambda x: loss(x, labels[:, None]), probs.log().requires_grad_())


def test_refusals():
    probs, labels = example()
    with pytest.raises(ValueError, match="exclude"):
        HDLoss(sigmoid=True, softmax=True)
    with pytest.raises(ValueError, match="one shape"):
        HDLoss()(probs, labels[:, None])
    with pytest.raises(ValueError, match="one channel"):
        HDLoss(softmax=True)(probs[:, :1], labels[:, None])
    with pytest.raises(ValueError, match="'none'"):
        HDLoss(reduction="all")


# ---- Project-MONAI/MONAI, tests/losses/test_hausdorff_loss.py, version 1.6 -------------------------------------------

X = [[1.0, -1.0], [-1.0, 1.0]]
DEEP = [[[1.0, -1.0], [1.0, -1.0]], [[-1.0, 1.0], [-1.0, 1.0]]]
COLUMNS = [[[[-1.0], [0.0], [1.0]], [[1.0], [0.0], [-1.0]]], [[[0.0], [0.0], [0.0]], [[0.0], [0.0], [0.0]]]]
CLASSES = [[[[1.0], [0.0], [0.0]]], [[[1.0], [1.0], [0.0]]]]
MONAI = {
    "2D": ({"sigmoid": True}, [[X]], [[[[1.0, 0.0], [1.0, 1.0]]]], 0.509329),
    "3D": (
        {"sigmoid": True}, [[DEEP]], [[[[[1.0, 0.0], [1.0, 0.0]], [[0.0, 0.0], [1.0, 1.0]]]]], 0.375718,
    ),
    "two channels": (
        {"sigmoid": True}, [[X, X]], [[[[1.0, 0.0], [1.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]]], 0.326994,
    ),
    "a full mask": (
        {"sigmoid": True}, [[X], [X]], [[[[1.0, 1.0], [1.0, 1.0]]], [[[1.0, 0.0], [1.0, 0.0]]]], 0.455082,
    ),
    "no background": (
        {"sigmoid": True, "include_background": False}, [[X, X]],
        [[[[1.0, 0.0], [1.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]]], 0.144659,
    ),
    "each value": (
        {"sigmoid": True, "to_onehot_y": True, "reduction": "none"}, COLUMNS, CLASSES,
        [[[[0.407765]], [[0.407765]]], [[[0.5]], [[0.5]]]],
    ),
    "softmax": ({"softmax": True, "to_onehot_y": True}, COLUMNS, CLASSES, 0.357016),
    "sum": ({"softmax": True, "to_onehot_y": True, "reduction": "sum"}, COLUMNS, CLASSES, 1.428062),
    "tanh": (
        {"other_act": torch.tanh}, [[X], [X]], [[[[1.0, 1.0], [1.0, 1.0]]], [[[1.0, 0.0], [1.0, 0.0]]]], 1.870039,
    ),
    "log softmax": (
        {"other_act": lambda x: x.log_softmax(1), "to_onehot_y": True}, COLUMNS, CLASSES, 4.366613,
    ),
    "batch": (
        {"other_act": torch.tanh, "batch": True}, [[[[1.0, -0.0], [-1.0, 1.0]]], [X]],
        [[[[1.0, 1.0], [1.0, 1.0]]], [[[1.0, 0.0], [1.0, 0.0]]]], 1.607137,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MONAI)
def test_monais_numbers(case):
    settings, prediction, target, expected = MONAI[case]
    settings = {"include_background": True, **settings}
    found = HausdorffDTLoss(**settings)(torch.tensor(prediction), torch.tensor(target))
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-5, atol=1e-6)
    if settings.get("reduction") != "none":
        same = HDLoss(sides="both", **settings)(torch.tensor(prediction), torch.tensor(target))
        torch.testing.assert_close(same, found)


def test_monais_defaults():
    """The power comes first, the background is left out, and "none" leaves axes for the voxels."""
    probs, labels = example(K=3)
    one_hot = class2one_hot(labels, 3)
    for given, channels in ((probs, one_hot), (probs[:, 1:2], one_hot[:, 1:2])):
        values = HausdorffDTLoss(1.0, reduction="none")(given, channels)
        kept = max(given.shape[1] - 1, 1)
        assert values.shape == (2, kept, 1, 1)
        expected = HDLoss(sides="both", alpha=1, reduction="none")(given, channels)[:, -kept:]
        torch.testing.assert_close(values.flatten(1), expected)
    pooled = HausdorffDTLoss(reduction="none", batch=True)(probs, one_hot)
    assert pooled.shape == (1, 2, 1, 1)


@pytest.mark.parametrize("loss", [HDLoss(), HausdorffDTLoss()])
def test_a_target_of_distances_is_refused(loss):
    probs, labels = example()
    with pytest.raises(ValueError, match="must be one-hot"):
        loss(probs, 3.0 * class2one_hot(labels, 2))
