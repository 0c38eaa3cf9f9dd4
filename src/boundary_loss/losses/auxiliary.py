"""Losses of a network's output ``aux``: a coarse map of the same classes, trained together with the segmentation.

As OSS-Net's auxiliary head (Reich et al., BMVC 2021) and deep supervision: the target is pooled to the output's size.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from boundary_loss.losses.base import RegionLoss
from boundary_loss.shapes import Logits, OneHot, Scalar

AUX = "aux"
PREFIX = f"{AUX}_"
"""Before the name of a loss of the labels, as in ``aux_ce``."""

_POOLS: dict[int, Callable[..., Tensor]] = {
    1: F.adaptive_max_pool1d,
    2: F.adaptive_max_pool2d,
    3: F.adaptive_max_pool3d,
}


class AuxiliaryLoss(nn.Module):
    """Applies a loss to ``aux``, logits of any size up to the labels'.

    Args:
        loss: of probabilities and a one-hot target.
    """

    reads: ClassVar[str] = AUX
    target: ClassVar[str] = "one_hot"
    takes_mask: ClassVar[bool] = True
    takes_dense: ClassVar[bool] = True
    """Whether the target is the labels of whole volumes where the others are labels at points."""

    def __init__(self, loss: RegionLoss) -> None:
        super().__init__()
        self.loss, self.over_items = loss, loss.over_items

    def forward(self, output: Logits, one_hot: OneHot, *, mask: Tensor | None = None) -> Scalar:
        """Return the loss of (B, K, x, ...) logits against a target (B, K, X, ...), pooled to their size.

        Args:
            mask: (B, 1, X, ...) bool, True where a voxel counts; a cell counts where any of its voxels does.

        Raises:
            ValueError: the output is larger than the target, or has other classes or axes.
        """
        size = output.shape[2:]
        other = output.shape[:2] != one_hot.shape[:2] or output.ndim != one_hot.ndim
        if other or any(cells > voxels for cells, voxels in zip(size, one_hot.shape[2:], strict=True)):
            raise ValueError(
                f"the output '{AUX}' of shape {tuple(output.shape)} does not fit a target {tuple(one_hot.shape)}: it "
                "has as many classes and axes, and at most as many voxels along each"
            )
        known = None if mask is None else _pooled(mask.float(), size) > 0
        return self.loss(output.float().softmax(dim=1), highest_class(one_hot, size), mask=known)

    def extra_repr(self) -> str:
        return f"of the output '{AUX}'"


@torch.no_grad()
def highest_class(one_hot: OneHot, size: Sequence[int]) -> OneHot:
    """Pool (B, K, X, ...) to (B, K, *size) float32: each cell has the highest class of its voxels.

    With two classes a cell that contains any of the object is object.
    """
    found = _pooled(one_hot.float(), size)
    free, classes = torch.ones_like(found[:, 0]), []
    for k in reversed(range(1, found.shape[1])):
        classes.append(found[:, k] * free)
        free = free - classes[-1]
    return torch.stack([free, *reversed(classes)], dim=1)


def _pooled(values: Tensor, size: Sequence[int]) -> Tensor:
    """Return the largest value in each cell, (B, C, X, ...) -> (B, C, *size)."""
    return values if values.shape[2:] == tuple(size) else _POOLS[len(size)](values, tuple(size))
