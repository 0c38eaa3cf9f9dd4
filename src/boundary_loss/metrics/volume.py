"""Every metric of a volume and of its slices, against a ground truth prepared once for many predictions."""

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from boundary_loss.metrics.overlap import Counts, counts_of, without_ignored
from boundary_loss.metrics.surface import Surface
from boundary_loss.metrics.truth import AREA_NAMES, NAMES, Truth

VOLUME_METRICS = tuple(f"3d_{name}" for name in (*NAMES, *AREA_NAMES))
SLICE_METRICS = ("hausdorff", "boundary")


class VolumeMeasures(NamedTuple):
    """Metrics of one prediction of a volume of N slices. Distances and lesions of the background (class 0) are NaN."""

    of_volume: dict[str, np.ndarray]
    """``{metric: (K,) float64}``"""
    of_slices: dict[str, np.ndarray]
    """``{metric: (N, K) float64}``"""
    volumes_ml: np.ndarray
    """(2, K) of the prediction and of the ground truth."""
    empty_volume: np.ndarray
    """(K,) how many of the two masks lack the class: where it is not 0, the empty-mask rule decided."""
    empty_slices: np.ndarray
    """(N, K), the same of each slice."""


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
        self.truth = Truth(np.stack(self.slices, axis=-1), range(num_classes), spacing_mm)  # (X, Y, Z)
        self.slice_spacing_mm = [tuple(spacing) for spacing in slice_spacing_mm]

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

    def compare(self, slices: Sequence[np.ndarray], metrics: Collection[str]) -> VolumeMeasures:
        """Measure a prediction, N arrays (X, Y) of classes, by the named metrics."""
        pred = [without_ignored(labels, truth) for labels, truth in zip(slices, self.slices)]
        counts = [counts_of(labels, truth, range(self.num_classes)) for labels, truth in zip(pred, self.slices)]
        by_slice = Counts(*(np.array(parts) for parts in zip(*counts)))  # (N, K) each
        whole = Counts(*(parts.sum(0) for parts in by_slice))
        names = [name.removeprefix("3d_") for name in VOLUME_METRICS if name in metrics]
        of_volume = self.truth.measure(np.stack(pred, axis=-1), names, whole) if names else {}
        of_slices: dict[str, np.ndarray] = {}
        if "hausdorff" in metrics:
            of_slices["hausdorff"] = self._slice_hausdorff(pred)
        if "boundary" in metrics:
            of_slices["boundary"] = self._slice_boundary(pred)
        return VolumeMeasures(
            {f"3d_{name}": values for name, values in of_volume.items()},
            of_slices,
            volumes_ml=self.truth.voxel_ml * np.stack([whole.pred, whole.gt]),
            empty_volume=_num_empty(whole),
            empty_slices=_num_empty(by_slice),
        )

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


def _num_empty(counts: Counts) -> np.ndarray:
    return (counts.pred == 0).astype(int) + (counts.gt == 0)
