"""The steps of a fit are read as a ledger writes them, and refused with how they are written."""

import pytest

from boundary_loss.data.fit import Fit, Pad, Reduce, Stretch, parse_step
from boundary_loss.data.frame import Frame

SOURCE = (13, 10, 6)


@pytest.mark.parametrize(
    ("texts", "steps", "frame"),
    [
        ([], (), Frame.whole(SOURCE)),
        (["none"], (), Frame.whole(SOURCE)),
        (["pad(4)"], (Pad(4),), Frame.whole(SOURCE).pad(4)),
        (["pad(multiple=4)"], (Pad(4),), Frame.whole(SOURCE).pad(4)),
        (["reduce(4,4,2)"], (Reduce(4, 4, 2),), Frame.whole(SOURCE).reduce((4, 4, 2))),
        (["stretch(8)"], (Stretch(8),), Frame.whole(SOURCE).stretch(8)),
        (["reduce(2, 2, 1)", "pad(4)"], (Reduce(2, 2, 1), Pad(4)), Frame.whole(SOURCE).reduce((2, 2, 1)).pad(4)),
        (["pad(4)", "reduce(2,2,1)"], (Pad(4), Reduce(2, 2, 1)), Frame.whole(SOURCE).pad(4).reduce((2, 2, 1))),
    ],
)
def test_steps_are_taken_in_their_order(texts: list[str], steps: tuple[object, ...], frame: Frame) -> None:
    fit = Fit.parse(texts)
    assert fit.steps == steps and fit == Fit.parse(texts)
    assert fit(SOURCE) == frame


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("crop(4)", r"unknown fit 'crop\(4\)'; known: pad\(multiple\), reduce\(x,y,z\), stretch\(side\)"),
        ("pad", r"fit 'pad' needs the option 'multiple'; it is written pad\(multiple\)"),
        ("pad(4,4)", r"no place for the value 4; it is written pad\(multiple\)"),
        ("pad(1.5)", "multiple=1.5 does not fit; expected int"),
        ("pad(0)", r"pad\(0\): the numbers must be at least 1"),
        ("pad(4", "cannot be read"),
        ("reduce", r"a number for each axis, as reduce\(x,y,z\), got 0"),
        ("reduce(4,4)", "got 2"),
        ("reduce(4,4,0)", r"reduce\(4,4,0\)"),
        ("reduce(4,4,2.5)", r"expected int; it is written reduce\(x,y,z\)"),
        ("reduce(by=4)", r"no option 'by'"),
        ("stretch(-1)", r"stretch\(-1\)"),
        ("stretch(side=wide)", "expected int"),
    ],
)
def test_what_is_no_step_is_refused_with_how_it_is_written(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_step(text)
