"""Pictures as volumes of one plane."""

import numpy as np
import pytest
from PIL import Image

from boundary_loss.volumes import (
    Geometry,
    PngGeometry,
    orientation,
    read_channels,
    read_shape,
    read_volume,
    write_volume,
)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_written_is_read(tmp_path, dtype):
    array = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (5, 9, 1)).astype(dtype)
    write_volume(tmp_path / "a.png", array, PngGeometry((5, 9, 1)))
    volume = read_volume(tmp_path / "a.png", (0.5, 0.25, 1.0))
    np.testing.assert_array_equal(volume.array, array)
    assert volume.array.dtype == dtype
    assert volume.spacing_mm == (0.5, 0.25, 1.0) and read_volume(tmp_path / "a.png").spacing_mm == (1, 1, 1)
    assert read_shape(tmp_path / "a.png") == ((5, 9, 1), (1, 1, 1))
    assert Geometry.from_json(volume.geometry.as_json()) == PngGeometry((5, 9, 1))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), array[..., 0])


def test_rows_lead_down_and_columns_across(tmp_path):
    Image.new("L", (9, 5)).save(tmp_path / "a.png")
    volume = read_volume(tmp_path / "a.png", (0.5, 0.25, 1.0))
    assert volume.array.shape == (5, 9, 1) and orientation(volume.affine) == "PLS"
    np.testing.assert_allclose(np.linalg.norm(volume.affine[:3, :3], axis=0), (0.5, 0.25, 1.0))


def test_channels_of_a_picture_in_colour(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    Image.fromarray(array).save(tmp_path / "a.png")
    assert read_shape(tmp_path / "a.png")[0] == (4, 6, 1, 3)
    channels = read_channels(tmp_path / "a.png")
    np.testing.assert_array_equal(np.stack([channel.array[..., 0] for channel in channels], axis=-1), array)
    with pytest.raises(ValueError, match="3 channels; expected a grey"):
        read_volume(tmp_path / "a.png")


@pytest.mark.parametrize("mode", ["P", "RGBA", "LA"])
def test_other_pixels_are_refused(tmp_path, mode):
    Image.new(mode, (4, 4)).save(tmp_path / "a.png")
    for read in (read_volume, read_shape, read_channels):
        with pytest.raises(ValueError, match=rf"a\.png cannot be read as a picture: .* {mode}"):
            read(tmp_path / "a.png")


def test_no_picture(tmp_path):
    Image.new("L", (64, 64)).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    with pytest.raises(ValueError, match="cannot be read as a picture"):
        read_volume(tmp_path / "a.png")
    with pytest.raises(ValueError, match="one plane of 8 or 16 bits"):
        write_volume(tmp_path / "b.png", np.zeros((3, 3, 2), np.uint8), PngGeometry((3, 3, 2)))
