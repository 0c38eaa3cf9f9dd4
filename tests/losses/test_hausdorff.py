"""What is particular to the Hausdorff losses; SciPy measures the distances here."""

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve, distance_transform_edt

from boundary_loss import HausdorffErosionLoss, HausdorffLoss, OneSidedHausdorffLoss, class2one_hot
from boundary_loss.losses.hausdorff import boundary_distance


def example(shape=(9, 8), K=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    probs = (2 * torch.randn(2, K, *shape, generator=generator, dtype=torch.float64)).softmax(1)
    return probs, torch.randint(0, K, (2, *shape), generator=generator)


def by_scipy(p, g, predicted, sides, alpha=2.0, spacing=None):
    weights = np.zeros(p.shape)
    for masks in (g, predicted):
        for b, k in np.ndindex(p.shape[:2]):
            mask = masks[b, k].astype(bool)
            assert mask.any()
            assert not mask.all()
            distance = distance_transform_edt(mask, spacing)
            if sides == "both":
                distance = distance + distance_transform_edt(~mask, spacing)
            weights[b, k] += distance**alpha
    return ((p - g) ** 2 * weights).mean()


@pytest.mark.parametrize(("shape", "spacing"), [((9, 8), None), ((9, 8), (0.7, 2.5)), ((5, 6, 4), (3.0, 1.0, 0.9))])
@pytest.mark.parametrize("sides", ["inside", "both"])
@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_against_scipy(shape, spacing, sides, alpha):
    probs, labels = example(shape, K=3)
    g = class2one_hot(labels, 3).numpy()
    predicted = class2one_hot(probs.argmax(1), 3).numpy()
    ours = HausdorffLoss(sides=sides, alpha=alpha, spacing_mm=spacing)(probs, labels)
    assert ours.item() == pytest.approx(by_scipy(probs.numpy(), g, predicted, sides, alpha, spacing), rel=1e-5)


def test_a_lone_voxel_far_away_weighs_by_its_distance_on_both_sides_only():
    labels = torch.zeros(1, 40, 40, dtype=torch.long)
    labels[0, 2:5, 2:5] = 1
    near, far = labels.clone(), labels.clone()
    near[0, 7, 3] = far[0, 36, 3] = 1
    cost = {
        (sides, place): HausdorffLoss(classes=[1], sides=sides)(class2one_hot(mask, 2).float(), labels).item()
        for sides in ("inside", "both")
        for place, mask in (("near", near), ("far", far))
    }
    assert cost["inside", "far"] == pytest.approx(cost["inside", "near"])
    assert cost["both", "far"] > 50 * cost["both", "near"]


def test_far_makes_false_positives_cost_where_there_is_nothing():
    probs, empty = torch.full((1, 2, 6, 8), 0.5), torch.zeros(1, 6, 8, dtype=torch.long)
    assert HausdorffLoss(classes=[1])(probs, empty).item() == 0
    both = HausdorffLoss(classes=[1], absent="far")(probs, empty).item()
    assert both == pytest.approx(0.25 * 2 * (6**2 + 8**2))  # neither mask has a boundary: twice the diagonal, squared


def test_no_gradient_through_the_distances():
    probs, labels = example()
    probs.requires_grad_()
    g = class2one_hot(labels, 2).double()
    (gradient,) = torch.autograd.grad(HausdorffLoss()(probs, labels), probs)
    weight = gradient * probs.numel() / (2 * (probs - g))
    assert ((weight >= -1e-9) & ((weight - weight.round()).abs() < 1e-4)).all()  # sums of squared whole distances


@pytest.mark.parametrize("sides", ["inside", "both"])
def test_each_item_is_measured_with_its_own_spacing(sides):
    probs, labels = example(K=3)
    g, predicted = class2one_hot(labels, 3), class2one_hot(probs.argmax(1), 3)
    spacing = torch.tensor([[0.7, 2.5], [3.0, 0.4]])
    loss = HausdorffLoss(sides=sides, reduction="none")
    values = loss(probs, labels, spacing_mm=spacing)
    for b in range(2):
        item = slice(b, b + 1)
        parts = (each[item].numpy() for each in (probs, g, predicted))
        assert values[b].item() == pytest.approx(by_scipy(*parts, sides, spacing=spacing[b].tolist()), rel=1e-5)
    kept = loss.measure_target(g, spacing)
    torch.testing.assert_close(loss(probs, labels, kept, spacing_mm=spacing), values, rtol=0, atol=0)
    given = HausdorffLoss(sides=sides, reduction="none", spacing_mm=(9.0, 9.0))  # a call's own spacing comes first
    torch.testing.assert_close(given(probs, labels, spacing_mm=spacing), values, rtol=0, atol=0)


def test_voxels_are_counted_on_request():
    """As the original, whose Hausdorff loss knew no spacing."""
    probs, labels = example()
    spacing = torch.full((2, 2), 0.5)
    counted = HausdorffLoss(unit="voxel")(probs, labels, spacing_mm=spacing)
    torch.testing.assert_close(counted, HausdorffLoss()(probs, labels), rtol=0, atol=0)
    torch.testing.assert_close(HausdorffLoss()(probs, labels, spacing_mm=spacing), 0.25 * counted)
    with pytest.raises(ValueError, match="leave spacing_mm out"):
        HausdorffLoss(unit="voxel", spacing_mm=(1.0, 1.0))


def test_far_is_the_diagonal_of_each_item():
    probs, empty = torch.full((2, 2, 6, 8), 0.5), torch.zeros(2, 6, 8, dtype=torch.long)
    loss = HausdorffLoss(classes=[1], absent="far", reduction="none")
    values = loss(probs, empty, spacing_mm=torch.tensor([[1.0, 1.0], [2.0, 0.5]]))
    assert values.tolist() == pytest.approx([0.5 * (6**2 + 8**2), 0.5 * (12**2 + 4**2)])


@pytest.mark.parametrize("settings", [{"alpha": 0}, {"sides": "left"}, {"absent": "?"}, {"unit": "cm"}])
def test_refusals(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        HausdorffLoss(**settings)


class TestErosion:
    def test_crisp_errors_follow_the_paper(self):
        """Convolve with the cross / 5, subtract 0.5, cut at 0, stretch to [0, 1]; as long as a core is left."""
        labels = torch.zeros(1, 16, 14, dtype=torch.long)
        labels[0, 3:12, 3:10] = 1
        prediction = torch.zeros_like(labels)
        error = labels[0].double().numpy()
        cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]]) / 5
        expected = 0.0
        for n in range(1, 4):
            error = np.maximum(convolve(error, cross, mode="constant") - 0.5, 0)
            error = error / error.max() if error.any() else error
            expected += n**2 * error.mean()
        loss = HausdorffErosionLoss(classes=[1], erosions=3)
        value = loss(class2one_hot(prediction, 2).double(), labels)
        assert value.item() == pytest.approx(expected)

    def test_thick_errors_cost_more_than_thin_ones_of_equal_size(self):
        labels = torch.zeros(1, 20, 20, dtype=torch.long)
        square, line = labels.clone(), labels.clone()
        square[0, 5:9, 5:9] = 1
        line[0, 10, 2:18] = 1
        loss = HausdorffErosionLoss(classes=[1])
        thick, thin = (loss(class2one_hot(mask, 2).float(), labels).item() for mask in (square, line))
        assert thick > 0
        assert thick > 3 * thin

    def test_soft_errors_scale(self):
        labels = torch.zeros(1, 9, 9, dtype=torch.long)
        values = []
        for p in (0.2, 0.4):
            probs = torch.zeros(1, 2, 9, 9)
            probs[:, 1, 2:7, 2:7] = p
            probs[:, 0] = 1 - probs[:, 1]
            values.append(HausdorffErosionLoss(classes=[1])(probs, labels).item())
        assert values[1] == pytest.approx(4 * values[0], rel=1e-5)

    def test_refusals(self):
        for wrong in ({"alpha": 0.0}, {"erosions": 0}):
            with pytest.raises(ValueError, match="erosions"):
                HausdorffErosionLoss(**wrong)


