"""The predicted classes of a whole volume in one file: the bits of each foreground class, compressed.

iter003/val/case_10.npz    "shape": (X, Y, Z); "bits": (highest class, ceil(XYZ / 8)) uint8, the masks of classes 1, 2,
                           ... with X the fastest axis, so that the bits of a plane lie side by side

An atrium of 88 x 640 x 640 voxels takes some 15 kB.
"""

import math
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from boundary_loss.files import array_header, write_file
from boundary_loss.folders.pictures import MAX_PIXELS

VOLUME = ".npz"
_MAX_PLANES = 1 << 16
_MAX_BYTES = 1 << 31
"""Of the bits of all classes: a few bytes can decompress to any number."""
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_KEPT = 16
"""Files whose bits stay in memory: readers ask for one plane after the other, of several runs in turn."""


@dataclass(frozen=True, eq=False)
class VolumeClasses:
    """What such a file holds."""

    shape: tuple[int, int, int]
    bits: np.ndarray
    """(highest class, bytes) uint8."""

    @classmethod
    def of(cls, classes: np.ndarray) -> "VolumeClasses":
        """Take (X, Y, Z) uint8 classes."""
        flat = classes.ravel(order="F")
        masks = [np.packbits(flat == k) for k in range(1, int(classes.max(initial=0)) + 1)]
        bits = np.stack(masks) if masks else np.empty((0, -(-classes.size // 8)), np.uint8)
        x, y, z = classes.shape
        return cls((x, y, z), bits)

    def plane(self, position: int) -> np.ndarray:
        """(X, Y) uint8 classes of a plane along the last axis."""
        x, y, depth = self.shape
        if not 0 <= position < depth:
            raise FileNotFoundError(f"there is no plane {position} of {depth}")
        first = position * x * y
        begin, skipped = divmod(first, 8)
        classes = np.zeros(x * y, np.uint8)
        for k, bits in enumerate(self.bits, 1):
            mask = np.unpackbits(bits[begin : -(-(first + x * y) // 8)])[skipped : skipped + x * y]
            classes[mask == 1] = k
        return classes.reshape(x, y, order="F")

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all: the same classes give the same bytes."""

        def fill(grown: Path) -> None:
            with grown.open("wb") as file:  # np.savez would append .npz to the name
                np.savez_compressed(file, shape=np.array(self.shape, np.int64), bits=self.bits)

        write_file(path, fill)

    @classmethod
    def read(cls, path: Path) -> "VolumeClasses":
        """Read what :meth:`write` wrote; the bits of a few files stay in memory.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it was spoilt; the message names it.
        """
        try:
            entry = path.stat()
        except OSError:
            raise FileNotFoundError(f"{path} is missing") from None
        return _read(path, entry.st_mtime_ns, entry.st_size)


@lru_cache(maxsize=_KEPT)
def _read(path: Path, changed: int, size: int) -> VolumeClasses:
    try:
        with zipfile.ZipFile(path) as content:
            if any(entry.compress_type not in _COMPRESSIONS for entry in content.infolist()):
                raise ValueError("compressed in a way that this pipeline does not use")
            shape = _shape(_member(content, "shape", 24))
            bits = _member(content, "bits", _MAX_BYTES)
            if bits.ndim != 2 or bits.dtype != np.uint8 or bits.shape[1] != -(-math.prod(shape) // 8):
                raise ValueError(f"'bits' is {bits.dtype} {bits.shape} of a volume {shape}")
            return VolumeClasses(shape, bits)
    except (ValueError, EOFError, KeyError, RuntimeError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} cannot be read as a predicted volume ({error}); delete the epoch's folder") from None


def _shape(numbers: np.ndarray) -> tuple[int, int, int]:
    if numbers.shape != (3,) or numbers.dtype.kind != "i" or numbers.min() < 1:
        raise ValueError("'shape' is not three numbers of voxels")
    x, y, z = map(int, numbers)
    if x * y > MAX_PIXELS or z > _MAX_PLANES:
        raise ValueError(f"a volume of {x} x {y} x {z} voxels")
    return x, y, z


def _member(content: zipfile.ZipFile, name: str, most: int) -> np.ndarray:
    """Read an array of at most so many bytes, no more than its header says."""
    with content.open(f"{name}.npy") as member:
        shape, is_fortran, dtype = array_header(member)  # type: ignore[arg-type]  # it reads, and that is all
        size = math.prod(shape) * dtype.itemsize
        if not size <= most or dtype.kind not in "iu":
            raise ValueError(f"'{name}' is {dtype} {shape}")
        numbers = bytearray(member.read(size))
        if len(numbers) != size or member.read(1):  # the end of a member is where its checksum is compared
            raise ValueError(f"'{name}' has another length than its shape {shape}")
    return np.frombuffer(numbers, dtype).reshape(shape, order="F" if is_fortran else "C")
