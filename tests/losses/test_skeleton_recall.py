"""Skeleton recall: the authors' numbers, and what the skeleton is of."""

import pytest
import torch
from blocks import blocks

from boundary_loss import FromLabels, SkeletonRecallLoss, class2one_hot
from boundary_loss.losses.skeletons import thinned


@pytest.mark.parametrize(("shape", "theirs"), [((4, 5), 0.649815384600001), ((2, 3, 2), 0.6598682200691502)])
def test_the_numbers_of_the_authors_code(shape, theirs):
    """1 plus the value of SkeletonTransform and SoftSkeletonRecallLoss of github.com/MIC-DKFZ/Skeleton-Recall."""
    logits, labels = blocks(shape, side=5)
    loss = SkeletonRecallLoss(of="foreground", activation="softmax", classes=[1, 2])
    assert loss(logits, labels).item() == pytest.approx(theirs, abs=1e-6)
    assert FromLabels(loss, spacing_mm=(1.0,) * len(shape))(logits, labels).item() == loss(logits, labels).item()


@pytest.mark.parametrize("shape", [(20, 12), (9, 20, 12)])
def test_tubes_lie_within_the_mask_and_hold_the_line(shape):
    mask = torch.zeros(2, 1, *shape, dtype=torch.bool)
    mask[0, 0, ..., 2:18, 3:10] = True
    line, tube, wide = (thinned(mask, width) for width in (0, 1, 2))
    assert line[0].any() and not line[1].any()
    assert (line <= tube).all() and (tube <= wide).all() and (wide <= mask).all()
    assert line.sum() < tube.sum() < wide.sum()


def test_recall_of_a_line():
    labels = torch.zeros(1, 9, 30, dtype=torch.long)
    labels[:, 2:7, 2:28] = 1
    line = thinned(labels[:, None].bool())
    probs = torch.cat([1 - line, line], 1)
    assert SkeletonRecallLoss(tube=0, classes=[1])(probs, labels).item() == 0
    assert SkeletonRecallLoss(tube=1, classes=[1])(probs, labels).item() > 0.5
    everywhere = torch.cat([torch.zeros_like(line), torch.ones_like(line)], 1)
    assert SkeletonRecallLoss(classes=[1])(everywhere, labels).item() == pytest.approx(0)  # false positives are free


def test_skeletons_that_a_data_set_keeps_give_the_same():
    logits, labels = blocks((4, 3), side=4)
    loss = SkeletonRecallLoss(activation="softmax", classes=[2, 1])
    kept = loss.measure_target(class2one_hot(labels, 3))
    assert not kept[:, 0].any() and kept[:, 1:].any()
    torch.testing.assert_close(loss(logits, labels, kept), loss(logits, labels))


@pytest.mark.parametrize("options", [{"tube": -1}, {"smooth": 0.0}, {"of": "union"}])
def test_refusals(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        SkeletonRecallLoss(**options)
