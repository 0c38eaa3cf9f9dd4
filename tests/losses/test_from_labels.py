"""A loss of labels is the two steps in one call, in every form that other frameworks hand labels over."""

import pytest
import torch

from boundary_loss import (
    BoundaryLoss,
    DistanceHeadLoss,
    FromLabels,
    FusedDiceCEBoundary,
    FusedGeneralizedDiceBoundary,
    GeneralizedDice,
    HausdorffLoss,
    SDFProductLoss,
    class2one_hot,
    signed_distance,
)
from boundary_loss.losses import ForegroundHead, SDFHead, SDFProductHead, build
from boundary_loss.losses.levels import nnunet_weights, resized
from boundary_loss.losses.regression import foreground_map, normalised_sdf

K, SHAPES = 3, {"2d": (7, 5), "3d": (4, 6, 5)}
SPACING = {"2d": (1.5, 0.7), "3d": (2.5, 1.0, 0.8)}


@pytest.fixture(params=SHAPES)
def dims(request):
    return request.param


def example(shape, B=2, channels=K, dtype=torch.float64):
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(B, channels, *shape, generator=draw, dtype=dtype).requires_grad_()
    return logits, torch.randint(0, max(channels, 2), (B, *shape), generator=draw)


def assert_same(found, expected, logits):
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    gradients = [torch.autograd.grad(value.sum(), logits, retain_graph=True)[0] for value in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "none", "classes"])
@pytest.mark.parametrize("options", [{}, {"convention": "interface", "absent": "far"}, {"normalise": "sides"}])
def test_boundary_is_the_two_steps(dims, options, reduction):
    logits, labels = example(SHAPES[dims])
    loss = BoundaryLoss(classes=[1, 2], activation="softmax", shift="optimum", reduction=reduction)
    maps = signed_distance(labels, SPACING[dims], num_classes=K, dtype=torch.float64, **options)
    assert_same(FromLabels(loss, spacing_mm=SPACING[dims], **options)(logits, labels), loss(logits, maps), logits)


def test_each_item_has_its_own_spacing(dims):
    logits, labels = example(SHAPES[dims])
    rows = [[scale * s for s in SPACING[dims]] for scale in (1, 3)]
    loss = BoundaryLoss(activation="softmax")
    maps = signed_distance(labels, rows, num_classes=K, dtype=torch.float64)
    assert_same(FromLabels(loss)(logits, labels, spacing_mm=rows), loss(logits, maps), logits)


@pytest.mark.parametrize("sides", ["inside", "both"])
def test_hausdorff_is_measured_at_the_spacing(dims, sides):
    logits, labels = example(SHAPES[dims])
    loss = HausdorffLoss(activation="softmax", sides=sides)
    expected = loss(logits, labels, spacing_mm=SPACING[dims])
    assert_same(FromLabels(loss, spacing_mm=SPACING[dims])(logits, labels), expected, logits)
    own = HausdorffLoss(activation="softmax", sides=sides, spacing_mm=SPACING[dims])
    assert_same(FromLabels(own)(logits, labels), expected, logits)


@pytest.mark.parametrize(
    ("loss", "two_steps", "map_of"),
    [
        (SDFHead(), DistanceHeadLoss("sdf"), normalised_sdf),
        (ForegroundHead(norm="l1"), DistanceHeadLoss("foreground", "l1"), foreground_map),
        (SDFProductHead(), SDFProductLoss(), normalised_sdf),
    ],
)
def test_a_distance_head_gets_its_map(dims, loss, two_steps, map_of):
    output, labels = example(SHAPES[dims])
    expected = two_steps(output, map_of(class2one_hot(labels, K), SPACING[dims]))
    assert_same(FromLabels(loss, spacing_mm=SPACING[dims])(output, labels), expected, output)


FUSED = [
    FusedGeneralizedDiceBoundary((1.0, 0.3), boundary_classes=[1]),
    FusedDiceCEBoundary((1.0, 0.5, 0.3), boundary_classes=[1]),
]


@pytest.mark.parametrize("loss", FUSED)
def test_a_fused_loss_gets_its_map(dims, loss):
    logits, labels = example(SHAPES[dims])
    maps = signed_distance(labels, SPACING[dims], num_classes=K, dtype=torch.float64)
    assert_same(FromLabels(loss, spacing_mm=SPACING[dims])(logits, labels), loss(logits, labels, maps), logits)
    with pytest.raises(ValueError, match="needs labels"):
        FromLabels(loss)(logits, class2one_hot(labels, K))


