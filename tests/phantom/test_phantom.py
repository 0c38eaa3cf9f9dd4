import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from boundary_loss.phantom import __main__ as phantom
from boundary_loss.phantom import acdc, atria, brats, isles, lits, wmh
from boundary_loss.phantom.archive import new_archive
from boundary_loss.phantom.grid import Grid, scanner_affine, soft
from boundary_loss.phantom.head import largest
from boundary_loss.volumes import orientation, read_volume


def write(study, path, monkeypatch, *options):
    monkeypatch.setattr(sys, "argv", ["phantom", str(path), "--study", study, "--size", "40", *options])
    phantom.main()
    return path


@pytest.mark.parametrize("study", ["isles", "wmh", "acdc", "atria", "brats", "lits"])
def test_the_seed_decides_every_byte(study, tmp_path, monkeypatch):
    if study == "atria":
        pytest.importorskip("nrrd")
    first = write(study, tmp_path / "a", monkeypatch, "--cases", "3")
    second = write(study, tmp_path / "b", monkeypatch, "--cases", "3")
    other = write(study, tmp_path / "c", monkeypatch, "--cases", "3", "--seed", "1")
    for name in phantom.STUDIES[study].ARCHIVES:
        assert (first / name).read_bytes() == (second / name).read_bytes()
        assert (first / name).read_bytes() != (other / name).read_bytes()
    assert (first / "phantom.lineage").read_text().startswith("# Phantom:")


def test_layouts_are_the_challenges(tmp_path, monkeypatch):
    def names(study, archive):
        path = tmp_path / study
        if not path.exists():
            write(study, path, monkeypatch, "--cases", "3")
        return set(zipfile.ZipFile(path / archive).namelist())

    training = names("isles", "ISLES2018_Training.zip")
    stem = "SMIR.Brain.XX.O.CT_Tmax.350014"
    assert f"TRAINING/case_1/{stem}/{stem}.nii" in training
    assert any("CT_4DPWI" in name for name in training)
    assert any(name.startswith("__MACOSX") for name in training)
    assert not any(".OT." in name for name in names("isles", "ISLES2018_Testing.zip"))
    assert "GE3T/100/pre/FLAIR.nii.gz" in names("wmh", "Amsterdam_GE3T.zip")
    assert {"Utrecht/0/wmh.nii.gz", "Utrecht/0/pre/3DT1.nii.gz"} <= names("wmh", "Utrecht.zip")
    assert {
        "training/patient001/patient001_frame01_gt.nii.gz",
        "training/patient001/patient001_4d.nii.gz",
        "training/patient001/Info.cfg",
    } <= names("acdc", "acdc.zip")


def test_patients_of_many_cases_have_names_of_their_own(tmp_path):
    names = []
    archive = type("Names", (), {"add_volume": lambda self, name, array, affine, **_: names.append(name)})()
    rng = np.random.default_rng(0)
    for _ in wmh.write(dict.fromkeys(wmh.ARCHIVES, archive), rng, cases=9, size=32):
        pass
    patients = {name.split("/")[1] for name in names}
    assert len(patients) == 9


def test_isles_is_unbalanced_and_half_free_of_lesions():
    rng = np.random.default_rng(3)
    shares = []
    for _ in range(12):
        images, affine = isles.draw_case(rng, 96)
        assert list(images) == ["CT", "CT_CBF", "CT_CBV", "CT_MTT", "CT_Tmax", "OT"]
        dtypes = [str(array.dtype) for array in images.values()]
        assert dtypes == ["int32", "uint16", "uint16", "float64", "float64", "uint8"]
        assert len({array.shape for array in images.values()}) == 1
        assert abs(np.linalg.det(affine)) > 0
        head = (images["CT"] > 20).sum(axis=(0, 1))
        shares += list(images["OT"].sum(axis=(0, 1)) / head)
        assert images["OT"].any()
    shares = np.array(shares)
    with_lesion = shares[shares > 0]
    assert 0.3 < (shares == 0).mean() < 0.7
    assert with_lesion.max() < 0.06
    assert 0.005 < np.median(with_lesion) < 0.04


def test_isles_lesions_show_in_every_modality():
    rng = np.random.default_rng(0)
    darker = {"CT": 1, "CT_CBF": 1, "CT_CBV": 1, "CT_MTT": -1, "CT_Tmax": -1}
    inside, outside = {name: [] for name in darker}, {name: [] for name in darker}
    for _ in range(8):
        images, _ = isles.draw_case(rng, 96)
        brain, core = images["CT_CBF"] > 0, images["OT"] == 1
        for name in darker:
            inside[name].append(images[name][core].mean())
            outside[name].append(np.median(images[name][brain & ~core]))
    for name, sign in darker.items():
        assert sign * (np.mean(outside[name]) - np.mean(inside[name])) > 0, name


