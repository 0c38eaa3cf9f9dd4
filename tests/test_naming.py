import pytest

from boundary_loss.naming import MAX_NAME, Stem, by_volume, checked_name, checked_names


@pytest.mark.parametrize(
    ("text", "stem"),
    [
        ("case_10_00_0003", Stem("case_10", 0, 3)),
        ("107_00_0003", Stem("107", 0, 3)),
        ("patient001_01_0_3", Stem("patient001_01", 0, 3)),
    ],
)
def test_stems_of_the_three_studies(text: str, stem: Stem) -> None:
    assert Stem.parse(text) == stem


@pytest.mark.parametrize("text", ["case", "case_1", "case_a_b", "", "case_0_²"])
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a slice's name"):
        Stem.parse(text)


def test_volumes_are_sorted_and_slices_in_numeric_order() -> None:
    stems = ["b_01_0_10", "b_01_0_9", "a_01_0_0", "b_01_1_9"]
    assert by_volume(stems) == {"a_01": ["a_01_0_0"], "b_01": ["b_01_0_9", "b_01_0_10"]}


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
