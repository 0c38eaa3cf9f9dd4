"""Losses by name, as a ledger asks for them."""

import pytest

from boundary_loss import BoundaryLoss, DiceLoss, FocalLoss, HausdorffLoss
from boundary_loss.losses import LOSSES, build
from boundary_loss.losses.table import options


def test_every_name_builds_and_says_what_it_needs(name):
    loss = build(name, classes=[1])
    assert loss.classes == (1,)
    assert loss.target in ("one_hot", "distance")
    assert "classes=[1]" in repr(loss)


def test_second_names():
    assert LOSSES["surface"] is LOSSES["boundary"]
    assert issubclass(LOSSES["boundary"], BoundaryLoss)
    assert LOSSES["diceloss"] is DiceLoss


@pytest.mark.parametrize("gamma", [3, 3.0, "3", "3.0"])
def test_values_or_their_text(gamma):
    loss = build("focal", gamma=gamma)
    assert isinstance(loss, FocalLoss)
    assert loss.gamma == 3.0


def test_all_kinds_of_values():
    loss = build("hausdorff", sides="both", alpha="1", truncate="true", spacing_mm=(0.8, 1.5))
    assert isinstance(loss, HausdorffLoss)
    assert (loss.sides, loss.alpha, loss.truncate, loss.spacing_mm) == ("both", 1.0, True, (0.8, 1.5))
    assert build("hausdorff", spacing_mm="none").spacing_mm is None
    assert build("hausdorff_erosion", erosions="4").erosions == 4
    assert build("boundary", map="3d", absent="far").distance_options["absent"] == "far"


def test_own_options_only():
    assert list(options("sdf")) == list(options("foreground")) == ["norm", "unit"]
    assert list(options("sdf_product")) == ["unit"]
    assert list(options("gdl")) == ["absent"]
    assert list(options("tversky")) == ["alpha", "beta", "smooth", "absent"]
    assert not options("ce")
    for shared in ("activation", "reduction", "ignore_index", "idc"):
        with pytest.raises(ValueError, match=f"no option '{shared}'"):
            build("gdl", **{shared: None})


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("bundary", {}, "unknown loss 'bundary'; known: boundary, boundary_dou, cbdice"),
        ("gdl", {"map": "3d"}, "loss 'gdl' has no option 'map'; it is written gdl(absent=paper)"),
        ("gdl", {"absent": "never"}, "loss 'gdl': absent='never' is unknown; known: 'paper', 'skip', 'penalise'"),
        ("gdl", {"absent": 3}, "loss 'gdl': absent=3 does not fit"),
        ("focal", {"gamma": "high"}, "loss 'focal': gamma='high' does not fit; expected float"),
        ("focal", {"gamma": True}, "gamma=True does not fit"),
        ("focal", {"gamma": -1}, "loss 'focal': gamma=-1"),
        ("hausdorff", {"truncate": "perhaps"}, "expected bool"),
        ("hausdorff_erosion", {"erosions": "2.5"}, "expected int"),
        ("ce", {"classes": [0, 0]}, "loss 'ce': classes"),
        ("ce", {"weight": 1}, "loss 'ce' has no option 'weight'; it is written ce"),
    ],
)
def test_messages(name, given, message):
    with pytest.raises(ValueError) as refusal:
        build(name, **given)
    assert message in str(refusal.value)