@pytest.mark.parametrize(
    "form",
    [
        lambda labels: labels.unsqueeze(1),
        lambda labels: labels.unsqueeze(1).float(),
        lambda labels: labels.to(torch.int16),
        lambda labels: labels.to(torch.uint8).unsqueeze(1),
        lambda labels: labels.half(),
        lambda labels: class2one_hot(labels, K),
        lambda labels: class2one_hot(labels, K).bool(),
        lambda labels: class2one_hot(labels, K).float(),
    ],
)
def test_every_form_of_labels_gives_the_same(dims, form):
    logits, labels = example(SHAPES[dims])
    loss = FromLabels(BoundaryLoss(activation="softmax"), spacing_mm=SPACING[dims])
    torch.testing.assert_close(loss(logits, form(labels)), loss(logits, labels))


def test_a_volume_of_labels_is_not_taken_for_one_hot():
    logits, _ = example((2, 4, 3), channels=2)
    labels = torch.zeros(2, 2, 4, 3, dtype=torch.long)
    labels[:, 1] = 1  # one 1 along the second axis, which has as many voxels as there are classes
    loss = BoundaryLoss(activation="softmax")
    maps = signed_distance(labels, num_classes=2, spatial_dims=3, convention="interface", dtype=torch.float64)
    assert_same(FromLabels(loss, convention="interface")(logits, labels), loss(logits, maps), logits)


def test_one_channel_stands_for_two_classes():
    logits, labels = example((7, 5), channels=1)
    loss = BoundaryLoss(classes=[1], activation="sigmoid")
    maps = signed_distance(labels, num_classes=2, dtype=torch.float64)
    for target in (labels, labels.unsqueeze(1), labels.unsqueeze(1).float()):
        assert_same(FromLabels(loss)(logits, target), (logits.sigmoid() * maps[:, 1:]).mean(), logits)


def regions(labels):
    """Overlapping: everything above 0, and class 2 within it."""
    return torch.stack([labels > 0, labels > 1], dim=1)


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32, torch.int16])
def test_regions_overlap_under_sigmoid(dims, dtype):
    logits, labels = example(SHAPES[dims], channels=2)
    target = regions(labels.where(labels == 0, 2 - labels)).to(dtype)
    loss = BoundaryLoss(activation="sigmoid")
    found = FromLabels(loss, spacing_mm=SPACING[dims])(logits, target)
    each = [signed_distance(target[:, r].long(), SPACING[dims], num_classes=2, dtype=torch.float64) for r in range(2)]
    maps = torch.stack([pair[:, 1] for pair in each], dim=1)
    assert_same(found, loss(logits, maps), logits)


@pytest.mark.parametrize("loss", [BoundaryLoss(activation="sigmoid"), HausdorffLoss(activation="sigmoid")])
def test_the_last_channel_marks_ignored_voxels(dims, loss):
    logits, labels = example(SHAPES[dims], channels=2)
    target = regions(labels + torch.arange(2).view(2, *[1] * (labels.ndim - 1)))
    ignored = torch.rand(labels.shape, generator=torch.Generator().manual_seed(1)) < 0.3
    with_ignored = torch.cat([target, ignored.unsqueeze(1)], dim=1)
    expected = FromLabels(loss)(logits, target, mask=~ignored)
    found = FromLabels(loss, ignored_last=True)(logits, with_ignored)
    assert_same(found, expected, logits)
    (gradient,) = torch.autograd.grad(found, logits)
    assert not gradient.movedim(1, -1)[ignored].any() and gradient.any()
    with pytest.raises(ValueError, match="a channel more"):
        FromLabels(loss, ignored_last=True)(logits, target)


LOSSES = {
    "boundary": lambda **options: BoundaryLoss(activation="softmax", **options),
    "hausdorff": lambda **options: HausdorffLoss(activation="softmax", **options),
    "sdf": lambda **options: SDFHead(**options),
    "fused": lambda **options: FusedGeneralizedDiceBoundary((0.0, 1.0), **options),
    "with entropy": lambda ignore_index: FusedDiceCEBoundary((0.5, 0.5, 1.0), ignore_label=ignore_index),
}


