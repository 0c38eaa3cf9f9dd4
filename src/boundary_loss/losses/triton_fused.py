"""The sums and the gradient of the fused losses as two Triton kernels; same interface as ``fused_plain``.

Each program goes over several blocks of voxels of one item with the logits of all its classes in registers. A thread
holds all classes of its voxels, so that the softmax needs no exchange between threads, and adds its own sums in
float32. They are combined once, at the end, in one row a program; the rows are added in float64. There are no atomics:
equal inputs give equal bits. Each logit and label is read once forward and once backward, each gradient written once.
The grid has one axis, because CUDA's others end at 65535.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from boundary_loss.losses import base

PROGRAMS = 256
"""Programs for one item at most, so that there are few rows of sums."""


class Tile(NamedTuple):
    """How a program's block of voxels is divided."""

    K: int
    """Classes."""
    KP: int
    """Classes padded to a power of two."""
    VEC: int
    """Neighbouring voxels of one thread, read at once."""
    warps: int
    """Of 32 threads."""

    @property
    def BLOCK(self) -> int:
        """Voxels; each thread has ``VEC``."""
        return 32 * self.warps * self.VEC

    @staticmethod
    def of(logits: Tensor) -> "Tile":
        K = max(logits.shape[1], 2)
        padded = triton.next_power_of_2(K)
        return Tile(K, padded, max(1, min(VEC, HELD // padded)), WARPS)


HELD = 64
"""Logits that a thread holds at most, unless one voxel has more."""
VEC = 4
"""Neighbouring voxels that a thread reads at once at most: 16 bytes of float32."""
WARPS = 4


def sums(
    logits: Tensor, labels: Tensor, distances: Tensor | None, ignore_label: int, p: int, costs: Tensor | None = None
) -> tuple[Tensor, ...]:
    """Return four (B, K) float64 sums of (B, K, N) logits, (B, N) labels and (B, K, N) maps or None.

    With ``costs``, (K,) float64, a fifth, (B,): Σ costs_y (−log s_y) over the voxels, y the class of each.
    """
    B, _, N = logits.shape
    tile = Tile.of(logits)
    programs = min(PROGRAMS, triton.cdiv(N, tile.BLOCK))
    lines = 4 if costs is None else 5
    rows = torch.empty(B, programs, lines, tile.KP, dtype=base.wide(logits), device=logits.device)
    maps = logits if distances is None else distances  # never read without distances
    with _device(logits):
        _sums_kernel[(B * programs,)](
            logits, labels, maps, rows if costs is None else costs.contiguous(), rows, programs,
            N, ignore_label, *logits.stride(), *labels.stride(), *maps.stride(),
            K=tile.K, KP=tile.KP, VEC=tile.VEC, BLOCK=tile.BLOCK,
            ONE=logits.shape[1] == 1, MAPS=distances is not None, P=p, ENTROPY=costs is not None, num_warps=tile.warps,
        )  # fmt: skip
    total = rows.sum(1, dtype=torch.float64)
    of_classes = total[:, :4, : tile.K].unbind(1)
    return of_classes if costs is None else (*of_classes, total[:, 4, 0])


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
    B, _, N = logits.shape
    tile = Tile.of(logits)
    blocks = triton.cdiv(N, tile.BLOCK)
    result = torch.empty_like(logits)
    factors = pulls.to(base.wide(logits)).contiguous()
    maps = logits if distances is None else distances
    with _device(logits):
        _gradient_kernel[(B * blocks,)](
            logits, labels, maps, factors, factors if costs is None else costs.contiguous(), result, blocks,
            N, ignore_label, *logits.stride(), *labels.stride(), *maps.stride(), *result.stride(),
            K=tile.K, KP=tile.KP, VEC=tile.VEC, BLOCK=tile.BLOCK,
            ONE=logits.shape[1] == 1, MAPS=distances is not None, P=p, ENTROPY=costs is not None, num_warps=tile.warps,
        )  # fmt: skip
    return result


def _device(logits: Tensor) -> torch.cuda.device:
    return torch.cuda.device(logits.device if logits.is_cuda else -1)  # -1: leave as it is


@triton.jit
def _neighbours(start, VEC: tl.constexpr, BLOCK: tl.constexpr):
    """Return the block's voxels, VEC neighbours a thread; without the hint the compiler takes 16 bytes of them."""
    return tl.max_contiguous(start + tl.arange(0, BLOCK).to(tl.int64), VEC)


@triton.jit
def _probabilities(
    logits, labels, b, n, inside, k, ignore, sb, sk, sn, lb, ln,
    K: tl.constexpr, ONE: tl.constexpr, wide: tl.constexpr,
):  # fmt: skip
    """(KP, BLOCK) softmax s, 0 where ignored or outside; (BLOCK,) labels, -1 there; depth and total of which
    log s = depth − log(total), (KP, BLOCK) and (BLOCK,)."""
    label = tl.load(labels + b * lb + n * ln, mask=inside, other=0).to(tl.int64)
    known = inside & (label != ignore)
    if ONE:  # one channel x: the scores are (0, x)
        x = tl.load(logits + b * sb + n[None, :] * sn + 0 * k[:, None], mask=inside[None, :], other=0.0).to(wide)
        x = tl.where(k[:, None] == 1, x, 0.0)
    else:
        there = inside[None, :] & (k[:, None] < K)
        x = tl.load(logits + b * sb + k[:, None] * sk + n[None, :] * sn, mask=there, other=0.0).to(wide)
    x = tl.where(k[:, None] < K, x, -float("inf"))
    depth = x - tl.max(x, axis=0)[None, :]
    e = tl.exp(depth)
    total = tl.sum(e, axis=0)
    s = e / total[None, :]
    return tl.where(known[None, :], s, 0.0), tl.where(known, label, -1), depth, total


@triton.jit
def _power(s, P: tl.constexpr):
    result = s
    for _ in tl.static_range(P - 1):
        result = result * s
    return result


@triton.jit
def _sums_kernel(
    logits, labels, maps, costs, rows, programs, N, ignore, sb, sk, sn, lb, ln, mb, mk, mn,
    K: tl.constexpr, KP: tl.constexpr, VEC: tl.constexpr, BLOCK: tl.constexpr,
    ONE: tl.constexpr, MAPS: tl.constexpr, P: tl.constexpr, ENTROPY: tl.constexpr,
):  # fmt: skip
    wide: tl.constexpr = rows.dtype.element_ty
    b = (tl.program_id(0) // programs).to(tl.int64)
    k = tl.arange(0, KP).to(tl.int64)
    both = tl.zeros((KP, BLOCK), wide)
    predicted = tl.zeros((KP, BLOCK), wide)
    boundary = tl.zeros((KP, BLOCK), wide)
    true = tl.zeros((2 * KP,), tl.int32)  # with those of no class at KP; tiles would take more registers
    if ENTROPY:
        cost = tl.load(costs + k, mask=k < K, other=0.0).to(wide)
        entropy = tl.zeros((BLOCK,), wide)
    for start in range(tl.program_id(0) % programs * BLOCK, N, programs * BLOCK):
        n = _neighbours(start, VEC, BLOCK)
        inside = n < N
        s, label, depth, total = _probabilities(
            logits, labels, b, n, inside, k, ignore, sb, sk, sn, lb, ln, K, ONE, wide
        )
        mine = label[None, :] == k[:, None]
        both += tl.where(mine, s, 0.0)
        predicted += _power(s, P)
        true += tl.histogram(tl.where((label >= 0) & (label < KP), label, KP).to(tl.int32), 2 * KP)
        if MAPS:
            there = inside[None, :] & (k[:, None] < K)
            phi = tl.load(maps + b * mb + k[:, None] * mk + n[None, :] * mn, mask=there, other=0.0).to(wide)
            boundary += s * phi
        if ENTROPY:
            own_cost = tl.sum(tl.where(mine, cost[:, None], 0.0), axis=0)
            own_depth = tl.sum(tl.where(mine, depth, 0.0), axis=0)
            entropy += tl.where((label >= 0) & (label < K), own_cost * (tl.log(total) - own_depth), 0.0)
    LINES: tl.constexpr = 5 if ENTROPY else 4
    row = rows + tl.program_id(0).to(tl.int64) * LINES * KP + k
    tl.store(row, tl.sum(both, axis=1))
    tl.store(row + KP, tl.sum(predicted, axis=1))
    line = tl.arange(0, 2 * KP)
    tl.store(rows + tl.program_id(0).to(tl.int64) * LINES * KP + 2 * KP + line, true.to(wide), mask=line < KP)
    tl.store(row + 3 * KP, tl.sum(boundary, axis=1))
    if ENTROPY:
        tl.store(row + 4 * KP, tl.where(k == 0, tl.sum(entropy, axis=0), 0.0))


@triton.jit
def _gradient_kernel(
    logits, labels, maps, factors, costs, out, blocks, N, ignore, sb, sk, sn, lb, ln, mb, mk, mn, ob, ok, on,
    K: tl.constexpr, KP: tl.constexpr, VEC: tl.constexpr, BLOCK: tl.constexpr,
    ONE: tl.constexpr, MAPS: tl.constexpr, P: tl.constexpr, ENTROPY: tl.constexpr,
):  # fmt: skip
    wide: tl.constexpr = factors.dtype.element_ty
    b = (tl.program_id(0) // blocks).to(tl.int64)
    k = tl.arange(0, KP).to(tl.int64)
    n = _neighbours((tl.program_id(0) % blocks).to(tl.int64) * BLOCK, VEC, BLOCK)
    inside = n < N
    s, label, _, _ = _probabilities(logits, labels, b, n, inside, k, ignore, sb, sk, sn, lb, ln, K, ONE, wide)
    factor = factors + b * 3 * K + k
    of_both = tl.load(factor, mask=k < K, other=0.0)
    of_predicted = tl.load(factor + K, mask=k < K, other=0.0)
    pull = tl.where(label[None, :] == k[:, None], of_both[:, None], 0.0)
    if P == 1:
        pull += of_predicted[:, None]
    else:
        pull += of_predicted[:, None] * P * _power(s, P - 1)
    if MAPS:
        of_boundary = tl.load(factor + 2 * K, mask=k < K, other=0.0)
        there = inside[None, :] & (k[:, None] < K)
        phi = tl.load(maps + b * mb + k[:, None] * mk + n[None, :] * mn, mask=there, other=0.0).to(wide)
        pull += of_boundary[:, None] * phi
    gradient = s * (pull - tl.sum(s * pull, axis=0)[None, :])
    if ENTROPY:
        cost = tl.load(costs + b * K + k, mask=k < K, other=0.0).to(wide)
        own = tl.where(label[None, :] == k[:, None], cost[:, None], 0.0)
        gradient += s * tl.sum(own, axis=0)[None, :] - own
    channel = k - 1 if ONE else k
    written = inside[None, :] & (k[:, None] < K) & (channel[:, None] >= 0)
    tl.store(out + b * ob + channel[:, None] * ok + n[None, :] * on, gradient, mask=written)
