"""Images of two axes in PNG files: volumes of one plane. Rows of the picture are X, columns Y; nothing says their size.

As in nnU-Net an image may have three channels, red, green and blue.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from boundary_loss.volumes.geometry import UNIT_MM, SizeAlone
from boundary_loss.volumes.packed import UNREADABLE
from boundary_loss.volumes.volume import Volume, checked_volume

MAX_PIXELS = 1 << 28
"""Pixels of an image; checked in the header, because a few bytes can decode to any number of pixels."""
_MODES = {"L": np.uint8, "1": np.uint8, "I;16": np.uint16, "I": np.int32, "RGB": np.uint8}
"""Types of pixels that are read, by Pillow's names."""


@dataclass(frozen=True)
class PngGeometry(SizeAlone, format="png"):
    """What is known of where the pixels of a picture lie: their number, and the size that a user stated."""

    ending = ".png"
    ending_of_floats = ".nii.gz"

    @property
    def affine(self) -> np.ndarray:
        """Rows lead backwards and columns to the left, so that viewers of volumes show a picture upright."""
        x, y, z = self.spacing_mm
        return np.array([[0, -y, 0, 0], [-x, 0, 0, 0], [0, 0, z, 0], [0, 0, 0, 1.0]])


def read_png_channels(path: Path, spacing_mm: tuple[float, float, float] | None = None) -> list[Volume]:
    """Read a picture as volumes (X, Y, 1): one of a grey picture, three of one in colour.

    Raises:
        ValueError: it cannot be read, or its pixels are of another type, as those with a palette or transparency.
    """
    with _opened(path) as picture:
        array = np.asarray(picture).astype(_MODES[picture.mode])
    x, y = array.shape[:2]
    geometry = PngGeometry((x, y, 1))
    return [checked_volume(path, channel, lambda _: geometry, spacing_mm) for channel in _channels(array)]


def read_png_volume(path: Path, spacing_mm: tuple[float, float, float] | None) -> Volume:
    """Read a grey picture as a volume (X, Y, 1)."""
    channels = read_png_channels(path, spacing_mm)
    if len(channels) > 1:
        raise ValueError(f"{path} has {len(channels)} channels; expected a grey picture")
    return channels[0]


def read_png_shape(path: Path) -> tuple[tuple[int, ...], tuple[float, float, float]]:
    """Read the shape from the header alone, (X, Y, 1), with a fourth axis of three channels in colour."""
    with _opened(path) as picture:
        return (picture.height, picture.width, 1) + ((3,) if picture.mode == "RGB" else ()), UNIT_MM


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open a picture whose header was checked; what fails while it is read names the file."""
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            _check(picture)
            yield picture
    except (*UNREADABLE, SyntaxError) as error:
        raise ValueError(f"{path} cannot be read as a picture: {error or type(error).__name__}") from None


def _check(picture: Image.Image) -> None:
    if picture.mode not in _MODES:
        raise ValueError(f"its pixels are of the type {picture.mode}; expected grey, or red, green and blue")
    if picture.height * picture.width > MAX_PIXELS:
        raise ValueError(f"it has {picture.height} x {picture.width} pixels, more than {MAX_PIXELS}")


def _channels(array: np.ndarray) -> list[np.ndarray]:
    """Return the channels of (X, Y[, 3]), as (X, Y, 1) each."""
    return [array[..., None]] if array.ndim == 2 else [array[..., number, None] for number in range(array.shape[2])]


def encode_png(array: np.ndarray) -> bytes:
    """Return the bytes of a grey PNG of (X, Y, 1), 8 or 16 bits deep.

    Raises:
        ValueError: several planes, or values that are not whole numbers of at most 16 bits.
    """
    if array.ndim != 3 or array.shape[2] != 1 or array.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"a picture holds one plane of 8 or 16 bits, not {array.dtype} of shape {array.shape}")
    content = io.BytesIO()
    Image.fromarray(array[..., 0]).save(content, format="PNG")
    return content.getvalue()
