"""NRRD files of pynrrd's making and spoilt by hand: the same voxels in the same place, or one line on why not."""

import gzip
import re
import sys
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from niftis import SPACING, blob, turned

from boundary_loss.command import Stop
from boundary_loss.volumes import Geometry, encode_volume, orientation, read_volume, write_volume
from boundary_loss.volumes.geometry import sizes
from boundary_loss.volumes.nrrd_header import dtype_of

nrrd = pytest.importorskip("nrrd")

ARRAY = np.arange(4 * 5 * 3).reshape(4, 5, 3)
AFFINES = {
    "straight": np.diag([*SPACING, 1.0]),
    "rotated": turned(SPACING),
    "left-handed": turned(SPACING, left_handed=True),
}
TO_LPS, TO_RAS, TO_LAS = np.diag([-1.0, -1, 1, 1]), np.eye(4), np.diag([-1.0, 1, 1, 1])
SPACES = {
    "left-posterior-superior": TO_LPS,
    "LPS": TO_LPS,
    "right-anterior-superior": TO_RAS,
    "RAS": TO_RAS,
    "left-anterior-superior": TO_LAS,
    None: TO_LPS,
}


def header_of(affine: np.ndarray, space: str | None = "left-posterior-superior", **more: object) -> dict:
    """What pynrrd takes to place voxels where a RAS affine does."""
    turned_to = SPACES[space] @ affine
    placed = {"space directions": turned_to[:3, :3].T, "space origin": turned_to[:3, 3]}
    return {"space": space} | placed | more if space else {"space dimension": 3} | placed | more


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("affine", AFFINES)
def test_a_point_is_the_same_voxel_in_nifti_and_nrrd(tmp_path: Path, space: str | None, affine: str) -> None:
    """The two formats count to opposite sides of the patient; pynrrd and nibabel write what is read here."""
    labels, place = blob((7, 9, 5)), AFFINES[affine]
    nrrd.write(str(tmp_path / "v.nrrd"), labels, header_of(place, space))
    nib.save(nib.Nifti1Image(labels, place), tmp_path / "v.nii.gz")
    ours, theirs = read_volume(tmp_path / "v.nrrd"), read_volume(tmp_path / "v.nii.gz")
    np.testing.assert_array_equal(ours.array, theirs.array)
    np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-5)
    np.testing.assert_allclose(ours.spacing_mm, SPACING, rtol=1e-6)
    point = place @ (2, 3, 1, 1)
    np.testing.assert_allclose(np.linalg.solve(ours.affine, point), (2, 3, 1, 1), atol=1e-6)
    assert orientation(ours.affine) == orientation(theirs.affine)
    assert bool(ours.geometry.doubts()) == (space is None) and ours.geometry.dispute() is None


@pytest.mark.parametrize("affine", AFFINES)
@pytest.mark.parametrize(("source", "target"), [("v.nrrd", "w.nii.gz"), ("v.nii.gz", "w.nrrd"), ("v.nrrd", "w.nrrd")])
def test_a_volume_moves_between_formats_without_a_shift(tmp_path: Path, affine: str, source: str, target: str) -> None:
    write_volume(tmp_path / source, blob((7, 9, 5)), AFFINES[affine])
    first = read_volume(tmp_path / source)
    write_volume(tmp_path / target, first.array, first.geometry)
    second = read_volume(tmp_path / target)
    np.testing.assert_array_equal(second.array, first.array)
    np.testing.assert_allclose(second.affine, first.affine, atol=1e-4)
    np.testing.assert_allclose(second.affine, AFFINES[affine], atol=1e-4)


def test_types_have_the_names_that_pynrrd_knows() -> None:
    known = dict(nrrd.reader._TYPEMAP_NRRD2NUMPY)
    assert known.pop("block") == "V"  # bytes that are no numbers: refused
    assert {name: dtype_of({"type": name, "endian": "little"}).str[1:] for name in known} == known


