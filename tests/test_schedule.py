"""Weights and rates are functions of the epoch: compared with the running updates that they replace."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boundary_loss.schedule import parse_rate, parse_schedule, written

FROZEN = np.load(Path(__file__).parent / "losses" / "original.npz")
SCORES = st.lists(st.floats(0, 1), max_size=60)


@pytest.mark.parametrize(
    ("text", "frozen"),
    [
        ("steal(0.01)", "StealWeight_001"),
        ("steal(0.3)", "StealWeight_03"),
        ("add(-0.01, 0.01)", "AddWeightLoss_m001_p001"),
        ("constant", "Dummy"),
    ],
)
def test_weights_of_the_original(text, frozen):
    schedule = parse_schedule(text, 2)
    ours = [schedule.weights(epoch, (1.0, 0.01), [0.0] * epoch) for epoch in range(5)]
    np.testing.assert_allclose(ours, FROZEN[f"sched_{frozen}"], atol=1e-12)


def test_steal_and_rebalance_end_somewhere():
    assert parse_schedule("steal(0.01)", 2).weights(500, (1.0, 0.01), []) == pytest.approx((0.1, 5.01))
    rebalance = parse_schedule("rebalance", 2)
    for epoch in (0, 30, 200):
        a, b = rebalance.weights(epoch, (1.0, 0.01), [])
        assert a + b == pytest.approx(1)
        assert b == pytest.approx(min(1, 0.01 + 0.01 * epoch))


def test_rebalance_stops_at_most_and_keeps_the_ratios_of_the_others():
    published = parse_schedule("rebalance(0.01,0.85)", 2)
    assert published.weights(0, (1.0, 0.0), []) == (1, 0)
    for epoch in (85, 86, 200):
        assert published.weights(epoch, (1.0, 0.0), []) == pytest.approx((0.15, 0.85))
    assert written(published) == "rebalance(0.01,0.85)"
    three = parse_schedule("rebalance(0.1)", 3)
    assert three.weights(2, (2.0, 1.0, 0.0), []) == pytest.approx((0.8, 0.4, 0.2))
    assert three.weights(30, (2.0, 1.0, 0.0), []) == (0, 0, 1)
    with pytest.raises(ValueError, match="must not be 0"):
        three.weights(0, (0.0, 1.0, 0.0), [])


@given(st.floats(0, 1), st.floats(0, 0.1), st.floats(0, 1), st.integers(0, 300))
def test_rebalance_weights_add_up_to_one(first, step, most, epoch):
    schedule = parse_schedule(f"rebalance({step:.9f},{most:.9f})", 2)
    assert sum(schedule.weights(epoch, (first, 0.0), [])) == pytest.approx(1)


def test_add_does_not_go_below_zero():
    assert parse_schedule("add(-0.5,0,1)", 3).weights(4, (1.0, 2.0, 3.0), []) == (0.0, 2.0, 7.0)


def test_linear():
    linear = parse_schedule("linear(0, 0.5, 10)", 2)
    assert [linear.weights(e, (1.0, 9.0), [])[1] for e in (0, 5, 10, 99)] == pytest.approx([0, 0.25, 0.5, 0.5])
    assert linear.weights(3, (1.0, 9.0), [])[0] == 1.0


def test_after_looks_at_finished_epochs_and_never_goes_back():
    after = parse_schedule("after(dice>0.5)", 2)
    history = [0.2, 0.5, 0.51, 0.1]
    joined = [after.weights(e, (1.0, 0.3), history[:e])[1] for e in range(5)]
    assert joined == [0, 0, 0, 0.3, 0.3]
    assert after.weights(1, (1.0, 0.3), history)[1] == 0  # what lies ahead is not looked at
    assert parse_schedule("after(0.5)", 2) == after


@settings(max_examples=60, deadline=None)
@given(SCORES)
def test_halve_when_due_is_the_originals_loop(history):
    rate, best, best_epoch, due = 1.0, -math.inf, 0, []
    for epoch, score in enumerate(history):
        due.append(rate)
        if score > best:
            best, best_epoch = score, epoch
        if epoch % (best_epoch + 20) == 0:
            rate *= 0.5
    rule = parse_rate("halve_when_due")
    assert [rule.at(e, 1.0, history[:e]) for e in range(len(history))] == due
    if history:
        assert rule.at(1, 1.0, history[:1]) == 0.5  # epoch 0 included


def test_plateau():
    rule = parse_rate("plateau(3)")
    history = [0.1, 0.5, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.6, 0.5, 0.5, 0.5]
    rates = [rule.at(e, 1.0, history[:e]) for e in range(len(history) + 1)]
    # best at epoch 1, so halved after epochs 4 and 7; best again at 8, halved after 11
    assert rates == [1] * 5 + [0.5] * 3 + [0.25] * 4 + [0.125]
    assert parse_rate("plateau") == parse_rate("plateau(20)") == parse_rate("plateau(20,0.5)")
    slower = parse_rate("plateau(3,0.8)")
    assert [slower.at(e, 1.0, history[:e]) for e in (4, 5, 8, 12)] == pytest.approx([1, 0.8, 0.64, 0.512])


@settings(max_examples=40, deadline=None)
@given(SCORES, st.sampled_from(["plateau(2)", "halve_when_due", "cosine(30)", "poly(30)", "steps(3,9)", "constant"]))
def test_a_rate_never_grows_nor_depends_on_the_future(history, text):
    rule = parse_rate(text)
    rates = [rule.at(e, 0.1, history[:e]) for e in range(len(history))]
    assert all(later <= earlier for earlier, later in pairwise(rates))
    assert rates == [rule.at(e, 0.1, history) for e in range(len(history))]


def test_cosine_and_poly():
    cosine, poly = parse_rate("cosine(10)"), parse_rate("poly(10, 2)")
    assert [cosine.at(e, 2.0, []) for e in (0, 5, 10, 20)] == pytest.approx([2, 1, 0, 0])
    assert [poly.at(e, 2.0, []) for e in (0, 5, 10, 20)] == pytest.approx([2, 0.5, 0, 0])


def test_steps():
    rule = parse_rate("steps(20,30)")
    assert [rule.at(e, 3e-4, []) for e in (0, 19, 20, 29, 30, 49)] == pytest.approx(
        [3e-4, 3e-4, 3e-5, 3e-5, 3e-6, 3e-6]
    )
    assert written(rule) == "steps(20,30)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stele(0.1)", r"known: constant, steal\(step\), add\(steps\.\.\.\), rebalance"),
        ("steal", r"needs the option 'step'; it is written steal\(step\)"),
        ("steal(a)", r"step='a' does not fit; expected float; it is written steal\(step\)"),
        ("steal(1,2)", r"no place for the value 2; it is written steal\(step\)"),
        ("steal(nan)", "finite"),
        ("steal(0.1", r"'steal\(0\.1' cannot be read"),
        ("add(0.1)", "is for 1 losses, the run has 2"),
        ("add", "one step for each loss"),
        ("linear(0,1,0)", "epochs=0"),
        ("linear(0,1,2.5)", r"epochs=2\.5 does not fit; expected int"),
        ("rebalance(0.01,1.5)", "most=1.5"),
        ("after(loss>1)", r"written after\(dice>x\)"),
        ("__import__('os')", "unknown schedule"),
    ],
)
def test_schedules_that_are_none(text, message):
    with pytest.raises(ValueError, match=message):
        parse_schedule(text, 2)


@pytest.mark.parametrize(("text", "terms"), [("steal(0.1)", 1), ("rebalance", 1), ("after(dice>0.5)", 1)])
def test_schedules_for_another_number_of_losses(text, terms):
    with pytest.raises(ValueError, match="loss"):
        parse_schedule(text, terms)


def test_a_dice_that_cannot_be_reached():
    with pytest.raises(ValueError, match="never comes"):
        parse_schedule("after(dice>1)", 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("step(3)", r"known: constant, plateau\(patience=20, factor=0\.5\), halve_when_due"),
        ("plateau(0)", "patience=0"),
        ("plateau(7,0)", "factor=0"),
        ("plateau(7,1.2)", "factor=1.2"),
        ("plateau(x)", "patience='x' does not fit; expected int"),
        ("cosine", "needs the option 'epochs'"),
        ("steps", "needs one epoch or more"),
        ("steps(3,3)", "rising"),
        ("steps(0,3)", "from 1 on"),
        ("steps(0.5)", "expected int"),
        ("poly(0)", "epochs=0"),
        ("poly(3,-1)", "power=-1"),
        ("halve_when_due(0)", "patience=0"),
        (f"cosine({'9' * 400})", "finite"),
    ],
)
def test_rates_that_are_none(text, message):
    with pytest.raises(ValueError, match=message):
        parse_rate(text)
