"""The region-wise loss: the map by SciPy, the authors' numbers, empty and full masks."""

import numpy as np
import pytest
import torch
from blocks import blocks
from scipy.ndimage import distance_transform_edt

from boundary_loss import RegionWiseLoss, class2one_hot


@pytest.mark.parametrize(("shape", "theirs"), [((4, 5), 0.17888715343881723), ((2, 3, 2), 0.18137045669169086)])
def test_the_numbers_of_the_authors_code(shape, theirs):
    """The map and mean of RWLoss in github.com/jmlipman/RegionWiseLoss, in double precision."""
    logits, labels = blocks(shape, side=5)
    assert RegionWiseLoss(activation="softmax")(logits, labels).item() == pytest.approx(theirs, abs=1e-7)


def test_the_map_in_mm():
    _, labels = blocks((2, 3, 2), K=2)
    spacing = (2.5, 1.0, 0.8)
    maps = RegionWiseLoss(classes=[1]).measure_target(class2one_hot(labels, 2), spacing)
    assert not maps[:, 0].any()
    for found, mask in zip(maps[:, 1].numpy(), labels.numpy(), strict=True):
        depth = distance_transform_edt(mask, sampling=spacing)
        np.testing.assert_allclose(found, np.where(mask, -depth / depth.max(), 1), rtol=1e-6)


def test_scaling_the_spacing_changes_nothing_and_the_truth_is_the_least():
    logits, labels = blocks((4, 3))
    loss = RegionWiseLoss(activation="softmax")
    one, two = (loss(logits, labels, spacing_mm=s) for s in ((0.5, 2.0), (1.0, 4.0)))
    torch.testing.assert_close(one, two)
    least = RegionWiseLoss()(class2one_hot(labels, 3).double(), labels)
    assert least < one


def test_empty_and_full():
    probs = torch.full((1, 2, 4, 3), 0.25)
    probs[:, 0] = 0.75
    empty = torch.zeros(1, 4, 3, dtype=torch.long)
    assert RegionWiseLoss(classes=[1])(probs, empty).item() == 0.25
    assert RegionWiseLoss(classes=[0])(probs, empty).item() == -0.75
