import pytest

from boundary_loss.call_syntax import parse_call


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
