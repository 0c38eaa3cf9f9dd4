"""Padé activation units: Molina, Schramowski & Kersting 2020, in the safe form, whose denominator has no zero.

    y = (a0 + a1 x + ... + a5 x⁵) / (1 + |b1 x| + |b2 x²| + |b3 x³| + |b4 x⁴|)

In single operations autograd keeps about 15 tensors of the size of x. Here only x is kept, and backward computes the
powers again, in pieces; on CUDA :mod:`boundary_loss.networks.triton_pade` does forward and backward in a kernel each.
"""

from typing import Any

import torch
from torch import Tensor, nn

from boundary_loss.distance.engine import has_triton

LEAKY_NUMERATOR = (3.35583603e-02, 5.05000375e-01, 1.65343934e00, 2.01001052e00, 9.31901999e-01, 1.52424124e-01)
LEAKY_DENOMINATOR = (3.30847488e-06, 3.98021568e00, 5.12471206e-07, 3.01830109e-01)
"""A leaky ReLU of slope 0.01, fitted on [-3, 3]: as in the code of Molina et al. and of OSS-Net (Reich et al. 2021)."""

_PIECE = {"cpu": 1 << 15, "cuda": 1 << 24}
"""Values computed at a time without Triton: what stays in a core's cache, and what fills a GPU."""


class PadeUnit(nn.Module):
    """Apply one learned Padé approximant, 10 parameters, to each value; starts as a leaky ReLU."""

    rate_share = 1e-2 / 3e-4
    """Its learning rate over that of other weights, as in OSS-Net: 0.01 where they have 0.0003."""

    def __init__(self) -> None:
        super().__init__()
        self.numerator = nn.Parameter(torch.tensor(LEAKY_NUMERATOR))
        self.denominator = nn.Parameter(torch.tensor(LEAKY_DENOMINATOR))

    def forward(self, x: Tensor) -> Tensor:
        return pade(x, self.numerator, self.denominator)


def pade(x: Tensor, numerator: Tensor, denominator: Tensor) -> Tensor:
    """Return the Padé unit of each value, of the shape, type and layout of ``x``; computed in float32 or float64.

    Differentiable twice. The second derivative is of single operations, which keep their intermediate results.

    Args:
        x: any shape; float16 and bfloat16 are computed in float32, where x⁵ does not overflow.
        numerator: (6,) a0 to a5.
        denominator: (4,) b1 to b4.
    """
    if torch.compiler.is_compiling():  # the compiler fuses it, and computes it again in backward by itself
        return plain(x, numerator, denominator)
    return _Pade.apply(x, numerator, denominator)


def plain(x: Tensor, numerator: Tensor, denominator: Tensor) -> Tensor:
    """The formula in differentiable operations."""
    wide = _widened(x)
    a, b = numerator.to(wide.dtype), denominator.to(wide.dtype).abs()
    above, below = _polynomials(wide, wide.abs(), a, b)
    return (above / below).to(x.dtype)


class _Pade(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, numerator: Tensor, denominator: Tensor) -> Tensor:
        ctx.save_for_backward(x, numerator, denominator)
        flat, order = _flattened(x)
        if _use_triton(x):
            from boundary_loss.networks import triton_pade

            return _shaped(triton_pade.values(flat, numerator, denominator), x, order)
        out = torch.empty_like(flat)
        for piece, result in zip(flat.split(_piece(x)), out.split(_piece(x))):
            result.copy_(plain(piece, numerator, denominator))
        return _shaped(out, x, order)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, numerator, denominator = ctx.saved_tensors
        (gradient,) = gradients
        if torch.is_grad_enabled():  # create_graph: these operations are differentiated once more
            return _derivatives(x, numerator, denominator, gradient)
        flat, order = _flattened(x)
        flat_gradient = gradient.permute(order).reshape(-1)
        if _use_triton(x):
            from boundary_loss.networks import triton_pade

            of_x, of_both = triton_pade.gradients(flat, numerator, denominator, flat_gradient)
        else:
            of_x, of_both = _in_pieces(flat, numerator, denominator, flat_gradient)
        of_numerator, of_denominator = of_both.to(numerator.dtype).split([6, 4])
        return _shaped(of_x, x, order), of_numerator, of_denominator


def _in_pieces(x: Tensor, numerator: Tensor, denominator: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """(N,) gradient of x and (10,) of the coefficients, summed in float64."""
    of_x = torch.empty_like(x)
    of_both = torch.zeros(10, dtype=torch.float64, device=x.device)
    for piece, push, result in zip(x.split(_piece(x)), gradient.split(_piece(x)), of_x.split(_piece(x))):
        of_piece, *of_coefficients = _derivatives(piece, numerator, denominator, push)
        result.copy_(of_piece)
        of_both += torch.cat(of_coefficients)
    return of_x, of_both


def _derivatives(x: Tensor, numerator: Tensor, denominator: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, numerator and denominator, in differentiable operations."""
    wide = _widened(x)
    a, b = numerator.to(wide.dtype), denominator.to(wide.dtype)
    size, sizes = wide.abs(), b.abs()
    above, below = _polynomials(wide, size, a, sizes)
    ratio, share = above / below, gradient.to(wide.dtype) / below
    slope_above = a[1] + wide * (2 * a[2] + wide * (3 * a[3] + wide * (4 * a[4] + wide * 5 * a[5])))
    slope_below = sizes[0] + size * (2 * sizes[1] + size * (3 * sizes[2] + size * 4 * sizes[3]))
    of_x = share * (slope_above - ratio * slope_below * wide.sign())
    of_numerator, of_denominator = [share.sum()], []
    term, pull = share, share * ratio
    for k in range(5):
        term = term * wide
        of_numerator.append(term.sum())
        if k < 4:
            pull = pull * size
            of_denominator.append(-pull.sum())
    return (
        of_x.to(x.dtype),
        torch.stack(of_numerator).to(numerator.dtype),
        (torch.stack(of_denominator) * b.sign()).to(denominator.dtype),
    )


def _polynomials(x: Tensor, size: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Numerator and denominator; ``size`` is |x|, ``b`` the absolute coefficients."""
    above = a[0] + x * (a[1] + x * (a[2] + x * (a[3] + x * (a[4] + x * a[5]))))
    below = 1 + size * (b[0] + size * (b[1] + size * (b[2] + size * b[3])))
    return above, below


def _widened(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _piece(x: Tensor) -> int:
    return _PIECE.get(x.device.type, _PIECE["cuda"])


def _use_triton(x: Tensor) -> bool:
    return x.is_cuda and has_triton()


def _flattened(x: Tensor) -> tuple[Tensor, list[int]]:
    """(N,) values in the order of memory, a view if they are dense (as channels last is), and the order of the axes."""
    order = sorted(range(x.ndim), key=lambda axis: (-x.stride()[axis], axis))
    return x.permute(order).reshape(-1), order


def _shaped(flat: Tensor, x: Tensor, order: list[int]) -> Tensor:
    """Undo :func:`_flattened`."""
    back = sorted(range(x.ndim), key=order.__getitem__)
    return flat.view([x.shape[axis] for axis in order]).permute(back)
