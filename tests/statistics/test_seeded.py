"""The interval over seeds and patients: its two parts against SciPy's, and how often it is wrong."""

import numpy as np
import pytest
from scipy import stats

from boundary_loss.statistics.paired import signed_rank
from boundary_loss.statistics.seeded import MOST_SEEDS, SMALLEST_P, SeededGain, seeded_gain, seeds_needed

RNG = np.random.default_rng


def gain_of(first: np.ndarray, second: np.ndarray) -> SeededGain:
    folds = np.zeros(first.shape[1])
    return seeded_gain(first, second, folds, folds)


def studies(number: int, seeds: int, n: int, spread: float, effect: float = 0.0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of rows as skewed as Dice is: hard and easy patients, networks that turned out well or badly."""
    rng, found = RNG([seeds, n, round(10 * spread)]), []
    for _ in range(number):
        odds = rng.normal(0.8, 1.2, n) + rng.normal(0, 0.5, (2, 1, n)) + rng.normal(0, 0.5, (2, seeds, n))
        odds += 0.5 * spread * rng.normal(0, 1, (2, seeds, 1))
        odds[0] += effect
        found.append(tuple(1 / (1 + np.exp(-odds))))
    return found


def test_patients_that_are_all_alike_leave_welchs_interval_of_the_seeds() -> None:
    a, b = np.array([0.1, 0.4, 0.2]), np.array([0.9, 0.7, 0.8, 1.3])
    found = gain_of(np.tile(a[:, None], 8), np.tile(b[:, None], 8))
    expected = stats.ttest_ind(a, b, equal_var=False)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-4)
    assert found.interval() == pytest.approx(tuple(expected.confidence_interval()))


def test_seeds_that_are_all_alike_leave_the_t_interval_of_the_patients() -> None:
    a, b = RNG(0).normal(size=(2, 12))
    found = gain_of(np.tile(a, (3, 1)), np.tile(b, (3, 1)))
    expected = stats.ttest_rel(a, b)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-4)
    assert found.interval() == pytest.approx(tuple(expected.confidence_interval()))


def test_the_interval_of_both_is_wider_than_either_and_p_is_where_it_reaches_zero() -> None:
    a, b = RNG(1).normal(0.5, 0.3, (2, 3, 10)) + np.array([1.0, 0.0])[:, None, None]
    found = gain_of(a, b)
    seeds = stats.t.isf(0.025, found.seeds_freedom) * found.seeds_error
    patients = stats.t.isf(0.025, 9) * found.patients_error
    assert found.half_width(0.05) == pytest.approx(np.hypot(seeds, patients)) and found.half_width(0.05) > max(
        seeds, patients
    )
    assert found.interval(1 - found.p)[0] == pytest.approx(0, abs=1e-5)
    assert gain_of(b, a).p == pytest.approx(found.p) and gain_of(b, a).gain == pytest.approx(-found.gain)


def test_rows_without_any_spread() -> None:
    flat = np.full((3, 6), 0.5)
    assert gain_of(flat, flat).p == pytest.approx(1) and gain_of(flat, flat).interval() == (0, 0)
    assert gain_of(flat + 0.1, flat).p == SMALLEST_P


def test_seeds_are_compared_within_their_fold() -> None:
    folds = np.array(["fold0"] * 6 + ["fold1"] * 4)
    shift = np.array([[0.0, 0.3], [0.1, 0.2], [-0.1, 0.1]])[:, (folds == "fold1").astype(int)]
    row = np.linspace(0.2, 0.8, 10) + shift
    found = seeded_gain(row + 1, row, folds, folds)
    of_row = (0.6**2 + 0.4**2) * 0.1**2 / 3  # in either fold the seeds' means have a standard deviation of 0.1
    assert found.seeds_error == pytest.approx(np.sqrt(2 * of_row))
    assert 4 < found.seeds_freedom < 8
    assert seeded_gain(row + 1, row, folds, np.zeros(10)).seeds_error != pytest.approx(found.seeds_error)


@pytest.mark.parametrize(("seeds", "n"), [(3, 6), (3, 20), (5, 20)])
@pytest.mark.parametrize("spread", [0, 1, 3])
def test_without_an_effect_at_most_one_study_in_twenty_claims_one(seeds: int, n: int, spread: float) -> None:
    found = studies(300, seeds, n, spread)
    claimed = sum(not low <= 0 <= high for low, high in (gain_of(a, b).interval() for a, b in found))
    assert claimed <= 24  # 15 are expected of 300 at most; 25 or more in 1 of 100
    if spread == 3 and n == 20:  # a test over patients alone takes a lucky seed for a better loss
        assert sum(signed_rank(a.mean(axis=0) - b.mean(axis=0)).p < 0.05 for a, b in found[:100]) > 50


@pytest.mark.parametrize(("seeds", "effect"), [(3, 1.5), (5, 1.0)])
def test_an_effect_well_above_the_spread_of_seeds_is_found(seeds: int, effect: float) -> None:
    found = studies(100, seeds, 20, 0.5, effect)
    assert sum(gain_of(a, b).p < 0.05 for a, b in found) > 80


def spread_gain(seeds_error: float, patients_error: float) -> SeededGain:
    """A gain of 1 that 3 seeds a row and 20 patients have shown with these standard errors."""
    return SeededGain(
        gain=1.0, seeds_error=seeds_error, seeds_freedom=4, patients_error=patients_error, patients_freedom=19
    )


@pytest.mark.parametrize("seeds_error", [0.4, 0.8, 1.5])
def test_as_many_seeds_as_are_needed_show_the_gain_and_one_fewer_does_not(seeds_error: float) -> None:
    found = spread_gain(seeds_error, 0.1)
    needed = seeds_needed(found, 3, 0.01)
    assert needed is not None and found.with_seeds(3, needed).p < 0.01 <= found.with_seeds(3, needed - 1).p
    strict = seeds_needed(found, 3, 0.001)
    assert strict is None or strict > needed


def test_more_seeds_than_now_keep_the_spread_of_a_single_seed() -> None:
    now = spread_gain(0.6, 0.2)
    then = now.with_seeds(3, 12)
    assert then.seeds_error == pytest.approx(0.3) and then.seeds_freedom == pytest.approx(22)  # 2 x (12 - 1)
    assert (then.gain, then.patients_error) == (now.gain, now.patients_error)


def test_no_number_of_seeds_makes_up_for_the_patients() -> None:
    assert seeds_needed(spread_gain(0.1, 0.6), 3, 0.05) is None
    assert seeds_needed(spread_gain(100.0, 0.1), 3, 0.05) is None and MOST_SEEDS == 100
