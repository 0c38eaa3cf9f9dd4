"""The numbers in the slices: against the original's formulas, written out here."""

import numpy as np
import pytest
from skimage.transform import resize

from boundary_loss.distance import one_hot2dist
from boundary_loss.files import read_json
from boundary_loss.folders.sliced import SlicedFolder
from boundary_loss.preparation import engine
from boundary_loss.preparation.slices import digest, resize_slices, to_classes
from boundary_loss.volumes import write_volume

SPACING = (0.9 * 12 / 16, 1.1 * 10 / 20, 3.0)


def both(folder):
    return [(which, stem) for which in ("train", "val") for stem in folder.stems(which)]


def test_values_are_the_originals(wmh):
    folder = SlicedFolder.open(wmh.run())
    assert len(both(folder)) == 15
    for which, stem in both(folder):
        patient, _, z = stem.split("_")
        case, z = wmh.cases[patient], int(z)
        for channel, name in enumerate(("pre/FLAIR", "pre/T1")):
            values = case[name].astype(np.float32)
            values = (values - values.min()) / (values.max() - values.min())
            layer = values[:, :, z]
            expected = resize(layer, (16, 20), order=1, mode="constant", preserve_range=True, anti_aliasing=False)
            image = folder.image(which, stem)
            np.testing.assert_allclose(image[channel], expected, atol=1e-6)
            picture = folder.picture(which, stem, ("flair", "t1")[channel])
            np.testing.assert_array_equal(picture, (image[channel] * 255).astype(np.uint8))
        assert image.dtype == np.float32
        assert image.shape == (2, 16, 20)
        assert image.min() >= 0
        assert image.max() <= 1
        np.testing.assert_allclose(folder.spacing(which, stem), SPACING[:2])


def test_other_pathology_is_background_or_ignored(wmh):
    plain = SlicedFolder.open(wmh.run())
    assert {v for which, stem in both(plain) for v in np.unique(plain.labels(which, stem))} == {0, 1}
    maps = {pair: plain.map_3d(*pair) for pair in both(plain)}
    ignoring = SlicedFolder.open(wmh.run("--ignore", "--fresh"))
    assert {v for which, stem in both(ignoring) for v in np.unique(ignoring.labels(which, stem))} == {0, 1, 255}
    for which, stem in both(ignoring):
        ignored = ignoring.labels(which, stem) == 255
        assert (ignoring.map_3d(which, stem)[:, ignored] == 0).all()
        outside = ignoring.labels(which, stem) == 0  # the distance to a lesion is what it was
        found, before = ignoring.map_3d(which, stem)[1][outside], maps[which, stem][1][outside]
        np.testing.assert_allclose(found, before, rtol=1e-6)


def test_a_volume_of_background_and_ignored_voxels_alone_is_no_mask(wmh):
    for name in wmh.cases:
        labels = 2 * (wmh.cases[name]["wmh"] > 0).astype(np.float32)
        write_volume(wmh.source / name / "wmh.nii.gz", labels, wmh.affine)
    folder = SlicedFolder.open(wmh.run("--ignore"))
    assert {v for which, stem in both(folder) for v in np.unique(folder.labels(which, stem))} == {0, 255}
    assert not any(folder.map_3d(*pair).any() for pair in both(folder))


def test_maps_are_those_of_the_resized_volume(wmh):
    folder = SlicedFolder.open(wmh.run())
    for which in ("train", "val"):
        for volume, stems in folder.volumes(which).items():
            labels = np.stack([folder.labels(which, stem) for stem in stems], axis=-1)
            one_hot = np.stack([labels == k for k in range(2)]).astype(np.uint8)
            assert folder.spacing_3d(volume) == pytest.approx(SPACING)
            expected = one_hot2dist(one_hot, SPACING, dtype=np.float32)
            saved = np.stack([folder.map_3d(which, stem) for stem in stems], axis=-1)
            assert saved.dtype == np.float32
            np.testing.assert_allclose(saved, expected, rtol=1e-6)


def test_copies_of_training_slices_flip_everything_alike(wmh):
    folder = SlicedFolder.open(wmh.run("--n_augment", 3))
    stems = folder.stems("train")
    assert len(stems) == 3 * 3 * 4
    assert all("_00_" in stem for stem in folder.stems("val"))
    used = set()
    for stem in stems:
        patient, copy, z = stem.split("_")
        if copy == "00":
            continue
        source = f"{patient}_00_{z}"
        assert folder.spacing("train", stem) == folder.spacing("train", source)
        for axes in ((1,), (2,), (1, 2)):
            if np.array_equal(np.flip(folder.image("train", source), axes), folder.image("train", stem)):
                break
        else:
            pytest.fail(f"{stem} is no flip of {source}")
        used.add(axes)
        labels = folder.labels("train", source)[None]
        np.testing.assert_array_equal(folder.labels("train", stem), np.flip(labels, axes)[0])
        np.testing.assert_array_equal(folder.map_3d("train", stem), np.flip(folder.map_3d("train", source), axes))
    assert len(used) == 3


