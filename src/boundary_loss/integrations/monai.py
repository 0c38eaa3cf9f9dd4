"""A transform and a metric for MONAI: signed maps that keep their meta data, and any metric of ``measure``.

>>> transform = SignedDistanced("label", num_classes=2)
>>> transform({"label": torch.ones(1, 4, 4)})["label_distance"].shape
torch.Size([2, 4, 4])
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.metrics import CumulativeIterationMetric
from monai.metrics.utils import do_metric_reduction
from monai.transforms import MapTransform
from torch import Tensor

from boundary_loss.distance import signed_distance
from boundary_loss.distance.layout import Spacing
from boundary_loss.distance.signed import Absent, Convention, Normalisation
from boundary_loss.metrics import measure


class SignedDistanced(MapTransform):
    """Dictionary transform: the signed distance map of each label image, beside it and with its meta data.

    Put it after transforms that scale, shear or warp: a map is no image, and a resampled one holds the distances of
    before. Crops, flips and quarter turns may follow. :class:`boundary_loss.FromLabels` makes the map in
    the step instead.

    Args:
        keys: of label images, channel-first (1, X, Y[, Z]) whole numbers of any type.
        num_classes: K.
        postfix: the map of ``label`` is put under ``label_distance``.
        spacing_mm: along (X, Y[, Z]); None = that of a MetaTensor's affine, or 1. After a random rotation the affine's
            differs from the nominal one; give that.
        classes, convention, absent, normalise, max_distance, ignore_index: as in
            :func:`boundary_loss.signed_distance`.
        allow_missing_keys: leave out keys that the data lacks, instead of raising.
    """

    def __init__(
        self,
        keys: KeysCollection,
        num_classes: int,
        *,
        postfix: str = "distance",
        spacing_mm: Sequence[float] | None = None,
        classes: Sequence[int] | None = None,
        convention: Convention = "paper",
        absent: Absent = "zero",
        normalise: Normalisation | None = None,
        max_distance: float | None = None,
        ignore_index: int | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.postfix, self.spacing_mm = postfix, spacing_mm
        self.options: dict[str, Any] = {
            "num_classes": num_classes, "classes": classes, "convention": convention, "absent": absent,
            "normalise": normalise, "max_distance": max_distance, "ignore_index": ignore_index,
        }  # fmt: skip

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The data and, for each key, a (K, X, Y[, Z]) float32 map, a MetaTensor if the labels are one.

        Raises:
            ValueError: labels that are not (1, X, Y[, Z]), and as :func:`boundary_loss.signed_distance`.
        """
        found = dict(data)
        for key in self.key_iterator(found):
            found[f"{key}_{self.postfix}"] = self._map(found[key])
        return found

    def _map(self, labels: Tensor) -> Tensor:
        if labels.ndim not in (3, 4) or labels.shape[0] != 1:
            raise ValueError(f"labels must be (1, X, Y[, Z]), channel-first, got shape {tuple(labels.shape)}")
        options = self.options | {"spatial_dims": labels.ndim - 1}
        if not isinstance(labels, MetaTensor):
            return signed_distance(labels[0], self.spacing_mm, **options)
        spacing = labels.pixdim if self.spacing_mm is None else self.spacing_mm
        maps = signed_distance(labels.as_tensor()[0], spacing, **options)
        return MetaTensor(maps, meta=labels.meta, applied_operations=labels.applied_operations)


class MeasureMetric(CumulativeIterationMetric):
    """Any metric of :func:`boundary_loss.measure`, cumulated over batches as MONAI's are.

    Args:
        name: as ``dsc``, ``hd95``, ``assd``, ``nsd``, ``lesion_f1``.
        classes: those to measure, in the order of the values.
        spacing_mm: of the voxels, along (X, Y[, Z]), where a call does not give ``spacing``; None = 1.
        empty: "rule", one rule for empty masks, so that a missed object counts; "nan", which MONAI's metrics give and
            its reduction leaves out.
        reduction: MONAI's, over items and classes: "mean", "mean_batch" (a value a class), "none", ...
    """

    def __init__(
        self,
        name: str = "hd95",
        *,
        classes: Sequence[int] = (1,),
        spacing_mm: Sequence[float] | None = None,
        empty: Literal["rule", "nan"] = "rule",
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        self.name, self.classes, self.spacing_mm = name, tuple(classes), spacing_mm
        self.empty, self.reduction = empty, reduction

    def _compute_tensor(
        self, y_pred: Tensor, y: Tensor | None = None, spacing: Spacing = None, **kwargs: Any
    ) -> Tensor:
        """(B, classes) of predictions and truth, (B, 1, ...) labels or (B, K, ...) one-hot or regions."""
        if y is None or y_pred.shape != y.shape:
            truth = None if y is None else tuple(y.shape)
            raise ValueError(f"prediction {tuple(y_pred.shape)} and truth {truth} must have one shape")
        if kwargs:
            raise ValueError(f"a call takes spacing, not {', '.join(kwargs)}")
        spacing = self.spacing_mm if spacing is None else spacing
        pred, gt = (each.as_tensor() if isinstance(each, MetaTensor) else each for each in (y_pred, y))
        if pred.shape[1] == 1:
            return self._measured(pred, gt, self.classes, spacing)
        if max(self.classes) >= pred.shape[1]:
            raise ValueError(f"classes {list(self.classes)} asked for, but there are {pred.shape[1]} channels")
        each = [self._measured(pred[:, k : k + 1] > 0.5, gt[:, k : k + 1] > 0.5, (1,), spacing) for k in self.classes]
        return torch.cat(each, dim=1)

    def _measured(self, pred: Tensor, gt: Tensor, classes: tuple[int, ...], spacing: Spacing) -> Tensor:
        values = measure(pred, gt, spacing, classes, [self.name], batched=True, empty=self.empty)[self.name]
        return torch.stack([torch.as_tensor(values[k]) for k in classes], dim=1)

    def aggregate(self, reduction: str | None = None) -> Tensor:
        """The values of all calls since the last reset, reduced."""
        values, _ = do_metric_reduction(self.get_buffer(), reduction or self.reduction)
        return values
