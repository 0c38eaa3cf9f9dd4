"""Losses that estimate the Hausdorff distance (Karimi & Salcudean, IEEE TMI 2020)."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from boundary_loss.distance import either_distance, inside_distance
from boundary_loss.distance.layout import Spacing, diagonals, spacing_array
from boundary_loss.encoding import among_all, check_tensors, probs2class
from boundary_loss.losses.base import Pair, RegionLoss, Unit, in_unit, labels2one_hot, one_of, reduce
from boundary_loss.shapes import IGNORED, Labels, OneHot, Probs, Scalar

Sides = Literal["inside", "both"]
Absent = Literal["zero", "far"]


class HausdorffLoss(RegionLoss):
    """Mean of (p − g)² (d_g^α + d_p^α), d the distances of the target and of the predicted classes; no gradient in d.

    A class is predicted where it is the most probable. Karimi & Salcudean, equation 8.

    Args:
        sides: "inside" measures each mask inside only, as the original and its peers do; "both" also outside, the
            definition, so that a lone false voxel far away weighs by its distance.
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

    takes_spacing = True

    def __init__(
        self,
        *,
        sides: Sides = "inside",
        alpha: float = 2.0,
        spacing_mm: Sequence[float] | None = None,
        unit: Unit = "mm",
        absent: Absent = "zero",
        truncate: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.sides = one_of("sides", sides, ("inside", "both"))
        self.absent = one_of("absent", absent, ("zero", "far"))
        if alpha <= 0:
            raise ValueError(f"alpha={alpha} must be positive; the paper takes 2")
        self.alpha, self.truncate = alpha, truncate
        self.unit = one_of("unit", unit, ("mm", "voxel"))
        if unit == "voxel" and spacing_mm is not None:
            raise ValueError("unit='voxel' counts voxels, whatever their spacing: leave spacing_mm out, or the unit")
        self.spacing_mm = None if spacing_mm is None else tuple(spacing_mm)

    def forward(
        self,
        probs: Probs,
        target: OneHot | Labels,
        target_distances: Tensor | None = None,
        *,
        spacing_mm: Spacing = None,
    ) -> Scalar:
        """The loss of a batch, as every other; see :meth:`RegionLoss.forward`.

        Args:
            target_distances: (B, K, ...) from :meth:`measure_target`, where a data set keeps them: half of the
                distance transforms of a step are of targets that never change.
            spacing_mm: of this batch's voxels, (D,), or (B, D) for each item its own.
        """
        check_tensors(probs, target=target)
        with torch.autocast(probs.device.type, enabled=False):
            return self.compute(self.every_class(probs, target), target_distances, spacing_mm)

    def measure_target(self, one_hot: OneHot, spacing_mm: Spacing = None) -> Tensor:
        """The distances of the target alone, (B, K, ...) one-hot -> (B, K, ...) float32; 0 in classes not chosen."""
        found = self.distances(self.choose(one_hot) > 0.5, spacing_mm)
        return among_all(found, self.classes, one_hot.shape[1])

    def compute(self, pair: Pair, target_distances: Tensor | None = None, spacing_mm: Spacing = None) -> Tensor:
        """The formula; the pair holds all classes: which one is the most probable depends on all."""
        p, g = self.choose(pair.probs), self.choose(pair.one_hot)
        with torch.no_grad():
            independent = self.activation == "sigmoid" and pair.probs.shape[1] > 2
            predicted = p > 0.5 if independent else self.choose(most_probable(pair.probs) & pair.known)
            from_predicted = self.distances(predicted, spacing_mm)
            from_true = (
                self.distances(g > 0.5, spacing_mm) if target_distances is None else self.choose(target_distances)
            )
            if self.truncate:
                from_predicted = from_predicted.trunc()
            weight = from_predicted.pow_(self.alpha).add_(from_true**self.alpha)
        return self.reduce(((p - g) ** 2 * weight.to(p.dtype)).flatten(1).mean(1))

    def distances(self, mask: Tensor, spacing_mm: Spacing) -> Tensor:
        spacing = in_unit(self.unit, self.spacing_mm if spacing_mm is None else spacing_mm)
        return boundary_distance(mask, self.sides, spacing, self.absent)


class HausdorffErosionLoss(RegionLoss):
    """Σ_{n=1..N} n^α mean(E_n), E_0 = (p − g)² and E_n its n-th soft erosion: thick errors survive longer.

    Karimi & Salcudean, equation 9: needs no distance transform. One erosion averages each voxel with its 4 (3D: 6)
    neighbours, subtracts half the largest error left and doubles:
    E_n = 2 max(mean_cross(E_{n−1}) − ½ max E_{n−1}, 0), the maximum of each item and class. On a crisp error as long
    as a solid core is left that is the authors' threshold of ½. Theirs makes soft errors, below ½, vanish at once,
    and they stretch what is left to [0, 1] each time, after which a thin line weighs as much as a solid.
    Voxels outside the image count as no error. An erosion takes off a voxel: no spacing enters.
    """

    def __init__(self, *, alpha: float = 2.0, erosions: int = 10, **common: Any) -> None:
        super().__init__(**common)
        if alpha <= 0 or erosions < 1:
            raise ValueError(f"alpha={alpha} must be positive and erosions={erosions} at least 1")
        self.alpha, self.erosions = alpha, erosions

    def compute(self, pair: Pair) -> Tensor:
        error = (pair.probs - pair.one_hot) ** 2
        total = torch.zeros_like(error[:, 0].flatten(1)[:, 0])  # (B,)
        for n in range(1, self.erosions + 1):
            error = soft_erosion(error)
            total = total + n**self.alpha * error.flatten(1).mean(1)
        return self.reduce(total)


def soft_erosion(error: Tensor) -> Tensor:
    """(B, K, ...) -> the same shape; see :class:`HausdorffErosionLoss`."""
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


class HDLoss(nn.Module):
    """Drop-in for the Hausdorff losses with MONAI's settings: mean of (p − g)² (d_p² + d_g²), d inside the masks.

    As :class:`HausdorffLoss`, but the prediction is cut at ½ channel by channel, and the settings have those names.

    Args:
        include_background: False drops the first channel (not when it is the only one).
        to_onehot_y: the target is (B, 1, ...) class numbers.
        sigmoid, softmax, other_act: what makes probabilities of the input; one at most.
        reduction: "mean", "sum" (both of the values a class and item have) or "none" (those values).
        batch: take the mean over the items first, so that "none" gives (K,) instead of (B, K).
    """

    def __init__(
        self,
        include_background: bool = True,
        to_onehot_y: bool = False,
        sigmoid: bool = False,
        softmax: bool = False,
        other_act: Callable[[Tensor], Tensor] | None = None,
        reduction: str = "mean",
        batch: bool = False,
    ) -> None:
        super().__init__()
        if sigmoid + softmax + (other_act is not None) > 1:
            raise ValueError("sigmoid, softmax and other_act exclude each other; give one of them")
        self.include_background, self.to_onehot_y, self.batch = include_background, to_onehot_y, batch
        self.sigmoid, self.softmax, self.other_act = sigmoid, softmax, other_act
        self.reduction = one_of("reduction", reduction, ("mean", "sum", "none"))

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """(B, K, ...) prediction, (B, K, ...) one-hot or (B, 1, ...) class numbers -> scalar, (B, K) or (K,)."""
        check_tensors(input, target=target)
        with torch.autocast(input.device.type, enabled=False):
            p, g = monai_pair(self, input, target)
            with torch.no_grad():
                weight = boundary_distance(p > 0.5, "inside") ** 2 + boundary_distance(g > 0.5, "inside") ** 2
            values = ((p - g) ** 2 * weight.to(p.dtype)).flatten(2).mean(2)  # (B, K)
            return reduce(values.mean(0) if self.batch else values, self.reduction)


def monai_pair(settings: HDLoss, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities and one-hot target, of the channels that count."""
    p = input.float() if input.dtype in (torch.float16, torch.bfloat16) else input
    K = p.shape[1]
    if settings.softmax:
        if K == 1:
            raise ValueError("softmax over one channel is always 1; use sigmoid=True or two channels")
        p = p.softmax(dim=1)
    elif settings.sigmoid:
        p = p.sigmoid()
    elif settings.other_act is not None:
        p = settings.other_act(p)
    if settings.to_onehot_y and K > 1:
        target = labels2one_hot(target.squeeze(1).long(), K, IGNORED, p.dtype)
    if target.shape != p.shape:
        raise ValueError(f"target {tuple(target.shape)} and prediction {tuple(p.shape)} must have one shape")
    first = 0 if settings.include_background or K == 1 else 1
    return p[:, first:], target[:, first:].to(p.dtype)


def most_probable(probs: Tensor) -> Tensor:
    """(B, K, ...) probabilities -> bool, true for the most probable class."""
    classes = torch.arange(probs.shape[1], device=probs.device).view(1, -1, *[1] * (probs.ndim - 2))
    return probs2class(probs).unsqueeze(1) == classes


@torch.compiler.disable  # the transform is a program of its own: nothing in it to trace or differentiate
def boundary_distance(mask: Tensor, sides: Sides, spacing_mm: Spacing = None, absent: Absent = "zero") -> Tensor:
    """Distance of each voxel to the nearest voxel of the other kind, (B, K, ...) bool -> float32 (mm or voxels).

    Args:
        mask: the objects.
        sides: "inside" gives 0 outside the objects.
        spacing_mm: along the spatial axes, (D,) or (B, D); None counts voxels.
        absent: the distance where the mask is empty or full, "zero" or "far" (the image's diagonal).
    """
    distance = inside_distance(mask, spacing_mm) if sides == "inside" else either_distance(mask, spacing_mm)
    if absent == "zero":
        return distance
    over_space = tuple(range(2, mask.ndim))
    bounded = mask.any(dim=over_space, keepdim=True) & ~mask.all(dim=over_space, keepdim=True)
    spacing = spacing_array(spacing_mm)
    lengths = torch.as_tensor(diagonals(mask.shape[2:], np.ones(1) if spacing is None else spacing))
    far = lengths.to(distance, non_blocking=True).view(-1, *[1] * (mask.ndim - 1))
    return torch.where(bounded, distance, far)
