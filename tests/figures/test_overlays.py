"""Slices drawn as radiologists see them."""

import numpy as np
import pytest

from boundary_loss.figures.overlays import upright


@pytest.mark.parametrize("codes", ["LP", "RA", "LA", "PL", "AR", "PR"])
def test_slices_are_drawn_upright(codes):
    """A mark at the patient's front right ends top left, however the scanner's axes ran."""
    array = np.zeros((4, 6))
    at = tuple(0 if code in "LP" else -1 for code in codes)  # the end from which the axis runs to the left or back
    array[at] = 1
    drawn = upright(array, codes + "S")
    assert drawn[0, 0] == 1 and drawn.sum() == 1
    assert drawn.shape == ((6, 4) if codes[0] in "LR" else (4, 6))


def test_unknown_orientations_stay_as_they_lie():
    array = np.arange(6).reshape(2, 3)
    for codes in ("", "L", "??S", "L?S"):
        assert upright(array, codes) is array
