"""Fused losses against the plain formula: softmax, one-hot, sums, and autograd."""

import os
import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F

from boundary_loss import (
    BoundaryLoss,
    FusedDiceCEBoundary,
    FusedDiceCELoss,
    FusedDiceLoss,
    FusedGeneralizedDiceBoundary,
    GeneralizedDice,
    signed_distance,
)
from boundary_loss.losses import fused_plain, fused_sums


def example(B=2, K=3, shape=(7, 5), dtype=torch.float64, ignored=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(B, K, *shape, generator=generator, dtype=torch.float64).to(dtype)
    labels = torch.randint(0, max(K, 2), (B, *shape), generator=generator)
    if ignored is not None:
        labels[:, 0] = ignored
    return logits.requires_grad_(), labels


def plain(logits, labels, weight=None, ignore_channel=-1, ignore_label=-1, smooth=0.0, p=1, reduction="mean"):
    if logits.shape[1] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits], 1)
    K = logits.shape[1]
    known = (labels != ignore_label).unsqueeze(1)
    s = logits.softmax(1) * known
    g = F.one_hot(torch.where(labels == ignore_label, 0, labels), K).movedim(-1, 1) * known
    both, predicted, true = ((t.flatten(2).sum(2)) for t in (s * g, s**p, g))
    if reduction == "batch":
        both, predicted, true = (t.sum(0, keepdim=True) for t in (both, predicted, true))
    below = predicted + true + smooth
    loss = torch.where(below > 0, 1 - (2 * both + smooth) / below.clamp(min=1e-300), 0)
    factors = torch.full((K,), 1 / K) if weight is None else torch.tensor(weight)
    factors = factors.double()
    if ignore_channel >= 0:
        factors[ignore_channel] = 0
    items = (loss * factors).sum(1)
    return items if reduction == "none" else items.sum() if reduction == "sum" else items.mean()


SETTINGS = [
    {},
    {"weight": [0.2, 3.0, 1.0]},
    {"weight": [0.2, 3.0, 1.0], "reduction": "batch", "smooth": 1.0},
    {"ignore_channel": 1},
    {"ignore_label": 9, "p": 2},
    {"ignore_label": 1, "p": 3, "smooth": 0.5, "reduction": "sum"},
    {"reduction": "none"},
    {"reduction": "batch"},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("shape", [(7, 5), (3, 4, 5)])
def test_value_and_gradient_are_the_plain_ones(settings, shape):
    logits, labels = example(shape=shape, ignored=9 if settings.get("ignore_label") == 9 else None)
    ours, theirs = FusedDiceLoss(**settings)(logits, labels), plain(logits, labels, **settings)
    torch.testing.assert_close(ours, theirs)
    assert ours.shape == ((2,) if settings.get("reduction") == "none" else ())
    push = torch.rand_like(ours)
    torch.testing.assert_close(*(torch.autograd.grad(v, logits, push)[0] for v in (ours, theirs)))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_gradcheck(settings):
    logits, labels = example(shape=(3, 4))
    assert torch.autograd.gradcheck(lambda x: FusedDiceLoss(**settings)(x, labels), logits)


@pytest.mark.parametrize("weight", [None, [0.3, 2.0]])
def test_one_channel_is_sigmoid_and_two_classes(weight):
    logits, labels = example(K=1)
    ours, theirs = FusedDiceLoss(weight=weight)(logits, labels), plain(logits, labels, weight=weight)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*(torch.autograd.grad(v, logits)[0] for v in (ours, theirs)))


@pytest.mark.parametrize("absent", ["paper", "skip", "penalise"])
@pytest.mark.parametrize("shape", [(7, 5), (3, 4, 5)])
def test_generalized_dice_and_boundary_together(absent, shape):
    logits, labels = example(shape=shape, ignored=255)
    maps = signed_distance(labels, num_classes=3, dtype=torch.float64)
    loss = FusedGeneralizedDiceBoundary((0.9, 0.2), classes=[0, 2], boundary_classes=[1], absent=absent)
    region = GeneralizedDice(classes=[0, 2], activation="softmax", absent=absent)
    boundary = BoundaryLoss(classes=[1], activation="softmax")
    ours = loss(logits, labels, maps)
    theirs = 0.9 * region(logits, labels) + 0.2 * boundary(logits, maps, mask=labels != 255)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*(torch.autograd.grad(v, logits)[0] for v in (ours, theirs)))
    assert torch.autograd.gradcheck(lambda x: loss(x, labels, maps), logits)


