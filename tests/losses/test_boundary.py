"""What is particular to the boundary loss."""

import pytest
import torch

from boundary_loss import BoundaryLoss, SurfaceLoss, class2one_hot, signed_distance
from boundary_loss.losses import build


def disc(shape=(12, 10)):
    x, y = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in shape), indexing="ij")
    labels = (((x - 5) ** 2 + (y - 4) ** 2) < 9).long()[None]
    return labels, signed_distance(labels, num_classes=2)


def test_the_originals_name():
    assert SurfaceLoss is BoundaryLoss


def test_by_hand():
    _, maps = disc()
    probs = torch.rand(1, 2, 12, 10, generator=torch.Generator().manual_seed(0))
    expected = (probs[:, 1] * maps[:, 1]).mean()
    torch.testing.assert_close(BoundaryLoss(idc=[1])(probs, maps), expected)


@pytest.mark.parametrize("convention", ["paper", "symmetric", "interface"])
@pytest.mark.parametrize("classes", [None, [1]])
def test_shifted_value_is_zero_for_the_truth_and_more_elsewhere(convention, classes):
    labels, _ = disc()
    maps = signed_distance(labels, num_classes=2, convention=convention)
    loss = BoundaryLoss(classes=classes, shift="optimum")
    assert loss(class2one_hot(labels, 2).float(), maps).item() == pytest.approx(0, abs=1e-6)
    assert loss(class2one_hot(labels.roll(2, 1), 2).float(), maps).item() > 0.1


def test_only_where_all_maps_are_0_may_a_probability_be_no_number():
    _, maps = disc()
    probs = torch.full((1, 2, 12, 10), 0.5, requires_grad=True)
    maps[:, :, 0] = 0
    (expected,) = torch.autograd.grad(BoundaryLoss()(probs, maps), probs)
    loss = BoundaryLoss()
    loss(probs, maps)  # the first call looks at the range, which a NaN would fail
    spoilt = probs.detach().clone()
    spoilt[:, :, 0] = torch.tensor([torch.nan, torch.inf]).repeat(5)
    spoilt.requires_grad_()
    torch.testing.assert_close(loss(spoilt, maps), loss(probs, maps))
    torch.testing.assert_close(torch.autograd.grad(loss(spoilt, maps), spoilt)[0], expected)
    spoilt.detach()[0, 1, 5, 5] = torch.nan
    assert loss(spoilt, maps).isnan()


def test_shift_leaves_the_gradient():
    _, maps = disc()
    probs = torch.full((1, 2, 12, 10), 0.5, requires_grad=True)
    gradients = [torch.autograd.grad(BoundaryLoss(shift=s)(probs, maps), probs)[0] for s in ("none", "optimum")]
    torch.testing.assert_close(*gradients, rtol=0, atol=0)


def test_pushes_towards_the_object():
    labels, maps = disc()
    probs = torch.full((1, 2, 12, 10), 0.5, requires_grad=True)
    (gradient,) = torch.autograd.grad(BoundaryLoss(classes=[1])(probs, maps), probs)
    assert (gradient[:, 1][labels == 0] > 0).all()
    assert (gradient[:, 1][labels == 1] <= 0).all()


def test_blind_or_not_without_a_lesion():
    empty = torch.zeros(1, 6, 5, dtype=torch.long)
    probs = torch.full((1, 2, 6, 5), 0.5)
    for absent, sees in (("zero", False), ("far", True)):
        loss = BoundaryLoss(classes=[1])
        maps = signed_distance(empty, num_classes=2, absent=absent)
        assert (loss(probs, maps).item() > 0) is sees


def test_one_channel():
    _, maps = disc()
    logit = torch.randn(1, 1, 12, 10, generator=torch.Generator().manual_seed(0))
    expected = (logit.sigmoid() * maps[:, 1:]).mean()
    torch.testing.assert_close(BoundaryLoss(activation="sigmoid")(logit, maps[:, 1:]), expected)


def test_a_ledger_chooses_the_map():
    loss = build("boundary", convention="interface", absent="far", normalise="sides", map="step")
    assert loss.distance_options == {"convention": "interface", "absent": "far", "normalise": "sides"}
    assert build("boundary").distance_options["normalise"] is None
    assert loss.map == "step"
    with pytest.raises(ValueError, match="loss 'boundary': map='4d' is unknown; known: 'own', '2d', '3d', 'step'"):
        build("boundary", map="4d")


