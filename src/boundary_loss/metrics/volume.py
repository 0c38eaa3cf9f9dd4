"""Every metric of a volume and of its slices, against a ground truth prepared once for many predictions."""

from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from boundary_loss.metrics.overlap import dice_from_counts, label_counts, without_ignored
from boundary_loss.metrics.surface import Surface, SurfaceDistances

SURFACE_METRICS: dict[str, Callable[[SurfaceDistances], float]] = {
    "3d_hausdorff": lambda distances: distances.hausdorff,
    "3d_hd95": lambda distances: distances.hd95,
    "3d_assd": lambda distances: distances.assd,
}
VOLUME_METRICS = ("3d_dsc", *SURFACE_METRICS)
SLICE_METRICS = ("hausdorff", "boundary")


class Comparison(NamedTuple):
    """Metrics of one prediction of a volume of N slices. Distances of the background (class 0) are NaN."""

    of_volume: dict[str, np.ndarray]
    """``{metric: (K,) float64}``"""
    of_slices: dict[str, np.ndarray]
    """``{metric: (N, K) float64}``"""
    empty_volume: np.ndarray
    """(K,) bool: the class is absent from the prediction, the ground truth or both: the empty-mask rule decided."""
    empty_slices: np.ndarray
    """(N, K) bool, the same of each slice."""


class VolumeTruth:
    """The ground truth of a volume, with the surfaces and maps that every comparison needs.

    Args:
        slices: the volume's slices in order, N arrays (X, Y) of uint8 classes; 255 is ignored: such voxels belong to
            no mask, of the ground truth or of a prediction.
        num_classes: K.
        spacing_mm: of the volume along X, Y, Z.
        slice_spacing_mm: of each slice along X, Y.
    """

    def __init__(
        self,
        slices: Sequence[np.ndarray],
        num_classes: int,
        spacing_mm: Sequence[float],
        slice_spacing_mm: Sequence[Sequence[float]],
    ) -> None:
        self.slices = list(slices)
        self.num_classes = num_classes
        self.spacing_mm = tuple(spacing_mm)
        self.slice_spacing_mm = [tuple(spacing) for spacing in slice_spacing_mm]

    @cached_property
    def _volume(self) -> np.ndarray:
        return np.stack(self.slices, axis=-1)  # (X, Y, Z)

    @cached_property
    def _surfaces(self) -> list[Surface]:
        return [Surface(self._volume == k, self.spacing_mm) for k in range(1, self.num_classes)]

    @cached_property
    def _slice_surfaces(self) -> list[list[Surface]]:
        return [
            [Surface(labels == k, spacing) for k in range(1, self.num_classes)]
            for labels, spacing in zip(self.slices, self.slice_spacing_mm)
        ]

    @cached_property
    def _signed_maps(self) -> list[np.ndarray]:
        # Imported here: the distance package may load torch, which nothing else in this module needs.
        from boundary_loss.distance import one_hot2dist

        foreground = np.arange(1, self.num_classes)[:, None, None]
        return [
            one_hot2dist(labels == foreground, spacing) for labels, spacing in zip(self.slices, self.slice_spacing_mm)
        ]  # N arrays (K - 1, X, Y)

    def compare(self, slices: Sequence[np.ndarray], metrics: Collection[str]) -> Comparison:
        """Measure a prediction, N arrays (X, Y) of classes, by the named metrics."""
        pred = [without_ignored(labels, truth) for labels, truth in zip(slices, self.slices)]
        counts = [label_counts(labels, truth, self.num_classes) for labels, truth in zip(pred, self.slices)]
        intersection, in_pred, in_gt = (np.array(parts) for parts in zip(*counts))  # (N, K) each
        of_volume: dict[str, np.ndarray] = {}
        if "3d_dsc" in metrics:
            of_volume["3d_dsc"] = dice_from_counts(intersection.sum(0), in_pred.sum(0), in_gt.sum(0))
        wanted = [name for name in SURFACE_METRICS if name in metrics]
        if wanted:
            of_volume |= self._volume_distances(np.stack(pred, axis=-1), wanted)
        of_slices: dict[str, np.ndarray] = {}
        if "hausdorff" in metrics:
            of_slices["hausdorff"] = self._slice_hausdorff(pred)
        if "boundary" in metrics:
            of_slices["boundary"] = self._slice_boundary(pred)
        return Comparison(
            of_volume,
            of_slices,
            empty_volume=(in_pred.sum(0) == 0) | (in_gt.sum(0) == 0),
            empty_slices=(in_pred == 0) | (in_gt == 0),
        )

    def _volume_distances(self, pred: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
        result = {name: np.full(self.num_classes, np.nan) for name in names}
        for k, truth in enumerate(self._surfaces, start=1):
            distances = truth.distances(Surface(pred == k, self.spacing_mm))
            for name in names:
                result[name][k] = SURFACE_METRICS[name](distances)
        return result

    def _slice_hausdorff(self, pred: Sequence[np.ndarray]) -> np.ndarray:
        result = np.full((len(pred), self.num_classes), np.nan)
        for row, labels, truths in zip(result, pred, self._slice_surfaces):
            for k, truth in enumerate(truths, start=1):
                row[k] = truth.distances(Surface(labels == k, truth.spacing.tolist())).hausdorff
        return result

    def _slice_boundary(self, pred: Sequence[np.ndarray]) -> np.ndarray:
        """The boundary loss of the prediction as it is, zeros and ones: mean over the slice of mask × signed map."""
        result = np.full((len(pred), self.num_classes), np.nan)
        for row, labels, maps in zip(result, pred, self._signed_maps):
            for k, signed_map in enumerate(maps, start=1):
                row[k] = signed_map[labels == k].sum(dtype=np.float64) / labels.size
        return result
