from collections.abc import Sequence

import pytest

from boundary_loss.call_syntax import bind, parse_call, usage


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("gdl", "gdl", {}),
        ("gdl()", "gdl", {}),
        (" UNet( width = 8 ) ", "UNet", {"width": 8}),
        ("boundary(map=3d, shift='optimum')", "boundary", {"map": "3d", "shift": "optimum"}),
        ("steal(0.01)", "steal", {"0": 0.01}),
        ("add(-0.01,1e-2)", "add", {"0": -0.01, "1": 0.01}),
        ("after(dice>0.5)", "after", {"0": "dice>0.5"}),
        ("x(a=true, b=False, c=.5, d=5., e=+3)", "x", {"a": True, "b": False, "c": 0.5, "d": 5.0, "e": 3}),
        ('x(a="b, c(=)")', "x", {"a": "b, c(=)"}),
        ("pack.nets:Tiny(width=4)", "pack.nets:Tiny", {"width": 4}),
        ("x(a=nan)", "x", {"a": "nan"}),
    ],
)
def test_reads(text, name, options):
    assert parse_call(text) == (name, options)
    assert [type(value) for value in parse_call(text)[1].values()] == [type(value) for value in options.values()]


@pytest.mark.parametrize(
    "text",
    ["", "(a=1)", "x(", "x)", "x(a=1", "x(a=)", "x(a==1)", "x(=1)", "x(a=1 b=2)", "x(a=1,)", "x(,)", "x(a=(1))",
     "x(a='b)", "x(a=1, a=2)", "3x", "x y", "x:1", "__import__('os').system('true')"],
)  # fmt: skip
def test_refuses(text):
    with pytest.raises(ValueError, match=r"cannot be read|twice"):
        parse_call(text)


def made(width: int, rate: float = 0.5, *, name: str = "a", sizes: Sequence[float] | None = None, bare=3, on=False):
    return width, rate, name, sizes, bare, on


def total(*numbers: float) -> float:
    return sum(numbers)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("made(4)", (4, 0.5, "a", None, 3, False)),
        ("made(width=4, rate=2, name=b, bare=5, on=true)", (4, 2.0, "b", None, 5, True)),
        ("made('4', '2.5', on='false', sizes=none)", (4, 2.5, "a", None, 3, False)),
    ],
)
def test_values_are_read_as_annotations_and_defaults_say(text, result):
    _, options = parse_call(text)
    found = bind(made, options, "thing", name="made", numbered=True)()
    assert found == result and list(map(type, found)) == list(map(type, result))


def test_a_repeated_parameter_takes_every_value_without_a_name():
    assert bind(total, parse_call("total(1, 0.5, '2')")[1], "sum", name="total", numbered=True)() == 3.5
    assert usage("total", total) == "total(numbers...)"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("made", "thing 'made' needs the option 'width'"),
        ("made(wide=1)", "thing 'made' has no option 'wide'"),
        ("made(1, width=2)", "thing 'made' is given width twice"),
        ("made(1,2,b)", "thing 'made' has no place for the value b"),
        ("made(1.5)", "thing 'made': width=1.5 does not fit; expected int"),
        ("made(true)", "thing 'made': width=True does not fit; expected int"),
        (f"made(1, {'9' * 400})", "expected float"),
        ("made(1, bare=x)", "thing 'made': bare='x' does not fit; expected int"),
        ("made(1, on=perhaps)", "thing 'made': on='perhaps' does not fit; expected bool"),
    ],
)
def test_what_does_not_fit_is_named_with_the_options_that_there_are(text, says):
    with pytest.raises(ValueError) as refusal:
        bind(made, parse_call(text)[1], "thing", name="made", numbered=True)
    assert says in str(refusal.value)
    assert str(refusal.value).endswith("it is written made(width, rate=0.5, name=a, sizes=None, bare=3, on=False)")


def test_what_the_caller_fills_in_is_no_option():
    assert usage("made", made, ["width", "sizes"]) == "made(rate=0.5, name=a, bare=3, on=False)"
    assert bind(made, {"rate": 1}, "thing", name="made", filled=["width"])(7)[:2] == (7, 1.0)
    for options, says in (({"width": 1}, "no option 'width'"), ({"0": 1}, "no place for the value 1")):
        with pytest.raises(ValueError, match=says):
            bind(made, options, "thing", name="made", filled=["width"])


def test_a_function_that_takes_any_option_gets_them_as_they_are():
    def keep(**options: object) -> dict[str, object]:
        return options

    assert bind(keep, {"a": "3"}, "thing", name="keep")() == {"a": "3"}
