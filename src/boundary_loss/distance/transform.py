"""The original's dataset transform: from a label image to its distance maps."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from boundary_loss.distance.layout import as_tensor, spacing_array
from boundary_loss.distance.segmentation import TO_IGNORE, UNASKED, class_count
from boundary_loss.distance.signed import signed_distance
from boundary_loss.labels import refuse_masks_of_255


def dist_map_transform(
    resolution: Sequence[float], K: int, *, ignore_index: int | None = UNASKED
) -> Callable[[Any], Tensor]:
    """Return a function from a label image to the signed distance maps of its classes (convention ``paper``).

    Args:
        resolution: mm along each axis of the array, as ``[1, 1]``.
        K: number of classes; labels are 0 to K-1.
        ignore_index: the label of voxels that are ignored. 255 if not given, but an image of 0 and 255 alone is then
            refused, because many masks are stored so. None: no label is treated so.

    Returns:
        A callable that takes a PIL image, NumPy array or tensor (X, Y[, Z]) of whole numbers and returns
        a (K, X, Y[, Z]) float32 tensor. It raises ValueError on another shape, type or label.

    Raises:
        ValueError: a resolution that is not a list of positive numbers, or a K that is no number of classes.

    >>> dist_map_transform([1, 1], 2)(np.array([[0, 1]]))
    tensor([[[0., 1.]],
    <BLANKLINE>
            [[1., 0.]]])
    """

    spacing = spacing_array(resolution, "resolution")
    if spacing is None or spacing.ndim != 1:
        raise ValueError(f"resolution must list one number an axis, as [1, 1], got {resolution!r}")

    num_classes = class_count(K, "K")

    def transform(image: Any) -> Tensor:
        labels, _ = as_tensor(image if isinstance(image, Tensor) else np.array(image), "the label image")
        if labels.ndim != len(spacing):
            raise ValueError(f"the label image has shape {tuple(labels.shape)}, but the resolution is {resolution}")
        if ignore_index is UNASKED and labels.device.type == "cpu":
            refuse_masks_of_255(labels, "image", TO_IGNORE)
        maps = signed_distance(
            labels, spacing, num_classes=num_classes, ignore_index=ignore_index, spatial_dims=len(spacing)
        )
        assert isinstance(maps, Tensor)
        return maps

    return transform
