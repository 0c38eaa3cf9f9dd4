"""Slices back to their source: voxel on voxel, whatever the header says."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from niftis import PLACES, blob, save_nifti, world

from boundary_loss.predict.restore import Prediction, labels_in_source, probs_in_source, write_prediction
from boundary_loss.preparation.shown import resize_slices
from boundary_loss.volumes import PLACEMENT, NiftiGeometry, read_volume


def geometry(shape: tuple[int, int, int]) -> NiftiGeometry:
    return NiftiGeometry.of(nib.Nifti1Header(), shape)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 60), st.integers(0, 60), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_labels_of_enlarged_slices_come_back_exactly(x: int, y: int, more_x: int, more_y: int, seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 4, (x, y, 2)).astype(np.uint8)
    enlarged = resize_slices(labels, (x + more_x, y + more_y), order=0)
    np.testing.assert_array_equal(labels_in_source(enlarged, geometry((x, y, 2)), range(4)), labels)


def test_labels_of_reduced_slices_stay_in_place() -> None:
    labels = blob((53, 40, 4))
    back = labels_in_source(resize_slices(labels, (31, 29), order=0), geometry(labels.shape), (0, 1))
    assert back.shape == labels.shape and back.dtype == np.uint8
    assert 2 * (back & labels).sum() / (back.sum() + labels.sum()) > 0.9
    centres = [np.argwhere(array).mean(axis=0) for array in (back, labels)]
    np.testing.assert_allclose(*centres, atol=0.5 * 53 / 31)  # half of a reduced voxel


@pytest.mark.parametrize(("values", "dtype"), [((0, 1, 2, 4), np.uint8), ((0, 85, 170, 500), np.uint16)])
def test_classes_become_the_values_of_the_study(values: tuple[int, ...], dtype: type) -> None:
    classes = np.random.default_rng(0).integers(0, 4, (5, 7, 3)).astype(np.uint8)
    labels = labels_in_source(classes, geometry(classes.shape), values)
    assert labels.dtype == dtype
    np.testing.assert_array_equal(labels, np.array(values)[classes])


@pytest.mark.parametrize("size", [(9, 14), (23, 11), (40, 51)])
def test_probabilities_stay_probabilities_up_to_the_border(size: tuple[int, int]) -> None:
    probs = np.random.default_rng(0).random((3, 23, 17, 2)).astype(np.float32)
    probs /= probs.sum(axis=0)
    back = probs_in_source(probs, geometry((*size, 2)))
    assert back.shape == (3, *size, 2) and back.dtype == np.float32
    np.testing.assert_allclose(back.sum(axis=0), 1, atol=1e-6)
    assert back.min() >= 0 and back.max() <= 1


def test_probabilities_are_interpolated_linearly() -> None:
    ramp = np.broadcast_to(np.arange(8, dtype=np.float32)[:, None, None] / 8, (8, 4, 1))
    back = probs_in_source(np.stack([ramp, 1 - ramp]), geometry((16, 4, 1)))
    expected = np.clip((np.arange(16) + 0.5) / 2 - 0.5, 0, 7) / 8
    np.testing.assert_allclose(back[0, :, 2, 0], expected, atol=1e-6)


def test_a_missing_slice_is_refused() -> None:
    with pytest.raises(ValueError, match="3 slices cannot fill a volume of 4"):
        labels_in_source(np.zeros((5, 5, 3), np.uint8), geometry((5, 5, 4)), (0, 1))


def test_every_voxel_lies_where_its_source_lies(tmp_path: Path, place: dict) -> None:
    source = blob((13, 18, 5))
    save_nifti(tmp_path / "source.nii", source.astype(np.int16), **place)
    where = read_volume(tmp_path / "source.nii").geometry
    enlarged = resize_slices(source, (32, 32), order=0)
    probs = np.stack([1.0 - enlarged, enlarged]).astype(np.float32)
    write_prediction(tmp_path, "case", Prediction(enlarged, probs), where, (0, 1), ("background", "big lesion"))
    np.testing.assert_array_equal(world(tmp_path / "case.nii.gz"), world(tmp_path / "source.nii"))
    for name in ("case.nii.gz", "softmax/case_0_background.nii.gz", "softmax/case_1_big-lesion.nii.gz"):
        written, read = nib.load(tmp_path / name), nib.load(tmp_path / "source.nii")
        for field in PLACEMENT:
            np.testing.assert_array_equal(written.header[field], read.header[field], err_msg=field)
        np.testing.assert_array_equal(written.header["pixdim"][:4], read.header["pixdim"][:4])
        for transform in ("get_qform", "get_sform"):
            np.testing.assert_array_equal(getattr(written, transform)(), getattr(read, transform)())
        np.testing.assert_array_equal(written.affine, read.affine)
        assert nib.aff2axcodes(written.affine) == nib.aff2axcodes(read.affine)
        assert written.get_data_dtype() == (np.uint8 if name == "case.nii.gz" else np.float32)


def test_the_places_are_what_they_are_called() -> None:
    assert np.linalg.det(PLACES["rotated"]["sform"][:3, :3]) > 0 > np.linalg.det(PLACES["left-handed"]["sform"][:3, :3])
