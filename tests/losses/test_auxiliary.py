"""Losses of an auxiliary output: of the labels, pooled to its size."""

import numpy as np
import pytest
import torch

from boundary_loss import class2one_hot
from boundary_loss.losses import build
from boundary_loss.losses.auxiliary import AuxiliaryLoss, highest_class

NAMES = ("ce", "dice", "focal", "gdl", "tversky")


def labels_of(shape, K=3, seed=0):
    """Few of the higher classes, so that cells differ."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.choice(K, shape, p=[0.9] + [0.1 / (K - 1)] * (K - 1)))


@pytest.mark.parametrize(
    ("shape", "size"), [((12, 9), (4, 3)), ((8, 6, 4), (4, 3, 1)), ((7, 5), (3, 2)), ((20,), (5,))]
)
@pytest.mark.parametrize("K", [2, 3])
def test_a_cell_is_of_the_highest_class_in_it(shape, size, K):
    labels = labels_of((2, *shape), K)
    found = highest_class(class2one_hot(labels, K), size)
    assert (found.sum(dim=1) == 1).all()
    for cell in np.ndindex(*size):
        own = tuple(slice(i * n // m, -(-(i + 1) * n // m)) for i, n, m in zip(cell, shape, size))
        expected = labels[(slice(None), *own)].flatten(1).amax(dim=1)
        assert torch.equal(found[(slice(None), slice(None), *cell)].argmax(dim=1), expected)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_loss_of_the_pooled_labels(name):
    labels, output = labels_of((2, 12, 9)), torch.randn(2, 3, 4, 3, requires_grad=True)
    one_hot = class2one_hot(labels, 3)
    found = build(f"aux_{name}", classes=[1, 2])(output, one_hot)
    pooled = labels.float().view(2, 4, 3, 3, 3).amax(dim=(2, 4)).long()
    torch.testing.assert_close(found, build(name, classes=[1, 2])(output.softmax(1), pooled))
    found.backward()
    assert output.grad is not None and output.grad.any()
    of_full_size = torch.randn(2, 3, 12, 9)
    expected = build(name)(of_full_size.softmax(1), labels)
    torch.testing.assert_close(build(f"aux_{name}")(of_full_size, one_hot), expected)


@pytest.mark.parametrize("name", NAMES)
def test_ignored_voxels_count_in_no_cell(name):
    """Cells without a voxel that counts are as if they were not there."""
    labels, output = labels_of((2, 12, 9)), torch.randn(2, 3, 4, 3)
    mask = torch.ones(2, 1, 12, 9, dtype=torch.bool)
    mask[..., :3] = False
    found = build(f"aux_{name}")(output, class2one_hot(labels, 3) * mask, mask=mask)
    torch.testing.assert_close(found, build(f"aux_{name}")(output[..., 1:], class2one_hot(labels[..., 3:], 3)))


def test_what_an_auxiliary_output_cannot_have_is_refused():
    for name in ("aux_boundary", "aux_hausdorff", "aux_sdf", "aux_", "aux_aux_ce"):
        with pytest.raises(ValueError, match=f"unknown loss '{name}'; known: aux_ce, aux_dice"):
            build(name)
    loss = build("aux_ce")
    assert isinstance(loss, AuxiliaryLoss) and loss.reads == "aux" and not loss.over_items
    for shape in ((2, 3, 13, 9), (2, 2, 4, 3), (2, 3, 4)):
        with pytest.raises(ValueError, match=r"the output 'aux' of shape .* does not fit a target"):
            loss(torch.zeros(shape), class2one_hot(labels_of((2, 12, 9)), 3))
