"""Data sets of nnU-Net v2 and of the Decathlon: what is brought, and what is refused before anything is written."""

import io
import json
import shutil
import sys
import tarfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from ownsets import AFFINE, as_tar, scan, write_decathlon, write_nnunet, write_pictures

from boundary_loss.files import read_json
from boundary_loss.folders.whole import WholeFolder
from boundary_loss.own import __main__ as command
from boundary_loss.own import study_of
from boundary_loss.own.bring import read_dataset
from boundary_loss.preparation import engine
from boundary_loss.shapes import IGNORED


def bring(dest: Path, dataset: Path, *words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["own", str(dest), "--dataset", str(dataset), "--workers", "1", *words])
    command.main()


def prepared(dest: Path, raw: Path, *words: str) -> WholeFolder:
    engine.main(study_of(raw), [str(dest), "--source", str(raw), "--retain", "1", "--workers", "1", *words])
    return WholeFolder.open(dest)


@pytest.mark.parametrize("packed", [False, True])
def test_the_decathlon(tmp_path, packed, monkeypatch, capsys):
    root = write_decathlon(tmp_path / "Task01_Toy")
    (root / "imagesTr" / "._case_00.nii.gz").write_bytes(b"mac")
    dataset = as_tar(root, tmp_path / "Task01_Toy.tar") if packed else root
    bring(tmp_path / "raw", dataset, monkeypatch=monkeypatch)
    told = capsys.readouterr().out
    assert "5 cases with labels, 2 without; channels M-0 (zscore); classes head, tail" in told
    assert "3D is trained: 16 planes of voxels 1 x 1.2 x 1.5 mm, median size 18 x 22 x 16" in told
    folder = prepared(tmp_path / "data", tmp_path / "raw")
    assert folder.classes == ["background", "head", "tail"] and folder.modalities == ["M-0"]
    for number in range(5):
        image, labels = scan(number)
        np.testing.assert_array_equal(folder.truth(f"case_{number:02d}"), labels)
        np.testing.assert_array_equal(folder.volume(f"case_{number:02d}", "M-0"), image[..., 0])
    assert folder.spacing_3d("case_00") == pytest.approx((1, 1.2, 1.5))
    source = read_json(tmp_path / "raw" / "lineage.json")
    assert source["licence"] == ["CC BY 4.0"]
    assert source["archives"][0]["name"] == ("Task01_Toy.tar" if packed else "dataset.json")
    assert sorted(path.name for path in (tmp_path / "raw" / "imagesTs").iterdir()) == [
        "case_05.nii.gz",
        "case_06.nii.gz",
    ]


def test_a_user_s_files_are_linked_and_never_written(tmp_path, monkeypatch):
    root = write_decathlon(tmp_path / "Task01_Toy")
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    bring(tmp_path / "raw", root, monkeypatch=monkeypatch)
    assert (tmp_path / "raw" / "imagesTr" / "case_00.nii.gz").is_symlink()
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


@pytest.mark.parametrize("packed", [False, True])
def test_channels_of_a_fourth_axis_become_files(tmp_path, packed, monkeypatch):
    root = write_decathlon(tmp_path / "Task02_Two", channels=2)
    bring(tmp_path / "raw", as_tar(root, tmp_path / "Task02_Two.tar") if packed else root, monkeypatch=monkeypatch)
    names = sorted(path.name for path in (tmp_path / "raw" / "imagesTs").iterdir())
    assert names == [f"case_0{number}_000{channel}.nii.gz" for number in (5, 6) for channel in (0, 1)]
    folder = prepared(tmp_path / "data", tmp_path / "raw")
    image, _ = scan(3, channels=2)
    for channel, name in enumerate(("M-0", "M-1")):
        np.testing.assert_array_equal(folder.volume("case_03", name), image[..., channel])
    written = nib.load(tmp_path / "raw" / "imagesTr" / "case_03_0001.nii.gz")
    np.testing.assert_allclose(written.affine, AFFINE, rtol=1e-6)


def test_the_files_of_nnunet_v1(tmp_path, monkeypatch):
    root = write_decathlon(tmp_path / "Task503_Old")
    for path in sorted(root.glob("images*/*.nii.gz")):
        path.rename(path.with_name(path.name.replace(".nii.gz", "_0000.nii.gz")))
    bring(tmp_path / "raw", root, monkeypatch=monkeypatch)
    assert prepared(tmp_path / "data", tmp_path / "raw").modalities == ["M-0"]


