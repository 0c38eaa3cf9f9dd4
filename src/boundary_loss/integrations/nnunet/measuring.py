"""The metrics of one case, for each label or region: what a worker does."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from boundary_loss.integrations.nnunet.images import Image, check_grids, read_image
from boundary_loss.integrations.nnunet.layout import Labels
from boundary_loss.metrics import measure

DEFAULT = ("dsc", "hd95", "assd", "nsd")
VOXELS = ("n_pred", "n_ref")
"""Voxels of prediction and ground truth, as nnU-Net's summary.json calls them."""
Entry = dict[str, Any]
"""A case in ``metric_per_case``."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What shapes the numbers."""

    metrics: tuple[str, ...] = DEFAULT
    """Names of :func:`boundary_loss.measure`."""
    empty: str = "rule"
    """What empty masks give, as in :func:`boundary_loss.measure`: ``rule`` or ``nan``."""
    by_index: bool = False
    """Compare voxel by voxel wherever the headers place them."""

    def as_json(self) -> dict[str, Any]:
        """Return the settings as they stand in a summary."""
        return {"metrics": list(self.metrics), "empty": self.empty, "by_index": self.by_index}


@dataclass(frozen=True, kw_only=True)
class Job:
    """One case; called, it returns its entry, or why there is none."""

    prediction: Path
    truth: Path
    labels: Labels
    settings: Settings
    known: Mapping[str, Any] | None = None
    """The entry of an earlier time, which is kept if the files are the same."""

    def __call__(self) -> Entry | str:
        try:
            return self._entry()
        except (ValueError, OSError) as error:
            return f"{self.prediction.name}: {error}"

    def _entry(self) -> Entry:
        digest = fingerprint(self.prediction, self.truth)
        if self.known is not None and self.known.get("fingerprint") == digest:
            return dict(self.known)
        prediction, truth = read_image(self.prediction), read_image(self.truth)
        check_grids(prediction, truth, by_index=self.settings.by_index)
        return {
            "prediction_file": self.prediction.name,
            "reference_file": self.truth.name,
            "fingerprint": digest,
            "metrics": metrics_of(prediction, truth, self.labels, self.settings),
        }


def fingerprint(*paths: Path) -> str:
    """Return a checksum of the files' bytes."""
    return blake2b(b"".join(blake2b(path.read_bytes()).digest() for path in paths), digest_size=16).hexdigest()


def metrics_of(prediction: Image, truth: Image, labels: Labels, settings: Settings) -> dict[str, dict[str, float]]:
    """``{key: {metric: value}}`` for each label or region, without the ignored voxels."""
    counted = None if labels.ignored is None else truth.labels != labels.ignored
    return {
        region.key: _of_masks(region.mask(prediction.labels), region.mask(truth.labels), truth, counted, settings)
        for region in labels.regions
    }


def _of_masks(
    pred: np.ndarray, gt: np.ndarray, truth: Image, counted: np.ndarray | None, settings: Settings
) -> dict[str, float]:
    found = measure(pred, gt, truth.spacing_mm, metrics=settings.metrics, mask=counted, empty=settings.empty)
    voxels = [int((mask if counted is None else mask & counted).sum()) for mask in (pred, gt)]
    return {name: values[1] for name, values in found.items()} | dict(zip(VOXELS, voxels))
