"""The boundary loss: probabilities weighed by their signed distance to the object's boundary."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor

from boundary_loss.encoding import at_hand, check_tensors
from boundary_loss.losses.base import Activation, Loss, Reduction, one_of, wide
from boundary_loss.losses.target import check_prediction, mean_over_voxels, read_mask, zero_unless
from boundary_loss.shapes import DistMaps, Probs, Scalar


class BoundaryLoss(Loss):
    """Mean over items, classes and voxels of p·φ, φ the signed distance (mm, negative inside the class).

    Kervadec et al., MIDL 2019; MedIA 2021. The value may be negative; its minimum differs from image to image.

    Args:
        shift: "none", the paper's value; "optimum" subtracts the least value that any prediction reaches on these maps,
            mean min(φ, 0), which is no function of p: the gradient stays, and a perfect prediction shows 0 wherever
            the map is ≤ 0 inside and ≥ 0 outside (every convention but ``paper`` below 1 mm spacing).

    One channel p stands for two classes, (1 − p, p): with maps (B, 2, ...) for both, with maps (B, 1, ...) for the
    object alone.

    >>> probs = torch.tensor([[[[0.1, 0.8, 0.5]], [[0.9, 0.2, 0.5]]]])
    >>> maps = torch.tensor([[[[1.0, 0.0, -1.0]], [[0.0, 1.0, 2.0]]]])
    >>> round(BoundaryLoss(idc=[1])(probs, maps).item(), 4)  # (0.9 × 0 + 0.2 × 1 + 0.5 × 2) / 3
    0.4
    """

    target: ClassVar[str] = "distance"

    def __init__(
        self,
        *,
        shift: Literal["none", "optimum"] = "none",
        idc: Sequence[int] | None = None,
        classes: Sequence[int] | None = None,
        activation: Activation | None = None,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            idc=idc, classes=classes, activation=activation, ignore_index=ignore_index, reduction=reduction
        )
        self.shift = one_of("shift", shift, ("none", "optimum"))
        self._checked_maps = False

    def forward(self, probs: Probs, target: DistMaps | list[DistMaps], *, mask: Tensor | None = None) -> Scalar:
        """The loss of a batch.

        Args:
            probs: (B, K, X, Y[, Z]) probabilities, or logits if an ``activation`` was given.
            target: (B, K, ...) signed distances, or a list of B maps (K, ...), as the original's example has it.
            mask: (B, ...) or (B, 1, ...) bool, True where a voxel counts. None = wherever some class has a distance:
                :func:`boundary_loss.signed_distance` leaves 0 in every class at ignored voxels alone, if the classes
                share the item out among them. Where they overlap (as under "sigmoid"), or one of them has no map, 0 may
                be an edge too: there every voxel counts, and ignored ones need the mask. Maps cut to whole numbers
                (``paper-int``) are 0 at edges too: give the mask with those that are not stored as integers.

        Raises:
            ValueError: shapes or devices that differ, labels or a one-hot mask where distances belong.
        """
        check_prediction(probs)
        maps = as_batch(target, probs) if isinstance(target, list | tuple) else target
        check_tensors(probs, target=maps)
        with torch.autocast(probs.device.type, enabled=False):
            self._check_maps(probs, maps)
            known = read_mask(mask, probs)
            counted = known if mask is not None or self.activation == "sigmoid" else with_distances(maps)
            as_pair = probs.shape[1] < maps.shape[1]
            distances = zero_unless(known, self._chosen(maps).to(wide(probs)))
            values = self._products(probs, distances, known, counted, as_pair=as_pair)
            if self.shift == "optimum":
                values = values - mean_over_voxels(distances.clamp(max=0), counted)
            return self.reduce_classes(values)

    def _products(
        self, probs: Tensor, distances: Tensor, known: Tensor | None, counted: Tensor | None, *, as_pair: bool
    ) -> Tensor:
        """(B, K) means of p·φ of the chosen classes over the voxels ``counted``, ``known`` being the mask given."""

        def means(cut: Tensor | None) -> Tensor:
            p = self.activate(zero_unless(cut, probs))
            if as_pair:
                p = torch.cat([1 - p, p], dim=1)
            return mean_over_voxels(self._chosen(p) * distances, counted)

        if known is None and not at_hand(probs):  # to look whether the values are finite would make a GPU wait
            return means(_pulling(distances))
        values = means(known)
        if known is None and not bool(values.isfinite().all()):
            return means(_pulling(distances))
        return values

    def _chosen(self, of_classes: Tensor) -> Tensor:
        """The chosen classes; one channel is the object, which may be called 0, its channel, or 1, its class."""
        if of_classes.shape[1] == 1 and self.classes in (None, (0,), (1,)):
            return of_classes
        return self.choose(of_classes)

    def _check_maps(self, probs: Tensor, maps: Tensor) -> None:
        B, channels, *space = probs.shape
        if tuple(maps.shape) not in ((B, channels, *space), (B, max(channels, 2), *space)):
            labels = tuple(maps.shape) in ((B, *space), (B, 1, *space))
            cure = " (labels: make maps of them with boundary_loss.signed_distance)" if labels else ""
            raise ValueError(
                f"distance maps {tuple(maps.shape)} and predictions {tuple(probs.shape)} must have one shape{cure}"
            )
        if self._checked_maps or torch.compiler.is_compiling():
            return
        if maps.dtype == torch.bool or _are_classes(maps):
            raise ValueError(
                "the target looks like a one-hot mask, but this loss needs signed distances: "
                "make them with boundary_loss.signed_distance or dist_map_transform"
            )
        self._checked_maps = True


SurfaceLoss = BoundaryLoss
"""The original's name in its code."""


