"""Whole volumes: what lands on disk is what the files hold, in any format; bad input is told and nothing written."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from niftis import turned
from toys import load_study

from boundary_loss.files import read_json, write_json
from boundary_loss.folders.whole import WholeFolder
from boundary_loss.preparation import engine
from boundary_loss.preparation.shown import Preparation, prepare_new
from boundary_loss.volumes import Geometry, read_volume, write_volume

pytest.importorskip("nrrd")
h5py = pytest.importorskip("h5py")

AFFINE = turned((0.625, 0.625, 1.25))
NAMES = ("A1", "B_2", "C3", "D4", "E5")
SIZES = {"A1": (12, 12, 5), "B_2": (16, 16, 5), "C3": (12, 12, 7), "D4": (12, 12, 5), "E5": (14, 14, 5)}


def draw(name: str) -> tuple[np.ndarray, np.ndarray]:
    """An image and its labels, 0 and 255, of a size of the case's own."""
    rng = np.random.default_rng(NAMES.index(name))
    labels = np.zeros(SIZES[name], np.uint8)
    labels[3:8, 4:9, 1:4] = 255
    return (rng.integers(0, 100, SIZES[name]) + labels // 2).astype(np.uint8), labels


@pytest.fixture
def atria(tmp_path: Path) -> SimpleNamespace:
    """Five patients in the challenge's layout, of sizes that differ, and a way to prepare them."""
    source, dest = tmp_path / "atria", tmp_path / "ATRIA"
    for name in NAMES:
        for file, array in zip(("lgemri", "laendo"), draw(name), strict=True):
            write_volume(source / "Training Set" / name / f"{file}.nrrd", array, AFFINE)

    def run(*options: object, to: Path = dest, **changes: Any) -> WholeFolder:
        words = [str(to), "--source", str(source), "--retain", "2", "--workers", "1", *map(str, options)]
        engine.main(replace(load_study("atria"), **changes), words)
        return WholeFolder.open(to)

    return SimpleNamespace(source=source, dest=dest, run=run, folder=source / "Training Set")


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_arrays_are_those_of_the_files(atria: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    folder = atria.run()
    said = capsys.readouterr().out
    assert "warning" not in said and "3 patients to train on, 2 held out, fold 0 of 3" in said
    assert (folder.content["kind"], folder.about.study, folder.classes) == (
        "volumes",
        "atria",
        ["background", "atrium"],
    )
    for which in ("train", "val"):
        for case in folder.cases(which):
            image, labels = draw(case)
            for stored, expected in ((folder.volume(case, "lgemri"), image), (folder.truth(case), labels // 255)):
                np.testing.assert_array_equal(stored, expected)
                assert stored.dtype == np.uint8 and stored.flags.f_contiguous and isinstance(stored, np.memmap)
                with pytest.raises(ValueError, match="read-only"):
                    stored[0, 0, 0] = 1
            assert folder.spacing_3d(case) == pytest.approx((0.625, 0.625, 1.25))
            assert folder.grid(case)["file"] == f"Training Set/{case}/lgemri.nrrd"
            source = read_volume(atria.folder / case / "lgemri.nrrd")
            assert Geometry.from_json(folder.grid(case)) == source.geometry
            assert folder.patient(case) == case and len(folder.orientation(case)) == 3
            values = folder.scale(case, "lgemri")(image.astype(np.float64))
            np.testing.assert_allclose((values.mean(), values.std()), (0, 1), atol=1e-9)
    preparation = Preparation.from_json(folder.preparation, folder.path, 2)
    assert preparation.label_values == (0, 255) and preparation.normalise == "zscore" and not preparation.scale
    assert Preparation.from_json(json.loads(json.dumps(preparation.as_json())), folder.path, 2) == preparation


def test_planes_answer_as_slices_do(atria: SimpleNamespace) -> None:
    folder = atria.run()
    for which in ("train", "val"):
        stems = folder.stems(which)
        assert stems == sorted(stems) and sum(map(len, folder.volumes(which).values())) == len(stems)
        for case, planes in folder.volumes(which).items():
            image, labels = draw(case)
            assert planes == [f"{case}_00_{z:04d}" for z in range(image.shape[2])]
            whole = (image - image.mean()) / image.std()
            for z, stem in enumerate(planes):
                np.testing.assert_allclose(folder.image(which, stem), whole[None, :, :, z], atol=1e-5)
                np.testing.assert_array_equal(folder.labels(which, stem), labels[:, :, z] // 255)
                assert folder.spacing(which, stem) == pytest.approx((0.625, 0.625))
                picture = folder.picture(which, stem, "lgemri")
                assert picture.dtype == np.uint8 and picture.shape == image.shape[:2]
            pictures = np.stack([folder.picture(which, stem, "lgemri") for stem in planes], axis=-1)
            assert pictures.min() == 0 and pictures.max() == 255
            order = np.argsort(image.ravel(), kind="stable")
            assert (np.diff(pictures.ravel()[order].astype(int)) >= 0).all()


def test_repeats_and_workers_change_nothing(atria: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    first = content(atria.run().path)
    atria.run("--workers", 2, "--fresh")
    assert content(atria.dest) == first
    atria.run()
    assert "already prepared" in capsys.readouterr().out


def test_a_further_fold_links_its_sibling(atria: SimpleNamespace, tmp_path: Path) -> None:
    """It is, byte for byte, what preparing it anew would give, for a normalisation that the split decides too."""
    rule = ("--normalise", "zscore(study)")
    first = atria.run(*rule)
    linked = atria.run("--fold", 1, *rule, "--link", first.path, to=tmp_path / "L")
    anew = atria.run("--fold", 1, *rule, to=tmp_path / "N")
    assert content(linked.path) == content(anew.path)
    arrays = sorted(path.relative_to(first.path) for path in first.path.rglob("*.npy"))
    assert len(arrays) == 10
    for array in arrays:
        assert (linked.path / array).stat().st_ino == (first.path / array).stat().st_ino
    assert linked.about.checksum != first.about.checksum
    assert not set(linked.cases("val")) & set(first.cases("val"))
    values = np.concatenate([draw(case)[0].ravel() for case in linked.cases("train")]).astype(np.float64)
    scale = linked.scale(linked.cases("val")[0], "lgemri")
    np.testing.assert_allclose((scale.offset, 1 / scale.factor), (values.mean(), values.std()))
    assert linked.preparation["scale"] == {"lgemri": [scale.offset, scale.factor]}


@pytest.mark.parametrize("changed", ["settings", "source", "cases", "nothing there"])
def test_what_differs_in_more_than_the_split_is_not_linked(
    atria: SimpleNamespace, tmp_path: Path, changed: str
) -> None:
    first, options = atria.dest, ["--fold", 1, "--link", atria.dest]
    if changed != "nothing there":
        atria.run()
    if changed == "settings":
        options += ["--spacing", "1,1,2"]
    if changed == "source":
        write_json(atria.source / "lineage.json", {"phantom": True, "archives": []})
    if changed == "cases":
        (atria.folder / "E5").rename(atria.folder / "F5")
    other = atria.run(*options, to=tmp_path / "L")
    for array in sorted(path.relative_to(other.path) for path in other.path.rglob("*.npy")):
        assert (other.path / array).stat().st_nlink == 1
    assert changed == "nothing there" or first.is_dir()


@pytest.mark.parametrize("rule", ["zscore", "zscore(study)", "minmax", "window(20,80)"])
def test_what_a_network_sees_by_each_rule(atria: SimpleNamespace, rule: str) -> None:
    folder = atria.run("--normalise", rule)
    case = folder.cases("val")[0]
    image = draw(case)[0].astype(np.float64)
    seen = np.stack([folder.image("val", stem)[0] for stem in folder.volumes("val")[case]], axis=-1)
    training = np.concatenate([draw(name)[0].ravel() for name in folder.cases("train")]).astype(np.float64)
    expected = {
        "zscore": (image - image.mean()) / image.std(),
        "zscore(study)": (image - training.mean()) / training.std(),
        "minmax": (image - image.min()) / (image.max() - image.min()),
        "window(20,80)": ((image - 20) / 60).clip(0, 1),
    }[rule]
    np.testing.assert_allclose(seen, expected, atol=1e-5)
    preparation = Preparation.from_json(folder.preparation, folder.path, 2)
    np.testing.assert_array_equal(prepare_new([draw(case)[0]], ["lgemri"], preparation)[0], seen)
    if rule == "zscore(study)":
        with pytest.raises(ValueError, match=r"the numbers that zscore\(study\) scales lgemri by are missing"):
            prepare_new([draw(case)[0]], ["lgemri"], replace(preparation, scale={}))
    if rule == "window(20,80)":
        picture = folder.picture("val", f"{case}_00_0002", "lgemri")
        np.testing.assert_allclose(picture, 255 * expected[:, :, 2], atol=0.51)


def test_a_rule_changes_the_checksum_and_no_array(atria: SimpleNamespace) -> None:
    first = atria.run()
    checksum, arrays = first.about.checksum, {k: v for k, v in content(first.path).items() if k.endswith(".npy")}
    second = atria.run("--normalise", "minmax", "--fresh")
    assert second.about.checksum != checksum
    assert {k: v for k, v in content(second.path).items() if k.endswith(".npy")} == arrays
    with pytest.raises(ValueError, match="cannot normalise by 'median'"):
        atria.run("--normalise", "median", "--fresh")


def test_other_layouts_and_formats_give_the_same_arrays(atria: SimpleNamespace) -> None:
    first = atria.run()
    arrays = {k: v for k, v in content(first.path).items() if k.endswith(".npy")}
    for name, root in zip(NAMES, ("train", "train", "validate", "validate", "h5"), strict=True):
        (image, labels), old = draw(name), atria.folder / name
        for path in old.iterdir():
            path.unlink()
        if root == "h5":
            with h5py.File(old / "mri_norm2.h5", "w") as file:
                file["image"], file["label"] = image, labels // 255
            continue
        old.rmdir()
        if name == "D4":
            for file, array in (("lgemri", image), ("laendo", labels)):
                write_volume(atria.source / root / name / f"{file}.nii.gz", array, AFFINE)
            continue
        for kind, array in (("raw", image), ("label", labels)):
            write_volume(atria.source / root / kind / f"{name}.nii.gz", array, AFFINE)
    write_volume(atria.source / "test/raw/Z.nii.gz", draw("A1")[0], AFFINE)
    second = atria.run("--fresh", "--spacing", "0.625,0.625,1.25")
    assert {k: v for k, v in content(second.path).items() if k.endswith(".npy")} == arrays
    assert second.grid("E5") == {"file": "Training Set/E5/mri_norm2.h5", "format": "hdf5", "shape": [14, 14, 5]}
    assert second.grid("A1")["file"] == "train/raw/A1.nii.gz" and "format" not in second.grid("A1")
    assert second.grid("D4")["file"] == "validate/D4/lgemri.nii.gz"
    assert second.spacing_3d("E5") == (0.625, 0.625, 1.25)


def test_floats_of_64_bits_become_32_and_ignored_labels_255(atria: SimpleNamespace) -> None:
    image, labels = draw("A1")
    write_volume(atria.folder / "A1/lgemri.nrrd", image / 7, AFFINE)
    labels[0, 0] = 7
    write_volume(atria.folder / "A1/laendo.nrrd", labels, AFFINE)
    folder = atria.run("--ignore", values={0: 0, 255: 1, 7: 0}, ignorable=(7,))
    assert folder.volume("A1", "lgemri").dtype == np.float32
    np.testing.assert_allclose(folder.volume("A1", "lgemri"), image / 7, rtol=1e-6)
    np.testing.assert_array_equal(folder.truth("A1"), np.where(labels == 7, 255, labels // 255))


def change(path: Path, alter: Callable[[np.ndarray], np.ndarray], affine: np.ndarray = AFFINE) -> None:
    write_volume(path, alter(read_volume(path).array), affine)


def not_a_number(array: np.ndarray) -> np.ndarray:
    array = array.astype(np.float32)
    array[1, 2, 3] = np.nan
    return array


def slices_first(array: np.ndarray) -> np.ndarray:
    return array.transpose(2, 1, 0)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


PLANE = b"NRRD0004\ntype: uint8\ndimension: 2\nsizes: 2 2\nencoding: raw\n\n0000"


def both(case: Path, alter: Callable[[np.ndarray], np.ndarray]) -> None:
    for name in ("lgemri", "laendo"):
        change(case / f"{name}.nrrd", alter)


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no image": (lambda case: (case / "lgemri.nrrd").unlink(), r"lgemri\{.nii,.*missing"),
    "no label": (lambda case: (case / "laendo.nrrd").unlink(), r"laendo\{.nii,.*\(gt\): missing"),
    "two images": (lambda case: write_volume(case / "lgemri.nii", draw("A1")[0], AFFINE), "2 files instead of one"),
    "mixed sizes": (lambda case: change(case / "laendo.nrrd", lambda a: a[:-1]), r"\(11, 12, 5\), but \(12, 12, 5\)"),
    "a label in another order": (lambda case: change(case / "laendo.nrrd", slices_first),
                                 r"\(5, 12, 12\), but \(12, 12, 5\) in lgemri.nrrd: its axes are in another order"),
    "slices first": (lambda case: both(case, slices_first), "5 x 12 x 12 voxels: its planes lie along axis 1 of 3"),
    "not a number": (lambda case: change(case / "lgemri.nrrd", not_a_number), "1 of 720 voxels are NaN"),
    "an unknown label": (lambda case: change(case / "laendo.nrrd", lambda a: a // 2), "unexpected label 127; known"),
    "a shifted label": (lambda case: change(case / "laendo.nrrd", np.array, AFFINE + 4 * np.eye(4, k=3)), "its affine"),
    "a constant image": (lambda case: change(case / "lgemri.nrrd", lambda a: a * 0), "constant"),
    "a cut file": (lambda case: cut(case / "lgemri.nrrd"), "cannot be read"),
    "a plane": (lambda case: (case / "lgemri.nrrd").write_bytes(PLANE), "not a 3D volume: its sizes are 2 x 2"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_told_in_one_line_and_nothing_is_written(atria: SimpleNamespace, fault: str) -> None:
    spoil, told = FAULTS[fault]
    spoil(atria.folder / "A1")
    with pytest.raises(ValueError, match=told) as error:
        atria.run()
    lines = str(error.value).splitlines()
    assert lines[0].endswith("in the atria data; nothing was written:")
    assert lines[1].startswith("    A1: ") and not [line for line in lines[2:] if line.startswith("    ")]
    assert [path.name for path in atria.dest.parent.iterdir()] == ["atria"]


def test_every_faulty_case_is_told_at_once(atria: SimpleNamespace) -> None:
    for case, fault in zip(NAMES, ("no label", "not a number", "a cut file", "slices first"), strict=False):
        FAULTS[fault][0](atria.folder / case)
    with pytest.raises(ValueError, match="4 faults in the atria data") as error:
        atria.run()
    assert [line.strip()[:2] for line in str(error.value).splitlines()[1:5]] == ["A1", "B_", "C3", "D4"]
    assert "PREPARE=--trust_affine" in str(error.value)


def test_a_case_without_an_atrium_is_told_and_kept(atria: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    for case in ("A1", "C3"):
        change(atria.folder / case / "laendo.nrrd", lambda a: a * 0)
    folder = atria.run()
    assert "warning: A1, C3: the labels are background alone, without an object\n" in capsys.readouterr().out
    assert not folder.truth("A1").any()


def test_a_lost_voxel_size_is_told_in_one_line_with_that_of_the_challenge(
    atria: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    for case in NAMES:
        for name in ("lgemri", "laendo"):
            path = atria.folder / case / f"{name}.nrrd"
            write_volume(path, read_volume(path).array, np.eye(4))
            header, _, data = path.read_bytes().partition(b"\n\n")
            kept = [line for line in header.split(b"\n") if case != "A1" or b"space" not in line]
            path.write_bytes(b"\n".join(kept) + b"\n\n" + data)
    atria.run()
    (told,) = [line for line in capsys.readouterr().out.splitlines() if "warning" in line]
    assert told.startswith("warning: A1, B_2, C3, D4, E5: the header says 1 x 1 x 1 mm a voxel, or nothing")
    assert told.endswith("SPACING=0.625,0.625,0.625") and "known for 0.625 x 0.625 x 0.625 mm" in told
    atria.run("--fresh", usual_mm=(1.0, 1.0, 1.0))
    assert "warning" not in capsys.readouterr().out
    folder = atria.run("--fresh", "--spacing", "0.625,0.625,0.625")
    assert "warning" not in capsys.readouterr().out
    assert folder.spacing_3d("A1") == (0.625, 0.625, 0.625)


def test_one_scan_on_both_sides_is_told(atria: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    folder = atria.run()
    capsys.readouterr()
    learnt, held_out = folder.cases("train")[0], folder.cases("val")[0]
    for case in folder.cases("train")[1:]:  # two without an object are no twins
        change(atria.folder / case / "laendo.nrrd", lambda a: a * 0)
    image, labels = draw(learnt)
    write_volume(atria.folder / held_out / "lgemri.nrrd", image + np.uint8(1), AFFINE)
    write_volume(atria.folder / held_out / "laendo.nrrd", labels, AFFINE)
    atria.run("--fresh")
    told = [line for line in capsys.readouterr().out.splitlines() if "twice" in line]
    pair = " and ".join(sorted((f"{learnt} (train)", f"{held_out} (val)")))
    assert len(told) == 1 and told[0].startswith(f"warning: {pair} are equal in image or labels")
    write_json(
        atria.source / "split.json",
        {"train": [learnt, held_out], "val": [*folder.cases("val")[1:], *folder.cases("train")[1:]]},
    )
    atria.run("--fresh", "--split", atria.source / "split.json")
    assert "twice" not in capsys.readouterr().out


def test_an_odd_case_of_square_planes_is_overruled_by_the_user(
    atria: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    both(atria.folder / "A1", slices_first)
    assert atria.run("--trust_affine").volume("A1", "lgemri").shape == (5, 12, 12)
    assert "warning: A1: " in capsys.readouterr().out
    assert atria.run("--fresh", square_planes=False).volume("A1", "lgemri").shape == (5, 12, 12)


def test_options_of_slices_are_none_of_volumes(atria: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        atria.run("--n_augment", 1)
    assert "unrecognized arguments: --n_augment 1" in capsys.readouterr().err


def test_a_killed_attempt_leaves_nothing_that_looks_whole(atria: SimpleNamespace, monkeypatch: Any) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("boundary_loss.preparation.whole.write_json", stop)
    with pytest.raises(KeyboardInterrupt):
        atria.run()
    assert not atria.dest.exists()
    monkeypatch.undo()
    assert len(read_json(atria.run().path / "whole.json")["cases"]) == 5
    assert not atria.dest.with_name("ATRIA_tmp").exists()
