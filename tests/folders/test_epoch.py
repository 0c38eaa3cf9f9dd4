"""An epoch's predictions on disk, either way."""

from pathlib import Path

import numpy as np
import pytest

from boundary_loss.folders.epoch import read_all, read_predictions, unpack_pictures, write_packed
from boundary_loss.folders.pictures import read_png, write_png
from boundary_loss.folders.volume_classes import VolumeClasses

SHAPES = {"case_1_00": (4, 6), "case_1_01": (4, 6), "patient02_1_00": (3, 3)}  # two volumes, an augmented copy


@pytest.fixture
def slices():
    rng = np.random.default_rng(0)
    names = [(f"{group}_{z}", shape) for group, shape in SHAPES.items() for z in (10, 9, 2)]
    return {name: rng.integers(0, 4, shape, np.uint8) for name, shape in names}


def test_packed_and_pictures_read_alike(slices, tmp_path):
    write_packed(tmp_path / "packed", "val", slices)
    (tmp_path / "png" / "val").mkdir(parents=True)
    for name, classes in slices.items():
        write_png(tmp_path / "png" / "val" / f"{name}.png", classes)
    some = list(slices)[::-2]
    for folder in ("packed", "png"):
        for name, classes in zip(some, read_predictions(tmp_path / folder, "val", some), strict=True):
            np.testing.assert_array_equal(classes, slices[name])
            assert classes.dtype == np.uint8
    unpack_pictures(tmp_path / "packed" / "val.npz", tmp_path / "unpacked")
    assert {path.stem for path in (tmp_path / "unpacked").iterdir()} == set(slices)
    for name, classes in slices.items():
        np.testing.assert_array_equal(read_png(tmp_path / "unpacked" / f"{name}.png"), classes)


def test_the_same_slices_give_the_same_bytes(slices, tmp_path):
    write_packed(tmp_path / "a", "val", slices)
    write_packed(tmp_path / "b", "val", dict(reversed(slices.items())))
    assert (tmp_path / "a" / "val.npz").read_bytes() == (tmp_path / "b" / "val.npz").read_bytes()
    assert dict(read_all(tmp_path / "a" / "val.npz")).keys() == slices.keys()