def test_pynrrd_reads_what_is_written(tmp_path: Path) -> None:
    for dtype in (np.uint8, np.int8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.float32, ">f8"):
        write_volume(tmp_path / "v.nrrd", ARRAY.astype(dtype), turned(SPACING))
        array, header = nrrd.read(str(tmp_path / "v.nrrd"))
        np.testing.assert_array_equal(array, ARRAY)
        assert array.dtype == np.dtype(dtype).newbyteorder("<")
        np.testing.assert_allclose(header["space origin"], (71.5, -12.25, 103))
    with pytest.raises(ValueError, match="cannot hold bool"):
        write_volume(tmp_path / "v.nrrd", ARRAY > 3, np.eye(4))
    with pytest.raises(ValueError, match=r"does not end in .nii, .nii.gz, .nrrd, .h5 or .png"):
        write_volume(tmp_path / "v.nhdr", ARRAY, np.eye(4))


@pytest.mark.parametrize("name", ["v.nrrd", "v.nhdr"])
@pytest.mark.parametrize("encoding", ["raw", "gzip"])
@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i2", ">f4", "<f8"])
def test_encodings_byte_orders_and_detached_headers(tmp_path: Path, name: str, encoding: str, dtype: str) -> None:
    nrrd.write(str(tmp_path / name), ARRAY.astype(dtype), header_of(turned(SPACING), encoding=encoding))
    volume = read_volume(tmp_path / name)
    np.testing.assert_array_equal(volume.array, ARRAY)
    assert volume.array.dtype == np.dtype(dtype).newbyteorder("=") and volume.array.flags.f_contiguous
    np.testing.assert_allclose(volume.affine, turned(SPACING), atol=1e-6)
    write_volume(tmp_path / "w.nrrd", volume.array.astype(np.uint8), volume.geometry)
    again, header = nrrd.read(str(tmp_path / "w.nrrd"))
    np.testing.assert_array_equal(again, ARRAY)
    assert not {"data file", "endian"} & set(header) and header["encoding"] == "gzip"
    np.testing.assert_array_equal(read_volume(tmp_path / "w.nrrd").affine, volume.affine)


WRITTEN = """NRRD0005
# a comment: kept
Type: short
dimension: 3
space: RAS
sizes: 4 5 3
space directions: (0.70000,0,0) (0,1.3,0) (0,0,4.5)
kinds: domain  domain domain
endian: big
encoding: raw
line skip: 1
min: 0
space origin: (1,2,3)
measurement frame: (1,0,0) (0,1,0) (0,0,1)
content: l'oreillette
scanner:=Espree\xb5 2:3
sizes:=not these
"""
KEPT = """NRRD0005
# a comment: kept
Type: uint8
dimension: 3
space: RAS
sizes: 4 5 3
space directions: (0.70000,0,0) (0,1.3,0) (0,0,4.5)
kinds: domain  domain domain
encoding: gzip
space origin: (1,2,3)
measurement frame: (1,0,0) (0,1,0) (0,0,1)
content: l'oreillette
scanner:=Espree\xb5 2:3
sizes:=not these
"""


def test_a_header_is_kept_to_the_letter(tmp_path: Path) -> None:
    """Only what it says of how voxels are stored changes."""
    content = f"{WRITTEN}\nskipped\n".encode("latin-1") + ARRAY.astype(">i2").tobytes(order="F")
    (tmp_path / "v.nrrd").write_bytes(content)
    volume = read_volume(tmp_path / "v.nrrd")
    np.testing.assert_array_equal(volume.array, ARRAY)
    geometry = Geometry.from_json(volume.geometry.as_json())
    assert geometry == volume.geometry and geometry.ending == ".nrrd"
    written = encode_volume(np.ones(ARRAY.shape, np.uint8), geometry, "v.nrrd")
    header, _, data = written.partition(b"\n\n")
    assert header.decode("latin-1") + "\n" == KEPT
    assert gzip.decompress(data) == b"\1" * 60
    assert encode_volume(np.ones(ARRAY.shape, np.uint8), geometry, "v.nrrd") == written
    floats = encode_volume(np.ones(ARRAY.shape, np.float32), geometry, "v.nrrd")
    assert b"endian: little\n" in floats and b"Type: float\n" in floats
    with pytest.raises(ValueError, match="does not fill"):
        encode_volume(ARRAY[1:], geometry, "v.nrrd")
    with pytest.raises(ValueError, match="holds the end of a line"):
        Geometry.from_json(volume.geometry.as_json() | {"header": ["NRRD0004", "a: b\nsizes: 1"]})


