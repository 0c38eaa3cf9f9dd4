"""The distance terms on plain tensors in nnU-Net's shapes: 2D and 3D, labels and regions, deep supervision."""

import pytest
import torch
from torch import nn

from boundary_loss import BoundaryLoss, HausdorffLoss, signed_distance
from boundary_loss.integrations.nnunet.loss import WithTerm, boundary_term, hausdorff_term

SHAPES = {"2d": (12, 8), "3d": (8, 12, 6)}
SPACING = {"2d": (1.5, 0.7), "3d": (2.5, 1.0, 0.8)}
TERMS = {"boundary": boundary_term, "hausdorff": hausdorff_term}


@pytest.fixture(params=SHAPES)
def dims(request):
    return request.param


@pytest.fixture(params=TERMS)
def kind(request):
    return request.param


def labels_of(shape, ignored=False):
    """(B, 1, ...) int16, two nested classes; the last rows of label 3 if some are ignored."""
    labels = torch.zeros(2, 1, *shape, dtype=torch.int16)
    labels[:, :, 2:7, 1:5] = 1
    labels[:, :, 3:5, 2:4] = 2
    if ignored:
        labels[:, :, :, -2:] = 3
    return labels


def regions_of(labels, ignored=False):
    """(B, R, ...) bool: the whole, the core, and a last channel of ignored voxels."""
    channels = [(labels == 1) | (labels == 2), labels == 2] + ([labels == 3] if ignored else [])
    return torch.cat(channels, 1)


def outputs_of(channels, shape, levels=1, dtype=torch.float32):
    draw = torch.Generator().manual_seed(3)
    sizes = [[max(size >> level, 1) for size in shape] for level in range(levels)]
    return [torch.randn(2, channels, *size, generator=draw).to(dtype).requires_grad_() for size in sizes]


def coarser(target, outputs):
    """The targets of all levels, as nnU-Net's transform makes them (nearest-exact)."""
    return [
        nn.functional.interpolate(target.float(), output.shape[2:], mode="nearest-exact").to(target.dtype)
        for output in outputs
    ]


def test_the_boundary_term_is_the_boundary_loss_of_the_foreground(dims):
    labels, (logits,) = labels_of(SHAPES[dims]), outputs_of(3, SHAPES[dims])
    maps = signed_distance(labels, SPACING[dims], num_classes=3)
    expected = BoundaryLoss(classes=[1, 2], activation="softmax")(logits, maps)
    torch.testing.assert_close(boundary_term(3, spacing_mm=SPACING[dims])(logits, labels), expected)


def test_the_hausdorff_term_is_the_hausdorff_loss_of_the_foreground(dims):
    labels, (logits,) = labels_of(SHAPES[dims]), outputs_of(3, SHAPES[dims])
    loss = HausdorffLoss(classes=[1, 2], activation="softmax", sides="both")
    expected = loss(logits, labels, spacing_mm=SPACING[dims])
    torch.testing.assert_close(hausdorff_term(3, spacing_mm=SPACING[dims], sides="both")(logits, labels), expected)


def test_the_options_of_the_map_are_passed_on(dims):
    labels, (logits,) = labels_of(SHAPES[dims]), outputs_of(3, SHAPES[dims])
    maps = signed_distance(labels, SPACING[dims], num_classes=3, convention="interface", normalise="maximum")
    expected = BoundaryLoss(classes=[1, 2], activation="softmax")(logits, maps)
    term = boundary_term(3, spacing_mm=SPACING[dims], convention="interface", normalise="maximum")
    torch.testing.assert_close(term(logits, labels), expected)


def test_regions_overlap_and_each_counts(dims, kind):
    labels, (logits,) = labels_of(SHAPES[dims]), outputs_of(2, SHAPES[dims])
    target = regions_of(labels)
    found = TERMS[kind](2, regions=True, spacing_mm=SPACING[dims])(logits, target)
    if kind == "boundary":
        maps = signed_distance(target.float(), SPACING[dims], spatial_dims=len(SHAPES[dims]))
        expected = BoundaryLoss(activation="sigmoid")(logits, maps)
    else:
        expected = HausdorffLoss(activation="sigmoid")(logits, target, spacing_mm=SPACING[dims])
    torch.testing.assert_close(found, expected)


def test_a_single_region_is_the_object(dims, kind):
    labels, (logits,) = labels_of(SHAPES[dims]), outputs_of(1, SHAPES[dims])
    found = TERMS[kind](1, regions=True, spacing_mm=SPACING[dims])(logits, labels > 0)
    pair = torch.cat([-logits, logits], 1) / 2  # whose softmax is (1 - p, p)
    expected = TERMS[kind](2, spacing_mm=SPACING[dims])(pair, (labels > 0).short())
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("regions", [False, True])
def test_ignored_voxels_have_no_effect(dims, kind, regions):
    labels = labels_of(SHAPES[dims], ignored=True)
    target = regions_of(labels, ignored=True) if regions else labels
    (logits,) = outputs_of(2 if regions else 3, SHAPES[dims])
    term = TERMS[kind](logits.shape[1], regions=regions, ignore_label=3, spacing_mm=SPACING[dims])
    value = term(logits, target)
    (gradient,) = torch.autograd.grad(value, logits)
    ignored = (labels == 3).expand_as(gradient)
    assert not gradient[ignored].any() and gradient[~ignored].any()
    wild = torch.where(ignored, torch.nan, logits)
    torch.testing.assert_close(term(wild, target), value)


