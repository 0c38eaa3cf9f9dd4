"""The distances between two surfaces, and the metrics that summarise them."""

from dataclasses import dataclass

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
