"""Metrics of a segmentation: overlap, surface distances, lesions; one rule for empty masks.

:func:`measure` gives any of them in one call. ``slice_counts`` works on tensors and is loaded with torch on first use;
everything else is NumPy, but for distances on a device.
"""

from typing import TYPE_CHECKING, Any

from boundary_loss.empty_masks import RULE, diagonal_mm
from boundary_loss.metrics.border_distances import SurfaceDistances
from boundary_loss.metrics.ejection import ejection_error, ejection_fraction
from boundary_loss.metrics.lesions import LesionCounts, Lesions, lesion_counts
from boundary_loss.metrics.measure import measure
from boundary_loss.metrics.overlap import (
    dice,
    dice_from_counts,
    iou_from_counts,
    label_counts,
    precision_from_counts,
    recall_from_counts,
    volume_difference_percent,
)
from boundary_loss.metrics.surface import Surface, surface_distances

if TYPE_CHECKING:
    from boundary_loss.metrics.batch import slice_counts

__all__ = [
    "RULE",
    "LesionCounts",
    "Lesions",
    "Surface",
    "SurfaceDistances",
    "diagonal_mm",
    "dice",
    "dice_from_counts",
    "ejection_error",
    "ejection_fraction",
    "iou_from_counts",
    "label_counts",
    "lesion_counts",
    "measure",
    "precision_from_counts",
    "recall_from_counts",
    "slice_counts",
    "surface_distances",
    "volume_difference_percent",
]


def __getattr__(name: str) -> Any:
    if name == "slice_counts":
        from boundary_loss.metrics.batch import slice_counts

        return slice_counts
    raise AttributeError(f"module 'boundary_loss.metrics' has no attribute {name!r}")