def test_negatives_are_discarded_in_training_only(wmh):
    folder = SlicedFolder.open(wmh.run("--discard_negatives"))
    assert all((folder.labels("train", stem) == 1).any() for stem in folder.stems("train"))
    assert "0000" in {stem[-4:] for stem in folder.stems("val")}


def test_ratios_count_voxels(wmh):
    folder = SlicedFolder.open(wmh.run())
    for which in ("train", "val"):
        labels = np.stack([folder.labels(which, stem) for stem in folder.stems(which)])
        counts = read_json(folder.path / "slicing.json")["ratio"][which]
        assert (counts["positive"], counts["negative"]) == ((labels == 1).sum(), (labels == 0).sum())
        assert counts["slices"] == len(labels)
        assert counts["slices_with_object"] == (labels == 1).any(axis=(1, 2)).sum()


def test_isles_keeps_its_own_size_exactly(tmp_path, study):
    rng = np.random.default_rng(0)
    raw = {}
    for number in range(3):
        for i, name in enumerate(("CT", "CT_CBF", "CT_CBV", "CT_MTT", "CT_Tmax", "OT")):
            stem = f"SMIR.Brain.XX.O.{name}.{number}{i}"
            top = 2 if name == "OT" else 1000
            raw[number, name] = rng.integers(0, top, (8, 11, 2)).astype(np.float64 if i > 2 else np.int32)
            folder = tmp_path / f"isles/TRAINING/case_{number}/{stem}"
            folder.mkdir(parents=True)
            write_volume(folder / f"{stem}.nii", raw[number, name], np.diag([1, 1, 5.0, 1]))
    words = [str(tmp_path / "ISLES"), "--source", str(tmp_path / "isles"), "--retain", "1", "--workers", "1"]
    engine.main(study("isles"), words)
    folder = SlicedFolder.open(tmp_path / "ISLES")
    assert read_json(folder.path / "slicing.json")["shape"] == "native"
    assert folder.modalities == ["ct", "cbf", "cbv", "mtt", "tmax"]
    for which, stem in both(folder):
        number, z = int(stem.split("_")[1]), int(stem[-1])
        assert stem == f"case_{number}_00_000{z}"
        np.testing.assert_array_equal(folder.labels(which, stem), raw[number, "OT"][:, :, z])
        values = raw[number, "CT_Tmax"].astype(np.float32)
        values = (values - values.min()) / (values - values.min()).max()
        np.testing.assert_array_equal(folder.image(which, stem)[4], values[:, :, z])


def acdc_patient(folder, name, rng, frames=("01", "12")):
    (folder / name).mkdir(parents=True)
    for frame in frames:
        image = rng.integers(3, 900, (9, 12, 2)).astype(np.int16)
        labels = rng.integers(0, 4, (9, 12, 2)).astype(np.uint8)
        write_volume(folder / name / f"{name}_frame{frame}.nii.gz", image, np.diag([1.5, 1.5, 10, 1]))
        write_volume(folder / name / f"{name}_frame{frame}_gt.nii.gz", labels, np.diag([1.5, 1.5, 10, 1]))


def test_acdc_is_pictures_with_spacing(tmp_path, study):
    rng = np.random.default_rng(0)
    for name in ("patient001", "patient002", "patient003"):
        acdc_patient(tmp_path / "acdc/training", name, rng)
    words = [str(tmp_path / "A"), "--source", str(tmp_path / "acdc"), "--retain", "1", "--workers", "1"]
    engine.main(study("acdc"), [*words, "--n_augment", "2", "--shape", "18", "24"])
    folder = SlicedFolder.open(tmp_path / "A")
    assert {path.name for path in (folder.path / "train").iterdir()} == {"img", "gt", "spacing.json"}
    (held_out,) = {volume[:10] for volume in folder.volumes("val")}
    assert folder.stems("val") == [f"{held_out}_{frame}_0_{z}" for frame in ("01", "12") for z in (0, 1)]
    assert len(folder.stems("train")) == 2 * 2 * 2 * 3
    for which, stem in both(folder):
        assert folder.spacing(which, stem) == (0.75, 0.75)
        assert set(np.unique(folder.labels(which, stem))) <= {0, 1, 2, 3}
        assert folder.image(which, stem).shape == (1, 18, 24)
    assert folder.spacing_3d(f"{held_out}_12") == (0.75, 0.75, 10)


def test_labels_are_never_blended():
    labels = np.zeros((7, 9, 1), np.uint8)
    labels[2:5, 3:6] = 3
    assert set(np.unique(resize_slices(labels, (23, 31), order=0))) == {0, 3}


def test_classes_and_digests():
    array = np.array([0.0, 1.0, 2.0])
    assert to_classes(array, {0: 0, 1: 1, 2: 255}).tolist() == [0, 1, 255]
    assert digest(array) != digest(array.astype(np.float32))
    assert digest(array) != digest(array[None])
    assert digest(array) == digest(array.copy())