def plain_with_entropy(logits, labels, weights, ce_weight=None, ignore_label=-1, **of_dice):
    """By the plain Dice and PyTorch's cross-entropy, of each item alone where the Dice is."""
    dice = plain(logits, labels, ignore_label=ignore_label, **of_dice)
    if logits.shape[1] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits], 1)
    known = torch.where(labels == ignore_label, -100, labels)
    of = None if ce_weight is None else torch.tensor(ce_weight, dtype=logits.dtype)
    if of_dice.get("reduction") in ("none", "sum"):
        entropy = torch.stack([F.cross_entropy(x[None], y[None], of) for x, y in zip(logits, known, strict=True)])
        entropy = entropy.sum() if of_dice["reduction"] == "sum" else entropy
    else:
        entropy = F.cross_entropy(logits, known, of)
    return weights[0] * dice + weights[1] * entropy


WITH_ENTROPY = [
    {},
    {"ce_weight": [0.2, 3.0, 1.0], "weight": [1.0, 0.5, 2.0]},
    {"ce_weight": [0.0, 3.0, 1.0], "ignore_channel": 0, "reduction": "none"},
    {"ignore_label": 9, "p": 2, "smooth": 1.0, "reduction": "batch"},
    {"ignore_label": 1, "ce_weight": [0.2, 3.0, 1.0], "reduction": "sum"},
]


@pytest.mark.parametrize("settings", WITH_ENTROPY, ids=str)
@pytest.mark.parametrize("shape", [(7, 5), (3, 4, 5)])
def test_dice_and_cross_entropy_are_the_plain_ones(settings, shape):
    logits, labels = example(shape=shape, ignored=9 if settings.get("ignore_label") == 9 else None)
    loss = FusedDiceCELoss((0.7, 1.3), **settings)
    ours, theirs = loss(logits, labels), plain_with_entropy(logits, labels, (0.7, 1.3), **settings)
    torch.testing.assert_close(ours, theirs)
    push = torch.rand_like(ours)
    torch.testing.assert_close(*(torch.autograd.grad(v, logits, push)[0] for v in (ours, theirs)))


@pytest.mark.parametrize("settings", WITH_ENTROPY, ids=str)
def test_gradcheck_of_dice_and_cross_entropy(settings):
    logits, labels = example(shape=(3, 4))
    assert torch.autograd.gradcheck(lambda x: FusedDiceCELoss((0.7, 1.3), **settings)(x, labels), logits)


@pytest.mark.parametrize("settings", WITH_ENTROPY, ids=str)
@pytest.mark.parametrize("classes", [None, [1, 2]])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_dice_cross_entropy_and_boundary_are_their_sum(settings, classes, dtype):
    logits, labels = example(shape=(3, 4, 5), ignored=settings.get("ignore_label"), dtype=dtype)
    known = labels != settings.get("ignore_label", -1)
    maps = signed_distance(labels.where(known, 255), num_classes=3, ignore_index=255, dtype=dtype)
    ours = FusedDiceCEBoundary((0.7, 1.3, 0.4), boundary_classes=classes, **settings)(logits, labels, maps)
    reduction = {"batch": "mean"}.get(settings.get("reduction"), settings.get("reduction", "mean"))
    boundary = BoundaryLoss(classes=classes, activation="softmax", reduction=reduction)
    theirs = FusedDiceCELoss((0.7, 1.3), **settings)(logits, labels) + 0.4 * boundary(logits, maps, mask=known)
    torch.testing.assert_close(ours, theirs)
    push = torch.rand_like(ours)
    torch.testing.assert_close(*(torch.autograd.grad(v, logits, push)[0] for v in (ours, theirs)))


