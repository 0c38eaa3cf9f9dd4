"""Ground truth through slicing and back again: each study's labels, voxel for voxel."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from toys import load_study

from boundary_loss import unpack
from boundary_loss.command import Stop
from boundary_loss.files import read_json, write_json, write_text
from boundary_loss.folders.pictures import write_png
from boundary_loss.folders.sliced import SlicedFolder
from boundary_loss.phantom import __main__ as phantom
from boundary_loss.preparation import engine
from boundary_loss.preparation.slices import to_classes
from boundary_loss.volumes import read_volume

UNPACK = {
    "isles": ["--root", "TRAINING", "TESTING", "--drop", "__MACOSX", "*CT_4DPWI*"],
    "wmh": ["--strip", "1", "--drop", "__MACOSX", "orig", "3DT1.nii.gz"],
    "acdc": ["--root", "training", "--drop", "__MACOSX", "*_4d.nii.gz"],
}


@pytest.fixture(scope="module", params=UNPACK)
def unpacked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A study's phantom, unpacked as make does it."""
    study, folder = request.param, tmp_path_factory.mktemp(request.param)
    zips, raw = str(folder / "zips"), folder / "raw"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["phantom", zips, "--study", study, "--cases", "3", "--size", "32"])
        phantom.main()
        words = [str(raw), "--zips", zips, "--lineage", f"{zips}/phantom.lineage", *UNPACK[study]]
        patch.setattr(sys, "argv", ["unpack", *words])
        unpack.main()
    return study, raw


def slice_it(study: str, raw: Path, dest: Path, *options: str) -> SlicedFolder:
    words = [str(dest), "--source", str(raw), "--retain", "2", "--workers", "1", *options]
    engine.main(load_study(study), words)
    return SlicedFolder.open(dest)


def perfect_run(folder: Path, data: SlicedFolder) -> Path:
    """A run that predicted the ground truth at its best epoch, and background at epoch 0."""
    stems = data.stems("val")
    write_json(folder / "rows.json", {"val": stems, "classes": data.classes})
    write_json(folder / "run.json", {"data_checksum": data.about.checksum})
    write_text(folder / "best_epoch.txt", "1\n")
    for name in ("best_epoch", "iter000"):
        (folder / name / "val").mkdir(parents=True)
        for stem in stems:
            labels = data.labels("val", stem)
            write_png(folder / name / "val" / f"{stem}.png", labels * (name == "best_epoch"))
    return folder


def source_labels(study: str, raw: Path, volume: str) -> tuple[Path, np.ndarray]:
    declared = load_study(study)
    (case,) = [case for case in declared.find(raw) if case.volume == volume]
    return case.labels.found[0], to_classes(read_volume(case.labels.found[0]).array, declared.values)


@pytest.mark.parametrize("options", [(), ("--shape", "128", "129")])
def test_ground_truth_comes_back_voxel_for_voxel(
    unpacked: tuple[str, Path], options: tuple[str, ...], tmp_path: Path, run_predict: Callable[..., None]
) -> None:
    study, raw = unpacked
    data = slice_it(study, raw, tmp_path / "DATA", *options)
    run = perfect_run(tmp_path / "gdl", data)
    run_predict(tmp_path / "pred", "--run", run, "--data", data.path)
    volumes = data.volumes("val")
    assert sorted(path.name for path in (tmp_path / "pred").glob("*.nii.gz")) == [f"{name}.nii.gz" for name in volumes]
    for volume in volumes:
        path, labels = source_labels(study, raw, volume)
        image, found = nib.load(path), nib.load(tmp_path / "pred" / f"{volume}.nii.gz")
        np.testing.assert_array_equal(np.asarray(found.dataobj), labels)
        assert found.get_data_dtype() == np.uint8
        np.testing.assert_allclose(found.affine, image.affine, atol=1e-5)
        assert nib.aff2axcodes(found.affine) == nib.aff2axcodes(image.affine)
    about = read_json(tmp_path / "pred" / "predictions.json")
    assert about["epoch"] == 1 and about["phantom"] is True
    assert all((raw / name).is_file() for name in about["sources"].values())


