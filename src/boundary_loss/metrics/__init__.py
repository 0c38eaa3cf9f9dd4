"""Metrics of a segmentation: overlap and surface distances, with one rule for empty masks.

``slice_counts`` works on tensors and is loaded with torch on first use; everything else is NumPy.
"""

from typing import TYPE_CHECKING, Any

from boundary_loss.metrics.empty import RULE, diagonal_mm
from boundary_loss.metrics.overlap import dice, dice_from_counts, label_counts
from boundary_loss.metrics.surface import Surface, SurfaceDistances, surface_distances

if TYPE_CHECKING:
    from boundary_loss.metrics.batch import slice_counts

__all__ = [
    "RULE",
    "Surface",
    "SurfaceDistances",
    "diagonal_mm",
    "dice",
    "dice_from_counts",
    "label_counts",
    "slice_counts",
    "surface_distances",
]


def __getattr__(name: str) -> Any:
    if name == "slice_counts":
        from boundary_loss.metrics.batch import slice_counts

        return slice_counts
    raise AttributeError(f"module 'boundary_loss.metrics' has no attribute {name!r}")
