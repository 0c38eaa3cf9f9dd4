"""The grid of predictions at another resolution: it fills the space of the image."""

from pathlib import Path

import numpy as np
import pytest
from niftis import turned

from boundary_loss.predict.resolution import Grid
from boundary_loss.volumes import read_volume, write_volume

SHAPE, SPACING = (7, 4, 3), (0.8, 1.3, 5.0)


@pytest.mark.parametrize("spacing", [SPACING, (0.4, 0.5, 2.0), (2.0, 3.0, 4.0), (50.0, 50.0, 50.0)])
def test_the_centres_of_both_grids_lie_in_one_place(tmp_path: Path, spacing: tuple[float, float, float]) -> None:
    write_volume(tmp_path / "a.nii.gz", np.zeros(SHAPE, np.uint8), turned(SPACING))
    source = read_volume(tmp_path / "a.nii.gz")
    grid = Grid.of(source, spacing)
    sizes = np.linalg.norm(grid.affine[:3, :3], axis=0)
    np.testing.assert_allclose(sizes, spacing, rtol=1e-5)
    middles = [np.append((np.array(shape) - 1) / 2, 1) for shape in (SHAPE, grid.frame.shape)]
    np.testing.assert_allclose(source.affine @ middles[0], grid.affine @ middles[1], atol=1e-4)
    np.testing.assert_allclose(grid.frame.positions(middles[1][:3]), middles[0][:3])
    left = np.abs(np.array(grid.frame.shape) * spacing - np.array(SHAPE) * source.spacing_mm)
    assert (left <= np.array(spacing) / 2 + 1e-6).all() or min(grid.frame.shape) == 1
