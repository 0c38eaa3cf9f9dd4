"""A ground truth prepared once, to be measured against many predictions by every metric of a label map."""

import re
from collections.abc import Callable, Collection, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from boundary_loss.empty_masks import Needs
from boundary_loss.metric_definitions import TOLERANCE_MM
from boundary_loss.metrics.border_distances import SurfaceDistances
from boundary_loss.metrics.borders import border, border_in_slices
from boundary_loss.metrics.element_surfaces import OF_ELEMENTS, ElementSurface
from boundary_loss.metrics.lesions import LesionCounts, Lesions
from boundary_loss.metrics.overlap import (
    Counts,
    counts_of,
    dice_from_counts,
    iou_from_counts,
    precision_from_counts,
    recall_from_counts,
    volume_difference_percent,
    without_ignored,
)
from boundary_loss.metrics.reading import as_spacing
from boundary_loss.metrics.surface import Surface, surface_distances

COUNTED: dict[str, Callable[[Counts, float], Any]] = {
    "dsc": lambda counts, ml: dice_from_counts(*counts),
    "iou": lambda counts, ml: iou_from_counts(*counts),
    "precision": lambda counts, ml: precision_from_counts(*counts),
    "recall": lambda counts, ml: recall_from_counts(*counts),
    "volume_error": lambda counts, ml: ml * abs(counts.pred - counts.gt),
    "avd": lambda counts, ml: volume_difference_percent(counts.pred, counts.gt),
}
"""From voxel counts and the millilitres of a voxel."""

OF_BORDERS: dict[str, Callable[[SurfaceDistances], float]] = {
    "hausdorff": lambda distances: distances.hausdorff,
    "hd95": lambda distances: distances.hd95,
    "hd95_directed": lambda distances: distances.hd95_directed,
    "assd": lambda distances: distances.assd,
    "nsd": lambda distances: distances.surface_dice(TOLERANCE_MM),
}
OF_BORDERS_IN_SLICES: dict[str, Callable[[SurfaceDistances], float]] = {
    "hd95_wmh": lambda distances: distances.hd95_directed,
}
OF_LESIONS: dict[str, Callable[[LesionCounts], float]] = {
    "lesion_recall": lambda lesions: lesions.recall,
    "lesion_precision": lambda lesions: lesions.precision,
    "lesion_f1": lambda lesions: lesions.f1,
    "lesion_difference": lambda lesions: lesions.difference,
}
NAMES = (*COUNTED, *OF_BORDERS, *OF_BORDERS_IN_SLICES, *OF_LESIONS)
AREA_NAMES = tuple(f"{name}_{kind}" for kind in OF_ELEMENTS for name in ("hd95", "assd", "nsd"))
BACKGROUND = 0

NEEDS = {
    **dict.fromkeys(("dsc", "iou", "nsd", "lesion_f1", *(f"nsd_{kind}" for kind in OF_ELEMENTS)), Needs.ANY),
    **dict.fromkeys(("precision", "lesion_precision"), Needs.PREDICTION),
    **dict.fromkeys(("recall", "lesion_recall", "avd"), Needs.TRUTH),
    **dict.fromkeys(("volume_error", "lesion_difference"), Needs.NONE),
}
"""Which masks a metric's formula needs; all distances need both, and any ``nsd`` is as ``nsd``."""
TOLERANCE = re.compile(r"nsd(\d+(?:\.\d+)?)mm")


def needs(name: str) -> Needs:
    """Which masks the formula of this metric needs."""
    return NEEDS["nsd"] if TOLERANCE.fullmatch(name) else NEEDS.get(name, Needs.BOTH)


def of_borders(name: str) -> Callable[[SurfaceDistances], float] | None:
    """The metric of two surfaces of this name.

    ``hd99`` and ``hd99_directed`` are percentiles, ``nsd0.5mm`` the surface Dice of a tolerance; any number may stand.
    """
    if name in OF_BORDERS:
        return OF_BORDERS[name]
    tolerance = TOLERANCE.fullmatch(name)
    if tolerance is not None:
        return lambda distances: distances.surface_dice(float(tolerance[1]))
    percentile = re.fullmatch(r"hd(\d+(?:\.\d+)?)(_directed)?", name)
    if percentile is None or float(percentile[1]) > 100:
        return None
    return lambda distances: distances.percentile(float(percentile[1]), directed=bool(percentile[2]))


def of_elements(name: str) -> tuple[str, Callable[[SurfaceDistances], float]] | None:
    """The kind of surface and the metric of two of them, as ``nsd_mesh``; ``hd99_mesh`` is the larger of two sides'."""
    base, _, kind = name.rpartition("_")
    if kind not in OF_ELEMENTS or base.endswith("_directed"):
        return None
    metric = OF_BORDERS.get(base) or of_borders(f"{base}_directed")
    return (kind, metric) if metric is not None else None


