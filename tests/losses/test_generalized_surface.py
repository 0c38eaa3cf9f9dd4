"""The generalized surface loss: the authors' numbers, its two ends, and which weights it takes."""

import pytest
import torch
from blocks import blocks

from boundary_loss import FromLabels, GeneralizedSurfaceLoss, class2one_hot
from boundary_loss.losses import build

SPACING = (2.5, 1.0, 0.8)


@pytest.mark.parametrize(
    ("weights", "theirs"), [(None, 0.5531298112994858), ([0.1, 0.3, 0.6], 0.6370361409464436)], ids=["item", "fixed"]
)
def test_the_numbers_of_the_authors_code(weights, theirs):
    """GenSurfLoss of github.com/aecelaya/gen-surf-loss with alpha = 0 and these maps; it adds 1e-6 below the line."""
    logits, labels = blocks((2, 3, 2))
    loss = GeneralizedSurfaceLoss(weights=weights, activation="softmax", spacing_mm=SPACING)
    assert loss(logits, labels).item() == pytest.approx(theirs, abs=5e-6)
    assert FromLabels(loss)(logits, labels).item() == loss(logits, labels).item()


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 2)])
@pytest.mark.parametrize("convention", ["interface", "symmetric", "paper"])
def test_the_truth_and_its_opposite(shape, convention):
    _, labels = blocks(shape, K=2)
    truth = class2one_hot(labels, 2).double()
    loss = GeneralizedSurfaceLoss(convention=convention, classes=[1])
    assert loss(truth, labels).item() == pytest.approx(0, abs=1e-12)
    assert loss(1 - truth, labels).item() == pytest.approx(1)
    assert loss(torch.full_like(truth, 0.5), labels).item() == pytest.approx(0.75)


def test_the_unit_does_not_matter_but_the_shape_of_a_voxel_does():
    logits, labels = blocks((2, 3, 2))
    loss = GeneralizedSurfaceLoss(activation="softmax")
    one, two, other = (loss(logits, labels, spacing_mm=s) for s in (SPACING, [3 * s for s in SPACING], (1, 1, 1)))
    torch.testing.assert_close(one, two)
    assert one.item() != pytest.approx(other.item(), rel=1e-3)
    in_voxels = GeneralizedSurfaceLoss(activation="softmax", unit="voxel")
    torch.testing.assert_close(in_voxels(logits, labels, spacing_mm=SPACING), other)


def test_an_absent_class_is_left_out_or_far():
    logits, labels = blocks((4, 3))
    labels[labels == 2] = 0
    loss = GeneralizedSurfaceLoss(activation="sigmoid")
    without = GeneralizedSurfaceLoss(activation="sigmoid", classes=[0, 1])
    torch.testing.assert_close(loss(logits, class2one_hot(labels, 3)), without(logits, class2one_hot(labels, 3)))
    far = GeneralizedSurfaceLoss(activation="sigmoid", absent="far")(logits, class2one_hot(labels, 3))
    alone = 1 - (1 - logits[:, 2].sigmoid()).square().flatten(1).mean(1)
    torch.testing.assert_close(far, alone.mean(), rtol=0.02, atol=0)  # its weight is 1, the others' 1 / (N² + 1)
    nothing = GeneralizedSurfaceLoss(classes=[2], activation="softmax")(logits, labels)
    assert nothing.item() == 0


def test_maps_that_a_data_set_keeps_give_the_same():
    logits, labels = blocks((4, 3))
    loss = GeneralizedSurfaceLoss(activation="softmax", classes=[2, 1])
    maps = loss.measure_target(class2one_hot(labels, 3), (0.5, 2.0))
    assert not maps[:, 0].any()
    torch.testing.assert_close(loss(logits, labels, maps), loss(logits, labels, spacing_mm=(0.5, 2.0)))


@pytest.mark.parametrize("weights", [[], [-1.0, 2.0], [0.0, 0.0]])
def test_weights_that_are_none(weights):
    with pytest.raises(ValueError, match="weights="):
        GeneralizedSurfaceLoss(weights=weights)


def test_refusals():
    logits, labels = blocks((4, 3))
    with pytest.raises(ValueError, match="2 weights, but 3 classes"):
        GeneralizedSurfaceLoss(weights=[1, 2], activation="softmax")(logits, labels)
    with pytest.raises(ValueError, match="convention='outer' is unknown"):
        build("generalized_surface", convention="outer")
