"""What every loss obeys: gradients, symmetries, ignored voxels, precision, compilation, clear refusals."""

import shutil

import numpy as np
import pytest
import torch

from boundary_loss import class2one_hot, signed_distance
from boundary_loss.losses import LOSSES, build

K, B = 3, 2


def fresh(name, **common):
    loss = build(name)
    return type(loss)(**common)


def test_gradient(name, shape, example):
    loss = build(name)
    probs, _, target = example(loss, B, K, shape)
    assert torch.autograd.gradcheck(loss, (probs, target))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_gradient_of_some_classes_from_logits(name, reduction, example):
    loss = fresh(name, classes=[2, 1], activation="softmax", reduction=reduction)
    probs, _, target = example(loss, B, K, (4, 3))
    logits = (probs.detach() * 3).log().requires_grad_()
    assert torch.autograd.gradcheck(loss, (logits, target))


def test_logits_and_probabilities_agree(name, shape, example):
    probs, _, target = example(build(name), B, K, shape)
    logits = (probs.detach() * 3).log()
    torch.testing.assert_close(fresh(name, activation="softmax")(logits, target), build(name)(probs, target).detach())


def test_flipping_everything_changes_nothing(name, shape, example, target_of):
    if name == "skeleton_recall":
        pytest.skip("which of two middle voxels scikit-image keeps depends on the direction")
    loss = build(name)
    probs, labels, target = example(loss, B, K, shape)
    for axis in range(len(shape)):
        mirrored = target_of(loss, labels.flip(1 + axis), K)
        torch.testing.assert_close(loss(probs.flip(2 + axis), mirrored), loss(probs, target))


def test_renaming_classes_changes_nothing(name, shape, example, target_of):
    loss = build(name)
    probs, labels, target = example(loss, B, K, shape)
    order = torch.tensor([2, 0, 1])
    renamed = torch.argsort(order)[labels]
    torch.testing.assert_close(loss(probs[:, order], target_of(loss, renamed, K)), loss(probs, target))


def test_batch_is_the_mean_of_its_items(name, shape, example):
    loss, items = build(name), fresh(name, reduction="none")
    probs, _, target = example(loss, 3, K, shape)
    each = items(probs, target)
    assert each.shape == (3,)
    torch.testing.assert_close(each.mean(), loss(probs, target))
    torch.testing.assert_close(each.sum(), fresh(name, reduction="sum")(probs, target))
    single = torch.stack([loss(probs[b : b + 1], target[b : b + 1]) for b in range(3)])
    torch.testing.assert_close(single, each)


def test_ignored_voxels_do_not_matter(name, shape, example, target_of):
    loss = build(name)
    probs, labels, _ = example(loss, B, K, shape)
    labels[:, 1] = 255
    probs.detach()[:, :, 1] = 0.25
    before = loss(probs, target_of(loss, labels, K))
    (gradient,) = torch.autograd.grad(before, probs)
    assert (gradient[:, :, 1] == 0).all()
    changed = probs.detach().clone()
    changed[:, :, 1] = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64).view(1, 3, *[1] * (len(shape) - 1))
    torch.testing.assert_close(loss(changed, target_of(loss, labels, K)), before.detach(), rtol=0, atol=0)
    changed[:, :, 1] = float("nan")
    loss = build(name)
    loss(probs, target_of(loss, labels, K))  # the first call looks at the range, which a NaN would fail
    torch.testing.assert_close(loss(changed, target_of(loss, labels, K)), before.detach(), rtol=0, atol=0)


def test_what_the_training_loop_hands_over(name, example, target_of):
    """Probabilities zeroed and one-hot empty where ignored, with a mask, is the same as labels with 255 there."""
    loss = build(name)
    probs, labels, _ = example(loss, B, K, (5, 4))
    labels[:, 2] = 255
    mask = labels != 255
    from_labels = loss(probs, target_of(loss, labels, K), mask=mask).detach()
    zeroed = probs.detach().clone()
    zeroed[:, :, 2] = 0
    target = class2one_hot(labels, K) if loss.target == "one_hot" else target_of(loss, labels, K)
    torch.testing.assert_close(loss(zeroed, target, mask=mask), from_labels, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.bool, torch.float16, torch.float32])
