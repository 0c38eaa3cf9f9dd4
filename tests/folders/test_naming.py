import pytest

from boundary_loss.folders.naming import Stem, by_volume


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
