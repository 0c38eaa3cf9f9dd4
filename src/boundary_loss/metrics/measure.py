"""Every metric of a label map in one call."""

import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Union

import numpy as np
from numpy.typing import ArrayLike

from boundary_loss.empty_masks import Needs
from boundary_loss.labels import IGNORED, refuse_masks_of_255
from boundary_loss.metric_definitions import METRIC_SETS
from boundary_loss.metrics.overlap import Counts, counts_of, without_ignored
from boundary_loss.metrics.reading import (
    as_array,
    as_classes,
    as_spacing,
    ignoring,
    refuse_axes_of_items,
)
from boundary_loss.metrics.truth import NAMES, Truth, is_known, needs

if TYPE_CHECKING:
    from torch import Tensor

DEFAULT = ("dsc", "hausdorff", "hd95", "assd")
EMPTY = ("rule", "nan")
Key = str | int


def measure(
    prediction: Union[ArrayLike, "Tensor"],
    truth: Union[ArrayLike, "Tensor"],
    spacing_mm: Any = None,
    classes: Sequence[int] | Mapping[str, int] = (1,),
    metrics: Sequence[str] = DEFAULT,
    *,
    mask: Union[ArrayLike, "Tensor", None] = None,
    batched: bool = False,
    empty: str = "rule",
    device: Any = None,
) -> dict[str, dict[Key, Any]]:
    """Measure a segmentation of one slice or volume, or of each of a batch, against its ground truth, per class.

    Args:
        prediction: (...) classes, 2D or 3D; an array or a tensor of whole numbers of any type (not probabilities).
        truth: of the same shape; voxels of the label 255 are ignored by every metric.
        spacing_mm: a voxel's size along each axis; 1 mm if not given. With ``batched`` also (B, D), each item its own.
        classes: labels to measure, or ``{name: label}``. Of the background (0) distances and lesions are NaN.
        metrics: names, or sets of them: ``isles``, ``wmh``, ``acdc`` (without the ejection fraction, which needs two
            volumes: :func:`~boundary_loss.metrics.ejection_error`), ``all``. ``dsc iou precision recall nsd
            lesion_recall lesion_precision lesion_f1`` are scores (1 is best); ``hausdorff hd95 hd95_directed hd95_wmh
            assd`` mm, as is any other percentile, ``hd99`` or ``hd99_directed``; ``volume_error`` ml, ``avd`` per cent,
            ``lesion_difference`` a number of lesions. ``nsd`` is at 2 mm, ``nsd0.5mm`` at 0.5 mm. Distances and ``nsd``
            are of border voxels; ``hausdorff hd95 hd99 assd nsd`` with ``_surfel``, ``_mesh`` or ``_smooth`` behind,
            as ``assd_mesh``, are of surfaces whose elements count by their area, where a percentile is the larger of
            two sides' (:func:`surface_distances`, docs/surface_metrics.md).
        mask: bool, of the truth's shape, True where a voxel counts; the others are ignored like the label 255. Ignored
            voxels belong to no mask of prediction or truth: a surface runs along them, and a lesion that they cut in
            two is two. A truth of 0 and 255 alone is refused without it, because many masks are stored so.
        batched: the first axis is one of items, (B, ...) or (B, 1, ...), and each value an array (B,).
        empty: ``rule``: empty masks follow :data:`boundary_loss.metrics.RULE`; ``nan``: where a formula has no value,
            NaN (:mod:`boundary_loss.empty_masks` says which).
        device: where to measure distances, as ``cuda``; not given, tensors on CUDA are measured there.

    Returns:
        ``{metric: {class: value}}``; with ``batched`` the values are float64 arrays (B,).

    Raises:
        ValueError: shapes that differ or could mean two things, an unknown metric, classes or labels that cannot be
            meant.

    >>> import numpy as np
    >>> truth, prediction = np.zeros((2, 6, 6, 3), int)
    >>> truth[1:5, 1:5, 1] = prediction[1:5, 2:6, 1] = 1
    >>> measure(prediction, truth, spacing_mm=(1.0, 1.0, 3.0), classes={"lesion": 1}, metrics=["dsc", "hd95"])
    {'dsc': {'lesion': 0.75}, 'hd95': {'lesion': 1.0}}
    """
    names, keys = _expand(metrics), _keys(classes)
    if empty not in EMPTY:
        raise ValueError(f"empty={empty!r} is not understood; known: {', '.join(EMPTY)}")
    if device is None:
        given: tuple[Any, ...] = (prediction, truth)
        device = next((array.device for array in given if getattr(array, "is_cuda", False)), None)
    pred, gt = as_classes(prediction, "prediction"), as_classes(truth, "truth")
    counted = None if mask is None else as_array(mask)
    if batched:
        pred, gt = _items(pred, "prediction", spacing_mm), _items(gt, "truth", spacing_mm)
        counted = None if counted is None else counted.reshape(_without_channel(counted.shape))
    if pred.shape != gt.shape:
        raise ValueError(f"prediction of shape {pred.shape} and ground truth of shape {gt.shape} do not match")
    if not batched:
        _check_image(pred.shape, spacing_mm)
    if counted is None:
        refuse_masks_of_255(gt, "truth", "mask=truth != 255")
    gt = ignoring(gt, counted)
    if pred.max() == IGNORED:
        refuse_masks_of_255(np.where(gt == IGNORED, 0, pred), "prediction")
    if not batched:
        found = _measure_image(pred, gt, list(keys.values()), spacing_mm, names, empty, device)
        return {name: dict(zip(keys, found[name].tolist())) for name in names}
    spacings = _spacing_of_items(spacing_mm, pred.shape)
    each = [
        _measure_image(p, g, list(keys.values()), spacing, names, empty, device)
        for p, g, spacing in zip(pred, gt, spacings)
    ]
    return {name: dict(zip(keys, np.array([found[name] for found in each]).T)) for name in names}