@pytest.mark.parametrize("regions", [False, True])
def test_under_deep_supervision_the_finest_output_counts_alone(dims, kind, regions):
    labels = labels_of(SHAPES[dims])
    target = regions_of(labels) if regions else labels
    outputs = outputs_of(2 if regions else 3, SHAPES[dims], levels=3)
    term = TERMS[kind](outputs[0].shape[1], regions=regions, spacing_mm=SPACING[dims])
    value = term(outputs, coarser(target, outputs))
    torch.testing.assert_close(value, term(outputs[0], target))
    value.backward()
    assert outputs[0].grad.any() and outputs[1].grad is None


def test_a_coarser_output_has_the_spacing_of_its_size(dims, kind):
    labels, outputs = labels_of(SHAPES[dims]), outputs_of(3, SHAPES[dims], levels=2)
    targets = coarser(labels, outputs)
    both = TERMS[kind](3, spacing_mm=SPACING[dims], level_weights=(1.0, 0.5))(outputs, targets)
    steps = [full / size for full, size in zip(SHAPES[dims], outputs[1].shape[2:])]
    doubled = [spacing * step for spacing, step in zip(SPACING[dims], steps)]
    fine = TERMS[kind](3, spacing_mm=SPACING[dims])(outputs[0], targets[0])
    coarse = TERMS[kind](3, spacing_mm=doubled)(outputs[1], targets[1])
    torch.testing.assert_close(both, fine + 0.5 * coarse)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dims, kind, dtype):
    labels, (logits,) = labels_of(SHAPES[dims]), outputs_of(3, SHAPES[dims], dtype=dtype)
    term = TERMS[kind](3, spacing_mm=SPACING[dims])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = term(logits, labels)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, term(logits.float(), labels))
    assert torch.autograd.grad(value, logits)[0].isfinite().all()


class Base(nn.Module):
    """Stands for nnU-Net's own loss: cross-entropy, weighted over the levels."""

    def forward(self, outputs, targets):
        if isinstance(outputs, torch.Tensor):
            return nn.functional.cross_entropy(outputs, targets[:, 0].long())
        return sum(0.5**i * self(*pair) for i, pair in enumerate(zip(outputs, targets)))


def test_the_sum_has_the_weights_that_were_set_last(dims):
    labels, outputs = labels_of(SHAPES[dims]), outputs_of(3, SHAPES[dims], levels=2)
    targets, term = coarser(labels, outputs), boundary_term(3, spacing_mm=SPACING[dims])
    loss = WithTerm(Base(), term)
    torch.testing.assert_close(loss(outputs, targets), Base()(outputs, targets))
    loss.weights = (0.25, 2.0)
    expected = 0.25 * Base()(outputs, targets) + 2 * term(outputs, targets)
    torch.testing.assert_close(loss(outputs, targets), expected)


def test_without_weight_the_term_is_not_computed_and_the_base_always():
    class Refusing(nn.Module):
        def forward(self, outputs, targets):
            raise AssertionError("computed")

    labels, outputs = labels_of(SHAPES["2d"]), outputs_of(3, SHAPES["2d"], levels=2)
    targets = coarser(labels, outputs)
    WithTerm(Base(), Refusing())(outputs, targets)
    WithTerm(Base(), boundary_term(3), (0.0, 1.0))(outputs, targets).backward()
    assert all(output.grad is not None for output in outputs)  # which DDP waits for


@pytest.mark.parametrize("levels", [0, 2])
def test_gradients_are_measured_once_beside_the_training(levels):
    labels, outputs = labels_of(SHAPES["2d"]), outputs_of(3, SHAPES["2d"], levels=levels or 1)
    targets = coarser(labels, outputs)
    given = (outputs, targets) if levels else (outputs[0], targets[0])
    term = boundary_term(3)
    loss = WithTerm(Base(), term, (1.0, 0.1))
    plain = torch.autograd.grad(loss(*given), outputs[0])[0]
    loss.measure_next = True
    with torch.no_grad():
        loss(*given)
    assert loss.measured is None and loss.measure_next  # a validation has no gradient
    measured = torch.autograd.grad(loss(*given), outputs[0])[0]
    torch.testing.assert_close(measured, plain)
    expected = [torch.autograd.grad(part(*given), outputs[0])[0].norm() for part in (Base(), term)]
    torch.testing.assert_close(loss.measured, torch.stack(expected))
    assert not loss.measure_next


def test_measured_gradients_do_not_vanish_in_float16():
    labels, (logits,) = labels_of(SHAPES["2d"]), outputs_of(3, SHAPES["2d"], dtype=torch.float16)
    term = boundary_term(3)
    small = WithTerm(Base(), lambda outputs, targets: 1e-6 * term(outputs, targets))
    exact = WithTerm(Base(), term).gradient_norms(logits.float(), labels)[1]
    torch.testing.assert_close(small.gradient_norms(logits, labels)[1], 1e-6 * exact, rtol=0.01, atol=0)
