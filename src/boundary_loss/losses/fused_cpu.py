"""The sums and the gradient of the fused losses, piece by piece in PyTorch, on any device.

A piece is short enough for the processor's cache. Where a C++ compiler is at hand, large inputs run the functions of
``fused_unrolled`` compiled, which keep the probabilities of a voxel in registers; the first such call takes some
seconds. ``BOUNDARY_LOSS_COMPILE=0`` switches that off.
"""

import functools
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from boundary_loss.losses import fused_unrolled

Work = Callable[..., Any]

EAGER_ELEMENTS = 1 << 18
"""Logits in an uncompiled piece: a megabyte, so that the few temporaries stay in the cache."""
COMPILED_VOXELS = 1 << 17
"""Voxels in a compiled piece; also how many are added in float32 before float64 takes over."""
WORTH_COMPILING = 1 << 20
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
    work, step = _chosen(piece_sums, fused_unrolled.piece_sums, logits)
    for items, piece in _pieces(logits, step):
        maps = None if distances is None else distances[items, :, piece]
        total[items] += work(logits[items, :, piece], labels[items, piece], maps, ignore_label, p)
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
    work, step = _chosen(piece_gradient, fused_unrolled.piece_gradient, logits)
    for items, piece in _pieces(logits, step):
        maps = None if distances is None else distances[items, :, piece]
        part = logits[items, :, piece]
        work(result[items, :, piece], part, labels[items, piece], maps, ignore_label, p, factors[items])
    return result


def piece_sums(logits: Tensor, labels: Tensor, maps: Tensor | None, ignore_label: int, p: int) -> Tensor:
    """(b, K, n), (b, n), (b, K, n) -> (b, 4, K): Σ s g, Σ s^p, Σ g, Σ s φ."""
    s, mine = _probabilities(logits, labels, ignore_label)
    both = (s * mine).sum(2)
    predicted = (s if p == 1 else s**p).sum(2)
    boundary = torch.zeros_like(both) if maps is None else (s * maps).sum(2)
    return torch.stack([both, predicted, mine.sum(2), boundary], dim=1).double()


def piece_gradient(
    out: Tensor, logits: Tensor, labels: Tensor, maps: Tensor | None, ignore_label: int, p: int, factors: Tensor
) -> None:
    """Write the logits' gradient: s_k (u_k − Σ_j s_j u_j), u = ∂loss/∂s."""
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
    out.copy_(gradient[:, -out.shape[1] :])  # of one channel's two classes, the first has a constant score


def _probabilities(logits: Tensor, labels: Tensor, ignore_label: int) -> tuple[Tensor, Tensor]:
    """(b, K, n) softmax and (b, K, n) bool, true for the voxel's class; both 0 where the label is ignored."""
    scores = logits.to(_wide(logits))
    if scores.shape[1] == 1:
        scores = torch.cat([torch.zeros_like(scores), scores], dim=1)
    labels = labels.long().unsqueeze(1)  # a comparison in uint8 would take -1 for 255
    s = scores.softmax(1)
    ignored = labels == ignore_label
    if ignored.is_cuda or ignored.any():  # on CUDA the look would make the host wait
        s.masked_fill_(ignored, 0)
        labels = labels.masked_fill(ignored, -1)
    classes = torch.arange(s.shape[1], device=labels.device).unsqueeze(1)
    return s, labels == classes


def _wide(logits: Tensor) -> torch.dtype:
    return torch.float64 if logits.dtype == torch.float64 else torch.float32


def _pieces(logits: Tensor, step: int) -> Iterator[tuple[slice, slice]]:
    """Parts of an item of ``step`` voxels; or as many whole items as have so many together."""
    B, _, N = logits.shape
    together = max(1, step // max(N, 1))
    for b in range(0, B, together):
        for start in range(0, N, step):
            yield slice(b, min(b + together, B)), slice(start, min(start + step, N))


def _chosen(work: Work, unrolled: Work, logits: Tensor) -> tuple[Work, int]:
    """The function to run on each piece, compiled where that pays, and the voxels in a piece."""
    K = logits.shape[1]
    if logits.numel() >= WORTH_COMPILING and K <= MOST_UNROLLED and can_compile(logits.device.type):
        return _compiled(unrolled), COMPILED_VOXELS
    return work, max(1024, EAGER_ELEMENTS // K)


@functools.cache
def can_compile(device: str) -> bool:
    if os.environ.get("BOUNDARY_LOSS_COMPILE", "1") == "0":
        return False
    return device == "cpu" and any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "clang++"))


@functools.cache
def _compiled(work: Work) -> Work:
    compiled: Work | None = None
    broken = False

    def run(*arguments: Any) -> Any:
        nonlocal compiled, broken
        if broken or arguments[0].shape[2] < SHORT:
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
