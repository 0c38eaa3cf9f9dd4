"""Read and write an epoch's predicted classes: one PNG for each slice, or all slices of a set in one compressed file.

iter003/val/case_10_00_0003.png    (X, Y) uint8
iter003/val.npz                    "slices": their names; for each volume and copy, as "case_10_00", an array
                                   (N, X, Y) uint8 of its slices in that order
iter003/val/case_10.npz            of a whole volume: "shape": X, Y, Z; "classes": those above 0 that it has; "bits": of
                                   each, which voxels are of it, eight a byte in Fortran's order
"""

import math
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from boundary_loss.files import array_header, write_file
from boundary_loss.folders.naming import Stem, checked_stem
from boundary_loss.folders.pictures import MAX_PIXELS, read_png, write_png
from boundary_loss.names import MAX_NAME

PACKED = ".npz"
NAMES = "slices"
_MAX_SLICES = 10_000_000
_MAX_VOXELS = 1 << 31
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def read_predictions(folder: Path, which: str, stems: Sequence[str]) -> list[np.ndarray]:
    """Return arrays (X, Y) uint8 of the slices ``stems``, from PNGs or from a packed file.

    Raises:
        FileNotFoundError: a slice is not there.
        ValueError: a file that cannot be read.
    """
    packed = folder / f"{which}{PACKED}"
    if packed.is_file():
        return _unpack(packed, stems)
    return _read_planes(folder / which, stems)


def _read_planes(folder: Path, stems: Sequence[str]) -> list[np.ndarray]:
    """Read slices from PNGs, or from the files of whole volumes, each of which is read once."""
    volumes: dict[str, np.ndarray | None] = {}
    found = []
    for stem in stems:
        volume, _, position = Stem.parse(stem)
        if volume not in volumes:
            path = folder / f"{volume}{PACKED}"
            volumes[volume] = read_volume(path) if path.is_file() else None
        whole = volumes[volume]
        if whole is not None and position >= whole.shape[2]:
            raise FileNotFoundError(f"{folder / volume}{PACKED} has no plane {position}")
        found.append(read_png(folder / f"{stem}.png") if whole is None else whole[:, :, position])
    return found


