"""The boundary loss: probabilities weighed by their signed distance to the object's boundary."""

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from boundary_loss.encoding import at_hand, check_tensors
from boundary_loss.losses.base import Loss, one_of
from boundary_loss.shapes import DistMaps, Probs, Scalar


class BoundaryLoss(Loss):
    """Mean over items, classes and voxels of p·φ, φ the signed distance (mm, negative inside the class).

    Kervadec et al., MIDL 2019; MedIA 2021. The value may be negative; its minimum differs from image to image.

    Args:
        shift: "none", the paper's value; "optimum" subtracts the least value that any prediction reaches on these maps,
            mean min(φ, 0), which is no function of p: the gradient stays, and a perfect prediction shows 0 wherever
            the map is ≤ 0 inside and ≥ 0 outside (every convention but ``paper`` below 1 mm spacing).
        map, convention, absent, normalise: not used by the arithmetic; a pipeline reads them to choose and to compute
            the map. ``map`` is "2d" (of the slice), "3d" (of the volume) or "step" (in the training step, after
            augmentation); the others go to :func:`boundary_loss.signed_distance`, see :attr:`distance_options`.

    Voxels where φ is 0 count nothing: that is how ignored voxels are marked.

    >>> probs = torch.tensor([[[[0.1, 0.8]], [[0.9, 0.2]]]])
    >>> maps = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
    >>> BoundaryLoss(idc=[1])(probs, maps)
    tensor(0.1000)
    """

    target: ClassVar[str] = "distance"

    def __init__(
        self,
        *,
        shift: Literal["none", "optimum"] = "none",
        map: Literal["2d", "3d", "step"] = "2d",
        convention: str = "paper",
        absent: str = "zero",
        normalise: str = "none",
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.shift = one_of("shift", shift, ("none", "optimum"))
        self.map = one_of("map", map, ("2d", "3d", "step"))
        self.convention, self.absent, self.normalise = convention, absent, normalise

    @property
    def distance_options(self) -> dict[str, str | None]:
        """Keywords for :func:`boundary_loss.signed_distance` that make the map this loss was asked to use."""
        return {
            "convention": self.convention,
            "absent": self.absent,
            "normalise": None if self.normalise == "none" else self.normalise,
        }

    def forward(self, probs: Probs, target: DistMaps) -> Scalar:
        """The loss of a batch: (B, K, ...) probabilities (or logits), (B, K, ...) signed distances -> scalar or (B,).

        Raises:
            ValueError: shapes or devices that differ, labels or a one-hot mask where distances belong.
        """
        check_tensors(probs, target=target)
        with torch.autocast(probs.device.type, enabled=False):
            self._check_maps(probs, target)
            p = self.choose(self.activate(probs))
            distances = self.choose(target).to(p.dtype)
            items = mean_product(p, distances)
            if self.shift == "optimum":
                items = items - distances.clamp(max=0).flatten(1).mean(1)
            return self.reduce(items)

    def _check_maps(self, probs: Tensor, target: Tensor) -> None:
        if target.shape != probs.shape:
            labels = not target.is_floating_point() and target.ndim == probs.ndim - 1
            cure = " (labels: make maps of them with boundary_loss.signed_distance)" if labels else ""
            raise ValueError(
                f"distance maps {tuple(target.shape)} and predictions {tuple(probs.shape)} must have one shape{cure}"
            )
        if torch.compiler.is_compiling() or target.is_floating_point():
            return
        if target.dtype == torch.bool or _is_one_hot(target):
            raise ValueError(
                "the target looks like a one-hot mask, but this loss needs signed distances: "
                "make them with boundary_loss.signed_distance or dist_map_transform"
            )


def mean_product(p: Tensor, distances: Tensor) -> Tensor:
    """(B,) mean of p·φ; where φ is 0 that is 0 whatever p is."""
    product = p * distances
    items = product.flatten(1).mean(1)
    if at_hand(items) and bool(items.isfinite().all()):
        return items  # which shows that every p was finite
    # an ignored voxel (φ = 0) may hold a NaN or an infinity
    return torch.where(distances == 0, torch.zeros_like(p), product).flatten(1).mean(1)


SurfaceLoss = BoundaryLoss
"""The original's name in its code."""


def _is_one_hot(target: Tensor) -> bool:
    return bool(((target == 0) | (target == 1)).all() and (target.sum(dim=1) == 1).all())