def test_nnunet(tmp_path, monkeypatch):
    root = write_nnunet(tmp_path / "Dataset001_Toy", channels={"0": "T1", "1": "gt"})
    bring(tmp_path / "raw", root, monkeypatch=monkeypatch)
    folder = prepared(tmp_path / "data", tmp_path / "raw")
    assert folder.modalities == ["T1", "gt-1"]
    np.testing.assert_array_equal(folder.volume("case_01", "gt-1"), scan(1, 2)[0][..., 1])
    plan = (tmp_path / "raw" / "plan.mk").read_text()
    assert "FOREGROUND := 1,2\n" in plan and "HELD_OUT := 1\n" in plan and "DIM := 3\n" in plan


def test_paths_that_dataset_json_lists(tmp_path, monkeypatch):
    root = write_nnunet(tmp_path / "Dataset001_Toy")
    (tmp_path / "elsewhere").mkdir()
    listed = {}
    for number in range(5):
        name = f"case_{number:02d}"
        shutil.move(root / "imagesTr" / f"{name}_0000.nii.gz", tmp_path / "elsewhere" / f"{number}.nii.gz")
        listed[name] = {"images": [f"../elsewhere/{number}.nii.gz"], "label": f"labelsTr/{name}.nii.gz"}
    content = read_json(root / "dataset.json") | {"dataset": listed}
    (root / "dataset.json").write_text(json.dumps(content))
    bring(tmp_path / "raw", root, monkeypatch=monkeypatch)
    np.testing.assert_array_equal(
        prepared(tmp_path / "data", tmp_path / "raw").volume("case_02", "T1"), scan(2)[0][..., 0]
    )


def test_regions_are_trained_as_the_values_that_they_are_made_of(tmp_path, monkeypatch, capsys):
    root = write_nnunet(
        tmp_path / "Dataset002_Regions",
        values=(1, 2, 3, 4),
        labels={"background": 0, "whole": [1, 2, 3], "core": [2, 3], "rim": 3, "ignore": 4},
        regions_class_order=[1, 2, 3],
    )
    bring(tmp_path / "raw", root, monkeypatch=monkeypatch)
    told = capsys.readouterr().out
    assert "regions whole, core overlap: the label values 1, 2, 3" in told and "label 4 is ignored" in told
    folder = prepared(tmp_path / "data", tmp_path / "raw")
    assert folder.classes == ["background", "whole 1", "core 2", "rim 3"]
    truth, labels = folder.truth("case_00"), scan(0, values=(1, 2, 3, 4))[1]
    np.testing.assert_array_equal(truth == IGNORED, labels == 4)
    np.testing.assert_array_equal(truth[labels < 4], labels[labels < 4])


def test_the_folds_of_splits_final(tmp_path, monkeypatch):
    root = write_nnunet(tmp_path / "Dataset001_Toy")
    names = [f"case_{number:02d}" for number in range(5)]
    folds = [{"train": names[2:], "val": names[:2]}, {"train": names[:3], "val": names[3:]}]
    (root / "splits_final.json").write_text(json.dumps(folds))
    bring(tmp_path / "raw", root, monkeypatch=monkeypatch)
    split = str(tmp_path / "raw" / "splits_final.json")
    assert prepared(tmp_path / "fold1", tmp_path / "raw", "--split", split, "--fold", "1").cases("val") == names[3:]


@pytest.mark.parametrize("colour", [False, True])
def test_pictures(tmp_path, colour, monkeypatch, capsys):
    root = write_pictures(tmp_path / "Dataset006_Roads", colour=colour)
    bring(tmp_path / "raw", root, monkeypatch=monkeypatch)
    assert "2D is trained: each case is one plane" in capsys.readouterr().out
    folder = prepared(tmp_path / "data", tmp_path / "raw")
    image, labels = scan(2, 3 if colour else 1, shape=(40, 30, 1))
    assert folder.modalities == (["R", "G", "B"] if colour else ["grey"])
    np.testing.assert_array_equal(folder.truth("case_02"), labels)
    for channel, name in enumerate(folder.modalities):
        np.testing.assert_array_equal(folder.volume("case_02", name)[..., 0], image[:, :, 0, channel].clip(0, 255))


def test_planes_are_2d(tmp_path):
    read = read_dataset(write_nnunet(tmp_path / "Dataset003_Flat", shape=(40, 30, 1)), None)
    assert read.plan.dim == 2 and "each case is one plane" in read.in_words("Flat")
    assert read_dataset(write_nnunet(tmp_path / "Dataset004_Flat", shape=(40, 30, 1)), 3).plan.dim == 3


