"""What is particular to the region losses."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from boundary_loss import CrossEntropy, DiceLoss, FocalLoss, GeneralizedDice, TverskyLoss, class2one_hot

OVERLAPS = [DiceLoss, TverskyLoss, GeneralizedDice]


def draw(K=3, shape=(6, 5), B=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(B, K, *shape, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, K, (B, *shape), generator=generator)


def lesion_free(shape=(6, 5)):
    logits, _ = draw(2, shape, B=1)
    return logits.softmax(1).requires_grad_(), torch.zeros(1, *shape, dtype=torch.long)


def test_cross_entropy_is_pytorchs():
    logits, labels = draw()
    labels[0, :2] = 255
    ours = CrossEntropy(activation="softmax")(logits, labels)
    torch.testing.assert_close(ours, F.cross_entropy(logits, labels, ignore_index=255), atol=1e-8, rtol=1e-8)


def test_cross_entropy_of_one_channel_is_binary():
    logits, labels = draw(2)
    one = logits[:, 1:] - logits[:, :1]
    expected = F.binary_cross_entropy_with_logits(one[:, 0], labels.double())
    for target in (labels, labels.unsqueeze(1)):
        ours = DiceLoss(activation="sigmoid")(one, target)
        torch.testing.assert_close(ours, DiceLoss(activation="softmax")(logits, labels))
    torch.testing.assert_close(CrossEntropy()(one.sigmoid(), labels), expected, atol=1e-8, rtol=1e-8)


def test_focal_without_focus_is_cross_entropy():
    logits, labels = draw()
    probs = logits.softmax(1)
    torch.testing.assert_close(FocalLoss(gamma=0)(probs, labels), CrossEntropy()(probs, labels))
    with pytest.raises(ValueError, match="gamma"):
        FocalLoss(gamma=-1)


@pytest.mark.parametrize("classes", [None, [1], [2, 0]])
def test_focal_counts_voxels_of_objects_so_many_times(classes):
    """The sum over voxels, written out: (1 + 199 g) times the focal loss of each, per voxel."""
    logits, labels = draw()
    labels[1, :3] = 255
    probs = logits.softmax(1)
    total, count = 0.0, 0
    for b, x, y in np.ndindex(*labels.shape):
        k = int(labels[b, x, y])
        if k in (classes or (0, 1, 2)):
            p = probs[b, k, x, y]
            total -= (200 if k > 0 else 1) * (1 - p) ** 2 * p.log()
            count += 1
    ours = FocalLoss(foreground=200, classes=classes)(probs, labels)
    torch.testing.assert_close(ours, total / count, atol=1e-7, rtol=1e-7)
    torch.testing.assert_close(FocalLoss(foreground=1)(probs, labels), FocalLoss()(probs, labels))
    with pytest.raises(ValueError, match="foreground=0"):
        FocalLoss(foreground=0)


@pytest.mark.parametrize("absent", ["paper", "skip", "penalise"])
def test_dice_over_a_batch_is_that_of_the_items_side_by_side(absent):
    logits, labels = draw(3, (4, 3, 5), B=3)
    labels[labels == 2] = 1  # an absent class
    labels[0, 0] = 255
    probs = logits.softmax(1)
    beside = torch.cat(list(probs), dim=1).unsqueeze(0), torch.cat(list(labels), dim=0).unsqueeze(0)
    over_batch = DiceLoss(over="batch", absent=absent)
    torch.testing.assert_close(over_batch(probs, labels), DiceLoss(absent=absent)(*beside))
    assert not over_batch.over_items and DiceLoss().over_items
    assert torch.autograd.gradcheck(over_batch, (probs.requires_grad_(), labels))


def test_dice_over_a_batch_of_one_is_dice_and_has_no_value_an_item():
    logits, labels = draw(B=1)
    probs = logits.softmax(1)
    torch.testing.assert_close(DiceLoss(over="batch")(probs, labels), DiceLoss()(probs, labels))
    for reduction in ("none", "sum", "classes"):
        with pytest.raises(ValueError, match="one value for all items"):
            DiceLoss(over="batch", reduction=reduction)
    with pytest.raises(ValueError, match="over='volume' is unknown"):
        DiceLoss(over="volume")


def test_balanced_tversky_is_dice():
    logits, labels = draw()
    probs = logits.softmax(1)
    torch.testing.assert_close(TverskyLoss(alpha=0.5, beta=0.5)(probs, labels), DiceLoss()(probs, labels))


def test_tversky_weighs_misses_more():
    labels = torch.zeros(1, 4, 4, dtype=torch.long)
    labels[:, 1:3, 1:3] = 1
    small, large = labels.clone(), labels.clone()
    small[:, 1, 1], large[:, 0, 0] = 0, 1
    missed, invented = (
        TverskyLoss(classes=[1])(class2one_hot(prediction, 2).double(), labels) for prediction in (small, large)
    )
    assert missed > invented


@pytest.mark.parametrize(("alpha", "beta"), [(-1, 1), (0, 0)])
def test_tversky_refuses(alpha, beta):
    with pytest.raises(ValueError, match="alpha"):
        TverskyLoss(alpha=alpha, beta=beta)


@pytest.mark.parametrize("loss", OVERLAPS)
def test_perfect_is_zero_and_opposite_is_one(loss):
    labels = torch.tensor([[[0, 1], [1, 0]]])
    perfect = class2one_hot(labels, 2).double()
    for absent in ("paper", "skip", "penalise"):
        assert loss(absent=absent)(perfect, labels) == pytest.approx(0, abs=1e-9)
        assert loss(absent=absent)(1 - perfect, labels) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("loss", OVERLAPS)
@pytest.mark.parametrize("classes", [None, [0, 1], [1]])
def test_only_penalise_sees_false_positives_on_a_lesion_free_slice(loss, classes):
    probs, labels = lesion_free()
    pushes = {}
    for absent in ("paper", "skip", "penalise"):
        value = loss(classes=classes, absent=absent)(probs, labels)
        (gradient,) = torch.autograd.grad(value, probs)
        pushes[absent] = gradient[:, 1].mean().item() * probs[0, 0].numel()
    blind = loss is GeneralizedDice or classes == [1]
    assert abs(pushes["paper"]) < 1e-6 or not blind
    assert pushes["skip"] >= 0
    assert pushes["penalise"] > 0.1


def test_penalise_is_the_mean_foreground_probability_where_there_is_none():
    probs, labels = lesion_free()
    for classes in (None, [1]):
        value = GeneralizedDice(classes=classes, absent="penalise")(probs, labels)
        assert value.item() == pytest.approx(probs[:, 1].mean().item())


def test_absent_settings_agree_where_nothing_is_absent():
    logits, labels = draw(3, (6, 5))
    probs = logits.softmax(1)
    for loss in OVERLAPS:
        values = [loss(absent=absent)(probs, labels).item() for absent in ("paper", "skip", "penalise")]
        assert values == pytest.approx([values[0]] * 3, rel=1e-7)


def test_skip_without_any_class_present_is_zero():
    probs, labels = lesion_free()
    for loss in OVERLAPS:
        assert loss(classes=[1], absent="skip")(probs, labels).item() == 0


@pytest.mark.parametrize("loss", OVERLAPS)
def test_large_volumes_in_float32(loss):
    """A rare class beside a million background voxels keeps its weight."""
    labels = torch.zeros(1, 128, 128, 64, dtype=torch.uint8)
    labels[0, 5, 5, 5:8] = 1
    perfect = class2one_hot(labels, 2, dtype=torch.float32)
    for absent in ("paper", "skip", "penalise"):
        assert loss(absent=absent)(perfect, labels).item() == pytest.approx(0, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 4), st.sampled_from(["paper", "skip", "penalise"]))
def test_values_lie_between_zero_and_one(seed, K, absent):
    logits, labels = draw(K, (3, 4), seed=seed)
    for loss in OVERLAPS:
        values = loss(absent=absent, reduction="none")((3 * logits).softmax(1), labels).numpy()
        assert np.all((values > -1e-9) & (values < 1 + 1e-9))


def test_other_ignored_labels():
    logits, labels = draw()
    marked = labels.clone()
    labels[:, 0], marked[:, 0] = 255, -1
    probs = logits.softmax(1)
    torch.testing.assert_close(DiceLoss(ignore_index=-1)(probs, marked), DiceLoss()(probs, labels))
    with pytest.raises(ValueError, match=r"labels \[-1\]"):
        DiceLoss()(probs, marked)


@pytest.mark.parametrize("gamma", [0, 0.25, 0.5, 0.9, 1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_focal_gradient_where_the_prediction_is_sure(gamma, dtype):
    """(1 − p)^γ with γ < 1 is infinitely steep at p = 1."""
    logits = torch.tensor([[[[-40.0, 0.3, 40.0, 900.0]], [[40.0, -0.3, -40.0, -900.0]]]], dtype=dtype).requires_grad_()
    labels = torch.tensor([[[1, 0, 0, 0]]])
    value = FocalLoss(gamma=gamma, activation="softmax")(logits, labels)
    (gradient,) = torch.autograd.grad(value, logits)
    assert value.isfinite() and gradient.isfinite().all()
    assert gradient[0, 0, 0, 1] < 0 and abs(gradient[..., [0, 2, 3]].max()) < 1e-6


def test_smooth_is_the_papers_guard_unless_given():
    logits, labels = draw()
    probs = logits.softmax(1)
    p, g = probs.flatten(2), class2one_hot(labels, 3).double().flatten(2)
    both, size = (p * g).sum(2), p.sum(2) + g.sum(2)
    torch.testing.assert_close(DiceLoss(smooth=1)(probs, labels), (1 - (2 * both + 1) / (size + 1)).mean())
    torch.testing.assert_close(
        TverskyLoss(smooth=2, alpha=0.5, beta=0.5)(probs, labels), (1 - (both + 2) / (size / 2 + 2)).mean()
    )
    with pytest.raises(ValueError, match="smooth=-1"):
        DiceLoss(smooth=-1)


def test_multi_label_sigmoid_keeps_empty_voxels():
    logits = torch.zeros(1, 3, 2, 2)
    nothing = torch.zeros(1, 3, 2, 2)
    assert DiceLoss(activation="sigmoid")(logits, nothing).item() == pytest.approx(1)
    with pytest.raises(ValueError, match=r"4 voxels .* no class.*mask=.*activation='sigmoid'"):
        DiceLoss(activation="softmax")(logits, nothing)
    with pytest.raises(ValueError, match="sigmoid"):
        CrossEntropy(activation="sigmoid")
    with pytest.raises(ValueError, match="one channel"):
        DiceLoss(activation="softmax")(logits[:, :1], nothing[:, :1])