def test_faults_are_named(slices, tmp_path):
    write_packed(tmp_path, "val", slices)
    for absent in ("case_1_00_3", "case_2_00_1"):
        with pytest.raises(FileNotFoundError, match=rf"val\.npz has no slice {absent}"):
            read_predictions(tmp_path, "val", [absent])
    with pytest.raises(FileNotFoundError, match=r"train/case_1_00_9\.png is missing"):
        read_predictions(tmp_path, "train", ["case_1_00_9"])
    whole = (tmp_path / "val.npz").read_bytes()
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    for broken in (whole[: len(whole) // 2], b"", b"x", (tmp_path / "other.npz").read_bytes()):
        (tmp_path / "val.npz").write_bytes(broken)
        with pytest.raises(ValueError, match=r"val\.npz cannot be read as packed predictions"):
            read_predictions(tmp_path, "val", list(slices))


@pytest.mark.parametrize(
    "arrays",
    [
        {"slices": np.array(["../../x_00_0000"]), "../../x_00": np.zeros((1, 2, 2), np.uint8)},
        {"slices": np.array(["/x_00_0000"]), "/x_00": np.zeros((1, 2, 2), np.uint8)},
        {"slices": np.array(["x"]), "x": np.zeros((1, 2, 2), np.uint8)},
        {"slices": np.array([3]), "3": np.zeros((1, 2, 2), np.uint8)},
        {"slices": np.array(["x_00_0000"]), "x_00": np.zeros((2, 2, 2), np.uint8)},
        {"slices": np.array(["x_00_0000"]), "x_00": np.zeros((1, 2, 2))},
    ],
)
def test_names_and_arrays_of_a_packed_file_are_checked_before_a_picture_is_written(
    tmp_path: Path, arrays: dict[str, np.ndarray]
) -> None:
    place = tmp_path / "a" / "b"
    place.mkdir(parents=True)
    np.savez(place / "val.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"val\.npz cannot be read as packed predictions"):
        unpack_pictures(place / "val.npz", place / "val")
    with pytest.raises(ValueError, match=r"val\.npz cannot be read as packed predictions"):
        read_predictions(place, "val", arrays["slices"].tolist() if arrays["slices"].dtype.kind == "U" else ["3_00_0"])
    assert [path.name for path in tmp_path.rglob("*.png")] == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"slices": np.array(["case_1_00_0000"] * 2)}, "lists a name twice"),
        ({"slices": np.array(["case_1_00_0000", 1], object)}, "objects"),
        ({"slices": np.array(["a" * 3000])}, "no list of names"),
        ({"case_1_00": np.zeros((2, 3, 4))}, r"float64 \(2, 3, 4\)"),
        ({"case_1_00": np.zeros((3, 3, 4), np.uint8)}, r"uint8 \(3, 3, 4\) and has 2 names"),
        ({"case_1_00": np.zeros(2, [("a", "u1")])}, "has 2 names"),
        ({"case_1_00": np.zeros((2, 0, 4), np.uint8)}, "0 x 4 pixels"),
        ({"case_1_00": np.zeros((2, 9000, 9000), np.uint8)}, "9000 x 9000 pixels"),
    ],
)
def test_packed_predictions_are_checked_before_memory_is_taken(
    tmp_path: Path, changed: dict[str, np.ndarray], message: str
) -> None:
    sound = {"slices": np.array(["case_1_00_0000", "case_1_00_0001"]), "case_1_00": np.zeros((2, 3, 4), np.uint8)}
    np.savez_compressed(tmp_path / "val.npz", **(sound | changed))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=rf"val\.npz.*{message}.*delete its folder"):
        list(read_all(tmp_path / "val.npz"))


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 7, 3), (8, 2, 9)])
@pytest.mark.parametrize("values", [[0], [2], [0, 1], [0, 1, 3, 255]])
def test_a_volume_comes_back(tmp_path, shape, values):
    classes = np.random.default_rng(0).choice(values, shape).astype(np.uint8)
    path = tmp_path / "val" / "case_1.npz"
    VolumeClasses.of(classes).write(path)
    first = path.read_bytes()
    VolumeClasses.of(np.asfortranarray(classes)).write(path)
    assert path.read_bytes() == first
    stems = [f"case_1_00_{z:04d}" for z in reversed(range(shape[2]))]
    for z, plane in zip(reversed(range(shape[2])), read_predictions(tmp_path, "val", stems), strict=True):
        np.testing.assert_array_equal(plane, classes[:, :, z])
    with pytest.raises(FileNotFoundError, match=rf"case_1.npz: there is no plane {shape[2]}"):
        read_predictions(tmp_path, "val", [f"case_1_00_{shape[2]:04d}"])
    with pytest.raises(FileNotFoundError, match=r"case_2_00_0000\.png is missing"):
        read_predictions(tmp_path, "val", ["case_2_00_0000"])


@pytest.mark.parametrize(
    "change",
    [
        {"shape": np.array([4, 3])}, {"shape": np.array([4, 3, 0])}, {"shape": np.array([1 << 40, 3, 2])},
        {"shape": np.array([4.0, 3.0, 2.0])}, {"shape": np.array([5, 3, 2])},
        {"bits": np.zeros((1, 2), np.uint8)}, {"bits": np.zeros((1, 3), np.uint16)}, {"bits": None},
    ],
)  # fmt: skip
def test_a_spoilt_volume_is_named(tmp_path, change):
    good = {"shape": np.array([4, 3, 2]), "bits": np.zeros((1, 3), np.uint8)}
    np.savez_compressed(tmp_path / "good.npz", **good)
    assert VolumeClasses.read(tmp_path / "good.npz").plane(1).shape == (4, 3)
    np.savez_compressed(tmp_path / "a.npz", **{k: v for k, v in (good | change).items() if v is not None})
    with pytest.raises(ValueError, match=r"a\.npz cannot be read"):
        VolumeClasses.read(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes((tmp_path / "good.npz").read_bytes()[:200])
    with pytest.raises(ValueError, match=r"a\.npz cannot be read"):
        VolumeClasses.read(tmp_path / "a.npz")
