"""The other two directions in which a reader can cut a case; assets/planes.js cuts it."""

from collections.abc import Sequence
from typing import Any

from boundary_loss.figures.overlays import is_turned

_NORMAL = {"L": "sagittal", "R": "sagittal", "A": "coronal", "P": "coronal", "S": "axial", "I": "axial"}
"""The plane that an axis stands on, by where the axis points."""


def planes(orientation: str, spacing_mm: Sequence[float]) -> dict[str, Any]:
    """What the page has to know of a case.

    Args:
        orientation: where X, Y and Z point, as ``LPS``; empty if it is not known.
        spacing_mm: along X, Y and Z.

    Returns:
        ``between``: from slice to slice, in widths of a pixel of the upright picture; ``lastOnTop``: whether the last
        slice is the highest (or foremost); ``planes``: names of the planes of slices, rows and columns, [] if unknown.
    """
    down, across, through = (1, 0, 2) if is_turned(orientation) else (0, 1, 2)
    names = [_NORMAL.get(orientation[axis : axis + 1], "") for axis in (through, down, across)]
    return {
        "between": spacing_mm[through] / spacing_mm[across],
        "lastOnTop": orientation[through : through + 1] in ("S", "A"),
        "planes": names if len({*names} - {""}) == 3 else [],
    }