@pytest.mark.parametrize("settings", WITH_ENTROPY, ids=str)
def test_gradcheck_of_dice_cross_entropy_and_boundary(settings):
    logits, labels = example(shape=(3, 4))
    maps = torch.randn(2, 3, 3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    loss = FusedDiceCEBoundary((0.7, 1.3, 0.4), boundary_classes=[0, 2], **settings)
    assert torch.autograd.gradcheck(lambda x: loss(x, labels, maps), logits)


def test_one_channel_has_maps_of_two_classes():
    logits, labels = example(K=1)
    maps = signed_distance(labels, num_classes=2, dtype=torch.float64)
    ours = FusedDiceCEBoundary((0.0, 0.0, 1.0), boundary_classes=[1])(logits, labels, maps)
    theirs = (logits.sigmoid() * maps[:, 1:]).mean()
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*(torch.autograd.grad(v, logits)[0] for v in (ours, theirs)))
    with pytest.raises(ValueError, match="distance maps"):
        FusedDiceCEBoundary()(logits, labels, maps[:, 1:])
    with pytest.raises(ValueError, match=r"boundary_classes \[2\] asked for"):
        FusedDiceCEBoundary(boundary_classes=[2])(logits, labels, maps)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("K", [1, 2, 3, 5, 14])
def test_dice_and_cross_entropy_of_any_type_and_number_of_classes(K, dtype):
    logits, labels = example(K=K, shape=(40, 50), dtype=dtype, ignored=99)
    settings = {"ce_weight": torch.linspace(0.5, 2, max(K, 2)).tolist(), "ignore_label": 99}
    ours = FusedDiceCELoss((0.7, 1.3), **settings)(logits, labels)
    exact = logits.detach().double().requires_grad_()
    theirs = plain_with_entropy(exact, labels, (0.7, 1.3), **settings)
    assert ours.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(ours.double(), theirs, rtol=1e-6, atol=1e-7)
    gradients = [torch.autograd.grad(v, x)[0] for v, x in ((ours, logits), (theirs, exact))]
    assert gradients[0].dtype == dtype
    torch.testing.assert_close(gradients[0].double(), gradients[1], rtol=2 * torch.finfo(dtype).eps, atol=1e-7)


def test_the_two_parts_can_be_weighed_anew():
    logits, labels = example()
    loss = FusedDiceCELoss()
    for loss.weights in ((1.0, 0.0), (0.0, 1.0), (0.25, 2.0)):
        torch.testing.assert_close(loss(logits, labels), plain_with_entropy(logits, labels, loss.weights))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("K", [1, 2, 3])