def test_ct_is_cut_at_percentiles_of_its_objects(tmp_path, monkeypatch):
    root = write_nnunet(tmp_path / "Dataset005_CT", channels={"0": "CT", "1": "PET"})
    bring(tmp_path / "raw", root, monkeypatch=monkeypatch)
    folder = prepared(tmp_path / "data", tmp_path / "raw")
    scans = [scan(number, 2) for number in range(5)]
    inside = np.concatenate([image[labels > 0, 0] for image, labels in scans])
    low, high = np.percentile(inside, (0.5, 99.5))
    assert folder.preparation["normalise"] == f"window({low:.6g},{high:.6g}) zscore"
    assert folder.scale("case_00", "CT").clipped and not folder.scale("case_00", "PET").clipped
    assert folder.scale("case_00", "CT")(np.array([low, high])) == pytest.approx([0, 1], abs=1e-4)
    pet = folder.scale("case_03", "PET")(scans[3][0][..., 1].astype(float))
    assert (pet.mean(), pet.std()) == pytest.approx((0, 1), abs=1e-6)


def nnunet_faults(root: Path) -> dict[str, str]:
    """Spoil a data set in many ways; what each is told as."""
    write_nnunet(root, numTraining=7)
    (root / "imagesTr" / "case_00_0000.nii.gz").unlink()
    (root / "labelsTr" / "case_01.nii.gz").unlink()
    shutil.copy(root / "imagesTr" / "case_02_0000.nii.gz", root / "imagesTr" / "case_02_0001.nii.gz")
    shutil.copy(root / "imagesTr" / "case_02_0000.nii.gz", root / "imagesTr" / "loose.nii.gz")
    (root / "imagesTr" / "case_03_0000.nii.gz").write_bytes(b"no scan")
    names = [f"case_{number:02d}" for number in range(5)]
    folds = [{"train": [*names[1:], "case_04", "nobody"], "val": names[:1]}]
    (root / "splits_final.json").write_text(json.dumps(folds))
    return {
        "no image": "no image case_00_0000.nii.gz",
        "no label": "no label of case_01",
        "channel": "case_02 has channel 0001, of 1 declared",
        "name": "no channel in the name of loose.nii.gz; expected CASE_0000.nii.gz",
        "count": "'numTraining' is 7, but there are 3 cases",
        "header": "case_03_0000.nii.gz cannot be read",
        "twice": "on both sides or twice: case_04",
        "unknown": "not in the data: case_00, case_01, nobody",
    }


def test_all_faults_are_told_at_once_and_nothing_is_written(tmp_path, monkeypatch):
    told = nnunet_faults(tmp_path / "Dataset001_Toy")
    with pytest.raises(ValueError, match="nothing was written") as caught:
        bring(tmp_path / "raw", tmp_path / "Dataset001_Toy", monkeypatch=monkeypatch)
    for fault in told.values():
        assert fault in str(caught.value)
    assert not [path for path in tmp_path.iterdir() if path.name != "Dataset001_Toy"]


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ({"labels": {"0": "background", "1": "head"}}, 'goes with its \'modality\''),
        ({"labels": {"head": 1, "tail": 2}}, "must have \"background\": 0"),
        ({"labels": {"background": 1, "head": 0}}, "must have \"background\": 0"),
        ({"labels": {"background": 0, "head": 1, "tail": 3}}, "consecutive; no class has the value 2"),
        ({"labels": {"background": 0, "head": 1, "tail": 1}}, "the value 1 to two classes"),
        ({"labels": {"background": 0, "ignore": 1, "tail": 2}}, "'ignore' is 1; it must be the last, 2"),
        ({"labels": {"background": 0, "head": 1, "ignore": [2, 3]}}, "'ignore' is a list"),
        ({"labels": {"background": 0, "head": 1.5}}, "expected"),
        ({"labels": {"background": 0, "all": [1, 2], "tail": 2}}, "'regions_class_order' is None"),
        ({"labels": {"background": 0, "all": [1, 2], "tail": 2}, "regions_class_order": [1]}, "is [1]"),
        ({"labels": {"background": 0, "all": [1, 2], "tail": 2}, "regions_class_order": [1, 5]}, "has 5"),
        ({"channel_names": {"1": "T1"}}, "numbered from 0"),
        ({"modality": {"0": "MRI"}}, "'modality' beside 'channel_names'"),
        ({"file_ending": ".mha"}, "'file_ending' is '.mha'"),
        ({"file_ending": None}, "does not say 'file_ending'"),
        ({"channel_names": None}, "neither 'modality'"),
        ({"dataset": {"case_00": {"images": ["$HOME/x.nii.gz"], "label": "y.nii.gz"}}}, "not expanded"),
    ],
)  # fmt: skip
def test_a_dataset_json_of_nnunet_that_is_refused(tmp_path, entries, told):
    root = write_nnunet(tmp_path / "Dataset001_Toy", cases=2, test=0, **entries)
    with pytest.raises(ValueError) as caught:
        read_dataset(root, None)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ({"labels": {"1": "head"}}, 'no "0"'),
        ({"labels": {"background": 0}}, "expected"),
        ({"labels": {"0": "background"}}, "no class beside the background"),
        ({"modality": {"1": "MRI"}}, "numbered from 0"),
        ({"modality": {"0": "MRI", "1": "CT"}}, "1 channels along its fourth axis"),
        ({"training": []}, "lists no case"),
        ({"training": [{"image": "../x.nii.gz", "label": "./labelsTr/case_00.nii.gz"}]}, "leaves the folder"),
        ({"training": [{"image": "./imagesTr/none.nii.gz", "label": "./labelsTr/none.nii.gz"}]}, "missing, the label"),
        ({"training": ["x"]}, "expected an image and a label"),
        ({"numTraining": 9}, "'numTraining' is 9"),
    ],
)  # fmt: skip
def test_a_dataset_json_of_the_decathlon_that_is_refused(tmp_path, entries, told):
    root = write_decathlon(tmp_path / "Task01_Toy", cases=2, test=0, **entries)
    with pytest.raises(ValueError) as caught:
        read_dataset(root, None)
    assert told in str(caught.value)