@pytest.mark.parametrize(
    ("more", "spacing"),
    [
        ("", (1, 1, 1)),
        ("spacings: 0.9 1.2 3\n", (0.9, 1.2, 3)),
        ('spacings: 0.09 0.12 0.3\nunits: "cm" "cm" "cm"\n', (0.9, 1.2, 3)),
        ("space: LPS\nspace directions: (0.9,0,0) (0,1.2,0) (0,0,3)\n", (0.9, 1.2, 3)),
        ('space: LPS\nspace directions: (900,0,0) (0,1200,0) (0,0,3000)\nspace units: "um" "um" "um"\n', (0.9, 1.2, 3)),
    ],
)
def test_where_a_voxel_size_may_stand(tmp_path: Path, more: str, spacing: tuple) -> None:
    save(tmp_path / "v.nrrd", more)
    volume = read_volume(tmp_path / "v.nrrd")
    np.testing.assert_allclose(volume.spacing_mm, spacing)
    np.testing.assert_allclose(sizes(volume.affine), spacing)
    assert orientation(volume.affine) == "LPS" and not volume.geometry.doubts()
    stated = read_volume(tmp_path / "v.nrrd", (0.625, 0.625, 2.5))
    np.testing.assert_allclose(sizes(stated.affine), (0.625, 0.625, 2.5))
    assert stated.spacing_mm == (0.625, 0.625, 2.5) and stated.geometry == volume.geometry


def test_a_stated_size_keeps_the_directions(tmp_path: Path) -> None:
    write_volume(tmp_path / "v.nrrd", ARRAY.astype(np.uint8), turned(SPACING))
    stated = read_volume(tmp_path / "v.nrrd", (1.0, 2.0, 3.0))
    np.testing.assert_allclose(stated.affine[:3, :3] / (1, 2, 3), turned(SPACING)[:3, :3] / SPACING, atol=1e-9)
    np.testing.assert_allclose(stated.affine[:3, 3], turned(SPACING)[:3, 3])


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("space: LPS\nspace directions: (1,0,0) (1,0,0) (0,0,3)\n", "singular affine"),
        ("space: LPS\nspace directions: (nan,0,0) (0,1,0) (0,0,1)\n", "singular affine"),
        ("space: LPS\nspace directions: (1,0,0) (0,1,0) (0,0,3)\nspacings: 1 1 2\n", "1 x 1 x 2 mm .* 1 x 1 x 3"),
    ],
)
def test_a_contradiction_is_told(tmp_path: Path, more: str, told: str) -> None:
    save(tmp_path / "v.nrrd", more)
    volume = read_volume(tmp_path / "v.nrrd")
    assert re.search(told, volume.geometry.dispute() or "")
    assert np.isfinite(volume.affine).all() or "nan" in more


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("space: scanner-xyz\nspace directions: (1,0,0) (0,1,0) (0,0,3)\n", "'scanner-xyz'; taken for left"),
        ("spacings: 1 1 2\nunits: \"inch\" \"inch\" \"inch\"\n", "unit 'inch'; taken for mm"),
        ("spacings: 1 1 2\nunits: \"m\" \"m\" \"m\"\n", "1000 x 1000 x 2000 mm a voxel: the header's unit is m"),
    ],
)  # fmt: skip
def test_what_is_believed_with_a_doubt_says_so(tmp_path: Path, more: str, told: str) -> None:
    save(tmp_path / "v.nrrd", more)
    (doubt,) = read_volume(tmp_path / "v.nrrd").geometry.doubts()
    assert told in doubt


