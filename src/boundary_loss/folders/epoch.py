"""The predicted classes of an epoch on disk: a PNG a slice, or all slices of a set in one compressed file.

iter003/val/case_10_00_0003.png    (X, Y) uint8
iter003/val.npz                    "slices": their names; for each volume and copy, as "case_10_00", an array
                                   (N, X, Y) uint8 of its slices in that order
"""

import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from boundary_loss.files import write_file
from boundary_loss.folders.naming import checked_stem
from boundary_loss.folders.pictures import read_png, write_png

PACKED = ".npz"
NAMES = "slices"


def read_predictions(folder: Path, which: str, stems: Sequence[str]) -> list[np.ndarray]:
    """Arrays (X, Y) uint8 of the slices ``stems``, whichever way the epoch's folder keeps them.

    Raises:
        FileNotFoundError: a slice is not there.
        ValueError: a file that cannot be read.
    """
    packed = folder / f"{which}{PACKED}"
    if packed.is_file():
        return _unpack(packed, stems)
    return [read_png(folder / which / f"{stem}.png") for stem in stems]


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


def _names(path: Path, content: "np.lib.npyio.NpzFile") -> dict[str, list[str]]:
    """The slices of each group. Their names become those of files: each is checked."""
    names = content[NAMES]
    if names.ndim != 1 or names.dtype.kind != "U":
        raise ValueError(f"'{NAMES}' is no list of names")
    return _groups([checked_stem(name, path) for name in names.tolist()])


def _slices_of(content: "np.lib.npyio.NpzFile", group: str, stems: Sequence[str]) -> np.ndarray:
    """(N, X, Y) uint8 of a group."""
    array = content[group]
    if array.ndim != 3 or len(array) != len(stems) or array.dtype != np.uint8:
        raise ValueError(f"{group} is {array.dtype} {array.shape} and has {len(stems)} names")
    return array


@contextmanager
def _open(path: Path) -> Iterator["np.lib.npyio.NpzFile"]:
    try:
        with path.open("rb") as file:  # np.load would leave a file open that it cannot read
            content = np.load(file, allow_pickle=False)
            if not isinstance(content, np.lib.npyio.NpzFile) or NAMES not in content:
                raise ValueError("not made by this pipeline")
            yield content
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} cannot be read as packed predictions ({error}); delete its folder") from None