def test_wmh_dtypes_labels_and_contrast():
    rng = np.random.default_rng(0)
    seen = set()
    for site in list(wmh.SITES.values()) * 2:
        flair, t1, labels, _ = wmh.draw_case(rng, site, 64)
        assert (flair.dtype, t1.dtype, labels.dtype) == (np.float32, np.uint16, np.float32)
        assert flair.shape == t1.shape == labels.shape
        assert 20 <= flair.shape[2] <= 30
        seen |= set(np.unique(labels))
        brain = t1 > 0
        assert flair[labels == 1].mean() > flair[brain & (labels == 0)].mean()
    assert seen <= {0, 1, 2}
    assert {0, 1} <= seen


def test_acdc_hearts_beat_and_end():
    rng = np.random.default_rng(0)
    without, partial = 0, 0
    for _ in range(6):
        (diastole, at_rest), (systole, squeezed) = acdc.draw_patient(rng, 64)[0]
        assert diastole.dtype == systole.dtype
        assert at_rest.dtype == np.uint8
        assert set(np.unique(at_rest)) == {0, 1, 2, 3}
        assert (squeezed == 3).sum() < (at_rest == 3).sum()  # the cavity empties
        present = [set(np.unique(at_rest[:, :, z])) - {0} for z in range(at_rest.shape[2])]
        without += sum(not classes for classes in present)
        partial += sum(0 < len(classes) < 3 for classes in present)
    assert without
    assert partial


def test_atria_are_laid_out_as_the_challenge_with_an_edge_and_an_empty_case(tmp_path, monkeypatch):
    nrrd = pytest.importorskip("nrrd")
    path = write("atria", tmp_path / "a", monkeypatch, "--cases", "6")
    sides, cut, empty = set(), 0, 0
    for archive in atria.ARCHIVES:
        zipfile.ZipFile(path / archive).extractall(tmp_path / "files")
    for image_path in sorted((tmp_path / "files").glob("*/*/lgemri.nrrd")):
        image, header = nrrd.read(str(image_path))
        sides.add(image.shape)
        assert image.dtype == np.uint8 and image.max() > 100
        assert header["space"] == "left-posterior-superior" and np.any(header["space origin"])
        np.testing.assert_allclose(np.linalg.norm(header["space directions"], axis=1), 0.625 * 640 / 40)
        assert np.count_nonzero(np.abs(header["space directions"]) > 1e-3) == 9
        label_path = image_path.with_name("laendo.nrrd")
        assert label_path.exists() == (image_path.parent.parent.name != "test")
        if label_path.exists():
            label, other = nrrd.read(str(label_path))
            assert label.dtype == np.uint8 and set(np.unique(label)) <= {0, 255}
            np.testing.assert_array_equal(other["space directions"], header["space directions"])
            empty += not label.any()
            cut += bool(label[-1].any())
    assert sides == {(40, 40, 8), (36, 36, 8)}
    assert (empty, cut) == (1, 1)
    places = [path.parent.name for path in (tmp_path / "files").glob("*/*/")]
    assert {place: places.count(place) for place in places} == {"train": 5, "validate": 1, "test": 1}


def test_an_atrium_is_one_bright_piece_beside_others_as_bright():
    from scipy.ndimage import label as pieces

    for seed in range(3):
        image, label, _ = atria.draw_case(np.random.default_rng(seed), 72, 80)
        found, count = pieces(label, np.ones((3, 3, 3)))
        sizes = np.bincount(found.ravel())[1:]
        assert count and sizes.max() > 0.9 * sizes.sum()
        assert 0.003 < (label > 0).mean() < 0.03
        extent = np.ptp(np.argwhere(label), axis=0) + 1
        assert (extent * 8 <= (224, 144, 96)).all()  # the published patch holds it
        inside = image[label > 0].mean()
        assert inside > image[label == 0].mean() + 30
        assert (image[label == 0] > inside).sum() > 0.3 * (label > 0).sum()


def test_an_nrrd_file_lies_where_the_nifti_file_does(tmp_path):
    """Written by pynrrd in LPS and by nibabel in RAS, from one affine."""
    nrrd = pytest.importorskip("nrrd")
    array = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
    affine = scanner_affine(np.random.default_rng(0), (0.6, 0.7, 2.0))
    with new_archive(tmp_path / "a.zip") as archive:
        archive.add_volume("a.nrrd", array, affine)
        archive.add_volume("a.nii", array, affine)
    zipfile.ZipFile(tmp_path / "a.zip").extractall(tmp_path)
    read, header = nrrd.read(str(tmp_path / "a.nrrd"))
    np.testing.assert_array_equal(read, array)
    voxel = np.array([3, 1, 1])
    left, posterior, superior = voxel @ header["space directions"] + header["space origin"]
    nifti = read_volume(tmp_path / "a.nii")
    np.testing.assert_array_equal(nifti.array, array)
    expected = (affine @ [*voxel, 1])[:3]
    np.testing.assert_allclose([-left, -posterior, superior], expected, rtol=1e-12)
    assert b"#" not in (tmp_path / "a.nrrd").read_bytes().split(b"\n\n")[0]  # no clock