def save(path: Path, more: str = "", *, data: bytes = bytes(range(60)), **changes: str | None) -> None:
    """Write 60 bytes as a volume of 4 x 5 x 3 by hand, with other fields, or without some."""
    fields = {"type": "uint8", "dimension": "3", "sizes": "4 5 3", "encoding": "raw"} | changes
    lines = "".join(f"{name.replace('_', ' ')}: {value}\n" for name, value in fields.items() if value is not None)
    path.write_bytes(b"NRRD0004\n" + lines.encode() + more.encode() + b"\n" + data)


COLOURS = "kinds: RGB-color domain domain domain\n"
SPOILT = {
    "no header": ({"data": b""}, None, "begin with"),
    "other sizes": ({"sizes": "4 5 4"}, "", "promises 142 bytes"),
    "more than it says": ({"data": bytes(61)}, "", "goes on after the 60 bytes"),
    "more, gzipped": ({"data": gzip.compress(bytes(61)), "encoding": "gzip"}, "", "goes on after the 60 bytes"),
    "absurd sizes": ({"sizes": "4000000 5000000 300000"}, "", "more than a file of"),
    "absurd gzip": ({"sizes": "40000 5000 3000", "encoding": "gzip"}, "", "more than a file of"),
    "sizes beyond 64 bits": ({"sizes": "99999999999999999999 5 3"}, "", "its sizes are"),
    "broken sizes": ({"sizes": "4.7 5 3"}, "", "its sizes are '4.7 5 3'"),
    "negative sizes": ({"sizes": "-4 -5 3"}, "", "its sizes are"),
    "no voxels": ({"sizes": "0 5 3"}, "", "not a 3D volume"),
    "a plane": ({"dimension": "2", "sizes": "4 15"}, "", "not a 3D volume: its sizes are 4 x 15"),
    "colours": ({"dimension": "4", "sizes": "3 4 5 1"}, COLOURS, r"not a 3D volume.* 3 x 4 x 5 x 1 \(RGB-color"),
    "a picture in colours": ({}, "kinds: RGB-color domain domain\n", "not a 3D volume"),
    "an axis of no space": ({}, "space: LPS\nspace directions: none (0,1,0) (0,0,1)\n", "not a 3D volume"),
    "time": ({"dimension": "4", "sizes": "2 2 5 3"}, "", "not a 3D volume"),
    "another dimension": ({"dimension": "4"}, "", "its dimension is 4"),
    "too many kinds": ({}, "kinds: domain domain\n", "its kinds are 2, its axes 3"),
    "no encoding": ({"encoding": None}, "", "does not say its encoding"),
    "another encoding": ({"encoding": "bzip2"}, "", "encoding is 'bzip2', expected raw or gzip"),
    "not gzip": ({"encoding": "gzip"}, "", "Not a gzipped file"),
    "another type": ({"type": "block"}, "", "type is 'block'"),
    "no byte order": ({"type": "short"}, "", "order of bytes: endian is missing"),
    "a strange byte order": ({"type": "short", "endian": "middle"}, "", "endian is 'middle'"),
    "twice": ({}, "sizes: 4 5 3\n", "'sizes' twice"),
    "twice in another case": ({}, "Sizes: 5 4 3\n", "'sizes' twice"),
    "no field": ({}, "hello\n", "line 6 of its header is neither"),
    "a broken vector": ({}, "space: LPS\nspace origin: 1,2,3\n", "'space origin' of its header cannot be read"),
    "an empty vector": ({}, "space origin:\n", "'space origin' of its header cannot be read"),
    "a long header": ({}, "a:=" + "b" * (1 << 20) + "\n", "more than 1048576 bytes"),
    "a skip": ({}, "byte skip: -2\n", "skips 0 lines and -2 bytes"),
    "a long skip": ({}, "byte skip: 100\n", "promises"),
    "a skip of lines": ({}, "line skip: 100000\n", "less than the 100000 lines"),
    "several files": ({}, "data file: LIST\n", "spread over several files"),
    "numbered files": ({}, "data file: v%03d.raw 1 3 1\n", "spread over several files"),
    "no data file": ({}, "data file: w.raw\n", "'w.raw' is missing"),
    "an absolute path": ({}, "data file: /etc/passwd\n", "outside the folder of the header: refused"),
    "a path upwards": ({}, "data file: ../secret.raw\n", "outside the folder of the header: refused"),
    "a path upwards in between": ({}, "data file: a/../../secret.raw\n", "outside the folder"),
    "a drive": ({}, "datafile: C:\\secret.raw\n", "outside the folder"),
}  # fmt: skip


