"""Bad input: each fault alone, told with its case, its file and what was found; and all at once."""

import numpy as np
import pytest

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
    from boundary_loss.slicing import engine

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
    from boundary_loss.slicing import engine

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
