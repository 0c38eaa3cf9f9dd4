"""The differentiable approximation: bounded error, never too short, gradients that are right."""

import numpy as np
import pytest
import torch

from boundary_loss.distance import approximate_distance, euclidean_distance


@pytest.mark.parametrize(
    "shape, spacing, kernel_size, bound",
    [
        ((33, 41), [1, 1], 3, 0.09),
        ((33, 41), [1, 1], 5, 0.03),
        ((21, 30), [2, 1], 5, 0.09),
        ((13, 14, 15), [1, 1, 1], 3, 0.14),
        ((13, 14, 15), [1, 1, 1], 5, 0.06),
    ],
)
def test_error_is_bounded(shape, spacing, kernel_size, bound):
    masks = torch.zeros(2, *shape)
    masks[0][tuple(n // 2 for n in shape)] = 1
    masks[1][tuple(slice(n // 4, n // 2) for n in shape)] = 1
    exact = euclidean_distance(masks, spacing, spatial_dims=len(shape))
    found = approximate_distance(masks, spacing, spatial_dims=len(shape), kernel_size=kernel_size)
    excess = found[exact > 0] / exact[exact > 0] - 1
    assert excess.min() > -1e-5 and excess.max() < bound
    assert (found[exact == 0] == 0).all()


def test_flat_edge_is_one():
    mask = torch.zeros(9, 9)
    mask[:, :4] = 1
    np.testing.assert_allclose(approximate_distance(mask)[4, 4:7], [1, 2, 3], rtol=0.01)


def test_empty_mask_is_the_diagonal():
    np.testing.assert_allclose(approximate_distance(torch.zeros(3, 4), [1.0, 1.0]), 5)


@pytest.mark.parametrize("shape, spacing", [((5, 6), [1.0, 1.5]), ((3, 4, 3), [1.0, 1.0, 2.0])])
def test_gradients(shape, spacing):
    logits = torch.randn(1, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 4
    logits.requires_grad_()
    options = {"spatial_dims": len(shape), "kernel_size": 3, "h": 0.3}
    assert torch.autograd.gradcheck(lambda x: approximate_distance(torch.sigmoid(x), spacing, **options), logits)


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (2, 3, 0)])
def test_where_there_are_no_voxels_there_are_no_distances(shape):
    assert approximate_distance(torch.zeros(shape), spatial_dims=2).shape == shape


def test_bad_input():
    mask = torch.zeros(4, 4)
    for options, complaint in (
        ({"kernel_size": 4}, "odd"),
        ({"h": 0}, "positive"),
        ({"spacing_mm": [[1.0, 1.0]]}, "one spacing"),
        ({"spacing_mm": [1.0]}, "has 1 number, .*spatial_dims=1"),
    ):
        with pytest.raises(ValueError, match=complaint):
            approximate_distance(mask, **options)
    with pytest.raises(ValueError, match="floating"):
        approximate_distance(mask.int())
