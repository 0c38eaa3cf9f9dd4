"""What ``fused_cpu`` does with a piece, one statement a class: for the compiler, which makes one loop of it.

Run as they stand these functions are right, but slower than those of ``fused_cpu``.
"""

import torch
from torch import Tensor


def piece_sums(logits: Tensor, labels: Tensor, maps: Tensor | None, ignore_label: int, p: int) -> Tensor:
    """(K, n), (n,), (K, n) -> (4, K): Σ s g, Σ s^p, Σ g, Σ s φ."""
    labels = labels.long()  # a comparison in uint8 would take -1 for 255
    probs = _softmax(logits, labels, ignore_label)
    both, predicted, true, boundary = [], [], [], []
    for k, s in enumerate(probs):
        mine = (labels == k) & (labels != ignore_label)
        both.append(torch.where(mine, s, 0).sum())
        predicted.append((s if p == 1 else s**p).sum())
        true.append(mine.sum(dtype=s.dtype))
        boundary.append(torch.zeros_like(both[-1]) if maps is None else (s * maps[k].to(s.dtype)).sum())
    return torch.stack([torch.stack(row) for row in (both, predicted, true, boundary)]).double()


def piece_gradient(
    out: Tensor, logits: Tensor, labels: Tensor, maps: Tensor | None, ignore_label: int, p: int, factors: Tensor
) -> None:
    """Write the logits' gradient: s_k (u_k − Σ_j s_j u_j), u = ∂loss/∂s."""
    labels = labels.long()
    probs = _softmax(logits, labels, ignore_label)
    pulls = []
    for k, s in enumerate(probs):
        of_predicted = factors[1, k] if p == 1 else factors[1, k] * p * s ** (p - 1)
        pull = torch.where(labels == k, factors[0, k], 0) + of_predicted
        pulls.append(pull if maps is None else pull + factors[2, k] * maps[k].to(s.dtype))
    mean_pull = probs[0] * pulls[0]
    for s, pull in zip(probs[1:], pulls[1:]):
        mean_pull = mean_pull + s * pull
    only_last = len(probs) - out.shape[0]  # one channel: the first of the two classes has a constant score
    for row, s, pull in zip(out, probs[only_last:], pulls[only_last:]):
        row.copy_(s * (pull - mean_pull))


def _softmax(logits: Tensor, labels: Tensor, ignore_label: int) -> list[Tensor]:
    """Probabilities of the K classes, each (n,); 0 where the label is ignored."""
    rows = list(logits.to(_at_least_float32(logits)).unbind(0))
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
