"""Bad input: each fault alone, told with its case, its file and what was found; and all at once."""

import dataclasses

import numpy as np
import pytest
from niftis import ACDC, save_nifti

from boundary_loss.files import read_json
from boundary_loss.preparation import engine
from boundary_loss.volumes import read_volume, write_volume

FLAIR, T1, GT = "pre/FLAIR.nii.gz", "pre/T1.nii.gz", "wmh.nii.gz"


def change(path, alter=lambda array: array, affine=None):
    volume = read_volume(path)
    write_volume(path, alter(volume.array.copy()), volume.affine if affine is None else affine)


def put(value):
    def alter(array):
        array[1, 2, 0] = value
        return array

    return alter


def spread(extreme, dtype):
    def alter(array):
        array = array.astype(dtype)
        array[0, 0, :2] = -extreme, extreme
        return array

    return alter


def header(path, place, value):
    """Overwrite a 32-bit float of a header, as no library would."""
    import gzip

    content = bytearray(gzip.decompress(path.read_bytes()))
    content[place : place + 4] = np.float32(value).tobytes()
    path.write_bytes(gzip.compress(content))


def truncate(path):
    path.write_bytes(path.read_bytes()[:200])


PIXDIM_X, PIXDIM_Z, SROW_X, SROW_Z = 80, 88, 280, 312
FAULTS = {
    "missing modality": (T1, lambda p: p.unlink(), "t1.*missing"),
    "missing label": (GT, lambda p: p.unlink(), "gt.*missing"),
    "shape": (T1, lambda p: change(p, lambda a: a[:, :-1]), r"\(12, 9, 3\), but \(12, 10, 3\)"),
    "label shape": (GT, lambda p: change(p, lambda a: a[:, :, :-1]), r"\(12, 10, 2\), but"),
    "nan": (FLAIR, lambda p: change(p, put(np.nan)), "1 of 360 voxels are NaN"),
    "infinite": (FLAIR, lambda p: change(p, put(np.inf)), "infinite"),
    "too far for float32": (FLAIR, lambda p: change(p, spread(2e38, np.float32)), r"values from -2e\+38 to 2e\+38"),
    "beyond float32": (FLAIR, lambda p: change(p, spread(1e300, np.float64)), r"values from -1e\+300 to 1e\+300"),
    "constant": (T1, lambda p: change(p, lambda a: a * 0 + 7), "constant.* 7"),
    "label": (GT, lambda p: change(p, put(3)), "unexpected label 3; known: 0, 1, 2"),
    "fractional label": (GT, lambda p: change(p, put(0.5)), "unexpected label 0.5"),
    "label nan": (GT, lambda p: change(p, put(np.nan)), "unexpected label nan"),
    "truncated": (FLAIR, truncate, "cannot be read"),
    "not 3d": (FLAIR, lambda p: change(p, lambda a: np.stack([a, a], -1)), "not a 3D volume"),
    "shifted": (T1, lambda p: change(p, affine=np.array(
        [[-0.9, 0, 0, 4], [0, -1.1, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]])), "affine places"),
    "flipped": (GT, lambda p: change(p, affine=np.diag([0.9, -1.1, 3, 1])), "affine places"),
    "singular": (FLAIR, lambda p: [header(p, SROW_X + 4 * i, 0) for i in range(4)], "singular"),
    "zero spacing": (FLAIR, lambda p: header(p, PIXDIM_Z, 0), "voxel size 0.9 x 1.1 x 0"),
    "negative spacing": (FLAIR, lambda p: header(p, PIXDIM_X, -1), "voxel size -1"),
    "spacing disagrees": (FLAIR, lambda p: header(p, PIXDIM_X, 2), r"says 2 x 1.1 x 3 mm a voxel, its affine .* 0.9"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_told_and_nothing_is_written(wmh, fault):
    name, spoil, told = FAULTS[fault]
    spoil(wmh.source / "100" / name)
    with pytest.raises(ValueError, match=told) as error:
        wmh.run()
    line = next(line for line in str(error.value).splitlines() if line.startswith("    "))
    assert line.startswith("    100: ")
    assert name.split("/")[-1] in line
    assert sorted(path.name for path in wmh.dest.parent.iterdir()) == ["wmh"]


def test_all_faults_of_all_cases_are_listed_at_once(wmh):
    for patient, fault in zip(("7", "11", "100", "101"), ("missing modality", "nan", "label", "truncated")):
        name, spoil, _ = FAULTS[fault]
        spoil(wmh.source / patient / name)
    (wmh.source / "7" / GT).unlink()
    with pytest.raises(ValueError, match="5 faults") as error:
        wmh.run()
    lines = [line.strip() for line in str(error.value).splitlines()[1:]]
    assert [line.split(":")[0] for line in lines] == ["100", "101", "11", "7", "7"]


def test_affines_can_be_trusted_but_not_a_missing_voxel_size(wmh, capsys):
    FAULTS["shifted"][1](wmh.source / "100" / T1)
    with pytest.raises(ValueError, match="--trust_affine"):
        wmh.run()
    wmh.run("--trust_affine")
    assert "warning: 100" in capsys.readouterr().out
    header(wmh.source / "100" / FLAIR, PIXDIM_Z, 0)
    with pytest.raises(ValueError, match="voxel size"):
        wmh.run("--trust_affine", "--fresh")


def test_a_size_that_headers_dispute_is_stated_or_pixdim_trusted(wmh, capsys):
    header(wmh.source / "100" / FLAIR, PIXDIM_X, 2)
    with pytest.raises(ValueError, match=r"(?s)SPACING=X,Y,Z.*PREPARE=--trust_affine"):
        wmh.run()
    assert read_json(wmh.run("--trust_affine") / "spacing_3d.json")["100"][2] == 3
    said = capsys.readouterr().out
    assert "warning: 100: " in said and "its affine (sform) 0.9" in said
    spacing = read_json(wmh.run("--spacing", "0.9,1.1,5", "--fresh", shape=(12, 10)) / "spacing_3d.json")
    assert spacing == {patient: [0.9, 1.1, 5] for patient in wmh.cases}
    said = capsys.readouterr().out
    assert said.count("its header says 0.9 x 1.1 x 3 mm a voxel; taken for 0.9 x 1.1 x 5, as stated") == 5
    assert read_json(wmh.dest / "slicing.json")["options"]["spacing_mm"] == [0.9, 1.1, 5]


def test_voxels_of_unit_size_are_doubted_once_and_can_be_stated(wmh, capsys):
    for patient in ("7", "11"):
        for name in (FLAIR, T1, GT):
            change(wmh.source / patient / name, affine=np.eye(4))
    wmh.run()
    said = capsys.readouterr().out
    assert said.count("warning") == 1
    assert "warning: 11, 7: the header says 1 x 1 x 1 mm a voxel" in said and "SPACING=X,Y,Z" in said
    wmh.run("--spacing", "0.9 1.1 3", "--fresh")
    assert "warning" not in capsys.readouterr().out


@pytest.mark.parametrize("text", ["1,1", "1,1,0", "1,1,-5", "1,1,thick", "1,1,nan", ""])
def test_a_stated_size_is_three_positive_numbers(wmh, text, capsys):
    with pytest.raises(SystemExit):
        wmh.run("--spacing", text)
    assert "--spacing: expected three voxel sizes in mm, as 0.9,0.9,5" in capsys.readouterr().err


@pytest.mark.parametrize("dtype, factor", [(np.float64, 0.9999999998), (np.float32, 1.0000001), (np.float64, 1.0)])
def test_labels_that_rounding_moved_are_the_same_labels(wmh, dtype, factor):
    checksum = read_json(wmh.run() / "slicing.json")["checksum"]
    for patient in wmh.cases:
        change(wmh.source / patient / GT, lambda a: a.astype(dtype) * dtype(factor))
    assert read_json(wmh.run("--fresh") / "slicing.json")["checksum"] == checksum


def test_what_a_mac_hides_is_passed_over(wmh):
    for path in list(wmh.source.rglob("*.nii.gz")):
        path.with_name("._" + path.name).write_bytes(b"\0\5\x16\7")
    wmh.run()


def test_a_name_that_cannot_be_a_path_is_refused(wmh, study):
    (case, *_) = study("wmh").find(wmh.source)
    spoilt = dataclasses.replace(study("wmh"), find=lambda folder: [dataclasses.replace(case, volume="../7")])
    with pytest.raises(ValueError, match=r"the case name '\.\./7' contains a slash"):
        engine.find_cases(spoilt, wmh.source)


def acdc_case(folder, rng, place):
    for frame in (1, 9):
        stem = folder / f"{folder.name}_frame{frame:02d}"
        save_nifti(stem.with_name(stem.name + ".nii.gz"), rng.integers(0, 99, (8, 6, 2)).astype(np.int16), **place)
        save_nifti(stem.with_name(stem.name + "_gt.nii.gz"), rng.integers(0, 4, (8, 6, 2)).astype(np.uint8), **place)


def test_the_headers_of_acdc_pass_without_a_word(tmp_path, study, capsys):
    rng = np.random.default_rng(0)
    for number in (1, 2):
        acdc_case(tmp_path / f"acdc/training/patient00{number}", rng, ACDC)
    words = ["--source", str(tmp_path / "acdc"), "--retain", "1", "--workers", "1", "--shape", "8", "6"]
    engine.main(study("acdc"), [str(tmp_path / "A"), *words])
    assert "warning" not in capsys.readouterr().out
    for spacing in read_json(tmp_path / "A/spacing_3d.json").values():
        np.testing.assert_allclose(spacing, (1.3, 1.3, 10), rtol=1e-6)
    assert set(read_json(tmp_path / "A/slicing.json")["orientation"].values()) == {"LPS"}


def test_tiny_differences_of_headers_pass(wmh):
    path = wmh.source / "100" / T1
    change(path, affine=wmh.affine + 1e-5 * np.eye(4))
    wmh.run()


def test_two_files_for_one_modality(tmp_path, study):
    folder = tmp_path / "TRAINING/case_1/SMIR.Brain.XX.O.CT.5"
    folder.mkdir(parents=True)
    for name in ("a.nii", "b.nii"):
        write_volume(folder / name, np.zeros((2, 2, 2)), np.eye(4))
    (case,) = study("isles").find(tmp_path)
    assert [len(files.found) for files in case.images] == [2, 0, 0, 0, 0]


def test_an_acdc_patient_needs_two_frames(tmp_path, study):
    rng = np.random.default_rng(0)
    for name, frames in (("patient001", (1, 9)), ("patient002", (1,)), ("patient003", ())):
        folder = tmp_path / "a/training" / name
        folder.mkdir(parents=True)
        for frame in frames:
            stem = folder / f"{name}_frame{frame:02d}"
            write_volume(stem.with_name(stem.name + ".nii.gz"), rng.random((4, 4, 2)), np.eye(4))
            write_volume(stem.with_name(stem.name + "_gt.nii.gz"), np.ones((4, 4, 2), np.uint8), np.eye(4))
    words = [str(tmp_path / "A"), "--source", str(tmp_path / "a"), "--retain", "1", "--workers", "1"]
    with pytest.raises(ValueError, match=r"(?s)patient003.*missing.*patient002: 1 volumes.*expected 2"):
        engine.main(study("acdc"), words)


def test_native_slices_must_have_one_size(tmp_path, study):
    rng = np.random.default_rng(0)
    for number, size in ((1, 8), (2, 8), (3, 9)):
        for name in ("CT", "CT_CBF", "CT_CBV", "CT_MTT", "CT_Tmax", "OT"):
            folder = tmp_path / f"i/TRAINING/case_{number}/SMIR.Brain.XX.O.{name}.1"
            folder.mkdir(parents=True)
            write_volume(folder / "x.nii", rng.integers(0, 2, (size, 8, 2)).astype(np.uint8), np.eye(4))
    words = [str(tmp_path / "I"), "--source", str(tmp_path / "i"), "--retain", "1", "--workers", "1"]
    with pytest.raises(ValueError, match=r"9 x 8: case_3.*--shape"):
        engine.main(study("isles"), words)
    engine.main(study("isles"), [*words, "--shape", "8", "8"])
