"""Every metric of a label map in one call."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Union

import numpy as np
from numpy.typing import ArrayLike

from boundary_loss.metrics.truth import NAMES, Truth
from boundary_loss.metrictable import METRIC_SETS

if TYPE_CHECKING:
    from torch import Tensor

DEFAULT = ("dsc", "hausdorff", "hd95", "assd")
Key = str | int


def measure(
    prediction: Union[ArrayLike, "Tensor"],
    truth: Union[ArrayLike, "Tensor"],
    spacing_mm: Sequence[float] | None = None,
    classes: Sequence[int] | Mapping[str, int] = (1,),
    metrics: Sequence[str] = DEFAULT,
    *,
    device: Any = None,
) -> dict[str, dict[Key, float]]:
    """Measure a segmentation of one slice or volume against its ground truth, per class.

    Args:
        prediction: (...) integer classes, 2D or 3D; an array or a tensor (not probabilities, and no batch axis).
        truth: of the same shape; voxels of the label 255 are ignored by every metric.
        spacing_mm: a voxel's size along each axis; 1 mm if not given.
        classes: labels to measure, or ``{name: label}``. Of the background (0) distances and lesions are NaN.
        metrics: names, or sets of them: ``isles``, ``wmh``, ``acdc`` (without the ejection fraction, which needs two
            volumes: :func:`~boundary_loss.metrics.ejection_error`), ``all``. ``dsc iou precision recall nsd
            lesion_recall lesion_precision lesion_f1`` are scores (1 is best); ``hausdorff hd95 hd95_directed hd95_wmh
            assd`` mm; ``volume_error`` ml, ``avd`` per cent, ``lesion_difference`` a number of lesions. ``nsd`` is at
            2 mm; for another tolerance, :meth:`SurfaceDistances.surface_dice`.
        device: where to measure distances, as ``cuda``; not given, tensors on CUDA are measured there.

    Returns:
        ``{metric: {class: value}}``; empty masks follow :data:`boundary_loss.metrics.RULE`.

    Raises:
        ValueError: shapes that differ, an unknown metric, classes or labels that cannot be meant.

    >>> import numpy as np
    >>> truth, prediction = np.zeros((2, 6, 6, 3), int)
    >>> truth[1:5, 1:5, 1] = prediction[1:5, 2:6, 1] = 1
    >>> measure(prediction, truth, spacing_mm=(1.0, 1.0, 3.0), classes={"lesion": 1}, metrics=["dsc", "hd95"])
    {'dsc': {'lesion': 0.75}, 'hd95': {'lesion': 1.0}}
    """
    names = _expand(metrics)
    if device is None:
        given: tuple[Any, ...] = (prediction, truth)
        device = next((array.device for array in given if getattr(array, "is_cuda", False)), None)
    pred, gt = _as_labels(prediction, "prediction"), _as_labels(truth, "truth")
    if pred.shape != gt.shape:
        raise ValueError(f"prediction of shape {pred.shape} and ground truth of shape {gt.shape} do not match")
    pairs = classes.items() if isinstance(classes, Mapping) else ((int(k), int(k)) for k in classes)
    keys: dict[Key, int] = dict(pairs)
    if not keys or not all(0 <= k < 255 for k in keys.values()):
        raise ValueError(f"classes must name labels from 0 to 254 (255 is ignored), got {classes}")
    found = Truth(gt, list(keys.values()), spacing_mm, device).measure(pred, names)
    return {name: dict(zip(keys, found[name].tolist())) for name in names}


def _expand(words: Sequence[str]) -> list[str]:
    """Names from names and sets, each once."""
    found: dict[str, None] = {}
    for word in [words] if isinstance(words, str) else words:
        members = [array.removeprefix("val_3d_") for array in METRIC_SETS.get(word, ())]
        if word not in NAMES and not members:
            sets = ", ".join(METRIC_SETS)
            raise ValueError(f"unknown metric '{word}'; known: {', '.join(NAMES)}; sets: {sets}")
        found |= dict.fromkeys([name for name in members if name in NAMES] or [word])
    return list(found)


def _as_labels(labels: Any, name: str) -> np.ndarray:
    array = labels.detach().cpu().numpy() if hasattr(labels, "detach") else np.asarray(labels)
    if array.dtype in (bool, np.int8):  # neither holds the ignored label
        array = array.astype(np.int16)
    if array.ndim not in (2, 3) or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(
            f"{name} must hold integer classes of a slice (X, Y) or volume (X, Y, Z), got {array.dtype} of shape "
            f"{array.shape}; take argmax of probabilities, and one item of a batch"
        )
    return array