@pytest.mark.parametrize("label", [255, K, -1])
@pytest.mark.parametrize("name", LOSSES)
def test_ignored_labels_are_as_masked_ones(dims, name, label):
    logits, labels = example(SHAPES[dims])
    known = torch.rand(labels.shape, generator=torch.Generator().manual_seed(1)) < 0.7
    loss = FromLabels(LOSSES[name](ignore_index=label), spacing_mm=SPACING[dims])
    found = loss(logits, labels.where(known, label))
    assert_same(found, loss(logits, labels, mask=known), logits)
    (gradient,) = torch.autograd.grad(found, logits)
    assert not gradient.movedim(1, -1)[~known].any() and gradient.any()


def test_255_alone_is_refused_until_it_is_clear():
    logits, labels = example((7, 5))
    doubtful = labels.where(labels == 0, 255)
    loss = FromLabels(BoundaryLoss(activation="softmax"))
    with pytest.raises(ValueError, match="ignore_index=255"):
        loss(logits, doubtful)
    loss(logits, labels)
    loss(logits, doubtful)  # an object was seen before


def test_flips_change_nothing(dims):
    logits, labels = example(SHAPES[dims])
    for loss in (BoundaryLoss(activation="softmax"), HausdorffLoss(activation="softmax", sides="both")):
        from_labels = FromLabels(loss, spacing_mm=SPACING[dims])
        torch.testing.assert_close(from_labels(logits.flip(-1), labels.flip(-1)), from_labels(logits, labels))


def test_the_value_is_in_millimetres(dims):
    logits, labels = example(SHAPES[dims])
    loss = BoundaryLoss(activation="softmax")
    one, two = (
        FromLabels(loss, convention="interface", spacing_mm=[scale * s for s in SPACING[dims]]) for scale in (1, 2)
    )
    torch.testing.assert_close(2 * one(logits, labels), two(logits, labels))


@pytest.mark.parametrize("mask", [None, "some"])
def test_gradient_is_the_derivative(mask):
    logits, labels = example((4, 3))
    known = None if mask is None else labels != 2
    loss = FromLabels(BoundaryLoss(activation="softmax"), spacing_mm=(1.0, 2.0))
    assert torch.autograd.gradcheck(lambda x: loss(x, labels, mask=known), logits)


@pytest.mark.parametrize("fill", [0, 1])
def test_an_item_without_a_boundary_is_0_or_far(fill):
    logits, labels = example((7, 5))
    labels = torch.full_like(labels, fill)
    loss = BoundaryLoss(activation="softmax", classes=[1])
    assert FromLabels(loss)(logits, labels).item() == 0
    assert FromLabels(loss, absent="far")(logits, labels).item() * (1 - 2 * fill) > 0


def test_half_precision_under_autocast():
    logits, labels = example((7, 5), dtype=torch.float32)
    loss = FromLabels(BoundaryLoss(activation="softmax"))
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(logits.bfloat16(), labels)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, loss(logits, labels), rtol=0.05, atol=0.05)


# Deep supervision


def test_nnunets_weights():
    assert nnunet_weights(1) == [1]
    assert nnunet_weights(3) == pytest.approx([2 / 3, 1 / 3, 0])


@pytest.mark.parametrize("size", [(3, 5), (7, 2), (10, 4)])
def test_resized_is_nearest_exact(size):
    _, labels = example((7, 5))
    expected = torch.nn.functional.interpolate(labels.unsqueeze(1).float(), size=size, mode="nearest-exact")
    assert torch.equal(resized(labels, size), expected.squeeze(1).long())
    assert torch.equal(resized(labels.unsqueeze(1) > 0, size), expected > 0)


