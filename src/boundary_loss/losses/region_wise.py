"""The region-wise loss with rectified maps: a reward by depth inside a class, the same cost everywhere outside.

Valverde & Tohka, "Region-wise Loss for Biomedical Image Segmentation", Pattern Recognition 2023 (arXiv 2108.01405).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from boundary_loss.distance.layout import Spacing
from boundary_loss.losses.base import Activation, Pair, Reduction, Unit
from boundary_loss.losses.hausdorff import boundary_distance
from boundary_loss.losses.measuring import MeasuringLoss
from boundary_loss.losses.target import mean_over_voxels, zero_unless


def region_wise(p: Tensor, z: Tensor, known: Tensor | None = None) -> Tensor:
    """(B, K): means of p · z over the voxels, or over those that are ``known``."""
    return mean_over_voxels(p * z, known)


def rectified_map(masks: Tensor, depth: Tensor) -> Tensor:
    """(B, K, ...): 1 outside a mask, −d / max d inside, d the ``depth`` there; −1 in a mask without a boundary."""
    deepest = depth.amax(dim=tuple(range(2, depth.ndim)), keepdim=True)
    inside = torch.where(deepest > 0, -depth / deepest, -1)
    return torch.where(masks, inside, 1)


class RegionWiseLoss(MeasuringLoss):
    """Mean of p·z, z = 1 outside the class and −d / max d inside, d the distance to the outside.

    As the boundary loss it is linear in p, and its least value differs from image to image; unlike there, false
    positives cost the same wherever they lie, also where the item lacks the class: z is 1 then. Maps are normalised, so
    scaling the spacing does not matter. The map in the README of the authors' repository keeps the type of its one-hot
    input: of integers nothing is left but −1 and 1. Their loss, which has floats, gives the values of this one, but for
    a class that fills the image, whose map here is −1.

    Args:
        spacing_mm: of the voxels, along (X, Y[, Z]), where a call does not give it; None = 1.
        unit: of the distances, "mm" or "voxel", the latter is the authors'.

    >>> probs = torch.tensor([[[[0.9, 0.4, 0.2]], [[0.1, 0.6, 0.8]]]])
    >>> loss = RegionWiseLoss(classes=[1])  # z = 1, −½, −1
    >>> round(loss(probs, torch.tensor([[[0, 1, 1]]])).item(), 4)
    -0.3333
    """

    def __init__(
        self,
        *,
        spacing_mm: Sequence[float] | None = None,
        unit: Unit = "mm",
        idc: Sequence[int] | None = None,
        classes: Sequence[int] | None = None,
        activation: Activation | None = None,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            spacing_mm=spacing_mm,
            unit=unit,
            idc=idc,
            classes=classes,
            activation=activation,
            ignore_index=ignore_index,
            reduction=reduction,
        )

    def measure(self, masks: Tensor, spacing: Spacing, known: Tensor | None) -> Tensor:
        return zero_unless(known, rectified_map(masks, boundary_distance(masks, "inside", spacing, known=known)))

    def of_maps(self, pair: Pair, maps: Tensor, spacing: Spacing) -> Tensor:
        return self.reduce_classes(region_wise(self.choose(pair.probs), maps.to(pair.probs.dtype), pair.known))
