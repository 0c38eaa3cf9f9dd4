"""Losses that estimate the Hausdorff distance (Karimi & Salcudean, IEEE TMI 2020)."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from boundary_loss.distance import either_distance, inside_distance
from boundary_loss.distance.layout import Spacing
from boundary_loss.encoding import encode_one_hot, probs2class
from boundary_loss.losses.base import Activation, Pair, Reduction, RegionLoss, Unit, one_of
from boundary_loss.losses.measuring import Absent, MeasuringLoss, bounded, diagonal
from boundary_loss.losses.target import mean_over_voxels, zero_unless

Sides = Literal["inside", "both"]


def hausdorff(
    p: Tensor, g: Tensor, d_p: Tensor, d_g: Tensor, alpha: float = 2.0, known: Tensor | None = None
) -> Tensor:
    """Return (B, K): means of (p − g)² (d_p^α + d_g^α) over the voxels, or over those that are ``known``."""
    weight = (d_p**alpha).add_(d_g**alpha)
    return mean_over_voxels((p - g) ** 2 * weight.to(p.dtype), known)


def hausdorff_one_sided(p: Tensor, g: Tensor, d_g: Tensor, alpha: float = 2.0, known: Tensor | None = None) -> Tensor:
    """(B, K): means of (p − g)² d_g^α over the voxels, or over those that are ``known``."""
    return mean_over_voxels((p - g) ** 2 * (d_g**alpha).to(p.dtype), known)


def hausdorff_erosion(
    p: Tensor, g: Tensor, alpha: float = 2.0, erosions: int = 10, known: Tensor | None = None
) -> Tensor:
    """Return (B, K): Σ n^α mean(E_n), E_n the n-th :func:`soft_erosion` of (p − g)²."""
    error = (p - g) ** 2
    total = torch.zeros_like(error.flatten(2)[..., 0])
    for n in range(1, erosions + 1):
        error = zero_unless(known, soft_erosion(error))
        total = total + n**alpha * mean_over_voxels(error, known)
    return total


def soft_erosion(error: Tensor) -> Tensor:
    """Erode errors (B, K, ...) softly; see :class:`HausdorffErosionLoss`."""
    axes = range(2, error.ndim)
    padded = F.pad(error, [1, 1] * len(axes))
    cross = error
    for axis in axes:
        for start in (0, 2):
            moved = padded.narrow(axis, start, error.shape[axis])
            for other in axes:
                if other != axis:
                    moved = moved.narrow(other, 1, error.shape[other])
            cross = cross + moved
    threshold = 0.5 * error.amax(dim=tuple(axes), keepdim=True)
    return 2 * (cross / (2 * len(axes) + 1) - threshold).clamp(min=0)


class HausdorffLoss(MeasuringLoss):
    """Mean of (p − g)² (d_g^α + d_p^α), d the distances of the target and of the predicted classes; no gradient in d.

    A class is predicted where it is the most probable; under ``activation="sigmoid"`` where it is above ½, each by
    itself. Karimi & Salcudean, equation 8.

    Args:
        sides: "inside" measures each mask inside only, as the original and SegWithDistMap do; "both" also outside,
            the definition and MONAI's, so that a lone false voxel far away weighs by its distance.
        alpha: the power of the distances.
        spacing_mm: of the voxels, along (X, Y[, Z]), where a call does not give it; None = 1.
        unit: of the distances, "mm" or "voxel"; the latter is the original's, which knew no spacing here.
        absent: a mask that is empty or fills the image has no boundary to measure to. "zero": its distances are 0, as
            those of the signed map; "far": they are the image's diagonal, so errors there cost most.
        truncate: cut the prediction's distances to whole numbers, as the original did by keeping them in the integer
            type of its one-hot encoding. For comparison with it only, with ``unit="voxel"``.

    >>> probs = torch.tensor([[[[0.9, 0.4, 0.9]], [[0.1, 0.6, 0.1]]]])
    >>> labels = torch.tensor([[[0, 1, 0]]])
    >>> round(HausdorffLoss(idc=[1])(probs, labels).item(), 4)  # (0.16 × (1 + 1)) / 3
    0.1067
    """

    def __init__(
        self,
        *,
        sides: Sides = "inside",
        alpha: float = 2.0,
        spacing_mm: Sequence[float] | None = None,
        unit: Unit = "mm",
        absent: Absent = "zero",
        truncate: bool = False,
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
        self.sides = one_of("sides", sides, ("inside", "both"))
        self.absent = one_of("absent", absent, ("zero", "far"))
        self.alpha, self.truncate = checked_power(alpha), truncate

    def measure(self, masks: Tensor, spacing: Spacing, known: Tensor | None) -> Tensor:
        return boundary_distance(masks, self.sides, spacing, self.absent, known)

    def of_maps(self, pair: Pair, maps: Tensor, spacing: Spacing) -> Tensor:
        p, g, known = self.choose(pair.probs), self.choose(pair.one_hot), pair.known
        with torch.no_grad():
            from_predicted = self.measure(self.predicted(pair), spacing, known)
            if self.truncate:
                from_predicted = from_predicted.trunc()
        return self.reduce_classes(hausdorff(p, g, from_predicted, maps, self.alpha, known))

    def predicted(self, pair: Pair) -> Tensor:
        """Return (B, K, ...) bool of the chosen classes: above ½ under sigmoid, otherwise the most probable class."""
        if self.activation == "sigmoid":
            return self.choose(pair.probs) > 0.5
        most = most_probable(pair.probs)
        return self.choose(most if pair.known is None else most & pair.known)


class OneSidedHausdorffLoss(MeasuringLoss):
    """Mean of (p − g)² d_g^α, d_g each voxel's distance to the nearest one on the other side of the true boundary.

    The one-sided form of Karimi & Salcudean (IEEE TMI 2020): distances of the target alone, which can be kept, so that
    a step costs no distance transform. False positives far away weigh by their distance to the object; what is missed
    of it, by its depth. ``HausdorffLoss(sides="both")`` adds the distances to the predicted boundary.

    Args:
        alpha, spacing_mm, unit, absent: as in :class:`HausdorffLoss`.

    >>> probs = torch.tensor([[[[0.9, 0.4, 0.9]], [[0.1, 0.6, 0.1]]]])
    >>> loss = OneSidedHausdorffLoss(classes=[1])  # distances 1, 1, 2: the mean of 0.9², 0.6² and (0.1 · 2)²
    >>> round(loss(probs, torch.tensor([[[1, 0, 0]]])).item(), 4)
    0.4033
    """

    def __init__(
        self,
        *,
        alpha: float = 2.0,
        spacing_mm: Sequence[float] | None = None,
        unit: Unit = "mm",
        absent: Absent = "zero",
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
        self.absent = one_of("absent", absent, ("zero", "far"))
        self.alpha = checked_power(alpha)

    def measure(self, masks: Tensor, spacing: Spacing, known: Tensor | None) -> Tensor:
        return boundary_distance(masks, "both", spacing, self.absent, known)

    def of_maps(self, pair: Pair, maps: Tensor, spacing: Spacing) -> Tensor:
        p, g = self.choose(pair.probs), self.choose(pair.one_hot)
        return self.reduce_classes(hausdorff_one_sided(p, g, maps, self.alpha, pair.known))


class HausdorffErosionLoss(RegionLoss):
    """Σ_{n=1..N} n^α mean(E_n), E_0 = (p − g)² and E_n its n-th soft erosion: thick errors survive longer.

    Karimi & Salcudean, equation 9: needs no distance transform. One erosion averages each voxel with its 4 (3D: 6)
    neighbours, subtracts half the largest error left and doubles:
    E_n = 2 max(mean_cross(E_{n−1}) − ½ max E_{n−1}, 0), the maximum of each item and class. On a crisp error as long
    as a solid core is left that is the authors' threshold of ½. Theirs makes soft errors, below ½, vanish at once,
    and they stretch what is left to [0, 1] each time, after which a thin line weighs as much as a solid.
    Voxels outside the image count as no error, as do ignored ones. An erosion takes off a voxel: no spacing enters.
    """

    def __init__(
        self,
        *,
        alpha: float = 2.0,
        erosions: int = 10,
        idc: Sequence[int] | None = None,
        classes: Sequence[int] | None = None,
        activation: Activation | None = None,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            idc=idc, classes=classes, activation=activation, ignore_index=ignore_index, reduction=reduction
        )
        if alpha <= 0 or erosions < 1:
            raise ValueError(f"alpha={alpha} must be positive and erosions={erosions} at least 1")
        self.alpha, self.erosions = alpha, erosions

    def compute(self, pair: Pair) -> Tensor:
        found = hausdorff_erosion(pair.probs, pair.one_hot, self.alpha, self.erosions, pair.known)
        return self.reduce_classes(found)


def most_probable(probs: Tensor) -> Tensor:
    """Return bool (B, K, ...), true for the most probable class."""
    return encode_one_hot(probs2class(probs), probs.shape[1], torch.bool)


@torch.compiler.disable  # the transform is a program of its own: nothing in it to trace or differentiate
def boundary_distance(
    mask: Tensor,
    sides: Sides,
    spacing_mm: Spacing = None,
    absent: Absent = "zero",
    known: Tensor | None = None,
) -> Tensor:
    """Return the distance of each voxel to the nearest voxel of the other kind, (B, K, ...) float32, mm or voxels.

    Args:
        mask: the objects; false where a voxel is not ``known``.
        sides: "inside" gives 0 outside the objects.
        spacing_mm: along the spatial axes, (D,) or (B, D); None counts voxels.
        absent: the distance where the mask is empty or full, "zero" or "far" (the image's diagonal).
        known: (B, 1, ...) bool; the other voxels are of neither kind: no distance is measured to them, theirs is 0.
    """
    if known is None:
        distance = inside_distance(mask, spacing_mm) if sides == "inside" else either_distance(mask, spacing_mm)
    else:
        distance = inside_distance(mask | ~known, spacing_mm) * mask
        if sides == "both":
            distance += inside_distance(~mask, spacing_mm) * known
    if absent == "zero":
        return distance
    return zero_unless(known, torch.where(bounded(mask, known), distance, diagonal(distance, spacing_mm)))


def checked_power(alpha: float) -> float:
    """Refuse a power of the distances that is not positive."""
    if alpha <= 0:
        raise ValueError(f"alpha={alpha} must be positive; the paper takes 2")
    return alpha