def test_one_hot_of_any_type(name, dtype, example):
    loss = build(name)
    if loss.target != "one_hot":
        pytest.skip("takes distances")
    probs, labels, _ = example(loss, B, K, (5, 4))
    one_hot = class2one_hot(labels, K).to(dtype)
    torch.testing.assert_close(loss(probs, one_hot), loss(probs, labels), rtol=0, atol=0)


LABEL_TYPES = [torch.uint8, torch.int8, torch.int32, torch.uint16, torch.uint32, torch.uint64]
LABEL_TYPES += [torch.float16, torch.bfloat16, torch.float32, torch.float64]


@pytest.mark.parametrize("dtype", LABEL_TYPES)
def test_labels_of_any_type_and_layout(name, dtype, example):
    """(B, ...) or (B, 1, ...), integers or whole numbers."""
    loss = build(name)
    if loss.target != "one_hot":
        pytest.skip("takes distances")
    probs, labels, _ = example(loss, B, K, (5, 4))
    expected = loss(probs, labels)
    for target in (labels.to(dtype), labels.to(dtype).unsqueeze(1)):
        torch.testing.assert_close(loss(probs, target), expected, rtol=0, atol=0)


def test_under_sigmoid_a_channel_does_not_depend_on_others(name, shape):
    """Added, permuted or alone among two: each channel, and its gradient, is as it was; classes may overlap."""
    if "sigmoid" not in LOSSES[name].activations or "classes" not in LOSSES[name].reductions:
        pytest.skip("compares classes with each other")
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(B, 4, *shape, generator=draw, dtype=torch.float64).requires_grad_()
    overlapping = (torch.rand(logits.shape, generator=draw) < 0.4).double()
    target = overlapping if LOSSES[name].target == "one_hot" else signed_distance(overlapping, spatial_dims=len(shape))
    loss = fresh(name, activation="sigmoid", reduction="classes")
    values = loss(logits, target)
    assert values.shape == (B, 4)
    pushes = torch.rand(B, 4, generator=draw, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(values, logits, pushes)
    for channels in ([0, 1], [3, 1], [2, 0, 3], [3, 2, 1, 0]):
        fewer = logits.detach()[:, channels].requires_grad_()
        found = fresh(name, activation="sigmoid", reduction="classes")(fewer, target[:, channels])
        torch.testing.assert_close(found, values[:, channels])
        torch.testing.assert_close(torch.autograd.grad(found, fewer, pushes[:, channels])[0], gradient[:, channels])
        chosen = fresh(name, activation="sigmoid", reduction="classes", classes=channels)(logits, target)
        torch.testing.assert_close(chosen, values[:, channels])
    one = fresh(name, activation="sigmoid", reduction="classes", classes=[1])  # one channel: the class 1 of two
    torch.testing.assert_close(one(logits[:, :1], target[:, :1]), values[:, :1])


def test_each_class_has_its_value(name, example):
    probs, _, target = example(build(name), B, K, (5, 4))
    if "classes" not in LOSSES[name].reductions:
        with pytest.raises(ValueError, match="reduction='classes' is unknown"):
            fresh(name, reduction="classes")
        return
    each = fresh(name, reduction="classes")(probs, target)
    assert each.shape == (B, K)
    torch.testing.assert_close(each.mean(1), fresh(name, reduction="none")(probs, target))
    alone = fresh(name, classes=[2], reduction="none")(probs, target)
    torch.testing.assert_close(each[:, 2], alone)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(name, dtype, example):
    loss = build(name)
    probs, _, target = example(loss, B, K, (5, 4))
    half = probs.detach().to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(half, target)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(half.float(), target), rtol=0, atol=0)