def levels(shape):
    """Outputs at full, half and quarter resolution along the last axes."""
    sizes = [shape, tuple(n // 2 for n in shape), tuple(max(n // 4, 1) for n in shape)]
    return [example(size)[0] for size in sizes], example(shape)[1]


@pytest.mark.parametrize("loss", [BoundaryLoss(activation="softmax"), HausdorffLoss(activation="softmax")])
@pytest.mark.parametrize("as_list", [False, True])
def test_each_level_has_its_spacing(loss, as_list):
    outputs, labels = levels((8, 4, 12))
    spacing, of_mask = (2.5, 1.0, 0.8), torch.ones_like(labels, dtype=torch.bool)
    of_mask[:, :3] = False
    expected = 0.0
    for output, weight, scale in zip(outputs, (2 / 3, 1 / 3), (1, 2), strict=False):
        size = output.shape[2:]
        level = FromLabels(loss, spacing_mm=[scale * s for s in spacing])
        expected += weight * level(output, resized(labels, size), mask=resized(of_mask, size))
    given = [resized(labels, output.shape[2:]) for output in outputs] if as_list else labels
    masks = [resized(of_mask, output.shape[2:]) for output in outputs] if as_list else of_mask
    found = FromLabels(loss, spacing_mm=spacing)(outputs, given, mask=masks)
    torch.testing.assert_close(found, expected)
    torch.autograd.grad(found, outputs[1])
    with pytest.raises(RuntimeError, match="not have been used"):
        torch.autograd.grad(found, outputs[2])  # of weight 0, so it is not measured


def test_the_finest_level_alone():
    outputs, labels = levels((8, 12))
    loss = FromLabels(BoundaryLoss(activation="softmax"), level_weights=[1])
    torch.testing.assert_close(loss(outputs, labels), loss(outputs[0], labels))


def test_a_coarse_output_is_told_by_the_full_size():
    (_, coarse, _), labels = levels((8, 12))
    loss = BoundaryLoss(activation="softmax")
    found = FromLabels(loss, spacing_mm=(1.0, 3.0), full_size=(8, 12))(coarse, resized(labels, (4, 6)))
    torch.testing.assert_close(found, FromLabels(loss, spacing_mm=(2.0, 6.0))(coarse, resized(labels, (4, 6))))


def test_region_losses_take_levels_and_ignored_channels_too():
    logits, labels = example((7, 5))
    loss = GeneralizedDice(activation="softmax")
    assert_same(FromLabels(loss, spacing_mm=(1, 2))(logits, labels), loss(logits, labels), logits)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FromLabels(torch.nn.CrossEntropyLoss()), "CrossEntropyLoss"),
        (lambda: FromLabels(DistanceHeadLoss()), "SDFHead"),
        (lambda: FromLabels(build("boundary")), "give BoundaryLoss"),
        (lambda: FromLabels(HausdorffLoss(), convention="interface"), "convention shape"),
        (lambda: FromLabels(BoundaryLoss(), spacing_mm=(0, 1)), "positive"),
        (lambda: FromLabels(BoundaryLoss(), convention="middle")(*example((7, 5))), "unknown convention 'middle'"),
    ],
)
def test_refuses_settings_that_do_not_fit(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_refuses_what_does_not_fit():
    logits, labels = example((7, 5))
    loss = FromLabels(BoundaryLoss(activation="softmax"))
    with pytest.raises(ValueError, match="fits neither"):
        loss(logits, labels[:, 1:])
    with pytest.raises(ValueError, match=r"labels \[3\] are outside"):
        loss(logits, labels + 1)
    with pytest.raises(ValueError, match="must be whole numbers"):
        loss(logits, labels + 0.5)
    with pytest.raises(ValueError, match="must lie in"):
        FromLabels(BoundaryLoss())(logits, labels)
    with pytest.raises(ValueError, match="2 labels beside 1 outputs"):
        loss([logits], [labels, labels])
    with pytest.raises(ValueError, match="empty"):
        loss([], [])
    with pytest.raises(ValueError, match="no output that counts"):
        FromLabels(BoundaryLoss(activation="softmax"), level_weights=[0, 0])([logits], labels)
    for options in ({"full_size": (7, 5, 3)}, {"spacing_mm": [2]}, {"spacing_mm": (1, 2, 3)}):
        with pytest.raises(ValueError, match="2 spatial axes"):
            FromLabels(BoundaryLoss(activation="softmax"), **options)(logits, labels)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("label", [255, None])
def test_on_the_device_as_on_the_host(dims, name, label):
    logits, labels = example(SHAPES[dims], dtype=torch.float32)
    if label is not None:
        labels[:, :2] = label
    loss = FromLabels(LOSSES[name](ignore_index=255), spacing_mm=SPACING[dims])
    on_device = logits.detach().cuda().requires_grad_()
    ours, theirs = loss(on_device, labels.cuda()), loss(logits, labels)
    torch.testing.assert_close(ours.cpu(), theirs)
    gradients = [torch.autograd.grad(v, x)[0].cpu() for v, x in ((ours, on_device), (theirs, logits))]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)
