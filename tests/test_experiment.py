"""Ledger text -> experiment: what is accepted, and what an error says."""

import math

import pytest

from boundary_loss.experiment import Experiment, Term
from boundary_loss.schedule import parse_rate, parse_schedule, written


def make(terms: list[str], schedule: str = "constant", **changes: object) -> Experiment:
    plain = {"network": "Dimwit", "epochs": 3, "batch_size": 2, "learning_rate": 1e-3} | changes
    return Experiment(losses=tuple(terms), schedule=schedule, rate="constant", num_classes=4, **plain)


def test_a_term_is_taken_apart() -> None:
    term = Term.parse("boundary(map=3d,convention=symmetric):0.01@1,3", 4)
    assert (term.name, term.weight, term.classes) == ("boundary", 0.01, (1, 3))
    assert term.options == {"map": "3d", "convention": "symmetric"}
    assert term.build().map == "3d"


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("gdl:1", (0, 1, 2, 3)),
        ("gdl:1e-2@2", (2,)),
        ("gdl:.5@1-3", (1, 2, 3)),
        ("gdl:1@1-", (1, 2, 3)),
        ("gdl:1@0,2-", (0, 2, 3)),
    ],
)
def test_classes_default_to_all(text: str, classes: tuple[int, ...]) -> None:
    assert Term.parse(text, 4).classes == classes


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("gdl", "not a loss term"),
        ("gdl:", "not a loss term"),
        ("gdl:1.2.3", "not a number"),
        ("bundary:1", "unknown loss 'bundary'; known: .*boundary"),
        ("boundary(mop=3d):1", "no option 'mop'; it is written boundary.*map"),
        ("boundary(map=4d):1", "4d"),
        ("gdl:1@4", r"the data has 0\.\.3"),
        ("gdl:1@0-9999999999999", r"the data has 0\.\.3"),
        ("gdl:1@9999999999999", r"the data has 0\.\.3"),
        ("gdl:1@1,1", "at most once"),
        ("gdl:1@-1", "write them as"),
        ("gdl:1@1-,", "write them as"),
        ("gdl:1@4-", "names classes"),
        ("gdl(:1", "cannot be read"),
        ("__import__('os').system('true'):1", "cannot be read|unknown loss"),
    ],
)
def test_faults_say_what_is_known(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Term.parse(text, 4)


def test_schedule_and_rate_are_checked_with_the_row() -> None:
    experiment = make(["gdl:1", "boundary:0.01@1"], "steal(0.01)")
    assert experiment.weights(10, [0.5] * 10) == pytest.approx((0.9, 0.11))
    with pytest.raises(ValueError, match="unknown schedule 'stel"):
        make(["gdl:1", "boundary:0.01@1"], "stel(0.01)")
    with pytest.raises(ValueError, match="2 losses, the run has 1"):
        make(["gdl:1"], "steal(0.01)")


@pytest.mark.parametrize(
    ("setting", "value", "given_as"),
    [
        *(("epochs", value, "EPC") for value in (0, -1, 10**30)),
        *(("batch_size", value, "BS") for value in (0, 10**30)),
        *(("learning_rate", value, "LR") for value in (0.0, -1.0, math.nan, math.inf, 1e-300)),
        *(("temperature", value, "--temperature") for value in (0.0, math.nan, math.inf)),
        *(("seed", value, "SEED") for value in (10**30, -(10**30))),
    ],
)
def test_numbers_that_cannot_work_are_refused_by_the_name_that_was_given(
    setting: str, value: float, given_as: str
) -> None:
    with pytest.raises(ValueError, match=f"^{given_as}="):
        make(["gdl:1"], **{setting: value})


@pytest.mark.parametrize(
    ("terms", "schedule", "says"),
    [
        (["gdl:0", "boundary:0@1"], "constant", "all losses .* weigh 0 in epoch 2"),
        (["gdl:1", "boundary:1@1"], "add(-1,-1)", "all losses .* weigh 0 in epoch 2"),
        (["gdl:-1"], "constant", "'gdl:-1' weighs -1 in epoch 0"),
        (["gdl:1", "boundary:0.01@1"], "steal(-1)", "'boundary:0.01@1' weighs -1.99 in epoch 2"),
        (["gdl:1", "boundary:0.01@1"], "rebalance(-5)", "weighs -9.99 in epoch 2"),
        (["gdl:1", "boundary:0.01@1"], "linear(-1,1,2)", "weighs -1 in epoch 0"),
        (["gdl:1e39"], "constant", r"weighs 1e\+39"),
        (["gdl:1e999"], "constant", "weighs inf"),
        (["gdl:1", "boundary:0.01@1"], "steal(1e200)", r"weighs 2e\+200 in epoch 2"),
    ],
)
def test_weights_that_cannot_train(terms: list[str], schedule: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make(terms, schedule)


@pytest.mark.parametrize(
    ("terms", "schedule"),
    [
        (["gdl:1", "boundary:0@1"], "constant"),  # its value is recorded
        (["gdl:1", "boundary:0@1"], "steal(0.01)"),
        (["gdl:0", "boundary:1@1"], "after(dice>0.5)"),
        (["gdl:1"], "linear(0,1,2)"),
    ],
)
def test_weights_may_begin_at_zero(terms: list[str], schedule: str) -> None:
    make(terms, schedule)


def test_a_loss_of_the_users_own_by_import_path() -> None:
    term = Term.parse("toys:Brier(scale=2.0):0.5@1", 4)
    assert (term.name, term.weight, term.classes) == ("toys:Brier", 0.5, (1,))
    loss = term.build()
    assert loss.classes == (1,) and loss.scale == 2.0
    for text, says in [
        ("toys:Brier(scale=big):1", "expected float"),
        ("toys:Brier(size=1):1", "loss 'toys:Brier' has no option 'size'; it is written .*scale"),
        ("toys:Briar:1", "toys has no Briar"),
        ("toyz:Brier:1", "PYTHONPATH"),
        ("os:system:1", "loss 'os:system' needs the option 'command'"),
        ("toys:number:1", "made a int, not a torch.nn.Module"),
    ]:
        with pytest.raises(ValueError, match=says):
            Term.parse(text, 4)


@pytest.mark.parametrize("text", ["plateau", "cosine(18)", "poly(100)", "halve_when_due", "constant"])
def test_a_rule_is_recorded_with_all_of_its_numbers(text: str) -> None:
    said = written(parse_rate(text))
    assert parse_rate(said) == parse_rate(text) and written(parse_rate(said)) == said


@pytest.mark.parametrize("text", ["steal(0.01)", "add(0,0.01)", "rebalance", "linear(0,0.1,50)", "after(dice>0.3)"])
def test_a_schedule_is_recorded_as_it_is_read(text: str) -> None:
    assert parse_schedule(written(parse_schedule(text, 2)), 2) == parse_schedule(text, 2)


@pytest.mark.parametrize("text", ["rotate(15)", "rotate(15.0)", "rotate(degrees=1.5e1)"])
def test_equal_transforms_are_recorded_alike(text: str) -> None:
    assert make(["gdl:1"], augment=("flip", text)).settings()["augment"] == ["flip(xy)", "rotate(15)"]
