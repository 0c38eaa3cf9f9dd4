"""What ``fused_cpu`` does with a piece, one statement a class: for the compiler, which makes one loop of it.

Run as they stand these functions are right, but slower than those of ``fused_cpu``.
"""

import torch
from torch import Tensor


def piece_sums(logits: Tensor, labels: Tensor, maps: Tensor | None, ignore_label: int, p: int) -> Tensor:
    """(b, K, n), (b, n), (b, K, n) -> (b, 4, K): Σ s g, Σ s^p, Σ g, Σ s φ."""
    labels = labels.long()  # a comparison in uint8 would take -1 for 255
    probs = _softmax(logits, labels, ignore_label)
    both, predicted, true, boundary = [], [], [], []
    for k, s in enumerate(probs):
        mine = (labels == k) & (labels != ignore_label)
        both.append(torch.where(mine, s, 0).sum(1))
        predicted.append((s if p == 1 else s**p).sum(1))
        true.append(mine.sum(1, dtype=s.dtype))
        boundary.append(torch.zeros_like(both[-1]) if maps is None else (s * maps[:, k].to(s.dtype)).sum(1))
    return torch.stack([torch.stack(row, dim=1) for row in (both, predicted, true, boundary)], dim=1).double()


def piece_gradient(
    out: Tensor, logits: Tensor, labels: Tensor, maps: Tensor | None, ignore_label: int, p: int, factors: Tensor
) -> None:
    """Write the logits' gradient: s_k (u_k − Σ_j s_j u_j), u = ∂loss/∂s."""
    labels = labels.long()
    probs = _softmax(logits, labels, ignore_label)
    pulls = []
    for k, s in enumerate(probs):
        of_both, of_predicted, of_boundary = factors[:, :, k, None].unbind(1)  # (b, 1) each
        pull = torch.where(labels == k, of_both, 0) + (of_predicted if p == 1 else of_predicted * p * s ** (p - 1))
        pulls.append(pull if maps is None else pull + of_boundary * maps[:, k].to(s.dtype))
    mean_pull = probs[0] * pulls[0]
    for s, pull in zip(probs[1:], pulls[1:]):
        mean_pull = mean_pull + s * pull
    only_last = len(probs) - out.shape[1]  # one channel: the first of the two classes has a constant score
    for row, s, pull in zip(out.unbind(1), probs[only_last:], pulls[only_last:]):
        row.copy_(s * (pull - mean_pull))


def _softmax(logits: Tensor, labels: Tensor, ignore_label: int) -> list[Tensor]:
    """Probabilities of the K classes, each (b, n); 0 where the label is ignored."""
    rows = list(logits.to(_at_least_float32(logits)).unbind(1))
    if len(rows) == 1:
        rows = [torch.zeros_like(rows[0]), rows[0]]
    known = labels != ignore_label
    if len(rows) == 2:
        return [torch.where(known, s, 0) for s in _softmax_of_two(*rows)]
    top = rows[0]
    for row in rows[1:]:
        top = torch.maximum(top, row)
    exps = [(row - top).exp() for row in rows]
    total = exps[0]
    for e in exps[1:]:
        total = total + e
    share = total.reciprocal()
    return [torch.where(known, e * share, 0) for e in exps]


def _softmax_of_two(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """With one exponential instead of two, of a number that is not positive."""
    gap = second - first
    small = (-gap.abs()).exp()
    share = (1 + small).reciprocal()
    small = small * share
    return torch.where(gap > 0, small, share), torch.where(gap > 0, share, small)


def _at_least_float32(logits: Tensor) -> torch.dtype:
    return torch.float64 if logits.dtype == torch.float64 else torch.float32