def test_cross_entropy_of_extreme_logits_is_exact(K, dtype):
    """Where the probability of the class is 0 in every type: log-sum-exp, not the logarithm of a softmax."""
    classes = max(K, 2)
    values = torch.cartesian_prod(*[torch.tensor([-1000.0, 0.0, 1000.0], dtype=dtype)] * K).reshape(-1, K)
    for label in range(classes):
        logits = values.T.reshape(1, K, 1, -1).clone().requires_grad_()
        labels = torch.full((1, 1, logits.shape[3]), label)
        ours = FusedDiceCELoss((0.0, 1.0))(logits, labels)
        theirs = plain_with_entropy(logits, labels, (0.0, 1.0))
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-6, atol=0)
        torch.testing.assert_close(*(torch.autograd.grad(v, logits)[0] for v in (ours, theirs)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_cross_entropy_of_no_voxel_is_nothing(dtype):
    logits, labels = example(dtype=dtype)
    value = FusedDiceCELoss()(logits, labels, mask=torch.zeros_like(labels, dtype=torch.bool))
    assert value.item() == 0
    assert not torch.autograd.grad(value, logits)[0].any()
    mask = torch.ones_like(labels, dtype=torch.bool)
    mask[1] = False
    one_each = FusedDiceCELoss((0.0, 1.0), reduction="none")(logits, labels, mask=mask)
    torch.testing.assert_close(one_each[0], F.cross_entropy(logits[:1], labels[:1]))
    assert one_each[1] == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_cross_entropy_of_one_voxel(dtype):
    logits, labels = example(B=1, shape=(1, 1), dtype=dtype)
    torch.testing.assert_close(FusedDiceCELoss((0.0, 1.0))(logits, labels), F.cross_entropy(logits, labels))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_mask_counts_as_ignored_labels_in_the_cross_entropy(dtype):
    logits, labels = example(shape=(9, 7), dtype=dtype)
    mask = torch.rand(2, 9, 7, generator=torch.Generator().manual_seed(1)) < 0.6
    marked = labels.where(mask, 77)
    expected = FusedDiceCELoss(ignore_label=77)(logits, marked)
    with torch.no_grad():
        logits.masked_fill_(~mask.unsqueeze(1), torch.nan)
    value = FusedDiceCELoss()(logits, labels.where(mask, 100), mask=mask)
    torch.testing.assert_close(value, expected, rtol=0, atol=0)
    gradient = torch.autograd.grad(value, logits)[0]
    assert not gradient.masked_select(~mask.unsqueeze(1)).any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_labels_that_are_no_class_have_no_cross_entropy(dtype):
    """Where the labels are trusted: these do not read beyond the logits."""
    logits, labels = example(dtype=dtype)
    strays = labels.clone()
    strays[:, 0], strays[:, 1] = 3, -7
    sure = FusedDiceCELoss((0.0, 1.0), check_labels=False)(logits, strays)
    torch.testing.assert_close(sure, F.cross_entropy(logits[:, :, 2:], labels[:, 2:]))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("K", [1, 2, 3])
def test_cross_entropy_of_logits_that_are_no_numbers(K, dtype):
    for stray in (torch.nan, torch.inf):
        logits, labels = example(K=K, dtype=dtype)
        with torch.no_grad():
            logits[0, 0, 0, 0] = stray
        assert FusedDiceCELoss((0.0, 1.0))(logits, labels).isnan()


@pytest.mark.parametrize("loss", [FusedDiceCELoss(), FusedDiceCEBoundary()])
def test_nothing_is_stored_but_the_inputs_of_both(loss):
    logits, labels = example(dtype=torch.float32)
    maps = [signed_distance(labels, num_classes=3)] if isinstance(loss, FusedDiceCEBoundary) else []
    stored = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: stored.append(t) or t, lambda t: t):
        loss(logits, labels, *maps)
    large = [t for t in stored if t.numel() >= labels[0].numel()]
    assert {t.data_ptr() for t in large} == {t.data_ptr() for t in (logits, labels, *maps)}


def test_ignored_voxels_have_no_gradient_even_where_they_are_not_numbers():
    logits, labels = example(ignored=4)
    with torch.no_grad():
        before = FusedDiceLoss(ignore_label=4)(logits, labels)
        logits[:, :, 0] = float("nan")
    after = FusedDiceLoss(ignore_label=4)(logits, labels)
    assert after.item() == before.item()


def test_an_empty_class_counts_nothing_or_one():
    logits, labels = example(K=3)
    labels.clamp_(max=1)
    below_zero = torch.where(torch.arange(3).view(1, 3, 1, 1) == 2, -torch.inf, logits)
    torch.testing.assert_close(FusedDiceLoss()(below_zero, labels), plain(below_zero, labels))
    weight = [0.0, 0.0, 1.0]
    assert FusedDiceLoss(weight)(logits, labels).item() == pytest.approx(1)
    assert FusedDiceLoss(weight)(below_zero, labels).item() == 0  # nothing there, nothing predicted: undefined, 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits(dtype):
    logits, labels = example(shape=(40, 50), dtype=dtype)
    with torch.autocast("cpu", torch.bfloat16):
        ours = FusedDiceLoss()(logits, labels)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours.double(), plain(logits.double(), labels), rtol=1e-6, atol=1e-7)
    (gradient,) = torch.autograd.grad(ours, logits)
    assert gradient.dtype == dtype


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int32, torch.int64])
@pytest.mark.parametrize("ignored", [-1, 1, 9, 255])
def test_a_mask_counts_as_ignored_labels(dtype, ignored):
    """Of labels of any type, also one that holds no number for the ignored ones; strays outside the mask are free."""
    logits, labels = example(shape=(9, 7))
    mask = torch.rand(2, 9, 7, generator=torch.Generator().manual_seed(1)) < 0.6
    labels[0, 0] = ignored if torch.iinfo(dtype).min <= ignored <= torch.iinfo(dtype).max else 0
    marked = torch.where(mask & (labels != ignored), labels, 77)
    labels[~mask] = 100
    ours = FusedDiceLoss(ignore_label=ignored)(logits, labels.to(dtype), mask=mask)
    torch.testing.assert_close(ours, FusedDiceLoss(ignore_label=77)(logits, marked))
    labels[mask.nonzero()[-1].unbind()] = 100
    with pytest.raises(ValueError, match=r"labels \[100\] are outside"):
        FusedDiceLoss(ignore_label=ignored)(logits, labels.to(dtype), mask=mask)


