"""The sums and the gradient of the fused losses, piece by piece in PyTorch, on any device.

A piece is short enough for the processor's cache. Where a C++ compiler is at hand, large inputs run the same two
functions compiled (`torch.compile`), which keeps the probabilities of a voxel in registers; the first such call takes
some seconds. ``BOUNDARY_LOSS_COMPILE=0`` switches that off.
"""

import functools
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

EAGER_ELEMENTS = 1 << 18
"""Logits in an uncompiled piece: a megabyte, so that the few temporaries stay in the cache."""
COMPILED_VOXELS = 1 << 17
"""Voxels in a compiled piece; also how many are added in float32 before float64 takes over."""
WORTH_COMPILING = 1 << 21
"""Logits below which an uncompiled call is quick enough."""
SHORT = 1024
"""Voxels below which a piece, the last of an item, runs uncompiled: lengths 0 and 1 would be compiled anew."""
MOST_UNROLLED = 16
"""Classes up to which the compiled code, one statement a class, stays short."""


def sums(
    logits: Tensor, labels: Tensor, distances: Tensor | None, ignore_label: int, p: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(B, K, N) logits, (B, N) labels, (B, K, N) maps or None -> four (B, K) float64 sums."""
    B, K = logits.shape[0], max(logits.shape[1], 2)
    total = torch.zeros(B, 4, K, dtype=torch.float64, device=logits.device)
    work, step = _chosen(piece_sums, logits)
    for b, piece in _pieces(logits, step):
        maps = None if distances is None else distances[b, :, piece]
        total[b] += work(logits[b, :, piece], labels[b, piece], maps, ignore_label, p)
    both, predicted, true, boundary = total.unbind(1)
    return both, predicted, true, boundary


def gradient(
    logits: Tensor,
    labels: Tensor,
    distances: Tensor | None,
    ignore_label: int,
    p: int,
    of_both: Tensor,
    of_predicted: Tensor,
    of_boundary: Tensor,
) -> Tensor:
    """(B, K, N) gradient of the logits from the (B, K) gradients of the sums."""
    result = torch.empty_like(logits)
    factors = torch.stack([of_both, of_predicted, of_boundary], dim=1).to(_wide(logits))  # (B, 3, K)
    work, step = _chosen(piece_gradient, logits)
    for b, piece in _pieces(logits, step):
        maps = None if distances is None else distances[b, :, piece]
        work(result[b, :, piece], logits[b, :, piece], labels[b, piece], maps, ignore_label, p, factors[b])
    return result


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
    rows = list(logits.to(_wide(logits)).unbind(0))
    if len(rows) == 1:
        rows = [torch.zeros_like(rows[0]), rows[0]]
    top = rows[0]
    for row in rows[1:]:
        top = torch.maximum(top, row)
    exps = [(row - top).exp() for row in rows]
    total = exps[0]
    for e in exps[1:]:
        total = total + e
    share = total.reciprocal()
    known = labels != ignore_label
    return [torch.where(known, e * share, 0) for e in exps]


def _wide(logits: Tensor) -> torch.dtype:
    return torch.float64 if logits.dtype == torch.float64 else torch.float32


def _pieces(logits: Tensor, step: int) -> Iterator[tuple[int, slice]]:
    for b in range(logits.shape[0]):
        for start in range(0, logits.shape[2], step):
            yield b, slice(start, start + step)


def _chosen(work: Callable[..., Any], logits: Tensor) -> tuple[Callable[..., Any], int]:
    """The function to run on each piece, compiled where that pays, and the voxels in a piece."""
    K = logits.shape[1]
    if logits.numel() >= WORTH_COMPILING and K <= MOST_UNROLLED and can_compile(logits.device.type):
        return _compiled(work), COMPILED_VOXELS
    return work, max(1024, EAGER_ELEMENTS // K)


@functools.cache
def can_compile(device: str) -> bool:
    if os.environ.get("BOUNDARY_LOSS_COMPILE", "1") == "0":
        return False
    return device == "cpu" and any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "clang++"))


@functools.cache
def _compiled(work: Callable[..., Any]) -> Callable[..., Any]:
    compiled: Callable[..., Any] | None = None
    broken = False

    def run(*arguments: Any) -> Any:
        nonlocal compiled, broken
        if broken or arguments[0].shape[1] < SHORT:
            return work(*arguments)
        if compiled is not None:
            return compiled(*arguments)
        try:
            with warnings.catch_warnings():  # the compiler's own, about parts of PyTorch that it uses
                warnings.simplefilter("ignore")
                attempt = torch.compile(work, dynamic=True)
                result = attempt(*arguments)
            compiled = attempt
        except Exception as error:  # whatever a half-installed compiler raises; the plain code needs none
            broken = True
            warnings.warn(f"the fused losses run uncompiled ({type(error).__name__}: {error})", stacklevel=2)
            return work(*arguments)
        return result

    return run
