"""The sums of the fused losses, from logits and labels, without softmax or one-hot in memory.

Forward computes them piece by piece and keeps the inputs; backward computes the probabilities of each piece again and
writes its gradient. Peak memory above the inputs is the gradient itself.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from boundary_loss.distance.engine import has_triton
from boundary_loss.encoding import as_labels, check_tensors, is_label, look_at_labels, refuse_outside, widened
from boundary_loss.losses import fused_compiled, fused_plain
from boundary_loss.losses.target import check_prediction, read_mask
from boundary_loss.shapes import IGNORED, DistMaps, Labels, Logits


class Sums(NamedTuple):
    """Per item and class, (B, K), over the voxels that are not ignored; s = softmax of the logits."""

    both: Tensor
    """Σ s g"""
    predicted: Tensor
    """Σ s^p"""
    true: Tensor
    """Σ g"""
    boundary: Tensor
    """Σ s φ; zeros without distance maps"""


class _FusedSums(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, labels: Tensor, distances: Tensor | None, ignore_label: int, p: int
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(logits, labels, distances)
        ctx.settings = ignore_label, p
        work, flat = engine(logits), logits.flatten(2)
        both, predicted, true, boundary = work.sums(flat, labels, distances, ignore_label, p)
        ctx.mark_non_differentiable(true)
        return both, predicted, true, boundary

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        logits, labels, distances = ctx.saved_tensors
        of_both, of_predicted, _, of_boundary = gradients
        work, flat = engine(logits), logits.flatten(2)
        pulls = torch.stack([of_both, of_predicted, of_boundary], dim=1)
        gradient = work.gradient(flat, labels, distances, *ctx.settings, pulls)
        return gradient.view(logits.shape), None, None, None, None


def engine(logits: Tensor) -> Any:
    """Return the module that computes sums and gradient on the logits' device."""
    if logits.is_cuda:
        if not has_triton():
            return fused_plain
        from boundary_loss.losses import triton_fused

        return triton_fused
    return fused_compiled if fused_compiled.available(logits) else fused_plain


@torch.compiler.disable  # not traced: torch.compile would save the softmax that fusing avoids
def fused_sums(
    logits: Logits,
    labels: Labels,
    distances: DistMaps | None = None,
    *,
    mask: Tensor | None = None,
    ignore_label: int = IGNORED,
    p: int = 1,
    check_labels: bool = True,
) -> Sums:
    """Return the sums of the fused losses; differentiable once, with respect to the logits.

    Args:
        logits: (B, K, ...) raw scores; float16 and bfloat16 are computed in float32. One channel x stands for two
            classes with scores (0, x), that is sigmoid.
        labels: (B, ...) or (B, 1, ...) classes in [0, K), integers or whole numbers of any type.
        distances: (B, K, ...) signed distances, or None.
        mask: (B, ...) or (B, 1, ...) bool, True where a voxel counts; None = everywhere.
        ignore_label: voxels of this label are in no sum and get no gradient.
        p: the power of the probabilities in ``predicted``, 1 or more.
        check_labels: False trusts the labels, which on CUDA saves waiting for the sums.

    Returns:
        float64 sums (the pieces of up to 2^17 voxels are added in float32, the pieces in float64), always added in
        one order, so equal inputs give equal bits.

    Raises:
        ValueError: shapes or types that do not fit, a label that is neither a class nor ignored.
    """
    labels, ignore_label = read_labels(logits, labels, distances, mask, ignore_label, check_labels=check_labels)
    flat = None if distances is None else distances.flatten(2)
    sums = Sums(*_FusedSums.apply(logits, labels.flatten(1), flat, ignore_label, p))
    if check_labels:
        check_sums(labels, sums.true, ignore_label)
    return sums


def read_labels(
    logits: Tensor,
    labels: Tensor,
    distances: Tensor | None,
    mask: Tensor | None,
    ignore_label: int,
    *,
    check_labels: bool,
) -> tuple[Tensor, int]:
    """Return labels (B, ...) for the kernels, and the label in them of voxels that are ignored or outside the mask."""
    check_prediction(logits, "logits")
    check_tensors(logits, labels=labels, **({} if distances is None else {"distances": distances}))
    B, channels, *space = logits.shape
    if tuple(labels.shape) not in ((B, *space), (B, 1, *space)):
        raise ValueError(f"labels {tuple(labels.shape)} do not fit logits {tuple(logits.shape)}: {(B, *space)} needed")
    if distances is not None and distances.shape != (B, max(channels, 2), *space):
        raise ValueError(f"distance maps {tuple(distances.shape)} do not fit logits {tuple(logits.shape)}")
    labels = as_labels(labels.reshape(B, *space))
    known = read_mask(mask, logits)
    if known is None:
        return labels, ignore_label
    K, known = max(channels, 2), known.squeeze(1)
    if check_labels and look_at_labels(labels, K, ignore_label, known).outside:
        refuse_outside(labels[known], K, ignore_label)
    labels = widened(labels, K)
    held = torch.iinfo(labels.dtype)
    stray = -1 if held.min < 0 else held.max  # fits the type, and is no class
    return labels.masked_fill(~known | is_label(labels, ignore_label), stray), stray


def check_sums(labels: Tensor, true: Tensor, ignore_label: int) -> None:
    """Refuse labels that are neither classes nor ignored: the sums of true voxels do not add up to all voxels."""
    if not labels.is_cuda and true.sum().item() == labels.numel():
        return  # all are classes, so no ignored ones have to be counted
    if true.sum() + is_label(labels, ignore_label).sum() != labels.numel():
        refuse_outside(labels, true.shape[1], ignore_label)
