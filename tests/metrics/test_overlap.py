import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from boundary_loss.metrics import (
    dice,
    dice_from_counts,
    iou_from_counts,
    label_counts,
    precision_from_counts,
    recall_from_counts,
    slice_counts,
    volume_difference_percent,
)
from boundary_loss.metrics.batch import _counts_on_device

K = 3
LABELS = st.sampled_from([0, 1, 2, 255])
CLASSES = st.integers(0, K - 1)


@st.composite
def pairs(draw):
    shape = draw(st.sampled_from([(2, 4, 7), (1, 1, 1), (3, 5, 2)]))
    pred, gt = (draw(arrays(np.uint8, shape, elements=elements)) for elements in (CLASSES, LABELS))
    gt[:, 0, 0] = 1  # of 0 and 255 alone it would be refused
    return pred, gt


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
    pred[:, 0, 0] = 1
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


TENSORS = [torch.bool, torch.int8, torch.uint16, torch.uint64, torch.bfloat16, torch.float64]


@pytest.mark.parametrize("dtype", TENSORS)
def test_labels_of_every_type_count_the_same(dtype):
    pred, gt = torch.tensor([[[0, 1, 1, 0]], [[1, 1, 0, 0]]]), torch.tensor([[[0, 0, 1, 1]], [[1, 1, 1, 1]]])
    mask = torch.tensor([[[True, True, False, True]], [[True, True, True, True]]])
    for options in ({}, {"mask": mask}):
        expected = slice_counts(pred, gt, 2, **options)
        found = slice_counts(pred.to(dtype), gt.to(dtype), 2, **options)
        assert all(torch.equal(a, b) for a, b in zip(found, expected))
        on_device = _counts_on_device(pred, torch.where(mask, gt, 255) if options else gt, 2)
        assert all(torch.equal(a, b) for a, b in zip(on_device, expected))
        rows = [label_counts(*item, 2, mask=m) for *item, m in zip(pred.to(dtype), gt.to(dtype), mask)]
        if options:
            assert np.array_equal(np.array(rows).swapaxes(0, 1), np.array([count.numpy() for count in expected]))


@pytest.mark.parametrize("label", [2, 256, 257, 258, 511, -1, -100, -255, 2**32 + 1])
@pytest.mark.parametrize("which", [0, 1])
def test_a_label_that_is_no_class_is_no_other_one(label, which):
    pair = torch.tensor([[[0, 1, 0, 1]], [[0, 1, 0, 1]]])
    expected = slice_counts(*pair[:, :, :3].unsqueeze(1), 2)
    pair[which, 0, 3] = label
    name = ("pred", "gt")[which]
    with pytest.raises(ValueError, match=rf"{name} has labels \[{label}\], expected 0..1"):
        slice_counts(*pair.unsqueeze(1), 2)
    with pytest.raises(ValueError, match=rf"{name} has labels \[{label}\]"):
        dice(*pair.numpy(), 2)
    pair[1 - which, 0, 3] = 0
    on_device = _counts_on_device(*pair.unsqueeze(1), 2)
    assert on_device[1 + which][0].tolist() == expected[1 + which][0].tolist()


def test_truths_of_0_and_255_are_refused_unless_ignoring_is_asked_for():
    gt = torch.tensor([[[0, 255]], [[0, 255]]])
    pred = torch.zeros_like(gt)
    with pytest.raises(ValueError, match=r"gt holds only 0 and 255, .*give gt > 0; .*mask=gt != 255"):
        slice_counts(pred, gt, 2)
    with pytest.raises(ValueError, match="only 0 and 255"):
        dice(pred.numpy(), gt.numpy(), 2)
    assert slice_counts(pred, gt, 2, mask=gt != 255).gt.tolist() == [[1, 0], [1, 0]]
    assert dice(pred, gt, 2, mask=gt != 255).tolist() == [1, 1]
    with pytest.raises(ValueError, match=r"pred has labels \[255\]"):
        slice_counts(gt, pred, 2)


def test_ignored_voxels_of_a_bool_prediction_are_of_no_class():
    gt = np.array([[0, 1, 255, 255]], np.uint8)
    assert label_counts(np.array([[False, True, True, True]]), gt, 2).pred.tolist() == [1, 1]


@pytest.mark.parametrize("kind", [np.uint8, np.uint64, torch.uint8])
def test_counts_of_unsigned_types_do_not_wrap_around(kind):
    counts = [200, 250, 240], [240, 250, 230]
    if kind is torch.uint8:
        small = [torch.tensor(values, dtype=kind) for values in counts]
    else:
        small = [np.array(values, kind) for values in counts]
    plain = [np.array(values) for values in counts]
    for metric in (iou_from_counts, dice_from_counts, precision_from_counts, recall_from_counts):
        np.testing.assert_allclose(metric(small[0], *small), metric(plain[0], *plain))
    np.testing.assert_allclose(volume_difference_percent(*small), volume_difference_percent(*plain))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((1, 2)), torch.zeros(1, 2)), "must be a torch tensor"),
        ((torch.zeros(1, 2), torch.zeros(2, 1)), "do not match"),
        ((torch.zeros(1, 0), torch.zeros(1, 0)), "with voxels"),
        ((torch.full((1, 2), 0.5), torch.zeros(1, 2)), "pred must be whole numbers, found 0.5"),
    ],
)
def test_bad_batches_are_explained(arguments, message):
    with pytest.raises(ValueError, match=message):
        slice_counts(*arguments, 2)
    with pytest.raises(ValueError, match="mask must be bool"):
        slice_counts(torch.zeros(1, 2), torch.zeros(1, 2), 2, mask=torch.ones(1, 2))
    assert slice_counts(torch.zeros(0, 2), torch.zeros(0, 2), 2).gt.shape == (0, 2)
