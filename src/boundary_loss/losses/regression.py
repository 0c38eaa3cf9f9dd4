"""Losses of networks that predict a distance map in addition to, or instead of, a segmentation.

A head's output f (B, K, ...) is compared with a map of the target: tanh f with :func:`normalised_sdf`, or f itself with
:func:`foreground_map`. Ma et al., MIDL 2020, compare these.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from boundary_loss.distance import inside_distance
from boundary_loss.distance.layout import Spacing
from boundary_loss.encoding import check_tensors
from boundary_loss.losses.base import OfItems, one_of, reduce, wide
from boundary_loss.losses.target import TargetReader, check_prediction, mean_over_voxels, read_mask, zero_unless

Norm = Literal["l1", "l2", "l1+l2"]

SMOOTH = 1e-5
"""Keeps the product loss defined on two empty maps; the authors' value."""


def distance_error(f: Tensor, phi: Tensor, norm: Norm = "l2", known: Tensor | None = None) -> Tensor:
    """Return (B, K): means over the voxels of |f − φ| ("l1"), of (f − φ)² ("l2"), or of their sum ("l1+l2")."""
    gap = f - phi
    if norm == "l1":
        return mean_over_voxels(gap.abs(), known)
    return mean_over_voxels(gap.square() if norm == "l2" else gap.abs() + gap.square(), known)


def sdf_likeness(f: Tensor, phi: Tensor) -> Tensor:
    """Return (B,): (Σ f φ + s) / (Σ f φ + Σ f² + Σ φ² + s), s = 1e-5; 1/3 if f = φ."""
    product = (f * phi).flatten(1).sum(1) + SMOOTH
    return product / (product + f.square().flatten(1).sum(1) + phi.square().flatten(1).sum(1))