def spoil(path: Path, change) -> None:
    image = nib.load(path)
    array, affine = change(np.asarray(image.dataobj), image.affine.copy())
    nib.save(nib.Nifti1Image(array, affine), path)


def nan(array, affine):
    array = array.astype(np.float32)
    array[3, 3, 3] = np.nan
    return array, affine


def moved(array, affine):
    affine[0, 3] += 5
    return array, affine


def flipped(array, affine):
    affine[0, 0] *= -1
    return array, affine


def test_what_nnunet_accepts_in_silence_is_refused(tmp_path, monkeypatch):
    root = write_nnunet(tmp_path / "Dataset001_Toy", labels={"background": 0, "head": 1, "tail": 2, "fin": 3})
    spoil(root / "imagesTr" / "case_00_0000.nii.gz", nan)
    spoil(root / "labelsTr" / "case_01.nii.gz", moved)
    spoil(root / "labelsTr" / "case_02.nii.gz", flipped)
    bring(tmp_path / "raw", root, monkeypatch=monkeypatch)
    with pytest.raises(ValueError, match="4 faults") as caught:
        prepared(tmp_path / "data", tmp_path / "raw")
    told = str(caught.value)
    assert "case_00_0000.nii.gz: 1 of 6336 voxels are NaN" in told
    assert told.count("places the voxels elsewhere") == 2
    assert "no case has fin (label 3)" in told
    assert not (tmp_path / "data").exists()


def member(name: str, *, kind: bytes = tarfile.REGTYPE, content: bytes = b"{}") -> tuple[tarfile.TarInfo, io.BytesIO]:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, len(content) if kind == tarfile.REGTYPE else 0, "/etc/passwd"
    return info, io.BytesIO(content)


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ([member("Task/../../evil")], "leaves the folder"),
        ([member("/evil")], "absolute path"),
        ([member("Task/dataset.json"), member("Task/link", kind=tarfile.SYMTYPE)], "is a link"),
        ([member("Task/x")], "holds no dataset.json"),
        ([member("A/dataset.json"), member("B/dataset.json")], "several data sets: A, B"),
        ([member("A/dataset.json"), member("A/x"), member("A/./x")], "two members of one name"),
        ([member("A/dataset.json"), member("A/dataset.json/x")], "inside another file"),
        ([member("A/dataset.json", content=b"[")], "not valid JSON"),
    ],
)  # fmt: skip
def test_a_tar_that_is_refused(tmp_path, members, told, monkeypatch):
    with tarfile.open(tmp_path / "Task.tar", "w") as archive:
        for info, content in members:
            archive.addfile(info, content)
    with pytest.raises(ValueError) as caught:
        bring(tmp_path / "raw", tmp_path / "Task.tar", monkeypatch=monkeypatch)
    assert told in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["Task.tar"]


def test_a_tar_that_is_cut(tmp_path, monkeypatch):
    path = as_tar(write_decathlon(tmp_path / "in" / "Task01_Toy"), tmp_path / "Task01_Toy.tar")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match="download it again"):
        bring(tmp_path / "raw", path, monkeypatch=monkeypatch)
    assert not (tmp_path / "raw").exists()


def test_no_data_set(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"no data set at .*DATASET is a folder"):
        bring(tmp_path / "raw", tmp_path / "none", monkeypatch=monkeypatch)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no .*dataset\.json"):
        bring(tmp_path / "raw", tmp_path / "empty", monkeypatch=monkeypatch)
