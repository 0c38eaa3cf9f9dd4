"""The distances between two surfaces, and the metrics that summarise them."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances in mm between two surfaces; where a mask was empty, every metric is what the empty-mask rule says."""

    from_pred: NDArray[np.float64]
    """(n,) from each border voxel of the prediction to the nearest of the ground truth."""
    from_gt: NDArray[np.float64]
    """(m,) the other way."""
    rule: float | None = None
    """The distance that the empty-mask rule gives; None where both surfaces exist."""

    @property
    def hausdorff(self) -> float:
        """The largest distance of all (Hausdorff 1914)."""
        return float(max(self.from_pred.max(), self.from_gt.max())) if self.rule is None else self.rule

    def percentile(self, percent: float, *, directed: bool = False) -> float:
        """Percentile of both sides' distances pooled; ``directed``: the larger of the two sides' percentiles.

        Raises:
            ValueError: not from 0 to 100.
        """
        if not 0 <= percent <= 100:
            raise ValueError(f"a percentile is from 0 to 100, got {percent}")
        return self._percentile(percent, directed=directed) if self.rule is None else self.rule

    def _percentile(self, percent: float, *, directed: bool) -> float:
        if directed:
            return float(max(np.percentile(self.from_pred, percent), np.percentile(self.from_gt, percent)))
        return float(np.percentile(np.concatenate([self.from_pred, self.from_gt]), percent))

    @property
    def hd95(self) -> float:
        """95th percentile of both sides' distances pooled, as in medpy."""
        return self.percentile(95)

    @property
    def hd95_directed(self) -> float:
        """The larger of the two sides' 95th percentiles, as in MONAI."""
        return self.percentile(95, directed=True)

    @property
    def assd(self) -> float:
        """Average symmetric surface distance: the mean over the border voxels of both (Heimann et al. 2009)."""
        if self.rule is not None:
            return self.rule
        return float((self.from_pred.sum() + self.from_gt.sum()) / (len(self.from_pred) + len(self.from_gt)))

    def surface_dice(self, tolerance_mm: float) -> float:
        """Normalised surface Dice: the share of both sides' border voxels no further than the tolerance from the other.

        Nikolov et al. 2018, with border voxels for surface elements, as in MONAI. Both masks empty: 1; one: 0.

        Raises:
            ValueError: a tolerance below 0.
        """
        self._check_tolerance(tolerance_mm)
        if self.rule is not None:
            return 0.0 if self.rule else 1.0
        close = np.count_nonzero(self.from_pred <= tolerance_mm) + np.count_nonzero(self.from_gt <= tolerance_mm)
        return float(close / (len(self.from_pred) + len(self.from_gt)))

    def _check_tolerance(self, tolerance_mm: float) -> None:
        if not tolerance_mm >= 0:
            raise ValueError(f"tolerance_mm must be 0 mm or more, got {tolerance_mm}")


_ROUNDED = 1 + 1e-9
"""A tolerance of 2 mm takes in a distance of 2 mm that rounding made longer."""


@dataclass(frozen=True)
class AreaDistances(SurfaceDistances):
    """Distances in mm of elements of two surfaces, each of which counts by its area in mm² (in 2D by its length in mm).

    ``from_pred`` and ``from_gt`` have a distance an element, and so have the sizes. Percentiles are those of surface:
    so much of it is no further than that from the other.
    """

    of_pred: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), kw_only=True)
    """(n,) areas of the prediction's elements."""
    of_gt: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), kw_only=True)
    """(m,) of the ground truth's."""

    def _percentile(self, percent: float, *, directed: bool) -> float:
        if directed:
            return max(_of_area(*side, percent) for side in self._sides)
        return _of_area(*self._pooled, percent)

    @property
    def hd95(self) -> float:
        """The larger of the two sides' 95th percentiles, as in pymeshmetrics and surface-distance."""
        return self.hd95_directed

    @property
    def assd(self) -> float:
        """Average symmetric surface distance: the mean over the area of both surfaces."""
        if self.rule is not None:
            return self.rule
        distances, sizes = self._pooled
        return float((distances * sizes).sum() / sizes.sum())

    @property
    def averages(self) -> tuple[float, float]:
        """The mean over the area of the prediction, and that over the ground truth's; surface-distance gives these."""
        if self.rule is not None:
            return self.rule, self.rule
        from_pred, from_gt = (float((distances * sizes).sum() / sizes.sum()) for distances, sizes in self._sides)
        return from_pred, from_gt

    def surface_dice(self, tolerance_mm: float) -> float:
        """Normalised surface Dice (Nikolov et al. 2018): the share of both surfaces' area that is no further than the
        tolerance from the other. Both masks empty: 1; one: 0.

        Raises:
            ValueError: a tolerance below 0.
        """
        self._check_tolerance(tolerance_mm)
        if self.rule is not None:
            return 0.0 if self.rule else 1.0
        distances, sizes = self._pooled
        return float(sizes[distances <= tolerance_mm * _ROUNDED].sum() / sizes.sum())

    @property
    def _sides(self) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...]:
        return (self.from_pred, self.of_pred), (self.from_gt, self.of_gt)

    @property
    def _pooled(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.concatenate([self.from_pred, self.from_gt]), np.concatenate([self.of_pred, self.of_gt])


def _of_area(distances: NDArray[np.float64], sizes: NDArray[np.float64], percent: float) -> float:
    """The smallest of the distances within which so much of the area lies."""
    order = np.argsort(distances)
    share = np.cumsum(sizes[order]) / sizes.sum()
    place = min(int(np.searchsorted(share, percent / 100)), len(order) - 1)
    return float(distances[order[place]])