class SDFLoss(nn.Module):
    """Mean of (tanh f − φ)², φ the normalised signed distance map of the target; drop-in for ``SDF_loss``.

    Args:
        sigmoid: apply tanh to the distance output (the name is the original's).
        to_onehot_y: the target is (B, 1, ...) class numbers; has no effect on one channel.
        include_background: False drops the first channel; has no effect on one channel.
        spacing_mm: of the voxels; None = 1.
        reduction: "mean", "sum" or "none", the last (B,).
        ignore_index: class numbers that count nowhere, as in every loss; no distance is measured to them.

    >>> logits, target = torch.zeros(1, 2, 4, 4), torch.zeros(1, 1, 4, 4, dtype=torch.long)
    >>> target[..., :2] = 1
    >>> round(SDFLoss()(logits, torch.zeros(1, 2, 4, 4), target).item(), 4)  # the maps hold −1, 0, ½ and 1
    0.5625
    """

    def __init__(
        self,
        sigmoid: bool = True,
        to_onehot_y: bool = True,
        include_background: bool = True,
        *,
        spacing_mm: Sequence[float] | None = None,
        reduction: str = "mean",
        ignore_index: int | None = None,
    ) -> None:
        super().__init__()
        self._reader = TargetReader(ignore_index, independent=True)
        self.sigmoid, self.to_onehot_y, self.include_background = sigmoid, to_onehot_y, include_background
        self.spacing_mm = spacing_mm
        self.reduction = one_of("reduction", reduction, ("mean", "sum", "none"))

    def forward(self, logits: Tensor, dist: Tensor, target: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """Loss of the distance output ``dist`` (B, K, ...).

        Args:
            logits: (B, K, ...), which only say how many classes there are.
            target: (B, 1, ...) class numbers, or (B, K, ...) one-hot; see ``to_onehot_y``.
            mask: (B, ...) or (B, 1, ...) bool, True where a voxel counts; None = everywhere.
        """
        check_prediction(dist, "the distance output")
        check_tensors(dist, logits=logits, target=target)
        if logits.shape != dist.shape:
            raise ValueError(f"logits {tuple(logits.shape)} and distances {tuple(dist.shape)} must have one shape")
        K = logits.shape[1]
        wanted = (len(dist), 1, *dist.shape[2:]) if self.to_onehot_y else tuple(dist.shape)
        if tuple(target.shape) != wanted:
            form = "(B, 1, ...) class numbers" if self.to_onehot_y else "(B, K, ...) one-hot"
            raise ValueError(f"target must be {form}, {wanted}, got shape {tuple(target.shape)}")
        with torch.autocast(dist.device.type, enabled=False):
            one_hot, known = self._reader.read(target, mask, logits, torch.float32)
            first = (
                1 if K == 1 or not self.include_background else 0
            )  # one channel is read as two classes; this is the object
            maps = normalised_sdf(one_hot[:, first:], self.spacing_mm, ignored=None if known is None else ~known)
            f = zero_unless(known, (dist if K == 1 else dist[:, first:]).to(wide(dist)))
            f = f.tanh() if self.sigmoid else f
            return reduce(distance_error(f, maps.to(f.dtype), "l2", known).mean(1), self.reduction)


SDF_loss = SDFLoss
"""The name in the work this stands in for."""


class SDFProductLoss(nn.Module):
    """−(Σ f φ + s) / (Σ f φ + Σ f² + Σ φ² + s) + mean |f − φ| per item, s = 1e-5 (Xue et al., AAAI 2020, eq. 4 and 5).

    f is the tanh of the output, φ in [−1, 1]; the first term pulls the signs together. At f = φ the value is −1/3.
    The authors add ten times this to a Dice loss on :func:`sdf_to_probs`.
    """

    def __init__(self, *, tanh: bool = True, reduction: OfItems = "mean") -> None:
        super().__init__()
        self.tanh = tanh
        self.reduction = one_of("reduction", reduction, ("mean", "sum", "none"))

    def forward(self, output: Tensor, maps: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """(B, K, ...) output, (B, K, ...) maps of :func:`normalised_sdf` -> scalar or (B,).

        ``mask``: (B, ...) or (B, 1, ...) bool, True where a voxel counts; None = everywhere.
        """
        check_maps(output, maps)
        with torch.autocast(output.device.type, enabled=False):
            f, phi, known = counted(output, maps, mask)
            f = f.tanh() if self.tanh else f
            likeness = sdf_likeness(f, phi)
            return reduce(distance_error(f, phi, "l1", known).mean(1) - likeness, self.reduction)


class DistanceHeadLoss(nn.Module):
    """Mean |f − φ| ("l1"), mean (f − φ)² ("l2") or their sum ("l1+l2"), of a distance head (Ma et al., MIDL 2020).

    Args:
        kind: "sdf", the head's tanh against :func:`normalised_sdf`; "foreground", the head itself against
            :func:`foreground_map`.
        norm: "l1", "l2" or "l1+l2".
    """

    def __init__(
        self,
        kind: Literal["sdf", "foreground"] = "sdf",
        norm: Norm = "l2",
        *,
        reduction: OfItems = "mean",
    ) -> None:
        super().__init__()
        self.kind = one_of("kind", kind, ("sdf", "foreground"))
        self.norm = one_of("norm", norm, ("l1", "l2", "l1+l2"))
        self.reduction = one_of("reduction", reduction, ("mean", "sum", "none"))

    def forward(self, output: Tensor, maps: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """(B, K, ...) head output, (B, K, ...) maps -> scalar or (B,).

        ``mask``: (B, ...) or (B, 1, ...) bool, True where a voxel counts; None = everywhere.
        """
        check_maps(output, maps)
        with torch.autocast(output.device.type, enabled=False):
            f, phi, known = counted(output, maps, mask)
            f = f.tanh() if self.kind == "sdf" else f
            return reduce(distance_error(f, phi, self.norm, known).mean(1), self.reduction)


@torch.no_grad()
@torch.compiler.disable  # the transform is a program of its own: nothing in it to trace or differentiate
def normalised_sdf(one_hot: Tensor, spacing_mm: Spacing = None, *, ignored: Tensor | None = None) -> Tensor:
    """Return the signed distance in [−1, 1] of each class: each side divided by its own maximum, 0 on the inner edge.

    Args:
        one_hot: (B, K, ...) zeros and ones.
        spacing_mm: along the spatial axes, (D,) or (B, D).
        ignored: (B, 1, ...) bool, voxels that are neither class nor rest: no distance is measured to them, theirs is 0.

    Returns:
        (B, K, ...) float32, −1 deepest inside, 1 farthest outside; zeros for a class that is absent or alone.
        The inner edge is made of the object's voxels with a face on the outside (Xue et al., AAAI 2020).
    """
    mask = one_hot > 0.5
    solid = mask if ignored is None else mask | ignored
    outside, inside = inside_distance(~mask, spacing_mm), foreground_map(one_hot, spacing_mm, ignored=ignored)
    if ignored is not None:
        outside.masked_fill_(ignored, 0)
    over_space = tuple(range(2, mask.ndim))
    inside = inside / inside.amax(dim=over_space, keepdim=True).clamp(min=SMOOTH)
    outside = outside / outside.amax(dim=over_space, keepdim=True).clamp(min=SMOOTH)
    return outside - inside.masked_fill(inner_edge(solid), 0)


@torch.no_grad()
@torch.compiler.disable
def foreground_map(one_hot: Tensor, spacing_mm: Spacing = None, *, ignored: Tensor | None = None) -> Tensor:
    """Return (B, K, ...): the distance to the outside for the voxels of each class, 0 elsewhere; not normalised."""
    mask = one_hot > 0.5
    if ignored is None:
        return inside_distance(mask, spacing_mm)
    return inside_distance(mask | ignored, spacing_mm) * mask


def sdf_to_probs(sdf: Tensor, steepness: float = 1500.0) -> Tensor:
    """Return the probability of the inside, σ(−steepness · f), a smooth step at 0 (Xue et al., AAAI 2020, eq. 3)."""
    return torch.sigmoid(-steepness * sdf)


def inner_edge(mask: Tensor) -> Tensor:
    """Return the voxels of the object that share a face with a voxel outside it; the image's border does not count."""
    edge = torch.zeros_like(mask)
    for axis in range(2, mask.ndim):
        length = mask.shape[axis] - 1
        changes = mask.narrow(axis, 0, length) != mask.narrow(axis, 1, length)
        edge.narrow(axis, 0, length).logical_or_(changes)
        edge.narrow(axis, 1, length).logical_or_(changes)
    return edge & mask


def counted(output: Tensor, maps: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return output and maps in the type to compute in, 0 at voxels that do not count, and the voxels that do."""
    known = read_mask(mask, output)
    return zero_unless(known, output.to(wide(output))), zero_unless(known, maps.to(wide(output))), known


def check_maps(output: Tensor, maps: Tensor) -> None:
    check_prediction(output, "the distance output")
    check_tensors(output, maps=maps)
    if output.shape != maps.shape:
        raise ValueError(f"output {tuple(output.shape)} and distance maps {tuple(maps.shape)} must have one shape")
