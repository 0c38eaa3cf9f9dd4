import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from boundary_loss.metrics import LesionCounts, Lesions, lesion_counts

MASKS = arrays(bool, (5, 6, 4), elements=st.sampled_from([False, False, True]))


def components(mask):
    """Sets of voxels, by walking over all 26 neighbours: no SciPy."""
    left, found = set(map(tuple, np.argwhere(mask).tolist())), []
    while left:
        lesion, front = set(), [left.pop()]
        while front:
            voxel = front.pop()
            lesion.add(voxel)
            near = {other for other in left if max(abs(a - b) for a, b in zip(voxel, other)) == 1}
            left -= near
            front += near
        found.append(lesion)
    return found


@given(MASKS, MASKS)
@settings(deadline=None, max_examples=50)
def test_counts_are_what_they_say(pred, gt):
    of_pred, of_gt = components(pred), components(gt)
    found = lesion_counts(pred, gt)
    assert (found.true, found.predicted) == (len(of_gt), len(of_pred))
    assert found.found == sum(any(pred[voxel] for voxel in lesion) for lesion in of_gt)
    assert found.right == sum(any(gt[voxel] for voxel in lesion) for lesion in of_pred)
    assert lesion_counts(gt, pred).recall == found.precision
    assert lesion_counts(pred[::-1], gt[::-1]) == found
    assert min(found.recall, found.precision) - 1e-12 <= found.f1 <= max(found.recall, found.precision) + 1e-12


def test_corners_join_lesions_unless_faces_are_asked_for():
    diagonal = np.eye(4, dtype=bool)
    assert Lesions(diagonal).count == 1
    assert Lesions(diagonal, "face").count == 4
    assert lesion_counts(diagonal, diagonal, "face") == LesionCounts(4, 4, 4, 4)


@pytest.mark.parametrize(
    ("pred_empty", "gt_empty", "scores"), [(1, 1, (1, 1, 1)), (1, 0, (0, 0, 0)), (0, 1, (0, 0, 0))]
)
def test_the_empty_mask_rule(pred_empty, gt_empty, scores):
    one = np.eye(3, dtype=bool)
    found = lesion_counts(one & (not pred_empty), one & (not gt_empty))
    assert (found.recall, found.precision, found.f1) == scores
    assert found.difference == abs(pred_empty - gt_empty)


def test_bad_input_is_explained():
    with pytest.raises(ValueError, match="do not match"):
        lesion_counts(np.zeros((3, 4)), np.zeros((4, 3)))
    with pytest.raises(ValueError, match="zeros and ones"):
        Lesions(np.full((3, 4), 2))
    with pytest.raises(ValueError, match="known: corner, face"):
        Lesions(np.zeros((3, 4)), "edge")