def test_volumes_of_the_occupancy_studies_lie_as_the_challenges_do(tmp_path, monkeypatch):
    with zipfile.ZipFile(write("brats", tmp_path / "brats", monkeypatch, "--cases", "2") / brats.ARCHIVES[0]) as opened:
        names = set(opened.namelist())
    for modality in ("flair", "t1", "t1ce", "t2", "seg"):
        stem = "BraTS20_Training_002"
        assert f"MICCAI_BraTS2020_TrainingData/{stem}/{stem}_{modality}.nii.gz" in names
    with zipfile.ZipFile(write("lits", tmp_path / "lits", monkeypatch, "--cases", "8") / lits.ARCHIVES[0]) as opened:
        numbers = [name for name in opened.namelist() if name.startswith("input/")]
        assert {name.replace("input/volume", "segmentation/segmentation") for name in numbers} <= set(opened.namelist())
        assert sorted(numbers)[0] == "input/volume-10.nii"
        volume = read_volume(Path(opened.extract("segmentation/segmentation-11.nii", tmp_path)))
    assert volume.array.dtype == np.uint8 and not np.allclose(volume.affine[:3, :3], np.diag(volume.spacing_mm))


def test_brats_has_nested_labels_and_nothing_outside_the_brain():
    rng = np.random.default_rng(0)
    seen = set()
    for place in ("inside", "inside", "rim", "none"):
        images, _ = brats.draw_case(rng, 64, place=place)
        labels = images.pop("seg")
        assert labels.shape == (60, 60, 39) and labels.dtype == np.uint8
        assert {array.dtype for array in images.values()} == {np.dtype(np.int16)}
        air = images["flair"] == 0
        assert 0.3 < air.mean() < 0.9 and not labels[air].any()
        assert all(np.array_equal(array == 0, air) for array in images.values())
        seen |= set(np.unique(labels))
        if place == "none":
            assert not labels.any()
            continue
        tumour, tissue = labels > 0, ~air & (labels == 0)
        assert 0.002 < tumour.sum() / (~air).sum() < 0.3
        assert images["flair"][tumour].mean() > 1.2 * images["flair"][tissue].mean()
        rim = labels == brats.ENHANCING
        assert images["t1ce"][rim].mean() > 1.2 * images["t1ce"][tissue].mean()
    assert seen == {0, 1, 2, 4}


def test_lits_has_livers_of_varied_depth_and_tumours_in_them():
    rng = np.random.default_rng(0)
    depths, seen = set(), set()
    for number in range(6):
        image, labels, affine = lits.draw_case(rng, 64, cut=number == 1, tumours=number != 2)
        assert image.dtype == np.int16 and labels.dtype == np.uint8 and image.shape == labels.shape
        assert image.shape[:2] == (64, 64) and 5 <= image.shape[2] <= 25
        depths.add(image.shape[2])
        spacing = np.linalg.norm(affine[:3, :3], axis=0) / 8
        assert 0.6 <= spacing[0] <= 0.9 and 1 <= spacing[2] <= 5
        seen |= set(np.unique(labels))
        assert image[0, 0, 0] < -900 and 0.01 < (labels > 0).mean() < 0.4
        assert (lits.TUMOUR in labels) == (number != 2)
        if number == 1:
            assert labels[:, :, -1].any()  # the scan ends within the liver
        if lits.TUMOUR in labels:
            assert image[labels == 2].mean() < image[labels == 1].mean() - 10
    assert len(depths) > 2 and seen == {0, 1, 2}


def test_bad_sizes_and_studies_are_refused(tmp_path, monkeypatch, capsys):
    for options in (["--cases", "0"], ["--size", "8"], ["--seed", "-1"]):
        with pytest.raises(SystemExit):
            write("isles", tmp_path / "x", monkeypatch, *options)
    with pytest.raises(SystemExit):
        write("brain", tmp_path / "x", monkeypatch)
    assert "isles" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_brushes():
    grid = Grid((9, 7, 2), (1.0, 2.0, 5.0))
    assert grid.x.shape == (9, 1, 1)
    assert grid.axis(1).ravel()[-1] == 6
    assert grid.noise(np.random.default_rng(0), 4).std() == pytest.approx(1, abs=1e-3)
    assert soft(np.array([-50.0, 0, 50])).tolist() == pytest.approx([0, 0.5, 1])
    affine = scanner_affine(np.random.default_rng(0), grid.spacing_mm)
    np.testing.assert_allclose(np.linalg.norm(affine[:3, :3], axis=0), grid.spacing_mm)
    mask = largest(np.arange(24.0).reshape(3, 4, 2), np.ones((3, 4, 2), bool), np.array([3, 0]))
    assert mask.sum(axis=(0, 1)).tolist() == [3, 0]
    assert mask[2, 1:, 0].all()


def test_acdc_headers_have_the_blank_sform_of_the_challenge(tmp_path, monkeypatch):
    with zipfile.ZipFile(write("acdc", tmp_path / "a", monkeypatch, "--cases", "1") / "acdc.zip") as opened:
        path = opened.extract("training/patient001/patient001_frame01.nii.gz", tmp_path)
    volume = read_volume(Path(path))
    np.testing.assert_array_equal(volume.geometry.sform, np.diag([-1.0, -1, 1, 1]))
    assert volume.spacing_mm[2] == 10 and volume.geometry.dispute() is None
    assert orientation(volume.affine) == "LPS"