@pytest.mark.parametrize("options", [{}, {"sides": "both"}, {"absent": "far"}, {"alpha": 1.0, "idc": [1, 2]}])
def test_distances_of_the_target_may_be_kept(options):
    torch.manual_seed(0)
    probs = torch.rand(2, 3, 9, 7).softmax(dim=1)
    labels = torch.randint(0, 3, (2, 9, 7))
    labels[1][labels[1] == 2] = 0
    loss = HausdorffLoss(**options)
    kept = loss.measure_target(class2one_hot(labels, 3))
    assert kept.shape == probs.shape
    assert torch.equal(loss(probs, labels, kept), loss(probs, labels))


@pytest.mark.parametrize("sides", ["inside", "both"])
def test_ignored_voxels_are_neither_object_nor_rest(sides):
    """As deep as if the object went on, as far as if the rest did."""
    mask = torch.zeros(1, 1, 7, 12, dtype=torch.bool)
    mask[..., :5] = True
    known = torch.ones_like(mask)
    known[..., 2] = known[..., 9] = False
    found = boundary_distance(mask & known, sides, known=known)
    torch.testing.assert_close(found, boundary_distance(mask, sides) * known)
    far = boundary_distance(known & True, sides, absent="far", known=known)
    assert (far[known] == (7**2 + 12**2) ** 0.5).all() and not far[~known].any()