def write_volume(path: Path, classes: np.ndarray) -> None:
    """Write the classes (X, Y, Z) uint8 of a whole volume; the same classes give the same bytes."""
    found = np.flatnonzero(np.bincount(classes.ravel(order="K"), minlength=1)[1:]) + 1
    bits = [np.packbits((classes == k).ravel(order="F")) for k in found]
    arrays = {
        "shape": np.array(classes.shape, np.int64),
        "classes": found.astype(np.uint8),
        "bits": np.stack(bits) if bits else np.zeros((0, -(-classes.size // 8)), np.uint8),
    }

    def write(grown: Path) -> None:
        with grown.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    write_file(path, write)


def read_volume(path: Path) -> np.ndarray:
    """Return what :func:`write_volume` wrote: (X, Y, Z) uint8 in Fortran's order, so that a plane is one piece.

    Raises:
        ValueError: it cannot be read, or holds something else.
    """
    with _open(path, "bits") as content:
        X, Y, Z = _array(content, "shape", _is("shape", (3,), np.int64)).tolist()
        if min(X, Y, Z) < 1 or X * Y > MAX_PIXELS or X * Y * Z > _MAX_VOXELS:
            raise ValueError(f"it has {X} x {Y} x {Z} voxels, expected 1 to {_MAX_VOXELS}")
        classes = _array(content, "classes", _is("classes", None, np.uint8)).tolist()
        if classes != sorted(set(classes)) or 0 in classes:
            raise ValueError(f"'classes' are {classes}, expected numbers above 0 in order, each once")
        voxels = X * Y * Z
        bits = _array(content, "bits", _is("bits", (len(classes), -(-voxels // 8)), np.uint8))
    found = np.zeros(voxels, np.uint8)
    for k, packed in zip(classes, bits, strict=True):
        found[np.unpackbits(packed, count=voxels).view(bool)] = k
    return found.reshape((X, Y, Z), order="F")


def _is(name: str, shape: tuple[int, ...] | None, dtype: type) -> Callable[[tuple[int, ...], np.dtype], None]:
    """Return a check of an array's header; without a shape it is a list of at most 255."""

    def check(found: tuple[int, ...], kind: np.dtype) -> None:
        fits = found == shape if shape is not None else len(found) == 1 and found[0] <= 255
        if not fits or kind != dtype:
            raise ValueError(f"'{name}' is {kind} {found}")

    return check


def write_packed(folder: Path, which: str, slices: Mapping[str, np.ndarray]) -> None:
    """Write all slices of a set, ``{name: (X, Y) uint8}``, into one file; the same slices give the same bytes."""
    arrays = {NAMES: np.array(sorted(slices))}
    for group, stems in _groups(sorted(slices)).items():
        arrays[group] = np.stack([slices[stem] for stem in stems])

    def write(grown: Path) -> None:
        with grown.open("wb") as file:  # np.savez would append .npz to the name
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # its stub mistakes the arrays for an option

    write_file(folder / f"{which}{PACKED}", write)


def unpack_pictures(packed: Path, target: Path) -> None:
    """Write the slices of a packed file as PNGs into the new folder ``target``."""
    target.mkdir(parents=True)
    for stem, classes in read_all(packed):
        write_png(target / f"{stem}.png", classes)


def _groups(stems: Sequence[str]) -> dict[str, list[str]]:
    """Group slices by volume and augmented copy: those of a group have one shape, those of two volumes may differ."""
    groups: dict[str, list[str]] = {}
    for stem in stems:
        groups.setdefault(stem.rpartition("_")[0], []).append(stem)
    return groups


def _unpack(path: Path, stems: Sequence[str]) -> list[np.ndarray]:
    with _open(path) as content:
        names = _names(path, content)
        arrays = {group: _slices_of(content, group, names[group]) for group in _groups(stems) if group in names}
    found = []
    for stem in stems:
        group = stem.rpartition("_")[0]
        if stem not in names.get(group, ()):
            raise FileNotFoundError(f"{path} has no slice {stem}")
        found.append(arrays[group][names[group].index(stem)])
    return found


def read_all(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and (X, Y) classes of every slice of a packed file."""
    with _open(path) as content:
        for group, stems in _names(path, content).items():
            yield from zip(stems, _slices_of(content, group, stems), strict=True)


def _names(path: Path, content: zipfile.ZipFile) -> dict[str, list[str]]:
    """Return the slices of each group. Their names are checked, because files are named after them."""

    def check(shape: tuple[int, ...], dtype: np.dtype) -> None:
        if len(shape) != 1 or shape[0] > _MAX_SLICES or dtype.kind != "U" or dtype.itemsize > 4 * MAX_NAME:
            raise ValueError(f"'{NAMES}' is no list of names")

    names = [checked_stem(name, path) for name in _array(content, NAMES, check).tolist()]
    if len(set(names)) < len(names):
        raise ValueError(f"'{NAMES}' lists a name twice")
    return _groups(names)


def _slices_of(content: zipfile.ZipFile, group: str, stems: Sequence[str]) -> np.ndarray:
    """Return the slices of a group, (N, X, Y) uint8."""

    def check(shape: tuple[int, ...], dtype: np.dtype) -> None:
        if len(shape) != 3 or shape[0] != len(stems) or dtype != np.uint8:
            raise ValueError(f"{group} is {dtype} {shape} and has {len(stems)} names")
        if not 0 < shape[1] * shape[2] <= MAX_PIXELS:
            raise ValueError(f"{group} has slices of {shape[1]} x {shape[2]} pixels, expected 1 to {MAX_PIXELS}")

    return _array(content, group, check)


def _array(
    content: zipfile.ZipFile, name: str, check: Callable[[tuple[int, ...], np.dtype], None]
) -> np.ndarray:  # fmt: skip
    """Read an array after its header has passed ``check``; no more bytes are read than the header states."""
    with content.open(f"{name}.npy") as member:
        shape, is_fortran, dtype = array_header(member)  # type: ignore[arg-type]  # only its read is used
        check(shape, dtype)
        size = math.prod(shape) * dtype.itemsize
        numbers = bytearray(member.read(size))
        if len(numbers) != size or member.read(1):  # zipfile compares the checksum at the end of a member
            raise ValueError(f"{name} has another length than its shape {shape}")
    return np.frombuffer(numbers, dtype).reshape(shape, order="F" if is_fortran else "C")


@contextmanager
def _open(path: Path, holds: str = NAMES) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as content:
            if f"{holds}.npy" not in content.namelist():
                raise ValueError("not made by this pipeline")
            if any(entry.compress_type not in _COMPRESSIONS for entry in content.infolist()):
                raise ValueError("compressed in a way that this pipeline does not use")
            yield content
    except (ValueError, EOFError, KeyError, RuntimeError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} cannot be read as packed predictions ({error}); delete its folder") from None