def test_masks_are_no_maps():
    labels, _ = disc()
    probs = torch.full((1, 2, 12, 10), 0.5)
    one_hot = class2one_hot(labels, 2)
    for mask in (one_hot, one_hot.bool(), one_hot.float(), probs):
        with pytest.raises(ValueError, match="signed distances"):
            BoundaryLoss()(probs, mask)
    with pytest.raises(ValueError, match="signed_distance"):
        BoundaryLoss()(probs, labels)


def test_whole_number_maps_are_accepted():
    labels, _ = disc()
    maps = signed_distance(labels, num_classes=2, convention="paper-int")
    probs = torch.full((1, 2, 12, 10), 0.5)
    torch.testing.assert_close(BoundaryLoss()(probs, maps.to(torch.int32)), BoundaryLoss()(probs, maps))


def test_one_channel_of_two_classes():
    _, maps = disc()
    p = torch.rand(1, 1, 12, 10, generator=torch.Generator().manual_seed(0))
    pair = torch.cat([1 - p, p], dim=1)
    for classes in (None, [0], [1], [0, 1]):
        loss = BoundaryLoss(classes=classes)
        torch.testing.assert_close(loss(p, maps), loss(pair, maps))
    for classes in (None, [0], [1]):  # a map of the object alone: its channel, or its class
        torch.testing.assert_close(BoundaryLoss(classes=classes)(p, maps[:, 1:]), (p * maps[:, 1:]).mean())


def test_a_list_of_maps():
    """As the original's README has it."""
    _, maps = disc()
    probs = torch.rand(2, 2, 12, 10, generator=torch.Generator().manual_seed(0)).softmax(1)
    both = maps.repeat(2, 1, 1, 1)
    loss = BoundaryLoss(idc=[1])
    torch.testing.assert_close(loss(probs, list(both)), loss(probs, both))
    torch.testing.assert_close(loss(probs, [both]), loss(probs, both))
    for wrong in ([], [maps.numpy()], [maps[0], maps[0, :, :5]]):
        with pytest.raises(ValueError, match="a list of distance maps"):
            loss(probs, wrong)


def of_regions() -> tuple[torch.Tensor, torch.Tensor]:
    """Overlapping regions whose edges coincide on one side, at 1 mm, where the paper's map is 0 at an inner edge."""
    whole, core = torch.zeros(1, 12, 9), torch.zeros(1, 12, 9)
    whole[:, 3:9, 2:7] = core[:, 3:6, 2:7] = 1
    regions = torch.stack([whole, core], dim=1)
    return regions, signed_distance(regions, (1.0, 1.0))


def test_voxels_without_a_distance_to_any_class_are_left_out():
    labels = torch.zeros(1, 12, 9, dtype=torch.int64)
    labels[:, 3:9, 2:7] = 1
    labels[:, :, 7:] = 255
    probs = torch.rand(1, 2, 12, 9).softmax(dim=1)
    maps = signed_distance(labels, (1.0, 1.0), num_classes=2)
    assert torch.isclose(BoundaryLoss()(probs, maps), BoundaryLoss()(probs, maps, mask=labels != 255))
    assert not torch.isclose(BoundaryLoss()(probs, maps), (probs * maps).mean())


@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_edges_that_are_0_in_every_map_count_where_classes_overlap(activation):
    regions, maps = of_regions()
    assert (maps == 0).all(dim=1).any()
    p = torch.rand(regions.shape)
    loss = BoundaryLoss(activation=activation)(p if activation is None else p.logit(), maps)
    assert torch.isclose(loss, (p * maps).mean(), atol=1e-6)


def test_edges_that_are_0_count_where_one_class_has_a_map():
    regions, maps = of_regions()
    maps = torch.stack([torch.zeros_like(maps[:, 0]), maps[:, 0]], dim=1)
    probs = torch.rand(regions.shape)
    assert torch.isclose(BoundaryLoss(idc=[1])(probs, maps), (probs * maps)[:, 1].mean())


def test_edges_that_are_0_in_maps_of_whole_numbers_count_where_a_mask_says_so():
    labels, _ = disc()
    maps = signed_distance(labels, (0.5, 0.5), num_classes=2, convention="paper-int")
    assert (maps == 0).all(dim=1).any()
    probs = torch.rand(1, 2, 12, 10).softmax(dim=1)
    everywhere = torch.ones_like(labels, dtype=torch.bool)
    assert torch.isclose(BoundaryLoss()(probs, maps, mask=everywhere), (probs * maps).mean())
    assert torch.isclose(BoundaryLoss()(probs, maps.int()), (probs * maps).mean())
