"""boundary_loss.mesh: from label volumes to meshes, a table and pictures."""

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from niftis import blob, save_nifti, turned
from toys import write_sliced

from boundary_loss import mesh
from boundary_loss.command import Stop
from boundary_loss.figures import drawing, surfaces
from boundary_loss.files import read_json, write_json
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.volumes import Geometry, NiftiGeometry

trimesh = pytest.importorskip("trimesh")
pytest.importorskip("fast_simplification")
AFFINE = turned((0.7, 1.3, 2.5), left_handed=True)
Run = Callable[..., None]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(*words: object) -> None:
        monkeypatch.setattr(sys, "argv", ["mesh", *map(str, words)])
        mesh.main()

    return call


@pytest.fixture(autouse=True)
def few_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take most of the time; how they look is tested elsewhere."""
    monkeypatch.setattr(surfaces, "_PIXELS", 40)
    monkeypatch.setattr(drawing, "DPI", 50)


@pytest.fixture
def pred(tmp_path: Path) -> Path:
    """Two cases as boundary_loss.predict leaves them: one has a lesion, one none."""
    folder = tmp_path / "pred"
    for case, labels in (("case_1", 255 * blob((12, 10, 8))), ("case_2", np.zeros((12, 10, 8), np.uint8))):
        save_nifti(folder / f"{case}.nii.gz", labels, AFFINE, AFFINE)
    about = {"classes": ["background", "lesion"], "label_values": [0, 255], "run": "gdl", "epoch": 3, "phantom": True}
    write_json(folder / "predictions.json", about)
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "surfaces.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_run_of_two_cases(pred: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path / "mesh", "--source", pred)
    found = {path.name for path in (tmp_path / "mesh").iterdir()}
    made = {"case_1_1_lesion.ply", "case_1_1_lesion.obj", "case_1.png", "surfaces.csv", "surfaces.json"}
    assert found == made | {"arguments.txt"}
    assert "case_2: no voxel of lesion" in capsys.readouterr().out
    assert (tmp_path / "mesh" / "case_1.png").stat().st_size > 10000
    assert read_json(tmp_path / "mesh" / "surfaces.json") == {"run": "gdl", "epoch": 3}
    full, empty = rows(tmp_path / "mesh")
    assert full["closed"] == "yes" and empty["faces"] == "0"
    count = np.count_nonzero(blob((12, 10, 8)))
    assert float(full["voxels_mm3"]) == pytest.approx(count * 0.7 * 1.3 * 2.5, rel=1e-4)
    assert float(full["volume_mm3"]) == pytest.approx(float(full["voxels_mm3"]), rel=0.15)  # edges are cut off


def test_meshes_lie_where_nibabel_places_the_voxels(pred: Path, tmp_path: Path, run: Run) -> None:
    run(tmp_path / "mesh", "--source", pred, "--smooth", 0, "--faces", 0)
    for ending in ("ply", "obj"):
        found = trimesh.load(tmp_path / "mesh" / f"case_1_1_lesion.{ending}", process=False)
        assert found.is_watertight and found.volume > 0
        image = nib.load(pred / "case_1.nii.gz")
        indices = nib.affines.apply_affine(np.linalg.inv(image.affine), found.vertices)
        voxels = np.argwhere(np.asarray(image.dataobj) == 255)
        np.testing.assert_allclose(indices.min(axis=0), voxels.min(axis=0) - 0.5, atol=0.01)
        np.testing.assert_allclose(indices.max(axis=0), voxels.max(axis=0) + 0.5, atol=0.01)


def test_the_same_settings_are_made_once(pred: Path, tmp_path: Path, run: Run) -> None:
    run(tmp_path / "mesh", "--source", pred)
    before = {path.name: path.read_bytes() for path in (tmp_path / "mesh").iterdir()}
    run(tmp_path / "mesh", "--source", pred)
    with pytest.raises(Stop, match="smooth"):
        run(tmp_path / "mesh", "--source", pred, "--smooth", 3)
    run(tmp_path / "mesh", "--source", pred, "--fresh")
    assert {path.name: path.read_bytes() for path in (tmp_path / "mesh").iterdir()} == before
    assert len(list(tmp_path.glob("mesh_*"))) == 1


def test_predictions_of_another_epoch_are_refused(pred: Path, tmp_path: Path, run: Run) -> None:
    with pytest.raises(ValueError, match="epoch 5"):
        run(tmp_path / "mesh", "--source", pred, "--epoch", 5)
    run(tmp_path / "mesh", "--source", pred, "--epoch", 3, "--smooth", 0)


def test_nothing_half_made_is_left_under_the_name(pred: Path, tmp_path: Path, run: Run) -> None:
    (pred / "case_3.nii.gz").write_bytes(b"no volume")
    with pytest.raises(ValueError, match="case_3"):
        run(tmp_path / "mesh", "--source", pred)
    assert not (tmp_path / "mesh").exists()


def test_any_folder_of_labels_and_a_truth_beside(tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    labels = blob((12, 10, 8)).astype(np.float32)
    labels[:6] *= 3
    for folder in ("ours", "theirs"):
        save_nifti(tmp_path / folder / "a.nii", labels, AFFINE, AFFINE)
    save_nifti(tmp_path / "ours" / "b.nii", labels, AFFINE, AFFINE)
    run(tmp_path / "mesh", "--source", tmp_path / "ours", "--truth", tmp_path / "theirs", "--limit", 2)
    assert [row["class"] for row in rows(tmp_path / "mesh")] == ["label 1", "label 3"] * 2
    assert (tmp_path / "mesh" / "a_2_label-3.ply").is_file() and (tmp_path / "mesh" / "a.png").is_file()
    assert "b: no ground truth" in capsys.readouterr().out


def test_values_that_are_no_labels_are_refused(tmp_path: Path, run: Run) -> None:
    save_nifti(tmp_path / "ours" / "a.nii", np.full((3, 4, 5), 0.5, np.float32), AFFINE, AFFINE)
    with pytest.raises(ValueError, match="no label volume"):
        run(tmp_path / "mesh", "--source", tmp_path / "ours")


def test_an_empty_folder_and_a_case_of_two_files_are_refused(pred: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(FileNotFoundError, match="no volumes"):
        run(tmp_path / "mesh", "--source", tmp_path / "none")
    save_nifti(pred / "case_1.nii", blob((12, 10, 8)), AFFINE, AFFINE)
    with pytest.raises(ValueError, match="same case"):
        run(tmp_path / "mesh", "--source", pred)


def test_probabilities_move_the_surface_between_the_voxels(pred: Path, tmp_path: Path, run: Run) -> None:
    with pytest.raises(FileNotFoundError, match="softmax"):
        run(tmp_path / "mesh", "--source", pred, "--softmax")
    for case in ("case_1", "case_2"):
        mask = np.asarray(nib.load(pred / f"{case}.nii.gz").dataobj) == 255
        lesion = np.where(mask, 0.9, 0.3).astype(np.float32)
        for k, probs in enumerate((1 - lesion, lesion)):
            name = ("background", "lesion")[k]
            save_nifti(pred / "softmax" / f"{case}_{k}_{name}.nii.gz", probs.astype(np.float32), AFFINE, AFFINE)
    run(tmp_path / "mesh", "--source", pred, "--softmax", "--smooth", 0)
    run(tmp_path / "hard", "--source", pred, "--smooth", 0)
    soft, hard = (float(rows(tmp_path / name)[0]["volume_mm3"]) for name in ("mesh", "hard"))
    assert soft > 1.05 * hard  # 1/2 is passed at two thirds of the way out


def test_truth_of_prepared_data_of_another_size_lies_on_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sliced(tmp_path / "DATA")
    data = PreparedFolder.open(tmp_path / "DATA")
    grid = {"file": "a.nii", "shape": [40, 36, 4]} | NiftiGeometry.of(
        nib.Nifti1Image(np.zeros((40, 36, 4), np.uint8), AFFINE).header, (40, 36, 4)
    ).as_json()
    monkeypatch.setattr(type(data), "grid", lambda self, volume: grid)
    case = next(iter(data.volumes("val")))
    found = mesh.true_labels(mesh.truth_at(tmp_path / "DATA"), case)
    assert found is not None and mesh.true_labels(mesh.truth_at(tmp_path / "DATA"), "nobody") is None
    ends = np.array([[-0.5, -0.5, -0.5, 1], [*(np.array(found.array.shape) - 0.5), 1]])
    affine = Geometry.from_json(grid).affine
    source = np.array([[-0.5, -0.5, -0.5, 1], [*(np.array(grid["shape"]) - 0.5), 1]])
    np.testing.assert_allclose(ends @ found.affine.T, source @ affine.T, atol=1e-6)
