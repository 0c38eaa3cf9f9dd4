"""The surface Dice loss: the metric on crisp masks, the definition by brute force, millimetres, and its slopes."""

import itertools

import numpy as np
import pytest
import torch
from blocks import blocks

from boundary_loss import FromLabels, SurfaceDiceLoss, class2one_hot, signed_distance, surface_distances


def ellipsoid(shape, spacing, centre, radii):
    axes = np.meshgrid(*[np.arange(n) * s for n, s in zip(shape, spacing, strict=True)], indexing="ij")
    return sum(((x - c) / r) ** 2 for x, c, r in zip(axes, centre, radii, strict=True)) <= 1


def crisp(mask):
    return class2one_hot(torch.from_numpy(mask.astype(np.int64))[None], 2, dtype=torch.float64)


@pytest.mark.parametrize(
    ("shape", "spacing"), [((30, 50), (1.5, 0.8)), ((24, 24, 24), (1.0, 1.0, 1.0)), ((14, 30, 40), (2.5, 1.0, 0.7))]
)
@pytest.mark.parametrize("shift", [0, 1, 3])
def test_near_the_metric_on_ellipsoids(shape, spacing, shift):
    size = np.array(shape) * spacing
    truth = ellipsoid(shape, spacing, size / 2, 0.3 * size)
    found = ellipsoid(shape, spacing, size / 2 + shift, 0.27 * size)
    for tolerance in (2.0, 3.0, 5.0):
        loss = SurfaceDiceLoss(tolerance_mm=tolerance, classes=[1], spacing_mm=spacing, smooth=1e-6)
        value = loss(crisp(found), torch.from_numpy(truth.astype(np.int64))[None]).item()
        metric = surface_distances(found, truth, spacing).surface_dice(tolerance_mm=tolerance)
        assert 1 - value == pytest.approx(metric, abs=0.07)
        assert value >= -1e-9


@pytest.mark.parametrize(("shape", "spacing"), [((3, 2), (1.5, 0.7)), ((2, 2, 2), (2.0, 1.0, 0.8))])
@pytest.mark.parametrize("tolerance", [0.0, 1.0, 2.2])
def test_the_definition_face_by_face(shape, spacing, tolerance):
    logits, labels = blocks(shape, K=2, B=1, side=2)
    probs = logits.softmax(1)
    p, g = probs[0, 1].numpy(), labels[0].numpy()
    phi = signed_distance(labels, spacing, num_classes=2, convention="interface", dtype=np.float64)[0, 1].numpy()
    voxels = list(np.ndindex(p.shape))

    def best(i):
        near = [x for x in voxels if g[x] == g[i] and np.linalg.norm((np.subtract(x, i)) * spacing) <= tolerance + 1e-6]
        return max(p[x] if g[x] else 1 - p[x] for x in near)

    near = found = predicted = true = 0.0
    for i, axis in itertools.product(voxels, range(p.ndim)):
        j = tuple(n + (d == axis) for d, n in enumerate(i))
        if j[axis] == p.shape[axis]:
            continue
        area, change = np.prod(spacing) / spacing[axis], abs(p[i] - p[j])
        predicted += area * change
        near += area * change * (abs(phi[i] + phi[j]) / 2 <= tolerance + 1e-6)
        if g[i] != g[j]:
            true += area
            found += area * (best(i) + best(j) - 1)
    smooth = np.prod(spacing) / max(spacing)
    expected = 1 - (near + found + smooth) / (predicted + true + smooth)
    loss = SurfaceDiceLoss(tolerance_mm=tolerance, classes=[1], spacing_mm=spacing)
    assert loss(probs, labels).item() == pytest.approx(expected, rel=1e-6)


def test_scaling_everything_changes_nothing():
    logits, labels = blocks((3, 2, 2))
    spacing = np.array((2.5, 1.0, 0.8))
    one = SurfaceDiceLoss(activation="softmax", tolerance_mm=1.5)(logits, labels, spacing_mm=spacing)
    ten = SurfaceDiceLoss(activation="softmax", tolerance_mm=15)(logits, labels, spacing_mm=10 * spacing)
    torch.testing.assert_close(one, ten)


def test_each_item_has_its_own_spacing():
    logits, labels = blocks((3, 4))
    rows = [(1.0, 0.5), (2.0, 0.7)]
    loss = SurfaceDiceLoss(activation="softmax", tolerance_mm=1.5, reduction="none")
    both = FromLabels(loss)(logits, labels, spacing_mm=rows)
    each = [loss(logits[b : b + 1], labels[b : b + 1], spacing_mm=rows[b]) for b in range(2)]
    torch.testing.assert_close(both, torch.cat(each))


def test_translation_in_a_frame_of_background():
    logits, labels = blocks((3, 3), K=2)
    labels[:, :3], labels[:, -3:], labels[:, :, :3], labels[:, :, -3:] = 0, 0, 0, 0
    logits = torch.where(labels.unsqueeze(1) > 0, logits, logits.new_tensor([3.0, -3.0]).view(1, 2, 1, 1))
    loss = SurfaceDiceLoss(activation="softmax", tolerance_mm=1.0)
    moved = loss(logits.roll((2, -1), (2, 3)), labels.roll((2, -1), (1, 2)))
    torch.testing.assert_close(moved, loss(logits, labels))


def test_the_truth_is_the_least_and_its_opposite_is_no_match():
    _, labels = blocks((4, 3), K=2)
    truth = class2one_hot(labels, 2).double()
    loss = SurfaceDiceLoss(tolerance_mm=2.0)
    assert loss(truth, labels).item() == pytest.approx(0, abs=1e-12)
    assert loss(1 - truth, labels).item() > 0.4
    for seed in range(5):
        draw = torch.Generator().manual_seed(seed)
        other = torch.rand(truth.shape, generator=draw, dtype=torch.float64).softmax(1)
        assert loss(other, labels).item() > 0


def test_false_surface_costs_where_the_class_is_absent():
    labels = torch.zeros(1, 6, 6, dtype=torch.long)
    probs = torch.full((1, 2, 6, 6), 0.5, dtype=torch.float64)
    loss = SurfaceDiceLoss(classes=[1])
    assert loss(probs, labels).item() == 0  # no surface
    probs[0, :, 2:4, 2:4] = torch.tensor([0.1, 0.9], dtype=torch.float64).view(2, 1, 1)
    probs.requires_grad_()
    value = loss(probs, labels)
    (gradient,) = torch.autograd.grad(value, probs)
    assert value.item() == pytest.approx(1 - 1 / (8 * 0.4 + 1))
    assert gradient[0, 1, 2, 2] > 0


def test_where_nothing_is_found_the_true_surface_draws():
    labels = torch.zeros(1, 8, 8, dtype=torch.long)
    labels[:, 2:6, 2:6] = 1
    probs = torch.stack([torch.full((1, 8, 8), 0.9), torch.full((1, 8, 8), 0.1)], 1).double().requires_grad_()
    (gradient,) = torch.autograd.grad(SurfaceDiceLoss(classes=[1], tolerance_mm=0.5)(probs, labels), probs)
    edge = labels.bool() & (signed_distance(labels, num_classes=2, convention="interface")[:, 1] > -1)
    assert (gradient[:, 1][edge] < 0).all()


@pytest.mark.parametrize("options", [{"tolerance_mm": -1.0}, {"smooth": 0.0}])
def test_refusals(options):
    with pytest.raises(ValueError, match="tolerance_mm"):
        SurfaceDiceLoss(**options)