@pytest.mark.parametrize("labels", [[0] * 6, [1] * 6, [0, 0, 1, 0, 0, 0]], ids=["empty", "full", "one voxel"])
def test_extreme_masks_give_finite_numbers(name, labels, target_of):
    loss = build(name)
    labels = torch.tensor(labels).view(1, 2, 3)
    for certainty in (0.0, 0.3, 1.0):
        probs = torch.stack([torch.full((1, 2, 3), 1 - certainty), torch.full((1, 2, 3), certainty)], 1)
        value = loss(probs.requires_grad_(), target_of(loss, labels, 2))
        (gradient,) = torch.autograd.grad(value, probs)
        assert value.isfinite()
        assert gradient.isfinite().all()


def test_traced_into_one_graph(name, example):
    if LOSSES[name].takes_spacing:
        pytest.skip("its distance transform stays outside the graph")
    loss = build(name)
    probs, _, target = example(loss, B, K, (5, 4))
    torch._dynamo.reset()  # each test compiles the same few functions for another loss
    traced = torch.compile(loss, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(traced(probs, target), loss(probs, target))
    ours, theirs = (torch.autograd.grad(f(probs, target), probs)[0] for f in (traced, loss))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # PyTorch's own, where a graph ends at our function
def test_hausdorff_inside_a_compiled_model(example):
    torch._dynamo.reset()
    loss = build("hausdorff")
    probs, _, target = example(loss, B, K, (5, 4))
    traced = torch.compile(lambda p: loss(0.5 * p + 0.5 / K, target), backend="eager")
    torch.testing.assert_close(traced(probs), loss(0.5 * probs + 0.5 / K, target))


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own
def test_compiled_to_machine_code(example):
    loss = build("gdl")
    probs, _, target = example(loss, B, K, (5, 4))
    torch.testing.assert_close(torch.compile(loss)(probs.detach(), target), loss(probs, target).detach())


class TestTargets:
    """Refused on the first call, so that a loop costs nothing."""

    @pytest.fixture
    def loss(self, name):
        loss = build(name)
        return pytest.skip("takes distances") if loss.target != "one_hot" else loss

    def test_voxels_of_no_class(self, loss, example):
        probs, labels, _ = example(loss, B, K, (5, 4))
        one_hot = class2one_hot(labels, K)
        one_hot[0, :, 1, 1] = 0
        with pytest.raises(ValueError, match=r"1 voxels of the one-hot target belong to no class.*mask="):
            loss(probs, one_hot)
        loss(probs, class2one_hot(labels, K))
        with pytest.raises(ValueError, match="no class"):  # also later, where looking costs next to nothing
            loss(probs, one_hot)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda g: 255 * g, "from 0 to 255; divide a mask of 0 and 255 by 255"),
            (lambda g: signed_distance(g), "distance maps to BoundaryLoss"),
            (lambda g: torch.full_like(g, torch.nan), "from nan"),
            (lambda g: torch.ones_like(g), "add up to 1, found 3 in the target"),
            (lambda g: 0.5 * g, r"add up to 1, found 0\.5 in the target"),
        ],
    )
    def test_what_is_no_one_hot(self, loss, change, message, example):
        probs, labels, _ = example(loss, B, K, (5, 4))
        with pytest.raises(ValueError, match=message):
            loss(probs, change(class2one_hot(labels, K, dtype=torch.float64)))

    def test_soft_targets_are_taken(self, loss, example):
        probs, labels, _ = example(loss, B, K, (5, 4))
        loss(probs, 0.9 * class2one_hot(labels, K, dtype=torch.float32) + 0.1 / K)

    def test_255_that_may_be_the_object(self, loss, example):
        probs, labels, _ = example(loss, B, 2, (5, 4))
        white = 255 * labels
        for target in (white, white.unsqueeze(1), white.float()):
            with pytest.raises(ValueError, match=r"pass target == 255.*ignore_index=255"):
                loss(probs, target)
        asked = type(loss)(ignore_index=255)(probs, white)
        loss(probs, labels)  # shows that 1 is the object
        torch.testing.assert_close(loss(probs, white), asked)

    def test_fractions(self, loss, example):
        probs, labels, _ = example(loss, B, K, (5, 4))
        with pytest.raises(ValueError, match="target must be whole numbers"):
            loss(probs, labels + 0.25)

    def test_probabilities_that_do_not_add_up(self, loss, example):
        probs, labels, _ = example(loss, B, K, (5, 4))
        with pytest.raises(ValueError, match=r"must add up to 1 over all classes, found (0|1)\.\d+.*sigmoid"):
            loss(probs.detach() * torch.tensor([1, 0.8, 0.9]).view(1, 3, 1, 1), labels)


