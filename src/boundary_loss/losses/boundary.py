"""The boundary loss: probabilities weighed by their signed distance to the object's boundary."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor

from boundary_loss.encoding import can_read_values, check_tensors
from boundary_loss.losses.base import Activation, Loss, Reduction, image_without_batch, one_of, wide
from boundary_loss.losses.signed_maps import as_batch, check_shape, pulling, refuse_masks, with_distances
from boundary_loss.losses.target import check_prediction, check_sums, mean_over_voxels, read_mask, zero_unless
from boundary_loss.shapes import DistMaps, Probs, Scalar


def boundary(p: Tensor, phi: Tensor, known: Tensor | None = None) -> Tensor:
    """Return (B, K): means of p·φ over the voxels, or over those that are ``known``."""
    return mean_over_voxels(p * phi, known)


def least(phi: Tensor, known: Tensor | None = None) -> Tensor:
    """Return (B, K): the least value of :func:`boundary` for any p, the mean of min(φ, 0)."""
    return mean_over_voxels(phi.clamp(max=0), known)


class BoundaryLoss(Loss):
    """Mean over items, classes and voxels of p·φ, φ the signed distance (mm, negative inside the class).

    Kervadec et al., MIDL 2019; MedIA 2021. The value may be negative; its minimum differs from image to image.

    Args:
        shift: "none", the paper's value; "optimum" subtracts the least value that any prediction reaches on these maps,
            mean min(φ, 0), which does not depend on p: the gradient stays, and a perfect prediction has the loss 0 if
            the map is ≤ 0 inside and ≥ 0 outside (every convention but ``paper`` below 1 mm spacing).

    One channel p stands for two classes, (1 − p, p): with maps (B, 2, ...) for both, with maps (B, 1, ...) for the
    object alone.

    >>> probs = torch.tensor([[[[0.1, 0.8, 0.5]], [[0.9, 0.2, 0.5]]]])
    >>> maps = torch.tensor([[[[1.0, 0.0, -1.0]], [[0.0, 1.0, 2.0]]]])
    >>> round(BoundaryLoss(idc=[1])(probs, maps).item(), 4)  # (0.9 × 0 + 0.2 × 1 + 0.5 × 2) / 3
    0.4
    """

    target: ClassVar[str] = "distance"
    on_points: ClassVar[bool] = True

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
            probs: (B, K, X, Y[, Z]) probabilities, or logits if an ``activation`` was given; or (B, K, P) at points,
                where the maps were read.
            target: (B, K, ...) signed distances, or a list of B maps (K, ...), as the original's example has it.
            mask: (B, ...) or (B, 1, ...) bool, True where a voxel counts. None = wherever some class has a distance:
                if each voxel has one class, :func:`boundary_loss.signed_distance` gives 0 in every class at ignored
                voxels only. If classes overlap (as under "sigmoid"), or one of them has no map, 0 may also be an
                edge: then every voxel counts, and ignored ones need the mask. Maps cut to whole numbers
                (``paper-int``) are 0 at edges too: give the mask with those that are not stored as integers.

        Raises:
            ValueError: shapes or devices differ, or the target is labels or a one-hot mask and not distances.
        """
        check_prediction(probs, on_points=True)
        maps = as_batch(target, probs) if isinstance(target, list | tuple) else target
        check_tensors(probs, target=maps)
        with torch.autocast(probs.device.type, enabled=False):
            self._check_maps(probs, maps)
            known = read_mask(mask, probs)
            self._check_points(probs, known)
            counted = known if mask is not None or self.activation == "sigmoid" else with_distances(maps)
            return self.of_maps(probs, maps, known, counted)

    def of_maps(self, probs: Tensor, maps: DistMaps, known: Tensor | None, counted: Tensor | None) -> Scalar:
        """Compute the formula, without the checks of a call.

        Args:
            known: (B, 1, ...) bool, the voxels of the mask that was given; None = all.
            counted: those of them that the means are taken over.
        """
        with torch.autocast(probs.device.type, enabled=False):
            phi = zero_unless(known, self._chosen(maps).to(wide(probs)))
            values = self._values(probs, phi, known, counted, as_pair=probs.shape[1] < maps.shape[1])
            return self.reduce_classes(values if self.shift == "none" else values - least(phi, counted))

    def _values(
        self, probs: Tensor, phi: Tensor, known: Tensor | None, counted: Tensor | None, *, as_pair: bool
    ) -> Tensor:
        """Return (B, K): the formula for the chosen classes over the voxels ``counted``; ``known`` is the mask."""

        def values(cut: Tensor | None) -> Tensor:
            p = self.activate(zero_unless(cut, probs))
            return boundary(self._chosen(torch.cat([1 - p, p], dim=1) if as_pair else p), phi, counted)

        if known is None and not can_read_values(probs):  # a test for finite values would make the host wait
            return values(pulling(phi))
        found = values(known)
        if known is None and not bool(found.isfinite().all()):
            return values(pulling(phi))
        return found

    def _check_maps(self, probs: Tensor, maps: Tensor) -> None:
        check_shape(maps, probs)
        if not self._checked_maps and not torch.compiler.is_compiling():
            refuse_masks(maps)
            self._checked_maps = True

    def _check_points(self, probs: Tensor, known: Tensor | None) -> None:
        """Refuse (K, X, Y), an image without its batch axis: its rows would be taken for classes."""
        several = probs.ndim == 3 and probs.shape[1] > 1 and self.activation is None
        if several and not self._checked_range and not torch.compiler.is_compiling():
            try:
                check_sums(probs, known)
            except ValueError as error:
                raise image_without_batch(error, probs) from None

    def _chosen(self, of_classes: Tensor) -> Tensor:
        """Return the chosen classes; one channel is the object, named 0, its channel, or 1, its class."""
        if of_classes.shape[1] == 1 and self.classes in (None, (0,), (1,)):
            return of_classes
        return self.choose(of_classes)


SurfaceLoss = BoundaryLoss
"""The original's name in its code."""
