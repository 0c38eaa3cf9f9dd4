import pytest

from boundary_loss.names import MAX_NAME, checked_name, checked_names


@pytest.mark.parametrize("text", ["lesion", "left ventricle", "Läsion <b> 12:30", "a..b", "x" * MAX_NAME])
def test_names_that_are_one_plain_component_pass(text: str) -> None:
    assert checked_name(text, "class", "rows.json") == text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("../../x", "slash"), ("/x", "slash"), ("a\\b", "backslash"), ("..", "is '..'"), (".x", "begins with"),
        ("--help", "begins with '-'"), ("", "is empty"), (" a", "space"), ("a\n", "printed"), ("a\0b", "printed"),
        ("a\u2028b", "printed"), ("\u202egnp", "printed"), ("\ud800", "printed"), ("é" * MAX_NAME, "400 bytes"),
        (3, "int, not text"), (None, "NoneType, not text"),
    ],
)  # fmt: skip
def test_names_that_could_be_a_path_an_option_or_a_line_are_refused(text: object, fault: str) -> None:
    with pytest.raises(ValueError, match=rf"best\.pkl: the class name .*{fault}"):
        checked_name(text, "class", "best.pkl")
    with pytest.raises(ValueError, match=r"best\.pkl"):
        checked_names(["lesion", text], "class", "best.pkl")


def test_names_come_in_a_list() -> None:
    assert checked_names(("a", "b"), "class", "rows.json") == ["a", "b"]
    with pytest.raises(ValueError, match=r"rows.json: expected a list of class names, found 'abc'"):
        checked_names("abc", "class", "rows.json")