def is_known(name: str) -> bool:
    """True for a metric that :class:`Truth` can measure."""
    return name in NAMES or of_borders(name) is not None or of_elements(name) is not None


class Truth:
    """The ground truth of an image, with the surfaces and lesions that every comparison needs.

    Args:
        labels: (...) integer classes; 255 is ignored: such voxels belong to no mask, of it or of a prediction.
        classes: those to measure. Of the background (0) only what is counted; its distances and lesions are NaN.
        spacing_mm: a voxel's size along each axis; 1 mm if not given.
        device: where to measure distances between borders (not those of ``hd95_wmh``, surfels and triangles); the CPU
            if not given.
    """

    def __init__(
        self,
        labels: np.ndarray,
        classes: Sequence[int],
        spacing_mm: Sequence[float] | None = None,
        device: Any = None,
    ) -> None:
        self.labels = labels
        self.classes = list(classes)
        self.spacing_mm = as_spacing(spacing_mm, labels.ndim).tolist()
        self.device = device

    @property
    def voxel_ml(self) -> float:
        return float(np.prod(self.spacing_mm)) / 1000

    @cached_property
    def _masks(self) -> dict[int, np.ndarray]:
        return {k: self.labels == k for k in self.classes if k != BACKGROUND}

    @cached_property
    def _surfaces(self) -> dict[int, Surface]:
        return {k: Surface(mask, self.spacing_mm, border) for k, mask in self._masks.items()}

    @cached_property
    def _surfaces_in_slices(self) -> dict[int, Surface]:
        return {k: Surface(mask, self.spacing_mm, border_in_slices) for k, mask in self._masks.items()}

    @cached_property
    def _elements(self) -> dict[tuple[str, int], ElementSurface]:
        return {}  # filled as they are asked for

    @cached_property
    def _lesions(self) -> dict[int, Lesions]:
        return {k: Lesions(mask) for k, mask in self._masks.items()}

    def measure(self, pred: np.ndarray, names: Collection[str], counts: Counts | None = None) -> dict[str, np.ndarray]:
        """``{name: (classes,) float64}`` of a prediction of the same shape, in the order of ``names``.

        Args:
            counts: voxels per class, if they were counted before.
        """
        pred = without_ignored(pred, self.labels)
        if counts is None and any(name in COUNTED for name in names):
            counts = counts_of(pred, self.labels, self.classes)
        found = {name: np.full(len(self.classes), np.nan) for name in names}
        for name in COUNTED.keys() & found.keys():
            assert counts is not None
            found[name][:] = COUNTED[name](counts, self.voxel_ml)
        for i, k in enumerate(self.classes):
            if k != BACKGROUND:
                for name, value in self._measure_mask(pred == k, k, found.keys()):
                    found[name][i] = value
        return found

    def _measure_mask(self, mask: np.ndarray, k: int, names: Collection[str]) -> list[tuple[str, float]]:
        """Metrics of one class that need more than counts."""
        borders = {name: metric for name in names if (metric := of_borders(name)) is not None}
        elements = {
            kind: {name: known[1] for name in names if (known := of_elements(name)) is not None and known[0] == kind}
            for kind in OF_ELEMENTS
        }
        groups: list[tuple[dict[str, Any], Callable[[], Any]]] = [
            (borders, lambda: self._distances(mask, k)),
            (OF_BORDERS_IN_SLICES, lambda: self._distances_in_slices(mask, k)),
            (OF_LESIONS, lambda: self._lesions[k].compare(Lesions(mask))),
            *((metrics, partial(self._between_elements, mask, k, kind)) for kind, metrics in elements.items()),
        ]
        found = []
        for metrics, prepare in groups:
            wanted = [name for name in metrics if name in names]
            if wanted:
                basis = prepare()
                found += [(name, float(metrics[name](basis))) for name in wanted]
        return found

    def _distances(self, mask: np.ndarray, k: int) -> SurfaceDistances:
        if self.device is not None:
            return surface_distances(mask, self._masks[k], self.spacing_mm, device=self.device)
        return self._surfaces[k].distances(Surface(mask, self.spacing_mm, border))

    def _distances_in_slices(self, mask: np.ndarray, k: int) -> SurfaceDistances:
        return self._surfaces_in_slices[k].distances(Surface(mask, self.spacing_mm, border_in_slices))

    def _between_elements(self, mask: np.ndarray, k: int, kind: str) -> SurfaceDistances:
        if (kind, k) not in self._elements:
            self._elements[kind, k] = OF_ELEMENTS[kind](self._masks[k], self.spacing_mm)
        return self._elements[kind, k].distances(OF_ELEMENTS[kind](mask, self.spacing_mm))
