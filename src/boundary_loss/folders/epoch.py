"""The predicted classes of an epoch on disk: a PNG a slice, a file a volume, or all slices of a set in one file.

iter003/val/case_10_00_0003.png    (X, Y) uint8
iter003/val/case_10.npz            all planes of a whole volume, see :mod:`boundary_loss.folders.volume_classes`
iter003/val.npz                    "slices": their names; for each volume and copy, as "case_10_00", an array
                                   (N, X, Y) uint8 of its slices in that order
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
from boundary_loss.folders.volume_classes import VOLUME, VolumeClasses
from boundary_loss.names import MAX_NAME

PACKED = ".npz"
NAMES = "slices"
_MAX_SLICES = 10_000_000
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def read_predictions(folder: Path, which: str, stems: Sequence[str]) -> list[np.ndarray]:
    """Arrays (X, Y) uint8 of the slices or planes ``stems``, whichever way the epoch's folder keeps them.

    Raises:
        FileNotFoundError: a slice is not there.
        ValueError: a file that cannot be read.
    """
    packed = folder / f"{which}{PACKED}"
    if packed.is_file():
        return _unpack(packed, stems)
    return [_read(folder / which, stem) for stem in stems]


def _read(folder: Path, stem: str) -> np.ndarray:
    """A picture of its own, or a plane of its volume's file; the error names the picture where there is neither."""
    place = Stem.parse(stem)
    volume = folder / f"{place.volume}{VOLUME}"
    if not volume.is_file():
        return read_png(folder / f"{stem}.png")
    try:
        return VolumeClasses.read(volume).plane(place.position)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{volume}: {error}") from None


def write_packed(folder: Path, which: str, slices: Mapping[str, np.ndarray]) -> None:
    """All slices of a set, ``{name: (X, Y) uint8}``, in one file: the same slices give the same bytes."""
    arrays = {NAMES: np.array(sorted(slices))}
    for group, stems in _groups(sorted(slices)).items():
        arrays[group] = np.stack([slices[stem] for stem in stems])

    def write(grown: Path) -> None:
        with grown.open("wb") as file:  # np.savez would append .npz to the name
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # its stub mistakes the arrays for an option

    write_file(folder / f"{which}{PACKED}", write)


def unpack_pictures(packed: Path, target: Path) -> None:
    """The slices of a packed file as PNGs in the new folder ``target``."""
    target.mkdir(parents=True)
    for stem, classes in read_all(packed):
        write_png(target / f"{stem}.png", classes)


def _groups(stems: Sequence[str]) -> dict[str, list[str]]:
    """By volume and augmented copy: such slices have one shape, slices of two volumes need not."""
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
    """Name and (X, Y) classes of every slice of a packed file."""
    with _open(path) as content:
        for group, stems in _names(path, content).items():
            yield from zip(stems, _slices_of(content, group, stems), strict=True)


def _names(path: Path, content: zipfile.ZipFile) -> dict[str, list[str]]:
    """The slices of each group. Their names become those of files: each is checked."""

    def check(shape: tuple[int, ...], dtype: np.dtype) -> None:
        if len(shape) != 1 or shape[0] > _MAX_SLICES or dtype.kind != "U" or dtype.itemsize > 4 * MAX_NAME:
            raise ValueError(f"'{NAMES}' is no list of names")

    names = [checked_stem(name, path) for name in _array(content, NAMES, check).tolist()]
    if len(set(names)) < len(names):
        raise ValueError(f"'{NAMES}' lists a name twice")
    return _groups(names)


def _slices_of(content: zipfile.ZipFile, group: str, stems: Sequence[str]) -> np.ndarray:
    """(N, X, Y) uint8 of a group."""

    def check(shape: tuple[int, ...], dtype: np.dtype) -> None:
        if len(shape) != 3 or shape[0] != len(stems) or dtype != np.uint8:
            raise ValueError(f"{group} is {dtype} {shape} and has {len(stems)} names")
        if not 0 < shape[1] * shape[2] <= MAX_PIXELS:
            raise ValueError(f"{group} has slices of {shape[1]} x {shape[2]} pixels, expected 1 to {MAX_PIXELS}")

    return _array(content, group, check)


def _array(
    content: zipfile.ZipFile, name: str, check: Callable[[tuple[int, ...], np.dtype], None]
) -> np.ndarray:  # fmt: skip
    """Read an array whose header has passed ``check``: before memory is taken for it, and no more than it says."""
    with content.open(f"{name}.npy") as member:
        shape, is_fortran, dtype = array_header(member)  # type: ignore[arg-type]  # it reads, and that is all
        check(shape, dtype)
        size = math.prod(shape) * dtype.itemsize
        numbers = bytearray(member.read(size))
        if len(numbers) != size or member.read(1):  # the end of a member is where its checksum is compared
            raise ValueError(f"{name} has another length than its shape {shape}")
    return np.frombuffer(numbers, dtype).reshape(shape, order="F" if is_fortran else "C")


@contextmanager
def _open(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as content:
            if f"{NAMES}.npy" not in content.namelist():
                raise ValueError("not made by this pipeline")
            if any(entry.compress_type not in _COMPRESSIONS for entry in content.infolist()):
                raise ValueError("compressed in a way that this pipeline does not use")
            yield content
    except (ValueError, EOFError, KeyError, RuntimeError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} cannot be read as packed predictions ({error}); delete its folder") from None
