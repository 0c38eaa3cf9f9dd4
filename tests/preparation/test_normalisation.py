"""Rules that scale whole volumes, compared with NumPy on the values themselves."""

import numpy as np
import pytest

from boundary_loss.preparation.normalisation import Moments, Normalisation, picture_window

RNG = np.random.default_rng(0)
CASES = {
    "a": RNG.integers(0, 256, (5, 7, 3)).astype(np.uint8),
    "b": RNG.integers(-1000, 3000, (4, 6, 9)).astype(np.int16),
    "c": RNG.normal(1e5, 1, (3, 3, 3)).astype(np.float32),
}
MOMENTS = {name: Moments.of(array) for name, array in CASES.items()}


def seen(rule: str, name: str, training: tuple[str, ...] = ("a", "b")) -> np.ndarray:
    offset, factor = Normalisation.parse(rule).scales(MOMENTS, training)[name]
    return (CASES[name].astype(np.float64) - offset) * factor


@pytest.mark.parametrize("name", CASES)
def test_each_case_by_itself(name: str) -> None:
    scaled = seen("zscore", name)
    np.testing.assert_allclose((scaled.mean(), scaled.std()), (0, 1), atol=1e-9)
    scaled = seen("minmax", name)
    assert (scaled.min(), scaled.max()) == (0, pytest.approx(1))
    assert MOMENTS[name][3:] == (CASES[name].min(), CASES[name].max())


def test_all_training_cases_together() -> None:
    values = np.concatenate([CASES[name].ravel().astype(np.float64) for name in ("a", "b")])
    for name in CASES:
        expected = (CASES[name] - values.mean()) / values.std()
        np.testing.assert_allclose(seen("zscore(study)", name), expected, rtol=1e-9)


def test_a_window_in_the_units_of_the_scanner() -> None:
    scaled = seen("window(-200,250)", "b")
    np.testing.assert_allclose(scaled, (CASES["b"] + 200.0) / 450)


def test_scaling_an_image_changes_nothing_that_is_seen() -> None:
    for rule in ("zscore", "minmax"):
        first, second = (
            Normalisation.parse(rule).scale(Moments.of(array)) for array in (CASES["b"], CASES["b"] * np.float64(3) + 7)
        )
        np.testing.assert_allclose(
            (CASES["b"] - first[0]) * first[1], (CASES["b"] * 3.0 + 7 - second[0]) * second[1], atol=1e-9
        )


@pytest.mark.parametrize(
    "text", ["zscores", "zscore(case)", "minmax(1)", "window", "window(1)", "window(2,1)", "window(1,1)", "window(a,b)"]
)
def test_an_unknown_rule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"cannot normalise by .*zscore, zscore\(study\), minmax, window\(low,high\)"):
        Normalisation.parse(text)


def test_pictures_leave_the_extremes_out() -> None:
    image = np.zeros((20, 20, 10), np.int16)
    image[5:15, 5:15] = RNG.integers(100, 200, (10, 10, 10))
    image[10, 10, 5] = 30000
    low, high = picture_window(image)
    assert 100 <= low < 105 and 195 < high < 300
    assert picture_window(np.array([[[0, 0, 1]]])) == (0, 1)


def test_a_rule_for_all_modalities_or_one_for_each() -> None:
    one = Normalisation.of_modalities("window(-200, 250)", ("ct", "pet"))
    assert one == dict.fromkeys(("ct", "pet"), Normalisation.parse("window(-200,250)"))
    each = Normalisation.of_modalities("window(-200, 250)  zscore(study)", ("ct", "pet"))
    assert each == {"ct": Normalisation.parse("window(-200,250)"), "pet": Normalisation.parse("zscore(study)")}
    with pytest.raises(ValueError, match="2 rules for 3 modalities"):
        Normalisation.of_modalities("minmax zscore", ("a", "b", "c"))
