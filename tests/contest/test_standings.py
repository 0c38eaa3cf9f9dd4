"""Ranks, leads and the bootstrap: their laws, and an independent way to compute them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from boundary_loss.contest.bootstrap import drawn_means, interval
from boundary_loss.contest.standings import field, ranks, standings

MEANS = st.lists(st.integers(0, 5), min_size=1, max_size=7).map(lambda found: np.array(found, float))


@given(MEANS, st.booleans())
def test_ranks_are_scipys_and_add_up(means: np.ndarray, lower: bool) -> None:
    found = ranks(means, lower_is_better=lower)
    np.testing.assert_allclose(found, rankdata(means if lower else -means))
    assert found.sum() == means.size * (means.size + 1) / 2
    np.testing.assert_allclose(ranks(-means, lower_is_better=not lower), found)


def test_ranks_of_many_draws_are_those_of_each() -> None:
    means = np.random.default_rng(0).integers(0, 4, (9, 5)).astype(float)
    np.testing.assert_allclose(ranks(means, lower_is_better=True), [ranks(own, lower_is_better=True) for own in means])


def test_drawn_means_vary_as_seeds_and_patients_do() -> None:
    rng = np.random.default_rng(0)
    many = rng.normal(3, 1, (1, 25))
    one_seed = drawn_means([many], rng, 20_000)[:, 0]
    assert one_seed.mean() == pytest.approx(many.mean(), abs=0.01)
    assert one_seed.std() == pytest.approx(many.std() / 5, rel=0.03)
    of_seeds = np.repeat(rng.normal(0, 1, (4, 1)), 6, axis=1)  # patients are equal, seeds are not
    assert drawn_means([of_seeds], rng, 20_000).std() == pytest.approx(of_seeds[:, 0].std() / 2, rel=0.03)


def test_rows_share_the_drawn_patients() -> None:
    patients = np.random.default_rng(1).normal(0, 5, (1, 12))
    drawn = drawn_means([patients, patients + 0.1], np.random.default_rng(2), 500)
    np.testing.assert_allclose(drawn[:, 1] - drawn[:, 0], 0.1)


def test_an_interval_holds_its_share() -> None:
    assert interval(np.arange(1001.0)) == pytest.approx((25.0, 975.0))


def test_mean_ranks_and_leads_over_sets(write_set) -> None:
    sets = [
        write_set("one", {"ce_dice": 0.70, "good": 0.90, "odd": 0.50}, draw=0),
        write_set("two", {"ce_dice": 0.70, "good": 0.90, "odd": 0.80}, draw=1),
    ]
    for name in ("val_3d_dsc", "val_3d_hd95"):  # in one higher is better, in the other lower
        found = field(sets, name, "last")
        assert found is not None
        stand = {each.row: each for each in standings(found, name, "ce_dice")}
        assert [stand[row].rank for row in ("good", "odd", "ce_dice")] == [1.0, 2.5, 2.5]
        assert (stand["good"].low, stand["good"].high) == (1.0, 1.0)
        assert [stand[row].leads for row in ("good", "odd", "ce_dice")] == [2, 1, 0]
        assert (stand["odd"].leads_low, stand["odd"].leads_high) == (1, 1)


def test_equal_rows_have_intervals_that_reach_over_the_middle(write_set) -> None:
    rows = dict.fromkeys(("ce_dice", "a", "b", "c"), 0.7)
    found = field([write_set("one", rows)], "val_3d_dsc", "last")
    assert found is not None
    assert any(each.low <= 2 and each.high >= 3 for each in standings(found, "val_3d_dsc", "ce_dice"))


def test_only_rows_of_all_sets_are_ranked(write_set) -> None:
    sets = [write_set("one", {"ce_dice": 0.7, "a": 0.8, "alone": 0.9}), write_set("two", {"ce_dice": 0.7, "a": 0.8})]
    found = field(sets, "val_3d_dsc", "last")
    assert found is not None and found.rows == ("ce_dice", "a")
    assert field([write_set("three", {"ce_dice": 0.7})], "val_3d_dsc", "last") is None


def test_the_bootstrap_is_the_same_each_time(write_set, tmp_path: Path) -> None:
    sets = [write_set("one", {"ce_dice": 0.7, "a": 0.71})]
    first, second = (field(sets, "val_3d_dsc", "last") for _ in range(2))
    assert first is not None and second is not None
    np.testing.assert_array_equal(first.drawn[0], second.drawn[0])
