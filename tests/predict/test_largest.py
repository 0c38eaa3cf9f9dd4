"""The largest piece of each class stays, and nothing else changes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import label, regionprops

from boundary_loss.predict.largest import keep_largest

volumes = hnp.arrays(np.uint8, st.tuples(*[st.integers(1, 6)] * 3), elements=st.sampled_from([0, 0, 1, 2]))


@given(volumes)
def test_what_stays_is_the_largest_piece_by_scikit_image(classes: np.ndarray) -> None:
    before, kept = classes.copy(), keep_largest(classes)
    assert np.array_equal(classes, before) and kept.dtype == classes.dtype
    for k in (1, 2):
        sizes = [region.area for region in regionprops(label(classes == k, connectivity=3))]
        assert (kept == k).sum() == max(sizes, default=0)
        assert ((kept == k) <= (classes == k)).all()
        assert label(kept == k, connectivity=3).max() <= 1
    assert np.array_equal(keep_largest(kept), kept)


@given(volumes)
def test_a_transposed_volume_keeps_as_much(classes: np.ndarray) -> None:
    assert np.bincount(keep_largest(classes.T).ravel()).tolist() == np.bincount(keep_largest(classes).ravel()).tolist()


def test_classes_do_not_join_and_corners_do() -> None:
    classes = np.array([[1, 0, 2, 1], [0, 1, 0, 0], [2, 0, 0, 2], [0, 0, 0, 2]], np.uint8)
    expected = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 2], [0, 0, 0, 2]]
    assert keep_largest(classes).tolist() == expected
    assert keep_largest(np.array([[1, 0, 1]], np.uint8)).tolist() == [[1, 0, 0]]  # of one size: the first


@pytest.mark.parametrize("fill", [0, 1])
def test_empty_and_full_stay(fill: int) -> None:
    classes = np.full((3, 4, 2), fill, np.uint16)
    assert np.array_equal(keep_largest(classes), classes)