def test_255_that_may_be_the_object():
    logits, labels = example(K=2)
    maps = torch.zeros_like(logits)
    white = (labels * 255).to(torch.uint8)
    with pytest.raises(ValueError, match="pass labels == 255"):
        FusedDiceLoss()(logits, white)
    with pytest.raises(ValueError, match=r"pass labels == 255.*ignore_index=255"):
        FusedGeneralizedDiceBoundary()(logits, white, maps)
    FusedGeneralizedDiceBoundary(ignore_index=255)(logits, white, maps)
    loss = FusedGeneralizedDiceBoundary()
    loss(logits, labels, maps)  # shows that 1 is the object
    loss(logits, white, maps)


def test_minus_one_is_not_255():
    logits, labels = example()
    labels[0, 0, 0] = 255
    with pytest.raises(ValueError, match=r"\[255\]"):
        FusedDiceLoss(ignore_label=-1)(logits, labels.to(torch.uint8))
    torch.testing.assert_close(
        FusedDiceLoss(ignore_label=255)(logits, labels.to(torch.uint8)), plain(logits, labels, ignore_label=255)
    )


def test_memory_layouts():
    logits, labels = example(shape=(4, 5, 6))
    expected = FusedDiceLoss()(logits, labels)
    (gradient,) = torch.autograd.grad(expected, logits)
    channels_last = logits.detach().to(memory_format=torch.channels_last_3d).requires_grad_()
    sliced = torch.stack([logits.detach()] * 2, -1)[..., 0].requires_grad_()
    for other in (channels_last, sliced):
        value = FusedDiceLoss()(other, labels.mT.contiguous().mT)
        torch.testing.assert_close(value, expected)
        torch.testing.assert_close(torch.autograd.grad(value, other)[0], gradient)


def test_pieces_do_not_show(monkeypatch):
    logits, labels = example(shape=(60, 70))
    whole = FusedDiceLoss()(logits, labels)
    for pieces in (1, 8192 * logits.shape[1]):  # pieces of 1024 voxels, the last one shorter; one piece an item
        monkeypatch.setattr(fused_plain, "PIECE", pieces)
        torch.testing.assert_close(FusedDiceLoss()(logits, labels), whole, rtol=1e-12, atol=0)


def test_nothing_is_stored_but_the_inputs():
    logits, labels = example(dtype=torch.float32)
    stored = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: stored.append(t) or t, lambda t: t):
        FusedDiceLoss()(logits, labels)
    large = [t for t in stored if t.numel() >= labels[0].numel()]
    assert {t.data_ptr() for t in large} == {logits.data_ptr(), labels.data_ptr()}


def test_same_input_same_bits():
    logits, labels = example(shape=(60, 70), dtype=torch.float32)
    runs = []
    for _ in range(2):
        value = FusedDiceLoss()(logits, labels)
        runs.append((value, torch.autograd.grad(value, logits)[0]))
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # PyTorch's own, where a graph ends at our function
def test_inside_a_compiled_model():
    torch._dynamo.reset()
    logits, labels = example()
    loss = FusedDiceLoss()
    traced = torch.compile(lambda x: loss(2 * x, labels), backend="eager")
    torch.testing.assert_close(traced(logits), loss(2 * logits, labels))


@pytest.mark.parametrize("settings", [{}, {"p": 2}, {"smooth": 1}, {"reduction": "batch"}])
def test_logits_that_are_no_numbers_are_no_perfect_prediction(settings):
    logits, labels = example()
    assert FusedDiceLoss(**settings)(logits * torch.nan, labels).isnan()