def _measure_image(
    pred: np.ndarray, gt: np.ndarray, classes: Sequence[int], spacing_mm: Any, names: list[str], empty: str, device: Any
) -> dict[str, np.ndarray]:
    """``{metric: (classes,)}``"""
    prepared, pred = Truth(gt, classes, spacing_mm, device), without_ignored(pred, gt)
    if empty == "rule":
        return prepared.measure(pred, names)
    counts = counts_of(pred, gt, classes)
    found = prepared.measure(pred, names, counts)
    for name in names:
        found[name][_undefined(needs(name), counts)] = np.nan
    return found


def _undefined(needed: Needs, counts: Counts) -> np.ndarray:
    """(classes,) bool"""
    return np.array([needed.undefined(pred == 0, gt == 0) for pred, gt in zip(counts.pred, counts.gt)])


def _check_image(shape: tuple[int, ...], spacing_mm: Any) -> None:
    if len(shape) not in (2, 3):
        raise ValueError(
            f"prediction and truth must be of a slice (X, Y) or volume (X, Y, Z), got shape {shape}; "
            "say batched=True of a batch (B, ...) or (B, 1, ...)"
        )
    refuse_axes_of_items(shape, spacing_mm, "say batched=True")


def _items(labels: np.ndarray, name: str, spacing_mm: Any) -> np.ndarray:
    """(B, X, Y[, Z]) of a batch with or without one channel."""
    shape = _without_channel(labels.shape)
    numbers = len(shape) - 1 if spacing_mm is None else np.shape(spacing_mm)[-1]
    if len(shape) not in (3, 4) or numbers != len(shape) - 1:
        raise ValueError(
            f"{name} of shape {labels.shape} is no batch (B, X, Y), (B, X, Y, Z) or (B, 1, ...) with one number of "
            f"spacing_mm a spatial axis, got {spacing_mm}"
        )
    return labels.reshape(shape)


def _without_channel(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], *shape[2:]) if len(shape) > 3 and shape[1] == 1 else shape


def _spacing_of_items(spacing_mm: Any, shape: tuple[int, ...]) -> np.ndarray:
    """(B, D) mm."""
    if spacing_mm is None or np.ndim(spacing_mm) == 1:
        return np.tile(as_spacing(spacing_mm, len(shape) - 1), (shape[0], 1))
    if len(spacing_mm) != shape[0]:
        raise ValueError(f"spacing_mm has {len(spacing_mm)} rows, one an item, but there are {shape[0]} items")
    return np.stack([as_spacing(row, len(shape) - 1) for row in spacing_mm])


def _keys(classes: Any) -> dict[Key, int]:
    """Labels by the name under which they are reported."""
    try:
        pairs = classes.items() if isinstance(classes, Mapping) else ((k, k) for k in map(operator.index, classes))
        keys: dict[Key, int] = {name: operator.index(k) for name, k in pairs}
    except TypeError:
        raise ValueError(f"classes must be a list of labels, as [1], or names and labels, got {classes!r}") from None
    if not keys or not all(0 <= k < IGNORED for k in keys.values()):
        raise ValueError(f"classes must name labels from 0 to 254 (255 is ignored), got {classes}")
    return keys


def _expand(words: Sequence[str]) -> list[str]:
    """Names from names and sets, each once."""
    found: dict[str, None] = {}
    for word in [words] if isinstance(words, str) else words:
        members = [array.removeprefix("val_3d_") for array in METRIC_SETS.get(word, ())]
        if not members and not is_known(word):
            sets = ", ".join(METRIC_SETS)
            known = f"{', '.join(NAMES)}; hd99, hd99_mesh or another percentile; nsd1mm or another tolerance"
            raise ValueError(f"unknown metric '{word}'; known: {known}; sets: {sets}")
        found |= dict.fromkeys([name for name in members if is_known(name)] or [word])
    return list(found)
