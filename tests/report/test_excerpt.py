"""A large case is cut to all that is outlined."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from boundary_loss.report.excerpt import MARGIN, MOST_SLICES, WHOLE, excerpt


def volume(shape: tuple[int, int, int], *boxes: tuple[slice, ...], label: int = 1) -> list[np.ndarray]:
    """Slices (X, Y) of a volume (Z, X, Y)."""
    found = np.zeros(shape, np.uint8)
    for box in boxes:
        found[box] = label
    return list(found)


@given(st.tuples(*[st.integers(0, 99)] * 3), st.tuples(*[st.integers(0, 99)] * 3))
def test_all_that_is_outlined_is_shown_with_its_margin(a: tuple[int, int, int], b: tuple[int, int, int]) -> None:
    truth, prediction = (volume((100, 100, 100), tuple(slice(i, i + 1) for i in place)) for place in (a, b))
    found = excerpt(list(zip(truth, prediction)))
    for axis, part in enumerate((found.slices, *found.plane)):
        low, high = sorted((a[axis], b[axis]))
        assert (part.start, part.stop) == (max(0, low - MARGIN), min(100, high + 1 + MARGIN))
    assert found.step == 1 and not found.is_whole


def test_long_cases_are_thinned_and_those_without_an_object_stay_whole() -> None:
    deep = excerpt([[s] for s in volume((400, 4, 4), (slice(20, 350), slice(0, 1), slice(0, 1)))])
    assert (deep.slices, deep.step) == (slice(4, 366, 3), 3)
    assert len(range(400)[deep.slices]) <= MOST_SLICES
    ignored = [[s] for s in volume((9, 4, 4), (slice(2, 3),), label=255)]
    assert excerpt(ignored) == WHOLE and excerpt(ignored).is_whole
    assert excerpt([[s] for s in volume((200, 4, 4))]).slices == slice(0, 200, 2)
