"""HDF5 files with an image and its label, and what h5py accepts in silence."""

import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boundary_loss.command import Stop
from boundary_loss.volumes import Geometry, Hdf5Geometry, encode_volume, read_volume, write_volume

h5py = pytest.importorskip("h5py")

ARRAY = np.arange(4 * 5 * 3).reshape(4, 5, 3)


def save(path: Path, image: np.ndarray, label: np.ndarray | None = None, **options: object) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("image", data=image, **options)
        if label is not None:
            file.create_dataset("label", data=label, **options)


@pytest.mark.parametrize("options", [{}, {"compression": "gzip", "chunks": (2, 2, 2)}, {"fletcher32": True}])
@pytest.mark.parametrize("dtype", ["u1", "<f4", ">f8", ">i2"])
def test_image_and_label_of_one_file(tmp_path: Path, dtype: str, options: dict) -> None:
    save(tmp_path / "v.h5", ARRAY.astype(dtype), ARRAY > 30, **options)
    image, label = read_volume(tmp_path / "v.h5"), read_volume(tmp_path / "v.h5", (0.6, 0.7, 3), labels=True)
    np.testing.assert_array_equal(image.array, ARRAY)
    np.testing.assert_array_equal(label.array, ARRAY > 30)
    assert image.array.dtype == np.dtype(dtype).newbyteorder("=") and label.array.dtype == np.uint8
    assert image.spacing_mm == (1, 1, 1) and label.spacing_mm == (0.6, 0.7, 3)
    assert Geometry.from_json(image.geometry.as_json()) == image.geometry == Hdf5Geometry((4, 5, 3))


def test_what_is_written_is_read_and_equal_for_equal_input(tmp_path: Path) -> None:
    geometry = Hdf5Geometry((4, 5, 3))
    assert geometry.ending == ".h5"
    write_volume(tmp_path / "v.h5", ARRAY.astype(np.uint8), geometry)
    np.testing.assert_array_equal(read_volume(tmp_path / "v.h5", labels=True).array, ARRAY)
    write_volume(tmp_path / "p.h5", ARRAY.astype(np.float32), geometry)
    np.testing.assert_array_equal(read_volume(tmp_path / "p.h5").array, ARRAY)
    assert encode_volume(ARRAY, geometry, "v.h5") == encode_volume(ARRAY.copy(), geometry, "w.h5")
    write_volume(tmp_path / "v.nii", ARRAY.astype(np.uint8), geometry)
    np.testing.assert_allclose(read_volume(tmp_path / "v.nii").affine, geometry.affine)


def _never_written(file: Any) -> None:
    file.create_dataset("image", (4, 5, 3), "u1")


def _part_never_written(file: Any) -> None:
    file.create_dataset("image", (4, 5, 3), "u1", chunks=(2, 5, 3))[:2] = 1


def _huge(file: Any) -> None:
    file.create_dataset("image", (10**6, 10**6, 10**3), "u1", chunks=(100, 100, 100))[0, 0, 0] = 1


def _bomb(file: Any) -> None:
    file.create_dataset("image", (3000, 1000, 1000), "u1", chunks=(1000, 1000, 1000), compression="gzip")
    file.create_dataset("filling", data=np.random.default_rng(0).integers(0, 256, 3 << 20, np.uint8))


def _external(file: Any) -> None:
    file.create_dataset("image", (4, 5, 3), "u1", external=[("/etc/passwd", 0, 60)])


def _virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((4, 5, 3), "u1")
    layout[:] = h5py.VirtualSource("other.h5", "image", (4, 5, 3))
    file.create_virtual_dataset("image", layout)


SPOILT: dict[str, tuple[Callable[[Any], object], str]] = {
    "nothing in it": (lambda file: None, "no array 'image', but nothing"),
    "another name": (lambda file: file.create_dataset("raw", data=ARRAY), "no array 'image', but raw"),
    "a group": (lambda file: file.create_group("image"), "no array of this file"),
    "a link outside": (lambda file: file.__setitem__("image", h5py.ExternalLink("o.h5", "/image")), "no array"),
    "a link inside": (lambda file: file.__setitem__("image", h5py.SoftLink("/label")), "no array"),
    "data in another file": (_external, "no array of this file alone: refused"),
    "data of another file": (_virtual, "no array of this file alone: refused"),
    "four axes": (lambda file: file.create_dataset("image", data=ARRAY[None]), "not a 3D volume.*1, 4, 5, 3"),
    "no voxels": (lambda file: file.create_dataset("image", data=ARRAY[:0]), "not a 3D volume"),
    "text": (lambda file: file.create_dataset("image", data=ARRAY.astype("S3")), "not a 3D volume.*S3"),
    "complex": (lambda file: file.create_dataset("image", data=ARRAY * 1j), "not a 3D volume.*complex"),
    "never written": (_never_written, "more than a file of|never written"),
    "a part never written": (_part_never_written, "part of 'image' was never written"),
    "huge": (_huge, "more than a file of"),
    "a bomb": (_bomb, "refused as a bomb"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_spoilt_file_is_refused_in_one_line(tmp_path: Path, what: str) -> None:
    make, told = SPOILT[what]
    with h5py.File(tmp_path / "v.h5", "w") as file:
        make(file)
    tracemalloc.start()
    with pytest.raises(ValueError, match=rf"v.h5 cannot be read as an HDF5 volume: .*({told})") as error:
        read_volume(tmp_path / "v.h5")
    assert tracemalloc.get_traced_memory()[1] < 1 << 22
    tracemalloc.stop()
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.99])
def test_a_cut_file_is_refused(tmp_path: Path, keep: float) -> None:
    content = encode_volume(ARRAY, Hdf5Geometry((4, 5, 3)), "v.h5")
    (tmp_path / "v.h5").write_bytes(content[: int(keep * len(content))])
    with pytest.raises(ValueError, match=r"v.h5 cannot be read as an HDF5 volume"):
        read_volume(tmp_path / "v.h5", labels=True)


def test_a_turned_bit_in_what_is_written_here_is_found(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 99, (20, 30, 10))
    content = bytearray(encode_volume(array, Hdf5Geometry(array.shape), "v.h5"))
    for place in range(len(content) // 2, len(content), 997):
        spoilt = bytearray(content)
        spoilt[place] ^= 4
        (tmp_path / "v.h5").write_bytes(spoilt)
        try:
            np.testing.assert_array_equal(read_volume(tmp_path / "v.h5", labels=True).array, array)
        except ValueError as error:
            assert "cannot be read" in str(error)


def test_without_h5py_one_line_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "v.h5", ARRAY)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(Stop, match="an HDF5 file needs a package: python -m pip install h5py"):
        read_volume(tmp_path / "v.h5")
