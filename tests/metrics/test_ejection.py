import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundary_loss.metrics import ejection_error, ejection_fraction

ML = st.floats(0, 300).map(lambda value: np.array([value]))


@pytest.mark.parametrize(("diastole", "systole", "expected"), [(120, 48, 60), (100, 100, 0), (50, 75, -50), (0, 10, 0)])
def test_the_fraction(diastole, systole, expected):
    assert ejection_fraction(np.array([diastole]), np.array([systole])) == pytest.approx(expected)


@given(ML, ML, ML, ML)
def test_the_order_of_the_moments_does_not_matter(a, b, c, d):
    if c != d:  # of equal volumes no one can tell which is the end of diastole
        np.testing.assert_array_equal(ejection_error((a, b), (c, d)), ejection_error((b, a), (d, c)))
    assert (ejection_error((c, d), (c, d)) == 0).all()


def test_each_structure_has_its_own_diastole():
    first, second = np.array([100.0, 40.0]), np.array([50.0, 80.0])
    found = ejection_error((first, np.array([60.0, 80.0])), (first, second))
    assert found == pytest.approx([10, 0])
