"""From a label image to its distance maps, as the original's dataset transform."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from boundary_loss.distance.layout import as_tensor
from boundary_loss.distance.signed import signed_distance


def dist_map_transform(resolution: Sequence[float], K: int) -> Callable[[Any], Tensor]:
    """A function from a label image to the signed distance maps of its classes (convention ``paper``).

    Args:
        resolution: mm along each axis of the array, as ``[1, 1]``.
        K: number of classes; labels are 0 to K-1, and 255 is ignored.

    Returns:
        A callable that takes a PIL image, NumPy array or tensor (X, Y[, Z]) of integers and returns
        a (K, X, Y[, Z]) float32 tensor. It raises ValueError on another shape, type or label.

    >>> dist_map_transform([1, 1], 2)(np.array([[0, 1]]))
    tensor([[[0., 1.]],
    <BLANKLINE>
            [[1., 0.]]])
    """

    def transform(image: Any) -> Tensor:
        labels, _ = as_tensor(image if isinstance(image, Tensor) else np.array(image), "the label image")
        if labels.ndim != len(resolution):
            raise ValueError(f"the label image has shape {tuple(labels.shape)}, but the resolution is {resolution}")
        maps = signed_distance(labels, resolution, num_classes=K)
        assert isinstance(maps, Tensor)
        return maps

    return transform