@pytest.mark.parametrize("what", SPOILT)
def test_a_spoilt_file_is_refused_in_one_line(tmp_path: Path, what: str) -> None:
    changes, more, told = SPOILT[what]
    folder = tmp_path / "case"
    folder.mkdir()
    (tmp_path / "secret.raw").write_bytes(bytes(60))
    if more is None:
        (folder / "v.nrrd").write_bytes(b"text, not a volume\n\n")
    else:
        save(folder / "v.nrrd", more, **changes)
    tracemalloc.start()
    with pytest.raises(ValueError, match=rf"v.nrrd cannot be read as an NRRD volume: .*({told})") as error:
        read_volume(folder / "v.nrrd")
    assert tracemalloc.get_traced_memory()[1] < 1 << 23
    tracemalloc.stop()
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


def test_a_data_file_behind_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "case").mkdir()
    (tmp_path / "secret.raw").write_bytes(bytes(60))
    (tmp_path / "case/v.raw").symlink_to(tmp_path / "secret.raw")
    save(tmp_path / "case/v.nhdr", "data file: v.raw\n")
    with pytest.raises(ValueError, match="outside the folder"):
        read_volume(tmp_path / "case/v.nhdr")
    (tmp_path / "case/v.raw").unlink()
    (tmp_path / "case/v.raw").write_bytes(bytes(range(60)))
    np.testing.assert_array_equal(read_volume(tmp_path / "case/v.nhdr").array.ravel(order="F"), range(60))


def test_bytes_are_skipped_from_either_end(tmp_path: Path) -> None:
    for more, data in (("byte skip: 7\n", bytes(7)), ("byte skip: -1\n", bytes(9)), ("line skip: 2\n", b"a\n\n")):
        save(tmp_path / "v.nrrd", more, data=data + bytes(range(60)))
        np.testing.assert_array_equal(read_volume(tmp_path / "v.nrrd").array.ravel(order="F"), range(60))


def test_no_turned_bit_is_read_as_another_image(tmp_path: Path) -> None:
    """A bit anywhere behind the header: refused by name, or the same voxels. pynrrd returns other voxels for some."""
    array = np.random.default_rng(0).integers(0, 99, (4, 5, 3)).astype(np.int16)
    whole = encode_volume(array, turned(SPACING), "v.nrrd")
    start = whole.index(b"\n\n") + 2
    bits, refused = range(8 * start, 8 * len(whole), 3), 0
    for bit in bits:
        spoilt = bytearray(whole)
        spoilt[bit // 8] ^= 1 << bit % 8
        (tmp_path / "v.nrrd").write_bytes(spoilt)
        try:
            np.testing.assert_array_equal(read_volume(tmp_path / "v.nrrd").array, array)
        except ValueError as error:
            assert "v.nrrd cannot be read" in str(error)
            refused += 1
    assert refused > 0.9 * len(bits)


@pytest.mark.parametrize("cut", [1, 4, 8, 9, 30, 10**4])
def test_a_cut_file_is_refused(tmp_path: Path, cut: int) -> None:
    """pynrrd takes a file without the checksum for whole."""
    content = encode_volume(ARRAY, np.eye(4), "v.nrrd")
    (tmp_path / "v.nrrd").write_bytes(content[:-cut])
    with pytest.raises(ValueError, match=r"v.nrrd cannot be read"):
        read_volume(tmp_path / "v.nrrd")


def test_without_pynrrd_one_line_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "v.nrrd")
    monkeypatch.setitem(sys.modules, "nrrd", None)
    with pytest.raises(Stop, match="an NRRD file needs a package: python -m pip install pynrrd"):
        read_volume(tmp_path / "v.nrrd")
