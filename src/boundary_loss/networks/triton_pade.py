"""Padé activation units as two Triton kernels: each value is read once and written once.

Backward adds the gradients of the ten coefficients within a program, in registers; each program writes them to a row
of its own, and the rows are added in float64. No atomics: equal inputs give equal bits.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024
"""Values that a program holds at a time."""
PROGRAMS = 2048
"""Programs of backward at most, so that there are few rows of sums."""


def values(x: Tensor, numerator: Tensor, denominator: Tensor) -> Tensor:
    """(N,) values -> (N,) Padé units of the same type."""
    out = torch.empty_like(x)
    coefficients = _coefficients(x, numerator, denominator)
    if x.numel():
        with _device(x):
            _pade_kernel[(triton.cdiv(x.numel(), BLOCK),)](x, coefficients, out, x.numel(), BLOCK=BLOCK)
    return out


def gradients(x: Tensor, numerator: Tensor, denominator: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """(N,) values and gradient -> (N,) gradient of x and (10,) float64 of numerator and denominator."""
    of_x = torch.empty_like(x)
    coefficients = _coefficients(x, numerator, denominator)
    programs = max(1, min(PROGRAMS, triton.cdiv(x.numel(), BLOCK)))
    rows = torch.zeros(programs, 16, dtype=coefficients.dtype, device=x.device)
    with _device(x):
        _pade_gradient_kernel[(programs,)](x, coefficients, gradient, of_x, rows, x.numel(), programs, BLOCK=BLOCK)
    of_both = rows[:, :10].sum(0, dtype=torch.float64)
    return of_x, torch.cat([of_both[:6], -of_both[6:] * denominator.sign()])


def _coefficients(x: Tensor, numerator: Tensor, denominator: Tensor) -> Tensor:
    """(10,) of the type that is computed in, the denominator's as absolute values."""
    wide = torch.float64 if x.dtype == torch.float64 else torch.float32
    return torch.cat([numerator.detach(), denominator.detach().abs()]).to(wide)


def _device(x: Tensor) -> torch.cuda.device:
    return torch.cuda.device(x.device if x.is_cuda else -1)  # -1: leave as it is


@triton.jit
def _pade_kernel(values, coefficients, out, N, BLOCK: tl.constexpr):
    wide: tl.constexpr = coefficients.dtype.element_ty
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(values + n, mask=n < N, other=0.0).to(wide)
    t = tl.abs(x)
    above = tl.load(coefficients + 5)
    below = tl.load(coefficients + 9)
    for k in tl.static_range(5):
        above = above * x + tl.load(coefficients + 4 - k)
    for k in tl.static_range(3):
        below = below * t + tl.load(coefficients + 8 - k)
    tl.store(out + n, above / (below * t + 1), mask=n < N)


@triton.jit
def _pade_gradient_kernel(values, coefficients, pushes, out, rows, N, programs, BLOCK: tl.constexpr):
    wide: tl.constexpr = rows.dtype.element_ty
    a0 = tl.load(coefficients)
    a1 = tl.load(coefficients + 1)
    a2 = tl.load(coefficients + 2)
    a3 = tl.load(coefficients + 3)
    a4 = tl.load(coefficients + 4)
    a5 = tl.load(coefficients + 5)
    b1 = tl.load(coefficients + 6)
    b2 = tl.load(coefficients + 7)
    b3 = tl.load(coefficients + 8)
    b4 = tl.load(coefficients + 9)
    s0 = tl.zeros((BLOCK,), wide)
    s1 = tl.zeros((BLOCK,), wide)
    s2 = tl.zeros((BLOCK,), wide)
    s3 = tl.zeros((BLOCK,), wide)
    s4 = tl.zeros((BLOCK,), wide)
    s5 = tl.zeros((BLOCK,), wide)
    d1 = tl.zeros((BLOCK,), wide)
    d2 = tl.zeros((BLOCK,), wide)
    d3 = tl.zeros((BLOCK,), wide)
    d4 = tl.zeros((BLOCK,), wide)
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    for _ in range(tl.cdiv(N, programs * BLOCK)):
        x = tl.load(values + n, mask=n < N, other=0.0).to(wide)
        push = tl.load(pushes + n, mask=n < N, other=0.0).to(wide)  # 0 outside: adds nothing to the sums
        t = tl.abs(x)
        sign = tl.where(x > 0, 1.0, tl.where(x < 0, -1.0, 0.0)).to(wide)
        below = 1 + t * (b1 + t * (b2 + t * (b3 + t * b4)))
        ratio = (a0 + x * (a1 + x * (a2 + x * (a3 + x * (a4 + x * a5))))) / below
        share = push / below
        slope_above = a1 + x * (2 * a2 + x * (3 * a3 + x * (4 * a4 + x * 5 * a5)))
        slope_below = b1 + t * (2 * b2 + t * (3 * b3 + t * 4 * b4))
        tl.store(out + n, share * (slope_above - ratio * slope_below * sign), mask=n < N)
        s0 += share
        term = share * x
        s1 += term
        term *= x
        s2 += term
        term *= x
        s3 += term
        term *= x
        s4 += term
        s5 += term * x
        pull = share * ratio * t
        d1 += pull
        pull *= t
        d2 += pull
        pull *= t
        d3 += pull
        d4 += pull * t
        n += programs * BLOCK
    row = rows + tl.program_id(0).to(tl.int64) * 16
    tl.store(row, tl.sum(s0, axis=0))
    tl.store(row + 1, tl.sum(s1, axis=0))
    tl.store(row + 2, tl.sum(s2, axis=0))
    tl.store(row + 3, tl.sum(s3, axis=0))
    tl.store(row + 4, tl.sum(s4, axis=0))
    tl.store(row + 5, tl.sum(s5, axis=0))
    tl.store(row + 6, tl.sum(d1, axis=0))
    tl.store(row + 7, tl.sum(d2, axis=0))
    tl.store(row + 8, tl.sum(d3, axis=0))
    tl.store(row + 9, tl.sum(d4, axis=0))
