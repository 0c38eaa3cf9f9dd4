"""Arrays of bytes as PNGs: the numbers in the file are the numbers in the array."""

from pathlib import Path

import numpy as np
from PIL import Image

from boundary_loss.events import reached
from boundary_loss.files import named_errors


def read_png(path: Path) -> np.ndarray:
    """(X, Y) uint8; rows of the picture are X."""
    try:
        with Image.open(path) as picture:
            return np.asarray(picture)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing") from None
    except (OSError, SyntaxError) as error:
        raise ValueError(f"{path} cannot be read as a picture: {error}") from None


def write_png(path: Path, array: np.ndarray) -> None:
    """(X, Y) uint8 as an 8-bit grey PNG, without a palette."""
    with named_errors(path):
        reached("writing {}", path)
        Image.fromarray(array).save(path, compress_level=1)
