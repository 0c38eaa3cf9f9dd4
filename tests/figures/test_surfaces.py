"""Surfaces as pictures: what is in front hides what is behind, and colours say how far the two lie apart."""

import io

import numpy as np
import pytest
from PIL import Image

from boundary_loss.figures import surfaces
from boundary_loss.figures.drawing import to_png
from boundary_loss.figures.rendering import look, shaded
from boundary_loss.figures.surfaces import draw
from boundary_loss.meshes.extraction import mask_surface
from boundary_loss.meshes.surface import Surface, joined


def box(low: tuple[int, ...], high: tuple[int, ...]) -> Surface:
    mask = np.zeros((30, 24, 20), bool)
    mask[tuple(slice(a, b) for a, b in zip(low, high))] = True
    found = mask_surface(mask, np.eye(4))
    assert found is not None
    return found


def test_every_pixel_of_an_object_is_hit_and_none_around_it() -> None:
    surface = box((3, 4, 5), (13, 11, 9))
    seen = look(surface.vertices * 4, surface.faces, (0, 0), (96, 120))
    rows, columns = np.nonzero(seen.face >= 0)
    x, y = (columns + 0.5) / 4, (96 - rows - 0.5) / 4
    assert x.min() > 2.4 and x.max() < 12.6 and y.min() > 3.4 and y.max() < 10.6
    columns, rows = (np.arange(120) + 0.5) / 4, 24 - (np.arange(96) + 0.5) / 4
    inside = ((columns > 3.5) & (columns < 12))[None] & ((rows > 4.5) & (rows < 10))[:, None]
    assert (seen.face[inside] >= 0).all()
    depth = seen.of(surface.vertices, surface.faces)[..., 2]
    np.testing.assert_allclose(depth[inside], 8.5, atol=0.51)  # the side towards the viewer


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_is_nearer_hides_the_other_whatever_the_order(order: tuple[int, int]) -> None:
    both = [box((0, 0, 12), (10, 10, 16)), box((5, 5, 2), (20, 20, 8))]
    surface = joined([both[i] for i in order])
    seen = look(surface.vertices * 3, surface.faces, (0, 0), (72, 90))
    depth = seen.of(surface.vertices, surface.faces)[..., 2]
    row, column = 72 - int(3 * 7.5), int(3 * 7.5)  # both lie here
    assert depth[row, column] > 15
    assert depth[72 - (3 * 15), (3 * 15)] < 8


def test_the_weights_of_a_pixel_give_back_its_place() -> None:
    surface = box((3, 4, 5), (13, 11, 9))
    seen = look(surface.vertices * 4, surface.faces, (0, 0), (96, 120))
    rows, columns = np.nonzero(seen.face >= 0)
    places = seen.of(surface.vertices * 4, surface.faces)[rows, columns]
    np.testing.assert_allclose(places[:, 0], columns + 0.5, atol=1e-3)
    np.testing.assert_allclose(places[:, 1], 96 - rows - 0.5, atol=1e-3)


def test_what_faces_the_light_is_brighter() -> None:
    grey = np.full((2, 3), 0.5)
    lit = shaded(grey, np.array([[-0.35, 0.45, 0.82], [0.9, -0.4, 0.1]]))
    assert lit[0].mean() > lit[1].mean() + 0.2 and lit.min() >= 0 and lit.max() <= 1


@pytest.fixture(autouse=True)
def few_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surfaces, "_PIXELS", 80)


def pixels(figure: object) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(to_png(figure))).convert("RGB")).astype(int)  # type: ignore[arg-type]


def test_too_much_is_red_and_too_little_blue() -> None:
    small, large = box((8, 8, 8), (16, 16, 14)), box((5, 5, 5), (19, 19, 17))
    shares = []
    for predicted, true in ((large, small), (small, large)):
        picture = pixels(draw({"a": predicted}, {"a": true}, ["a"], title="case", limit_mm=3))
        picture = picture[: int(picture.shape[0] * 0.8)]  # without the colour bar
        shares.append(((picture[..., 0] > picture[..., 2] + 60).sum(), (picture[..., 2] > picture[..., 0] + 60).sum()))
    assert shares[0][0] > 5000 and shares[0][1] == 0
    assert shares[1][1] > 5000 and shares[1][0] == 0


def test_a_side_without_surfaces_is_said_and_both_without_are_refused() -> None:
    figure = draw({}, {"a": box((1, 1, 1), (5, 5, 5))}, ["a"], title="case")
    assert "nothing" in [text.get_text() for axes in figure.axes for text in axes.texts]
    assert "grey" in figure.axes[-1].get_xlabel()
    with pytest.raises(ValueError, match="no surface"):
        draw({}, {}, ["a"], title="case")


def test_several_classes_are_also_shown_in_their_colours() -> None:
    one, two = box((1, 1, 1), (9, 9, 9)), box((12, 1, 1), (20, 9, 9))
    figure = draw({"a": one, "b": two}, {"a": one, "b": two}, ["a", "b"], title="case")
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]
    assert titles == ["truth", "prediction", "truth, distance to the prediction", "prediction, distance to the truth"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]


def test_without_truth_the_prediction_stands_alone_and_bytes_repeat() -> None:
    one = box((1, 1, 1), (9, 9, 9))
    first, again = (to_png(draw({"a": one}, None, ["a"], title="case", subtitle="run")) for _ in range(2))
    assert first == again


def test_views_of_one_patient_agree_with_its_sides() -> None:
    """What lies at the patient's left is at the right of the front view and hides the rest from the left."""
    left = box((0, 8, 8), (4, 12, 12))  # x grows to the patient's right
    right = box((20, 8, 8), (24, 12, 12))
    figure = draw({"left": left, "right": right}, None, ["left", "right"], title="case")
    front, side = (np.asarray(axes.images[0].get_array()) for axes in figure.axes[:2])
    blue, orange = (lambda p: p[..., 2] > p[..., 0] + 0.2), (lambda p: p[..., 0] > p[..., 2] + 0.2)
    assert np.nonzero(blue(front))[1].min() > np.nonzero(orange(front))[1].max()
    assert blue(side).any() and not orange(side).any()