def test_reduced_slices_come_back_to_their_place(
    unpacked: tuple[str, Path], tmp_path: Path, run_predict: Callable[..., None]
) -> None:
    study, raw = unpacked
    data = slice_it(study, raw, tmp_path / "DATA", "--shape", "24", "26")
    run_predict(tmp_path / "pred", "--run", perfect_run(tmp_path / "gdl", data), "--data", data.path)
    for volume in data.volumes("val"):
        _, labels = source_labels(study, raw, volume)
        found = read_volume(tmp_path / "pred" / f"{volume}.nii.gz").array
        away = np.stack([distance_transform_edt(layer == 0) for layer in np.moveaxis(labels, 2, 0)], axis=2)
        assert labels.any() and found.any() and away[found > 0].max() <= 2**0.5  # no further than rounding moves it


@pytest.fixture
def perfect(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SlicedFolder]:
    """A run on two straight little volumes."""
    from boundary_loss.volumes import write_volume

    rng = np.random.default_rng(0)
    for number in range(3):
        for name in ("pre/FLAIR", "pre/T1", "wmh"):
            array = rng.integers(0, 2, (8, 9, 3)).astype(np.float32)
            path = tmp_path / "wmh" / str(number) / f"{name}.nii.gz"
            write_volume(path, array, np.diag([0.9, 1.1, 3, 1]))
    data = slice_it("wmh", tmp_path / "wmh", tmp_path / "WMH", "--shape", "12", "12")
    return perfect_run(tmp_path / "gdl", data), data


def test_any_epoch_that_is_on_disk(perfect: tuple[Path, SlicedFolder], tmp_path: Path, run_predict: Callable) -> None:
    run, data = perfect
    words = (tmp_path / "pred", "--run", run, "--data", data.path)
    run_predict(*words, "--epoch", "0")
    assert all(not read_volume(path).array.any() for path in (tmp_path / "pred").glob("*.nii.gz"))
    with pytest.raises(Stop, match="epoch: made with 0, now best"):
        run_predict(*words, "--epoch", "best")
    run_predict(*words, "--epoch", "best", "--fresh")
    assert all(read_volume(path).array.any() for path in (tmp_path / "pred").glob("*.nii.gz"))
    assert len(list(tmp_path.glob("pred_*"))) == 1
    with pytest.raises(FileNotFoundError, match=r"iter007.* epochs 0 and the best"):
        run_predict(*words, "--epoch", "7", "--fresh")
    with pytest.raises(ValueError, match="EPOCH=last"):
        run_predict(*words, "--epoch", "last", "--fresh")
    assert not (tmp_path / "pred_tmp").exists()


def test_other_data_is_refused(perfect: tuple[Path, SlicedFolder], tmp_path: Path, run_predict: Callable) -> None:
    run, data = perfect
    words = (tmp_path / "pred", "--run", run, "--data", data.path)
    write_json(run / "run.json", {"data_checksum": "0" * 64})
    with pytest.raises(ValueError, match="trained on other data"):
        run_predict(*words)
    (data.path / "grids.json").unlink()
    write_json(run / "run.json", {"data_checksum": data.about.checksum})
    with pytest.raises(FileNotFoundError, match="slice it again: the same options give the same slices"):
        run_predict(*words)


def test_volumes_that_were_not_predicted_whole_are_left_out(
    perfect: tuple[Path, SlicedFolder], tmp_path: Path, run_predict: Callable, capsys: pytest.CaptureFixture
) -> None:
    run, data = perfect
    stems = data.stems("val")
    write_json(run / "rows.json", {"val": stems[:-1], "classes": data.classes})
    run_predict(tmp_path / "pred", "--run", run, "--data", data.path)
    assert "(2 of 3 slices)" in capsys.readouterr().out
    assert len(list((tmp_path / "pred").glob("*.nii.gz"))) == 1
    write_json(run / "rows.json", {"val": stems[1:3], "classes": data.classes})
    with pytest.raises(Stop, match="debug run"):
        run_predict(tmp_path / "other", "--run", run, "--data", data.path)


def test_a_foreign_class_or_a_missing_picture_is_named(
    perfect: tuple[Path, SlicedFolder], tmp_path: Path, run_predict: Callable
) -> None:
    run, data = perfect
    picture = run / "best_epoch" / "val" / f"{data.stems('val')[0]}.png"
    write_png(picture, np.full((12, 12), 2, np.uint8))
    with pytest.raises(ValueError, match=r"hold class 2; it has classes 0\.\.1"):
        run_predict(tmp_path / "pred", "--run", run, "--data", data.path)
    shutil.rmtree(tmp_path / "pred_tmp")
    picture.unlink()
    with pytest.raises(FileNotFoundError, match=picture.name):
        run_predict(tmp_path / "pred", "--run", run, "--data", data.path)
    assert not (tmp_path / "pred").exists()
