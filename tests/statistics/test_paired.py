"""The numbers of a paired comparison against SciPy, against counting out by hand, and against simulation."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from boundary_loss.statistics import paired
from boundary_loss.statistics.paired import EXACT_UP_TO, double_ranks, holm, interval, signed_rank, smallest_p

whole = st.lists(st.integers(-4, 4), min_size=1, max_size=9).map(lambda numbers: np.array(numbers, float))


def by_hand(differences: np.ndarray) -> float:
    """The p-value from all 2^n signs, ties and all."""
    found = differences[differences != 0]
    if not found.size:
        return 1.0
    ranks = stats.rankdata(np.abs(found))
    sums = np.array([np.dot(ranks, signs) for signs in product((0, 1), repeat=len(ranks))])
    middle = ranks.sum() / 2
    return float(np.mean(np.abs(sums - middle) >= abs(ranks[found > 0].sum() - middle) - 1e-9))


@given(whole)
def test_signed_rank_is_exact_with_ties_and_zeros(differences: np.ndarray) -> None:
    found = signed_rank(differences)
    assert found.p == pytest.approx(by_hand(differences))
    assert found.unequal == np.count_nonzero(differences)
    assert signed_rank(-differences).p == pytest.approx(found.p)
    assert signed_rank(-differences).effect == pytest.approx(-found.effect)


@pytest.mark.parametrize("n", [1, 6, 20, 50])
def test_signed_rank_is_scipys_where_that_is_exact(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.3, 1, n)
    assert signed_rank(differences).p == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue)


def test_signed_rank_of_many_is_scipys_normal_one(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(0).normal(0.1, 1, EXACT_UP_TO + 50).round(1)
    expected = stats.wilcoxon(differences, method="approx", correction=True)
    assert signed_rank(differences).p == pytest.approx(expected.pvalue, rel=1e-2)
    near = np.random.default_rng(1).normal(0.15, 1, EXACT_UP_TO)
    exact = signed_rank(near).p
    monkeypatch.setattr(paired, "EXACT_UP_TO", 0)
    assert signed_rank(near).p == pytest.approx(exact, rel=1e-2)  # the two ways meet


def test_effect_is_the_share_of_ranks_for_minus_against() -> None:
    assert signed_rank(np.array([1.0, 2.0, 3.0])).effect == 1
    assert signed_rank(np.array([-1.0, 2.0, 3.0])).effect == pytest.approx((5 - 1) / 6)
    assert signed_rank(np.zeros(4)).effect == 0


def test_rounding_of_float32_is_no_difference() -> None:
    assert signed_rank(np.array([1e-8, -3e-9, 2e-8])).unequal == 0


def test_the_smallest_p_is_that_of_pairs_that_all_agree() -> None:
    for n in (1, 3, 6, 12):
        assert signed_rank(np.arange(1.0, n + 1)).p == pytest.approx(smallest_p(n))
    assert smallest_p(5) > 0.05 > smallest_p(6)


def test_double_ranks_of_ties() -> None:
    np.testing.assert_array_equal(double_ranks(np.array([0.5, 0.1, 0.5, 2.0])), [5, 2, 5, 8])


@pytest.mark.parametrize(("n", "seed"), [(8, 0), (20, 1), (60, 2)])
def test_interval_is_scipys_bca(n: int, seed: int) -> None:
    differences = np.random.default_rng(seed).exponential(1, n) - 0.5
    expected = stats.bootstrap(
        (differences,), np.mean, method="BCa", n_resamples=20_000, random_state=np.random.default_rng(5)
    ).confidence_interval
    np.testing.assert_allclose(interval(differences), expected, atol=0.03 * differences.std())
    assert interval(differences) == interval(differences)


def test_interval_of_none_and_of_equal_ones() -> None:
    assert np.isnan(interval(np.empty(0))).all()
    assert interval(np.full(5, 0.25)) == (0.25, 0.25)


def test_holm_as_computed_by_hand() -> None:
    # sorted 0.01 0.02 0.03 0.04: times 4, 3, 2, 1 = 0.04 0.06 0.06 0.04, and never below the one before
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []
    with_nan = holm([0.02, float("nan"), 0.04])
    assert with_nan[0] == pytest.approx(0.04) and np.isnan(with_nan[1]) and with_nan[2] == pytest.approx(0.04)


def test_no_difference_is_found_as_often_as_alpha_allows() -> None:
    rng = np.random.default_rng(0)
    p_values = np.array([signed_rank(rng.normal(size=15)).p for _ in range(2000)])
    assert 0.03 < np.mean(p_values <= 0.05) <= 0.06
