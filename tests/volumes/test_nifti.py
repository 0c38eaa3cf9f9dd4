import gzip
import tracemalloc

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
    assert encode_volume(ARRAY, AFFINE, ".nii.gz") == encode_volume(ARRAY.copy(), AFFINE, ".nii.gz")


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
    content = bytearray(encode_volume(ARRAY.astype(np.int16), AFFINE, ".nii"))
    content[80:84] = np.float32(0).tobytes()
    (tmp_path / "v.nii").write_bytes(content)
    assert read_volume(tmp_path / "v.nii").spacing_mm[0] == 0


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz"])
@pytest.mark.parametrize("keep", [0.0, 0.2, 0.9])
def test_truncated_files_are_named(tmp_path, name, keep):
    content = encode_volume(np.arange(999).reshape(9, 37, 3), AFFINE, name[1:])
    (tmp_path / name).write_bytes(content[: int(keep * len(content))])
    with pytest.raises(ValueError, match=rf"{name}.*cannot be read"):
        read_volume(tmp_path / name)


def test_no_turned_bit_is_read_as_another_image(tmp_path):
    """A bit anywhere in a compressed file: refused by name, or the same voxels in the same place."""
    array = np.random.default_rng(0).integers(0, 99, (4, 5, 3)).astype(np.int16)
    whole = encode_volume(array, AFFINE, ".nii.gz")
    (tmp_path / "v.nii.gz").write_bytes(whole)
    right = read_volume(tmp_path / "v.nii.gz")
    bits, refused = range(0, 8 * len(whole), 3), 0
    for bit in bits:
        spoilt = bytearray(whole)
        spoilt[bit // 8] ^= 1 << bit % 8
        (tmp_path / "v.nii.gz").write_bytes(spoilt)
        try:
            found = read_volume(tmp_path / "v.nii.gz")
        except ValueError as error:
            assert "v.nii.gz cannot be read" in str(error)
            refused += 1
        else:
            np.testing.assert_array_equal(found.array, array)
            assert found.geometry == right.geometry
    assert refused > 0.9 * len(bits)  # what gzip's own header says of time and system changes nothing


@pytest.mark.parametrize("cut", range(1, 10))
def test_a_compressed_file_that_lacks_its_last_bytes_is_refused(tmp_path, cut):
    content = encode_volume(ARRAY, AFFINE, ".nii.gz")
    (tmp_path / "v.nii.gz").write_bytes(content[:-cut])
    with pytest.raises(ValueError, match=r"v.nii.gz cannot be read.*(ended|nd-of-stream)"):
        read_volume(tmp_path / "v.nii.gz")


@pytest.mark.parametrize(("place", "told"), [(-8, "CRC"), (-4, "length")])
def test_the_checksum_and_the_length_are_compared(tmp_path, place, told):
    content = bytearray(encode_volume(ARRAY, AFFINE, ".nii.gz"))
    content[place] ^= 1
    (tmp_path / "v.nii.gz").write_bytes(content)
    with pytest.raises(ValueError, match=rf"v.nii.gz cannot be read.*{told}"):
        read_volume(tmp_path / "v.nii.gz")


def test_compression_is_told_from_the_content_and_may_come_in_parts(tmp_path):
    plain = encode_volume(ARRAY, AFFINE, ".nii")
    (tmp_path / "plain.nii.gz").write_bytes(plain)
    (tmp_path / "packed.nii").write_bytes(gzip.compress(plain))
    (tmp_path / "parts.nii.gz").write_bytes(gzip.compress(plain[:500]) + gzip.compress(plain[500:]) + bytes(512))
    for path in tmp_path.iterdir():
        np.testing.assert_array_equal(read_volume(path).array, ARRAY)


def promising(shape, *, start=352, extension=False):
    """Return the 352 bytes that begin a file of unsigned bytes in this shape."""
    header = nib.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header.set_data_shape(shape)
    header["vox_offset"], header["magic"] = start, b"n+1"
    return header.binaryblock + bytes([extension, 0, 0, 0])


FALSE_PROMISES = {
    "more than the file holds": (promising((2000, 2000, 1100)) + bytes(1 << 20), "more than a file of .* can hold"),
    "less than the file holds": (promising((2, 2, 2)) + bytes(1 << 20), "goes on after the 8 bytes"),
    "a bomb": (promising((2048, 1024, 1025)) + bytes(5 << 20), "2.0 GiB, over 200 times"),
    "voxels inside the header": (promising((2, 2, 2), start=0) + bytes(9), "voxels from byte 0"),
    "a negative size": (promising((2, 2, 2)).replace(b"\3\0\2\0\2\0", b"\3\0\2\0\xfe\xff") + bytes(9), "damaged"),
}  # fmt: skip


@pytest.mark.parametrize("what", FALSE_PROMISES)
def test_no_more_is_unpacked_than_the_header_promises(tmp_path, what):
    content, told = FALSE_PROMISES[what]
    packed = gzip.compress(content) + (bytes(5 << 20) if what == "a bomb" else b"")
    (tmp_path / "v.nii.gz").write_bytes(packed)
    tracemalloc.start()
    with pytest.raises(ValueError, match=rf"v.nii.gz cannot be read.*{told}"):
        read_volume(tmp_path / "v.nii.gz")
    assert tracemalloc.get_traced_memory()[1] < 1 << 22
    tracemalloc.stop()


def test_an_extension_is_passed_over(tmp_path):
    size = 32 << 20
    about = np.array([size, 6], np.int32).tobytes()
    content = promising((2, 2, 2), start=352 + size, extension=True) + about + bytes(size - 8) + bytes(range(8))
    (tmp_path / "v.nii.gz").write_bytes(gzip.compress(content, 1))
    del content
    tracemalloc.start()
    assert read_volume(tmp_path / "v.nii.gz").array.ravel(order="F").tolist() == list(range(8))
    assert tracemalloc.get_traced_memory()[1] < 1 << 22
    tracemalloc.stop()


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
    np.testing.assert_allclose(geometry.affine, np.diag([0.001, 0.001, 0.001, 1]) @ other)
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
