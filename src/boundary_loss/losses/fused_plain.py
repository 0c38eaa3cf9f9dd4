"""The sums and the gradient of the fused losses, piece by piece in PyTorch, on any device and in float64 too.

A piece fits the processor's cache. On a CPU with the compiled kernels, float32 and narrower types use
:mod:`fused_compiled`.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from boundary_loss.losses.base import wide

PIECE = 1 << 18
"""Logits in a piece: a megabyte, so that the few temporaries stay in the cache."""


def sums(
    logits: Tensor, labels: Tensor, distances: Tensor | None, ignore_label: int, p: int, costs: Tensor | None = None
) -> tuple[Tensor, ...]:
    """Return four (B, K) float64 sums of (B, K, N) logits, (B, N) labels and (B, K, N) maps or None.

    With ``costs``, (K,) float64, a fifth, (B,): Σ costs_y (−log s_y) over the voxels, y the class of each.
    """
    B, K = logits.shape[0], max(logits.shape[1], 2)
    total = torch.zeros(B, 4, K, dtype=torch.float64, device=logits.device)
    entropy = torch.zeros(B, dtype=torch.float64, device=logits.device)
    for items, piece in _pieces(logits):
        maps = None if distances is None else distances[items, :, piece]
        total[items] += _piece_sums(logits[items, :, piece], labels[items, piece], maps, ignore_label, p)
        if costs is not None:
            entropy[items] += _piece_entropy(logits[items, :, piece], labels[items, piece], ignore_label, costs)
    return total.unbind(1) if costs is None else (*total.unbind(1), entropy)


def gradient(
    logits: Tensor,
    labels: Tensor,
    distances: Tensor | None,
    ignore_label: int,
    p: int,
    pulls: Tensor,
    costs: Tensor | None = None,
) -> Tensor:
    """Return the (B, K, N) gradient of the logits from the (B, 3, K) gradients of the sums: both, predicted, boundary.

    ``costs``, (B, K) float64: the costs of the classes times the gradient of each item's fifth sum.
    """
    result = torch.empty_like(logits)
    factors = pulls.to(wide(logits))
    costs = None if costs is None else costs.to(wide(logits))
    for items, piece in _pieces(logits):
        maps = None if distances is None else distances[items, :, piece]
        part, classes = logits[items, :, piece], labels[items, piece]
        of_items = None if costs is None else costs[items]
        _piece_gradient(result[items, :, piece], part, classes, maps, ignore_label, p, factors[items], of_items)
    return result


def _piece_sums(logits: Tensor, labels: Tensor, maps: Tensor | None, ignore_label: int, p: int) -> Tensor:
    """Return (b, 4, K) of (b, K, n), (b, n), (b, K, n): Σ s g, Σ s^p, Σ g, Σ s φ."""
    s, mine = _probabilities(logits, labels, ignore_label)
    both = (s * mine).sum(2)
    predicted = (s if p == 1 else s**p).sum(2)
    boundary = torch.zeros_like(both) if maps is None else (s * maps).sum(2)
    return torch.stack([both, predicted, mine.sum(2), boundary], dim=1).double()


def _piece_entropy(logits: Tensor, labels: Tensor, ignore_label: int, costs: Tensor) -> Tensor:
    """Return (b,) of (b, K, n), (b, n), (K,): Σ costs_y (−log s_y), by log-sum-exp, which does not overflow."""
    scores = _scores(logits)
    labels = labels.long()
    known = (labels >= 0) & (labels < scores.shape[1]) & (labels != ignore_label)
    own = labels.where(known, 0)
    likelihood = scores.log_softmax(1).gather(1, own.unsqueeze(1)).squeeze(1)
    return -(likelihood * costs.to(scores.dtype)[own]).masked_fill_(~known, 0).sum(1).double()


def _piece_gradient(
    out: Tensor,
    logits: Tensor,
    labels: Tensor,
    maps: Tensor | None,
    ignore_label: int,
    p: int,
    factors: Tensor,
    costs: Tensor | None,
) -> None:
    """Write the logits' gradient: s_k (u_k − Σ_j s_j u_j) + costs_y (s_k − [k = y]), u = ∂loss/∂s, y the class."""
    s, mine = _probabilities(logits, labels, ignore_label)
    of_both, of_predicted, of_boundary = factors.unsqueeze(3).unbind(1)  # (b, K, 1) each
    if p == 1:
        pull = torch.where(mine, of_both + of_predicted, of_predicted)
    else:
        pull = (s ** (p - 1)).mul_(p * of_predicted).add_(of_both * mine)
    if maps is not None:
        pull = pull.addcmul_(of_boundary, maps.to(pull.dtype))
    weighed = s * pull
    mean_pull = weighed.sum(1, keepdim=True)
    gradient = weighed.addcmul_(s, mean_pull, value=-1)
    if costs is not None:
        own = mine * costs.unsqueeze(2)
        gradient.addcmul_(s, own.sum(1, keepdim=True)).sub_(own)
    out.copy_(gradient[:, -out.shape[1] :])  # of one channel's two classes, the first has a constant score


def _probabilities(logits: Tensor, labels: Tensor, ignore_label: int) -> tuple[Tensor, Tensor]:
    """Return (b, K, n) softmax and (b, K, n) bool, true for the voxel's class; both 0 where the label is ignored."""
    labels = labels.long().unsqueeze(1)  # in uint8, -1 would equal 255
    s = _scores(logits).softmax(1)
    ignored = labels == ignore_label
    if ignored.is_cuda or ignored.any():  # on CUDA the host would wait for the answer
        s.masked_fill_(ignored, 0)
        labels = labels.masked_fill(ignored, -1)
    classes = torch.arange(s.shape[1], device=labels.device).unsqueeze(1)
    return s, labels == classes


def _scores(logits: Tensor) -> Tensor:
    """Return (b, K, n) scores in the type of the arithmetic; one channel x gives two, (0, x)."""
    scores = logits.to(wide(logits))
    return torch.cat([torch.zeros_like(scores), scores], dim=1) if scores.shape[1] == 1 else scores


def _pieces(logits: Tensor) -> Iterator[tuple[slice, slice]]:
    """Yield parts of an item, or several whole items that make a piece."""
    B, K, N = logits.shape
    step = max(1024, PIECE // K)
    together = max(1, step // max(N, 1))
    for b in range(0, B, together):
        for start in range(0, N, step):
            yield slice(b, min(b + together, B)), slice(start, min(start + step, N))
