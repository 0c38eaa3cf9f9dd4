import gzip

import nibabel as nib
import numpy as np
import pytest

from boundary_loss.volumes import Geometry, encode_volume, read_volume, write_volume

AFFINE = np.array([[0, -1.5, 0, 10], [0.8, 0, 0, -20], [0, 0, 3, 5], [0, 0, 0, 1.0]])
ARRAY = np.arange(4 * 5 * 3).reshape(4, 5, 3)


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_what_is_written_is_read(tmp_path, name, dtype):
    write_volume(tmp_path / name, ARRAY.astype(dtype), AFFINE)
    volume = read_volume(tmp_path / name)
    assert volume.array.dtype == dtype
    np.testing.assert_array_equal(volume.array, ARRAY)
    np.testing.assert_allclose(volume.affine, AFFINE)
    np.testing.assert_allclose(volume.spacing_mm, (0.8, 1.5, 3))
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_same_volume_gives_the_same_bytes():
    assert encode_volume(ARRAY, AFFINE, compressed=True) == encode_volume(ARRAY.copy(), AFFINE, compressed=True)


def test_scaling_in_the_header_is_applied(tmp_path):
    image = nib.Nifti1Image(ARRAY.astype(np.int16), AFFINE)
    image.header.set_slope_inter(2, 1)
    nib.save(image, tmp_path / "v.nii")
    stored = nib.load(tmp_path / "v.nii").dataobj.get_unscaled()
    np.testing.assert_array_equal(read_volume(tmp_path / "v.nii").array, stored * 2.0 + 1)


def test_big_endian_and_a_trailing_axis(tmp_path):
    header = nib.Nifti1Header(endianness=">")
    nib.save(nib.Nifti1Image(ARRAY[..., None].astype(">i2"), AFFINE, header), tmp_path / "v.nii")
    volume = read_volume(tmp_path / "v.nii")
    assert volume.array.shape == ARRAY.shape
    assert volume.array.dtype.isnative
    np.testing.assert_array_equal(volume.array, ARRAY)


def test_a_bad_voxel_size_is_shown_as_it_is(tmp_path):
    content = bytearray(encode_volume(ARRAY.astype(np.int16), AFFINE, compressed=False))
    content[80:84] = np.float32(0).tobytes()
    (tmp_path / "v.nii").write_bytes(content)
    assert read_volume(tmp_path / "v.nii").spacing_mm[0] == 0


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz"])
@pytest.mark.parametrize("keep", [0.0, 0.2, 0.9])
def test_truncated_files_are_named(tmp_path, name, keep):
    content = encode_volume(np.arange(999).reshape(9, 37, 3), AFFINE, compressed=name.endswith("gz"))
    (tmp_path / name).write_bytes(content[: int(keep * len(content))])
    with pytest.raises(ValueError, match=rf"{name}.*cannot be read"):
        read_volume(tmp_path / name)


def test_what_is_no_3d_volume_is_refused(tmp_path):
    (tmp_path / "text.nii").write_text("hello " * 100)
    (tmp_path / "text.nii.gz").write_bytes(gzip.compress(b"hello " * 100))
    (tmp_path / "bad.nii.gz").write_bytes(b"not gzip at all" * 50)
    for name in ("text.nii", "text.nii.gz", "bad.nii.gz"):
        with pytest.raises(ValueError, match=name):
            read_volume(tmp_path / name)
    for shape in ((4, 5), (4, 5, 3, 2)):
        nib.save(nib.Nifti1Image(np.zeros(shape, np.int16), AFFINE), tmp_path / "v.nii")
        with pytest.raises(ValueError, match="not a 3D volume"):
            read_volume(tmp_path / "v.nii")
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2), np.complex64), AFFINE), tmp_path / "v.nii")
    with pytest.raises(ValueError, match="complex64"):
        read_volume(tmp_path / "v.nii")
    with pytest.raises(FileNotFoundError):
        read_volume(tmp_path / "none.nii")
    with pytest.raises(ValueError, match="does not end"):
        write_volume(tmp_path / "v.mha", ARRAY, AFFINE)


def test_a_geometry_is_kept_to_the_letter(tmp_path):
    """Both transforms, though they differ, their codes and the units; also from a big-endian file."""
    other = np.diag([-0.8, 1.5, 3, 1])
    header = nib.Nifti1Header(endianness=">")
    image = nib.Nifti1Image(ARRAY[..., None].astype(">i2"), None, header)
    image.header.set_zooms((0.8, 1.5, 3, 1))
    image.set_qform(AFFINE, 1)
    image.set_sform(other, 4)
    image.header.set_xyzt_units("micron", "msec")
    nib.save(image, tmp_path / "v.nii")
    geometry = read_volume(tmp_path / "v.nii").geometry
    assert geometry.shape == ARRAY.shape
    np.testing.assert_allclose(geometry.affine, other)
    write_volume(tmp_path / "w.nii.gz", np.zeros(ARRAY.shape, np.uint8), geometry)
    written = nib.load(tmp_path / "w.nii.gz").header
    np.testing.assert_array_equal(written.get_qform(coded=True)[0], image.header.get_qform())
    assert (int(written["qform_code"]), int(written["sform_code"])) == (1, 4)
    assert written.get_xyzt_units() == ("micron", "msec")
    again = read_volume(tmp_path / "w.nii.gz")
    assert again.geometry == geometry == Geometry.from_json(geometry.as_json())
    np.testing.assert_array_equal(again.affine, geometry.affine)
    with pytest.raises(ValueError, match="does not fill"):
        write_volume(tmp_path / "x.nii", np.zeros((4, 5, 2)), geometry)


def test_a_file_without_transforms_stays_one(tmp_path):
    image = nib.Nifti1Image(ARRAY.astype(np.int16), None)
    image.header.set_zooms((0.8, 1.5, 3))
    nib.save(image, tmp_path / "v.nii")
    source = read_volume(tmp_path / "v.nii")
    write_volume(tmp_path / "w.nii", np.zeros(ARRAY.shape, np.uint8), source.geometry)
    np.testing.assert_array_equal(nib.load(tmp_path / "w.nii").affine, nib.load(tmp_path / "v.nii").affine)
    np.testing.assert_array_equal(source.geometry.affine, source.affine)
