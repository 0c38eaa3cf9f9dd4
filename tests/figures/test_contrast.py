"""The window in which images are shown."""

from pathlib import Path

import numpy as np
import pytest
from toys import write_sliced

from boundary_loss.figures.contrast import KNEE, Window, windows
from boundary_loss.folders.sliced import SlicedFolder


def heart(vessel: float) -> np.ndarray:
    """Air, a heart of values 0.02 to 0.2, and a few voxels of a vessel."""
    values = np.zeros(40_000)
    values[20_000:] = np.linspace(0.02, 0.2, 20_000)
    values[20_000:20_050] = vessel
    return values


def test_a_bright_vessel_darkens_nothing_else() -> None:
    shown = [Window.of(heart(vessel), vessel).grey(heart(vessel)[20_050:]) for vessel in (0.2, 1.0, 50.0)]
    assert shown[0].mean() == pytest.approx(128, abs=2) and shown[0].max() == 255
    for other in shown[1:]:
        np.testing.assert_allclose(other, shown[0], atol=1)


def test_what_is_brighter_than_white_is_kept_for_the_page() -> None:
    window = Window(black=0.1, white=0.5, largest=2.1)
    assert window.reach == pytest.approx(5)
    values = np.array([0, 0.1, 0.3, 0.5, 1.3, 2.1])
    np.testing.assert_allclose(window.grey(values), [0, 0, 127.5, 255, 255, 255], atol=0.6)
    np.testing.assert_allclose(window.grey_and_brighter(values), [0, 0, KNEE / 2, KNEE, 239, 255], atol=0.6)


@pytest.mark.parametrize("values", [np.zeros(9), np.ones(9), np.arange(9) % 2, np.arange(9) // 8 * 0.5])
def test_images_of_one_or_two_values_have_a_window(values: np.ndarray) -> None:
    window = Window.of(values, values.max())
    assert window.white > window.black and window.reach >= 1
    shown = window.grey(values)
    assert np.all((shown == 255) == (values > values.min()))
    assert np.all(window.grey_and_brighter(values) <= 255)


def test_all_slices_of_a_volume_share_a_window(tmp_path: Path) -> None:
    data = SlicedFolder.open(write_sliced(tmp_path / "TOY"))
    for volume, stems in data.volumes("val").items():
        found = windows(data, volume)
        assert list(found) == data.modalities
        for m, name in enumerate(data.modalities):
            whole = np.stack([data.image("val", stem)[m] for stem in stems])
            assert found[name] == Window.of(whole, float(whole.max()))