class TestRefusals:
    def test_arrays_and_other_devices(self):
        logits, labels = example()
        maps = torch.zeros_like(logits)
        with pytest.raises(ValueError, match="labels must be a torch tensor, got ndarray"):
            FusedDiceLoss()(logits, labels.numpy())
        with pytest.raises(ValueError, match="distances on meta, the prediction on cpu"):
            FusedGeneralizedDiceBoundary()(logits, labels, maps.to("meta"))

    def test_labels_outside(self):
        logits, labels = example()
        labels[0, 0, 0], labels[1, 0, 0] = 3, -2
        with pytest.raises(ValueError, match=r"\[-2, 3\].*0\.\.2"):
            FusedDiceLoss()(logits, labels)
        FusedDiceLoss(check_labels=False)(logits, labels)

    def test_shapes_and_types(self):
        logits, labels = example()
        for wrong in (labels.unsqueeze(2), labels[:1], labels.mT):
            with pytest.raises(ValueError, match="do not fit"):
                FusedDiceLoss()(logits, wrong)
        with pytest.raises(ValueError, match=r"whole numbers, found \d\.5"):
            FusedDiceLoss()(logits, labels + 0.5)
        with pytest.raises(ValueError, match="floating point"):
            FusedDiceLoss()(labels.unsqueeze(1), labels)
        with pytest.raises(ValueError, match="batch axis"):
            FusedDiceLoss()(logits[0], labels[0])
        with pytest.raises(ValueError, match="distance maps"):
            FusedGeneralizedDiceBoundary()(logits, labels, logits[:, :2])

    @pytest.mark.parametrize("wrong", [{"p": 0}, {"p": 1.5}, {"smooth": -1}, {"reduction": "all"}])
    def test_settings(self, wrong):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            FusedDiceLoss(**wrong)

    def test_too_few_weights(self):
        with pytest.raises(ValueError, match="2 numbers, but there are 3"):
            FusedDiceLoss(weight=[1, 2])(*example())
        with pytest.raises(ValueError, match="ce_weight has 2 numbers, but there are 3"):
            FusedDiceCELoss(ce_weight=[1, 2])(*example())


AGAINST_CPU = """
import torch
from boundary_loss.losses import fused_plain, triton_fused
draw = torch.Generator().manual_seed(0)
for K, p, dtype, with_maps in [(1, 2, torch.float32, True), (3, 1, torch.float64, True), (5, 2, torch.bfloat16, False),
                               (2, 3, torch.float32, False), (4, 1, torch.float16, True)]:
    classes = max(K, 2)
    x = torch.randn(2, 700, K, generator=draw).to(dtype).mT
    y = torch.randint(0, classes, (2, 700), generator=draw).to(torch.uint8)
    y[:, :70] = 255
    maps = torch.randn(2, classes, 700, generator=draw) if with_maps else None
    pulls = torch.stack([torch.randn(2, classes, generator=draw, dtype=torch.float64) for _ in range(3)], dim=1)
    costs = torch.rand(2, classes, generator=draw, dtype=torch.float64)
    for engine, of in ((x, None), (x.contiguous(), costs)):
        one = None if of is None else of[0]
        ours = triton_fused.sums(engine, y, maps, 255, p, one)
        assert len(ours) == (4 if of is None else 5)
        for a, b in zip(ours, fused_plain.sums(x, y, maps, 255, p, one), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-3)
        ours = triton_fused.gradient(engine, y, maps, 255, p, pulls, of)
        theirs = fused_plain.gradient(x, y, maps, 255, p, pulls, of)
        tolerance = {torch.bfloat16: 2e-2, torch.float16: 2e-3}.get(dtype, 1e-5)
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
far = torch.tensor([[[1000.0, -1000.0, torch.nan], [-1000.0, 1000.0, 0.0]]])
y, costs = torch.tensor([[0, 0, 255]]), torch.tensor([1.0, 7.0], dtype=torch.float64)
assert triton_fused.sums(far, y, None, 255, 1, costs)[4].item() == 2000
"""


