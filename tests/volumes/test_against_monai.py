"""NRRD as MONAI reads it, in a file of its own: importing MONAI takes seconds."""

from pathlib import Path

import numpy as np
import pytest
from niftis import SPACING, blob, turned

from boundary_loss.volumes import read_volume, write_volume

nrrd = pytest.importorskip("nrrd")
readers = pytest.importorskip("monai.data.image_reader")

TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
AFFINES = {
    "straight": np.diag([*SPACING, 1.0]),
    "rotated": turned(SPACING),
    "mirrored": turned(SPACING, left_handed=True),
}


@pytest.mark.parametrize("affine", AFFINES)
@pytest.mark.parametrize("space", ["left-posterior-superior", "right-anterior-superior", "ours"])
def test_monai_finds_the_same_place(tmp_path: Path, affine: str, space: str) -> None:
    path, place = tmp_path / "v.nrrd", AFFINES[affine]
    if space == "ours":
        write_volume(path, blob((7, 9, 5)), place)
    else:
        turned_to = TO_LPS @ place if space.startswith("left") else place
        header = {"space": space, "space directions": turned_to[:3, :3].T, "space origin": turned_to[:3, 3]}
        nrrd.write(str(path), blob((7, 9, 5)), header)
    reader = readers.NrrdReader()
    array, about = reader.get_data(reader.read(str(path)))
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, array)
    np.testing.assert_allclose(volume.affine, np.asarray(about["affine"]), atol=1e-6)
    np.testing.assert_allclose(volume.affine, place, atol=1e-6)