def as_batch(maps: Sequence[Tensor], probs: Tensor) -> Tensor:
    """A list of B maps (K, ...), or of one (B, K, ...), as (B, K, ...)."""
    found = [m for m in maps if isinstance(m, Tensor)]
    if not found or len(found) != len(maps) or any(m.shape != found[0].shape for m in found):
        raise ValueError("a list of distance maps must hold one tensor (K, X, Y[, Z]) an item, all of one shape")
    return found[0] if len(found) == 1 and found[0].ndim == probs.ndim else torch.stack(found)


def with_distances(maps: Tensor) -> Tensor | None:
    """(B, 1, ...) bool: the voxels of (B, K, ...) maps where some class has a distance; None where all count.

    That tells ignored voxels only in maps of classes that share an item out among them: in those every other voxel lies
    inside exactly one class and outside the rest. In any other item, and in integer maps, 0 may be an edge: all count.
    """
    if maps.shape[1] < 2 or not maps.is_floating_point():
        return None
    some = maps[:, 0] != 0
    for k in range(1, maps.shape[1]):
        some |= maps[:, k] != 0
    if at_hand(some) and bool(some.all()):
        return None
    present = (maps != 0).flatten(2).any(dim=2)  # (B, K)
    inside = ((maps <= 0) & present.view(*present.shape, *[1] * (maps.ndim - 2))).sum(dim=1)
    shared_out = ((inside == 1) | ~some).flatten(1).all(dim=1) & (present.sum(dim=1) > 1)
    return (some | ~shared_out.view(-1, *[1] * (some.ndim - 1))).unsqueeze(1)


def _pulling(distances: Tensor) -> Tensor:
    """(B, 1, ...) bool: where a prediction matters. Elsewhere φ is 0 in all classes, and 0 · NaN would be NaN."""
    return (distances != 0).any(dim=1, keepdim=True)


def _are_classes(maps: Tensor) -> bool:
    """Whether the classes of every voxel lie in [0, 1] and add up to 1, or those of a lone channel are 0 and 1."""
    if maps.shape[1] == 1:
        return bool(((maps == 0) | (maps == 1)).all() & maps.any())
    inside = ((maps >= 0) & (maps <= 1)).all()
    return bool(inside & ((maps.sum(dim=1) - 1).abs() < 1e-4).all())