def test_triton_kernels_interpreted():
    """In a process of its own: Triton decides on import whether it compiles or interprets."""
    pytest.importorskip("triton")
    environment = dict(os.environ, TRITON_INTERPRET="1", PYTHONPATH=os.pathsep.join(sys.path))
    done = subprocess.run([sys.executable, "-c", AGAINST_CPU], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
class TestOnTheDevice:
    @pytest.mark.parametrize("settings", SETTINGS, ids=str)
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_same_as_on_the_host(self, settings, dtype):
        logits, labels = example(shape=(70, 50), dtype=dtype, ignored=settings.get("ignore_label"))
        loss = FusedDiceLoss(**settings)
        on_device = logits.detach().cuda().requires_grad_()
        ours, theirs = loss.cuda()(on_device, labels.cuda()), loss.cpu()(logits, labels)
        torch.testing.assert_close(ours.cpu(), theirs)
        gradients = [torch.autograd.grad(v.sum(), x)[0].cpu() for v, x in ((ours, on_device), (theirs, logits))]
        torch.testing.assert_close(*gradients, rtol=2e-2 if dtype == torch.bfloat16 else 1e-4, atol=1e-7)

    @pytest.mark.parametrize("settings", WITH_ENTROPY, ids=str)
    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
    def test_cross_entropy_too(self, settings, dtype):
        logits, labels = example(shape=(70, 50), dtype=dtype, ignored=settings.get("ignore_label"))
        loss = FusedDiceCELoss((0.7, 1.3), **settings)
        on_device = logits.detach().cuda().requires_grad_()
        ours, theirs = loss.cuda()(on_device, labels.cuda()), loss.cpu()(logits, labels)
        torch.testing.assert_close(ours.cpu(), theirs)
        gradients = [torch.autograd.grad(v.sum(), x)[0].cpu() for v, x in ((ours, on_device), (theirs, logits))]
        torch.testing.assert_close(*gradients, rtol=2e-2 if dtype == torch.bfloat16 else 1e-4, atol=1e-7)

    def test_extreme_logits(self):
        logits = torch.tensor([[[[1000.0, -1000.0]], [[-1000.0, 1000.0]]]], device="cuda").requires_grad_()
        value = FusedDiceCELoss((0.0, 1.0))(logits, torch.zeros(1, 1, 2, dtype=torch.long, device="cuda"))
        assert value.item() == 1000
        expected = torch.tensor([[[[0.0, -0.5]], [[0.0, 0.5]]]])
        assert torch.equal(torch.autograd.grad(value, logits)[0].cpu(), expected)

    def test_same_bits_again(self):
        logits, labels = (t.cuda() for t in example(K=5, shape=(64, 64, 32), dtype=torch.float32))
        logits = logits.detach().requires_grad_()
        runs = [torch.autograd.grad(FusedDiceLoss()(logits, labels), logits)[0] for _ in range(3)]
        assert all(torch.equal(runs[0], again) for again in runs[1:])

    def test_more_items_than_an_axis_of_a_grid_has(self):
        logits, labels = example(B=70_000, shape=(3, 2), dtype=torch.float32)
        torch.testing.assert_close(FusedDiceLoss()(logits.cuda(), labels.cuda()).cpu(), FusedDiceLoss()(logits, labels))

    def test_with_maps(self):
        logits, labels = example(shape=(20, 30), dtype=torch.float32)
        maps = signed_distance(labels, num_classes=3)
        for loss in (FusedGeneralizedDiceBoundary(), FusedDiceCEBoundary(boundary_classes=[1])):
            on_device = logits.detach().cuda().requires_grad_()
            ours, theirs = loss(on_device, labels.cuda(), maps.cuda()), loss(logits, labels, maps)
            torch.testing.assert_close(ours.cpu(), theirs)
            gradients = [torch.autograd.grad(v, x)[0].cpu() for v, x in ((ours, on_device), (theirs, logits))]
            torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-7)

    def test_triton_is_used(self):
        pytest.importorskip("triton")
        assert fused_sums.engine(torch.zeros(1, 1, 1, device="cuda")).__name__.endswith("triton_fused")
