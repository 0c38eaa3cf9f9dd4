"""Ground truth of whole volumes, predicted plane by plane, comes back as the files of the challenge."""

from pathlib import Path

import numpy as np
import pytest
from niftis import turned
from toys import load_study

from boundary_loss.files import write_json, write_text
from boundary_loss.folders.pictures import write_png
from boundary_loss.folders.run import RunFolder
from boundary_loss.folders.whole import WholeFolder
from boundary_loss.predict.saved import write_saved
from boundary_loss.preparation import engine
from boundary_loss.volumes import read_volume, write_volume

nrrd = pytest.importorskip("nrrd")

AFFINE = turned((0.625, 0.625, 1.25))


@pytest.fixture
def data(tmp_path: Path) -> WholeFolder:
    """Three patients of unequal sizes, prepared; one is held out."""
    for seed, name in enumerate(("A", "B", "C")):
        rng, shape = np.random.default_rng(seed), (10 + seed, 10 + seed, 4 + seed)
        labels = (255 * (rng.random(shape) < 0.3)).astype(np.uint8)
        write_volume(tmp_path / "atria/Training Set" / name / "lgemri.nrrd", rng.integers(0, 99, shape), AFFINE)
        write_volume(tmp_path / "atria/Training Set" / name / "laendo.nrrd", labels, AFFINE)
    words = [str(tmp_path / "ATRIA"), "--source", str(tmp_path / "atria"), "--retain", "2", "--workers", "1"]
    engine.main(load_study("atria"), words)
    return WholeFolder.open(tmp_path / "ATRIA")


def perfect_run(folder: Path, data: WholeFolder) -> Path:
    stems = data.stems("val")
    write_json(folder / "rows.json", {"val": stems, "classes": data.classes})
    write_json(folder / "run.json", {"data_checksum": data.about.checksum})
    write_text(folder / "best_epoch.txt", "0\n")
    (folder / "best_epoch/val").mkdir(parents=True)
    for stem in stems:
        write_png(folder / "best_epoch/val" / f"{stem}.png", data.labels("val", stem))
    return folder


def test_the_files_of_the_challenge_come_back(tmp_path: Path, data: WholeFolder) -> None:
    run = RunFolder(perfect_run(tmp_path / "dice", data))
    write_saved(tmp_path / "pred", run, data, None, ["--toy"])  # type: ignore[arg-type]
    assert len(data.cases("val")) == 2
    for case in data.cases("val"):
        folder = tmp_path / "atria/Training Set" / case
        found, truth = read_volume(tmp_path / f"pred/{case}.nrrd"), read_volume(folder / "laendo.nrrd")
        np.testing.assert_array_equal(found.array, truth.array)
        np.testing.assert_array_equal(found.affine, truth.affine)
        assert found.array.dtype == np.uint8 and set(np.unique(found.array)) == {0, 255}
        _, theirs = nrrd.read(str(tmp_path / f"pred/{case}.nrrd"))
        _, ours = nrrd.read(str(folder / "lgemri.nrrd"))
        for field in ("space", "space directions", "space origin", "kinds", "sizes"):
            np.testing.assert_array_equal(theirs[field], ours[field], err_msg=field)
