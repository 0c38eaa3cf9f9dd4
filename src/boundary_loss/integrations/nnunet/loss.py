"""A distance term beside nnU-Net's own loss: its maps are made in the step, of the patch after the augmentation.

Nothing here imports nnU-Net. It hands a loss its outputs and targets: logits (B, K, ...) and labels (B, 1, ...); in
region training logits (B, R, ...) and channels (B, R, ...), with one more, the last, where voxels are ignored; under
deep supervision lists of these, the finest first.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from boundary_loss.distance.layout import Spacing
from boundary_loss.losses import BoundaryLoss, FromLabels, HausdorffLoss

FULL_RESOLUTION = (1.0,)
"""Of a list of outputs the finest counts alone: coarser ones measure a coarser object."""

HALF_SCALE = 2.0**16
"""GradScaler's first factor: of a mean over 10^7 voxels the gradient is 0 in float16."""

Outputs = Tensor | Sequence[Tensor]


def boundary_term(
    heads: int,
    *,
    regions: bool = False,
    ignore_label: int | None = None,
    spacing_mm: Spacing = None,
    level_weights: Sequence[float] = FULL_RESOLUTION,
    **map_options: Any,
) -> FromLabels:
    """Return the boundary loss of (outputs, targets), over the foreground.

    Args:
        heads: channels of the network's output: classes with the background, or regions.
        regions: whether they are regions, which may overlap.
        ignore_label: nnU-Net's; None = every voxel counts.
        spacing_mm: of the patch, in the order of its axes.
        level_weights: of the outputs under deep supervision, the finest first; missing ones are 0.
        map_options: of :class:`boundary_loss.FromLabels`: convention, absent, normalise, max_distance.
    """
    loss = BoundaryLoss(**_loss_options(heads, regions, ignore_label))
    return _of_targets(loss, regions, ignore_label, spacing_mm, level_weights, **map_options)


def hausdorff_term(
    heads: int,
    *,
    regions: bool = False,
    ignore_label: int | None = None,
    spacing_mm: Spacing = None,
    level_weights: Sequence[float] = FULL_RESOLUTION,
    **loss_options: Any,
) -> FromLabels:
    """Return the Hausdorff loss of (outputs, targets), over the foreground.

    Args:
        loss_options: of :class:`boundary_loss.HausdorffLoss`: sides, alpha, unit, absent.

    The other arguments are those of :func:`boundary_term`.
    """
    loss = HausdorffLoss(**_loss_options(heads, regions, ignore_label), **loss_options)
    return _of_targets(loss, regions, ignore_label, spacing_mm, level_weights)


def _loss_options(heads: int, regions: bool, ignore_label: int | None) -> dict[str, Any]:
    if not regions:
        return {"activation": "softmax", "classes": list(range(1, heads)), "ignore_index": ignore_label}
    return {"activation": "sigmoid", "classes": [1] if heads == 1 else None}  # of one channel, 1 is the object


def _of_targets(
    loss: nn.Module, regions: bool, ignore_label: int | None, spacing_mm: Spacing, level_weights: Sequence[float],
    **map_options: Any,
) -> FromLabels:  # fmt: skip
    return FromLabels(
        loss, spacing_mm=spacing_mm, level_weights=level_weights, ignored_last=regions and ignore_label is not None,
        **map_options,
    )  # fmt: skip


class WithTerm(nn.Module):
    """a · base + b · term of the same outputs and targets.

    The base is always computed, also at weight 0: the gradients that it gives to outputs of deep supervision are what
    DDP waits for. The term is left out at weight 0, and with it the distance maps.

    Args:
        base: nnU-Net's own loss, deep supervision included.
        term: a loss of (outputs, targets), as :func:`boundary_term` makes it.
        weights: (a, b), which a trainer sets for each epoch.
    """

    def __init__(self, base: nn.Module, term: nn.Module, weights: tuple[float, float] = (1.0, 0.0)) -> None:
        super().__init__()
        self.base, self.term, self.weights = base, term, weights
        self.measure_next = False
        """Whether the next call with a gradient measures how long the gradients of both are."""
        self.measured: Tensor | None = None
        """(2,) float32 on the device, of base and term without their weights, once they were measured."""

    def forward(self, outputs: Outputs, targets: Outputs) -> Tensor:
        if self.measure_next and torch.is_grad_enabled():
            self.measured, self.measure_next = self.gradient_norms(outputs, targets), False
        a, b = self.weights
        total = a * self.base(outputs, targets)
        return total + b * self.term(outputs, targets) if b else total

    def gradient_norms(self, outputs: Outputs, targets: Outputs) -> Tensor:
        """(2,) Euclidean norms of the gradients of base and term in the finest output, without their weights.

        Each loss is computed once more on copies of the outputs: a graph that torch.compile has made cannot be walked
        twice.
        """
        return torch.stack([_gradient_norm(loss, outputs, targets) for loss in (self.base, self.term)])


def _gradient_norm(loss: nn.Module, outputs: Outputs, targets: Outputs) -> Tensor:
    single = isinstance(outputs, Tensor)
    copies = [output.detach() for output in ([outputs] if isinstance(outputs, Tensor) else outputs)]
    finest = copies[0].requires_grad_()
    scale = HALF_SCALE if finest.dtype == torch.float16 else 1.0
    value = scale * loss(finest if single else copies, targets)
    return torch.autograd.grad(value, finest)[0].float().norm() / scale
