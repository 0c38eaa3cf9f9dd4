"""Options of preparation and prediction alike: what is believed of the headers of their files."""

import argparse
import re
from collections.abc import Callable

import numpy as np


def add_header_options(group: argparse._ActionsContainer) -> None:
    """Add ``--spacing`` and ``--trust_affine``."""
    group.add_argument(
        "--spacing", type=read_spacing, metavar="X,Y,Z", help="mm of a voxel of every file, whatever its header says"
    )
    group.add_argument("--trust_affine", action="store_true", help="print disagreeing affines instead of refusing")


def read_spacing(text: str) -> tuple[float, float, float]:
    """Return the voxel size that ``1,1,5`` or ``1 1 5`` states, in mm.

    Raises:
        argparse.ArgumentTypeError: not three positive numbers.
    """
    words = re.split(r"[,\s]+", text.strip())
    try:
        x, y, z = (float(word) for word in words)
    except ValueError:
        x = y = z = np.nan
    if not all(0 < size < np.inf for size in (x, y, z)):
        raise argparse.ArgumentTypeError(f"expected three voxel sizes in mm, as 0.9,0.9,5; found '{text}'")
    return x, y, z


def at_least(least: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from ``least``, for argparse."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < least:
            raise argparse.ArgumentTypeError(f"expected a whole number, at least {least}; found '{text}'")
        return int(text)

    return read