class TestRefusals:
    def test_one_image_without_a_batch(self, name, example):
        loss = build(name)
        probs, _, target = example(loss, B, K, (5, 4))
        with pytest.raises(ValueError, match=r"shape \(3, 5, 4\).*; a single image needs a batch axis"):
            loss(probs[0], target[0])
        encoded = target[0] if loss.target == "distance" else class2one_hot(target, K)[0]
        with pytest.raises(ValueError, match=r"shape \(3, 5, 4\).*; a single image needs a batch axis"):
            loss(probs[0], encoded)

    @pytest.mark.parametrize("shape", [(0, 3, 5, 4), (2, 3, 0, 4)])
    def test_nothing(self, name, shape):
        loss = build(name)
        empty = torch.zeros(shape)
        with pytest.raises(ValueError, match="hold no values"):
            loss(empty, empty if loss.target == "distance" else empty[:, 0].long())

    def test_an_unknown_keyword_names_the_loss(self, name):
        with pytest.raises(TypeError, match=rf"{LOSSES[name].__name__}\.__init__\(\) got .*'idx'"):
            fresh(name, idx=[1])

    def test_logits_without_an_activation(self, name, example):
        loss = build(name)
        probs, _, target = example(loss, B, K, (5, 4))
        with pytest.raises(ValueError, match="activation='softmax'"):
            loss(probs * 7 - 3, target)
        with pytest.raises(ValueError, match=r"\[0, 1\]"):
            loss(probs * float("nan"), target)

    def test_shapes(self, name, example):
        loss = build(name)
        probs, _, target = example(loss, B, K, (5, 4))
        with pytest.raises(ValueError, match=r"\(2, 3, 4, 5\)"):
            loss(probs.transpose(2, 3), target)
        with pytest.raises(ValueError, match=r"\(B, K, X, Y\[, Z\]\)|one shape"):
            loss(probs[:, :, 0, 0], target)

    def test_integer_predictions(self, name, example):
        loss = build(name)
        probs, _, target = example(loss, B, K, (5, 4))
        with pytest.raises(ValueError, match="floating point"):
            loss(probs.long(), target)

    def test_a_class_that_is_not_there(self, name, example):
        loss = build(name, classes=[1, 3])
        probs, _, target = example(loss, B, K, (5, 4))
        with pytest.raises(ValueError, match=r"\[1, 3\].*0\.\.2"):
            loss(probs, target)

    @pytest.mark.parametrize("classes", [[], [0, 0], [-1], [0.5], [True]])
    def test_classes_that_are_none(self, name, classes):
        with pytest.raises(ValueError, match="classes"):
            build(name, classes=classes)

    def test_classes_as_arrays(self, name):
        assert fresh(name, classes=np.array([2, 1])).classes == fresh(name, idc=torch.tensor([2, 1])).classes == (2, 1)
        with pytest.raises(ValueError, match=r"as \[1\]; got 1"):
            fresh(name, classes=1)

    def test_arrays_and_other_devices(self, name, example):
        loss = build(name)
        probs, _, target = example(loss, B, K, (5, 4))
        with pytest.raises(ValueError, match="the prediction must be a torch tensor, got ndarray"):
            loss(probs.detach().numpy(), target)
        with pytest.raises(ValueError, match="target on meta, the prediction on cpu"):
            loss(probs, target.to("meta"))

    def test_two_names_for_two_things(self, name):
        with pytest.raises(ValueError, match="idc"):
            fresh(name, idc=[0], classes=[1])
        assert fresh(name, idc=[1], classes=[1]).classes == (1,)

    def test_unknown_settings(self, name):
        with pytest.raises(ValueError, match="'softmax'"):
            fresh(name, activation="relu")
        with pytest.raises(ValueError, match="'mean', 'sum', 'none'"):
            fresh(name, reduction="average")
