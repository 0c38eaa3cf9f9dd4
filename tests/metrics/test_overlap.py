import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from boundary_loss.metrics import dice, dice_from_counts, label_counts, slice_counts
from boundary_loss.metrics.batch import _counts_on_device

K = 3
LABELS = st.sampled_from([0, 1, 2, 255])
CLASSES = st.integers(0, K - 1)


@st.composite
def pairs(draw):
    shape = draw(st.sampled_from([(2, 4, 7), (1, 1, 1), (3, 5, 2)]))
    return draw(arrays(np.uint8, shape, elements=CLASSES)), draw(arrays(np.uint8, shape, elements=LABELS))


@given(pairs())
def test_counts_are_what_they_say(pair):
    pred, gt = pair
    counts = label_counts(pred, gt, K)
    for k in range(K):
        known = gt != 255
        assert counts.pred[k] == ((pred == k) & known).sum()
        assert counts.gt[k] == (gt == k).sum()
        assert counts.intersection[k] == ((pred == k) & (gt == k)).sum()


@given(pairs())
def test_dice_of_a_batch_is_dice_of_its_items(pair):
    pred, gt = pair
    for dtype in (torch.uint8, torch.int64):
        counts = slice_counts(torch.from_numpy(pred).to(dtype), torch.from_numpy(gt).to(dtype), K)
        assert all(count.dtype == torch.int64 and count.shape == (len(pred), K) for count in counts)
        expected = np.array([dice(p, g, K) for p, g in zip(pred, gt)])
        np.testing.assert_allclose(dice_from_counts(*counts).numpy(), expected, atol=1e-7)


@given(pairs())
def test_other_devices_count_the_same(pair):
    pred, gt = (torch.from_numpy(labels) for labels in pair)
    on_device = _counts_on_device(pred, gt, K)
    assert all(torch.equal(a, b) for a, b in zip(slice_counts(pred, gt, K), on_device))


@given(pairs())
def test_dice_is_symmetric_and_flips_change_nothing(pair):
    pred, gt = pair
    pred = np.where(gt == 255, 255, pred)
    np.testing.assert_array_equal(dice(pred, gt, K), dice(gt, pred, K))
    np.testing.assert_array_equal(dice(pred, gt, K), dice(pred[:, ::-1], gt[:, ::-1], K))


def test_the_empty_mask_rule():
    empty, some = np.zeros((4, 5), np.uint8), np.eye(4, 5, dtype=np.uint8)
    assert dice(empty, empty, 2)[1] == 1
    assert dice(empty, some, 2)[1] == 0
    assert dice(some, empty, 2)[1] == 0
    assert dice(some, some, 2).tolist() == [1, 1]


def test_ignored_voxels_do_not_matter():
    gt = np.array([[0, 1, 255, 255]], np.uint8)
    assert np.array_equal(dice(np.array([[0, 1, 0, 1]]), gt, 2), dice(np.array([[0, 1, 1, 0]]), gt, 2))
    assert dice(np.array([[0, 1, 1, 1]]), gt, 2).tolist() == [1, 1]


def test_equals_the_original_on_its_reference(reference):
    pred, gt = reference["pred_labels_2d_k2"], reference["labels_2d_k2"]
    ours = np.array([dice(p, g, 2) for p, g in zip(pred, gt)])
    np.testing.assert_allclose(ours, reference["dice_coef_2d_k2"], atol=1e-6)
    ours = np.array([dice(p, g, 2) for p, g in zip(np.zeros_like(gt), gt)])
    np.testing.assert_allclose(ours, reference["dice_coef_predempty_2d_k2"], atol=1e-6)
    ours = np.array([dice(p, g, 2) for p, g in zip(reference["pred_labels_3d_k2"], reference["labels_3d_k2"])])
    np.testing.assert_allclose(ours, reference["dice_coef_3d_k2"], atol=1e-6)


def test_shapes_must_match():
    with pytest.raises(ValueError, match="do not match"):
        dice(np.zeros((4, 5)), np.zeros((5, 4)), 2)
    with pytest.raises(ValueError, match="do not match"):
        slice_counts(torch.zeros(1, 4, 5), torch.zeros(2, 4, 5), 2)