@pytest.mark.parametrize("sides", ["inside", "both"])
def test_overlapping_classes_do_not_compete(sides):
    """Whole tumour and core, both above ½ where the core is: the core's mask is no hole of the tumour's."""
    logits = torch.full((1, 2, 12, 12), -3.0)
    logits[:, 0, 2:10, 2:10] = 1.0
    logits[:, 1, 4:8, 4:8] = 2.0
    target = (logits > 0).float().roll(1, 3)
    loss = HausdorffLoss(activation="sigmoid", sides=sides, reduction="classes")
    g, predicted = target.bool().numpy(), (logits > 0).numpy()
    for k in range(2):
        parts = (each[:, k : k + 1] for each in (logits.sigmoid().numpy(), g, predicted))
        assert loss(logits, target)[0, k].item() == pytest.approx(by_scipy(*parts, sides), rel=1e-5)


@pytest.mark.parametrize(("shape", "spacing"), [((6, 9), (1.5, 0.7)), ((4, 6, 5), (2.5, 1.0, 0.8))])
def test_one_sided_is_the_part_of_the_target(shape, spacing):
    draw = torch.Generator().manual_seed(0)
    probs = torch.rand(2, 3, *shape, generator=draw, dtype=torch.float64).softmax(1)
    labels = torch.randint(0, 3, (2, *shape), generator=draw)
    g = class2one_hot(labels, 3).numpy()
    distance = np.stack(
        [
            [
                distance_transform_edt(m, sampling=spacing) + distance_transform_edt(1 - m, sampling=spacing)
                for m in item
            ]
            for item in g
        ]
    )
    expected = ((probs.numpy() - g) ** 2 * distance**1.5).mean()
    loss = OneSidedHausdorffLoss(alpha=1.5)
    assert loss(probs, labels, spacing_mm=spacing).item() == pytest.approx(expected, rel=1e-6)
    maps = loss.measure_target(torch.from_numpy(g), spacing)
    torch.testing.assert_close(loss(probs, labels, maps), loss(probs, labels, spacing_mm=spacing))
    two = loss(probs, labels, spacing_mm=[2 * s for s in spacing])
    torch.testing.assert_close(two, 2**1.5 * loss(probs, labels, spacing_mm=spacing))


def test_one_sided_of_an_absent_class():
    probs, labels = torch.full((1, 2, 3, 4), 0.5), torch.zeros(1, 3, 4, dtype=torch.long)
    assert OneSidedHausdorffLoss(classes=[1])(probs, labels).item() == 0
    assert OneSidedHausdorffLoss(classes=[1], absent="far")(probs, labels).item() == pytest.approx(25 / 4)
    with pytest.raises(ValueError, match="alpha=0"):
        OneSidedHausdorffLoss(alpha=0)
