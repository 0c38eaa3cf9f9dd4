"""The slices in memory: what a batch holds, and that its maps are right."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from toys import write_sliced

from boundary_loss.data import MapNeed, Slices
from boundary_loss.distance import one_hot2dist, signed_distance
from boundary_loss.files import read_json, write_array, write_json
from boundary_loss.folders.sliced import SlicedFolder
from boundary_loss.shapes import IGNORED
from boundary_loss.training.epoch_sums import Tally
from boundary_loss.training.ranks import Ranks

FLAT = MapNeed("2d", (1,))
OWN = MapNeed("own", (1,))
STEP = MapNeed("step", (1,))
SOLID = MapNeed("3d", (1,))


def test_an_item_is_a_dictionary_as_the_original_hands_out(sliced: Path) -> None:
    slices = Slices(SlicedFolder.open(sliced), "train", needs=[FLAT])
    item = slices[3]
    assert item["filenames"] == slices.names[3]
    assert item["images"].shape == (2, 20, 24) and item["images"].dtype == torch.float32
    assert item["gt"].shape == (2, 20, 24) and (item["gt"].sum(dim=0) == 1).all()
    assert item["spacings"].tolist() == pytest.approx([0.8, 1.2])
    assert item["maps"][FLAT].shape == (2, 20, 24)


def test_maps_of_slices_are_the_papers_at_each_slices_spacing(sliced: Path) -> None:
    slices = Slices(SlicedFolder.open(sliced), "train", needs=[FLAT, STEP, OWN])
    batch = slices.batch(torch.arange(len(slices)))
    for i in range(len(slices)):
        expected = one_hot2dist(batch.gt[i].numpy(), (0.8, 1.2))
        np.testing.assert_allclose(batch.maps[FLAT][i, 1], expected[1], atol=1e-5)
        np.testing.assert_array_equal(batch.maps[OWN][i], batch.maps[FLAT][i])
        np.testing.assert_allclose(batch.maps[STEP][i, 1], expected[1], atol=1e-5)
    assert (batch.maps[FLAT][:, 0] == 0).all(), "a class that no loss reads costs no map"


def test_saved_volume_maps_are_read_and_others_computed_from_the_volume(sliced: Path) -> None:
    folder = SlicedFolder.open(sliced)
    other = MapNeed.of("3d", (0, 1), {"convention": "symmetric", "absent": "zero"})
    assert other.options == (("convention", "symmetric"),)
    slices = Slices(folder, "val", needs=[SOLID, other])
    batch = slices.batch(torch.arange(len(slices)))
    saved = np.stack([folder.map_3d("val", stem)[1] for stem in slices.names])
    np.testing.assert_array_equal(batch.maps[SOLID][:, 1], saved)
    stems = folder.volumes("val")["case_4"]
    volume = torch.from_numpy(np.stack([folder.labels("val", stem) for stem in stems], axis=-1))
    expected = signed_distance(volume, (0.8, 1.2, 5.0), num_classes=2, convention="symmetric")
    rows = [slices.names.index(stem) for stem in stems]
    np.testing.assert_allclose(batch.maps[other][rows].movedim(0, -1), expected, atol=1e-5)


def test_eight_bit_studies_are_read_from_their_pictures(sliced: Path) -> None:
    about = read_json(sliced / "slicing.json")
    write_json(sliced / "slicing.json", about | {"kinds": ["ct", "gt", "mtt"]})
    for kind in ("in_npy", "gt_npy"):
        shutil.rmtree(sliced / "val" / kind)
    folder = SlicedFolder.open(sliced)
    slices = Slices(folder, "val")
    expected = folder.picture("val", slices.names[0], "mtt") / np.float32(255)
    np.testing.assert_array_equal(slices[0]["images"][1], expected)


def test_debug_keeps_the_first_slices(sliced: Path) -> None:
    assert Slices(SlicedFolder.open(sliced), "train", limit=5).names == SlicedFolder.open(sliced).stems("train")[:5]


def test_faults_in_the_data_are_named(tmp_path: Path) -> None:
    sliced = write_sliced(tmp_path / "a")
    stem = "case_1_00_0001"
    write_array(sliced / "train" / "gt_npy" / f"{stem}.npy", np.full((20, 24), 7, np.uint8))
    with pytest.raises(ValueError, match=rf"{stem} has labels \[7\]"):
        Slices(SlicedFolder.open(sliced), "train")
    write_array(sliced / "train" / "gt_npy" / f"{stem}.npy", np.zeros((20, 25), np.uint8))
    with pytest.raises(ValueError, match=rf"{stem}.*--shape"):
        Slices(SlicedFolder.open(sliced), "train")
    with pytest.raises(FileNotFoundError, match=r"slicing\.json"):
        SlicedFolder.open(tmp_path)


def test_ignored_voxels_are_seen(sliced: Path) -> None:
    folder = SlicedFolder.open(sliced)
    assert not Slices(folder, "val").has_ignored
    labels = folder.labels("val", "case_4_00_0000").copy()
    labels[:3] = IGNORED
    write_array(sliced / "val" / "gt_npy" / "case_4_00_0000.npy", labels)
    slices = Slices(folder, "val", needs=[FLAT])
    assert slices.has_ignored
    assert (slices[0]["gt"][:, :3] == 0).all() and (slices[0]["maps"][FLAT][:, :3] == 0).all()


@pytest.mark.parametrize("need", [FLAT, STEP])
def test_slices_of_background_and_ignored_voxels_alone_are_no_masks(sliced: Path, need: MapNeed) -> None:
    folder = SlicedFolder.open(sliced)
    for stem in folder.stems("val"):
        labels = np.zeros_like(folder.labels("val", stem))
        labels[:3] = IGNORED
        write_array(sliced / "val" / "gt_npy" / f"{stem}.npy", labels)
    slices = Slices(folder, "val", needs=[need])
    batch = slices.batch(torch.arange(len(slices)))
    assert not batch.maps[need].any()
    tally = Tally(slices, [torch.arange(len(slices))], ["gdl:1"], torch.device("cpu"), Ranks())
    tally.add_counts(torch.arange(len(slices)), torch.ones_like(batch.labels), batch.labels)
    assert not tally.counts[2, :, 1].any() and tally.counts[2, :, 0].any()


def _rewrite(sliced: Path, kind: str, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    """Change the first training slice that has a lesion."""
    path = sliced / "train" / kind / "case_1_00_0001.npy"
    write_array(path, change(np.load(path)))
    return path


@pytest.mark.parametrize("dtype", [bool, np.int16, ">i4", np.uint64, np.float32, np.float64])
def test_labels_of_any_type_are_the_same_classes(sliced: Path, dtype: str) -> None:
    expected = Slices(SlicedFolder.open(sliced), "train").labels
    _rewrite(sliced, "gt_npy", lambda labels: labels.astype(dtype))
    assert torch.equal(Slices(SlicedFolder.open(sliced), "train").labels, expected)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda labels: labels * 0.5, "labels 0.5, 0.5, 0.5; they must be whole numbers"),
        (lambda labels: np.where(labels, np.nan, 0.0), "labels nan, nan, nan"),
        (lambda labels: -labels.astype(np.int8), "labels -1, -1, -1"),
        (lambda labels: labels.astype(np.int64) * 256, "labels 256, 256, 256"),
        (lambda labels: labels[None], r"uint8 of shape \(1, 20, 24\), not the labels of a slice"),
        (lambda labels: labels.astype(complex), "complex128"),
    ],
)
def test_labels_that_are_no_classes_name_their_file(
    sliced: Path, change: Callable[[np.ndarray], np.ndarray], says: str
) -> None:
    path = _rewrite(sliced, "gt_npy", change)
    with pytest.raises(ValueError, match=says) as raised:
        Slices(SlicedFolder.open(sliced), "train")
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(("value", "says"), [(np.nan, "NaN or inf"), (np.inf, "NaN or inf"), (1j, "complex")])
def test_images_that_are_no_numbers_name_their_slice(sliced: Path, value: complex, says: str) -> None:
    def spoil(image: np.ndarray) -> np.ndarray:
        image = image.astype(np.result_type(image, value))
        image[0, 3, 4] = value
        return image

    _rewrite(sliced, "in_npy", spoil)
    with pytest.raises(ValueError, match=f"train/case_1_00_0001 has .*{says}"):
        Slices(SlicedFolder.open(sliced), "train")


def test_classes_that_no_slice_has_are_known(tmp_path: Path) -> None:
    sliced = write_sliced(tmp_path / "TOY", num_classes=4)
    for path in (sliced / "train" / "gt_npy").iterdir():
        labels = np.load(path)
        write_array(path, np.where(labels == 2, 255, labels))
    slices = Slices(SlicedFolder.open(sliced), "train")
    assert slices.absent == [2] and slices.has_ignored
    assert Slices(SlicedFolder.open(sliced), "val").absent == []
    for path in (sliced / "train" / "gt_npy").iterdir():
        write_array(path, np.full_like(np.load(path), 255))
    with pytest.raises(ValueError, match="no labelled pixel"):
        Slices(SlicedFolder.open(sliced), "train")
