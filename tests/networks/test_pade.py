"""Padé units against the formula in single operations and its derivatives by autograd."""

import os
import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F

from boundary_loss.networks import pade as module
from boundary_loss.networks.pade import PadeUnit, pade, plain


def coefficients(dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    both = torch.randn(10, generator=generator, dtype=torch.float64).to(dtype)
    return both[:6].clone().requires_grad_(), both[6:].clone().requires_grad_()


def values(*shape, dtype=torch.float64, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype).requires_grad_()


def formula(x, a, b):
    """As it is written in the paper, with powers."""
    above = sum(a[k] * x**k for k in range(6))
    return above / (1 + sum((b[k - 1] * x**k).abs() for k in range(1, 5)))


def test_starts_as_a_leaky_relu():
    x = torch.linspace(-3, 3, 601)
    assert (PadeUnit()(x) - F.leaky_relu(x)).abs().max() < 0.04
    assert sum(p.numel() for p in PadeUnit().parameters()) == 10


@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 5), (2, 3, 4, 5, 2), (40_000,)])
def test_value_and_gradients_are_those_of_the_formula(shape):
    x, (a, b) = values(*shape), coefficients()
    ours, theirs = pade(x, a, b), formula(x, a, b)
    torch.testing.assert_close(ours, theirs)
    push = torch.rand_like(ours)
    for mine, expected in zip(*(torch.autograd.grad(y, (x, a, b), push) for y in (ours, theirs))):
        torch.testing.assert_close(mine, expected)


def test_gradcheck_of_first_and_second_derivatives():
    given = values(4, 3), *coefficients()
    assert torch.autograd.gradcheck(pade, given)
    assert torch.autograd.gradgradcheck(pade, given)


def test_the_slope_at_zero():
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    a, b = coefficients()
    (slope,) = torch.autograd.grad(pade(x, a, b), x)
    torch.testing.assert_close(slope, a[1:2])  # the denominator is flat there: its slopes on both sides cancel


@pytest.mark.parametrize("layout", ["channels_last_3d", "transposed", "every second"])
def test_any_layout(layout):
    x = values(2, 3, 4, 5, 6).detach()
    other = {
        "channels_last_3d": x.contiguous(memory_format=torch.channels_last_3d),
        "transposed": x.transpose(1, 3).contiguous().transpose(1, 3),
        "every second": x.repeat_interleave(2, dim=3)[:, :, :, ::2],
    }[layout].requires_grad_()
    x.requires_grad_()
    a, b = coefficients()
    outputs = pade(x, a, b), pade(other, a, b)
    torch.testing.assert_close(*outputs)
    if layout == "channels_last_3d":
        assert outputs[1].is_contiguous(memory_format=torch.channels_last_3d)
    push = torch.rand_like(x)
    for mine, expected in zip(torch.autograd.grad(outputs[1], (other, a, b), push),
                              torch.autograd.grad(outputs[0], (x, a, b), push)):  # fmt: skip
        torch.testing.assert_close(mine, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(dtype):
    unit = PadeUnit()
    x = (100 * values(50, dtype=torch.float32)).to(dtype).detach().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        y = unit(x)
    assert y.dtype == dtype and y.isfinite().all()  # x^5 is more than float16 holds
    torch.testing.assert_close(y, unit(x.float()).to(dtype))
    y.sum().backward()
    assert x.grad.dtype == dtype and unit.numerator.grad.dtype == torch.float32
    assert x.grad.isfinite().all() and unit.numerator.grad.isfinite().all()


def saved_bytes(function, *given):
    """Bytes that autograd keeps between forward and backward."""
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        answer = function(*given)
    del answer
    return sum(kept.values())


def test_only_the_input_is_kept():
    x, (a, b) = values(50_000, dtype=torch.float32), coefficients(torch.float32)
    assert saved_bytes(pade, x, a, b) <= 4 * (50_000 + 10)
    assert saved_bytes(plain, x, a, b) > 8 * 4 * 50_000


def test_traced_whole_by_the_compiler():
    unit = PadeUnit()
    x = values(30, dtype=torch.float32)
    compiled = torch.compile(unit, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), unit(x))
    grads = [torch.autograd.grad(net(x).square().sum(), (x, unit.numerator)) for net in (compiled, unit)]
    for mine, expected in zip(*grads):
        torch.testing.assert_close(mine, expected)


AGAINST_CPU = """
import torch
from boundary_loss.networks import triton_pade
from boundary_loss.networks.pade import plain

draw = torch.Generator().manual_seed(0)
triton_pade.PROGRAMS = 2  # so that a program walks over several blocks
single, double, brain, half = torch.float32, torch.float64, torch.bfloat16, torch.float16
for dtype, N in [(single, 3000), (double, 1024), (brain, 700), (half, 1), (single, 0)]:
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    x = (2 * torch.randn(N, generator=draw)).to(dtype)
    x[:1] = 0
    x.requires_grad_()
    a, b = (torch.randn(n, generator=draw, dtype=wide).requires_grad_() for n in (6, 4))
    push = torch.randn(N, generator=draw).to(dtype)
    theirs = plain(x, a, b)
    tolerance = {torch.bfloat16: 2e-2, torch.float16: 2e-3, torch.float64: 1e-12}.get(dtype, 1e-5)
    torch.testing.assert_close(triton_pade.values(x.detach(), a, b), theirs, rtol=tolerance, atol=tolerance)
    of_x, of_both = triton_pade.gradients(x.detach(), a, b, push)
    expected, *of_coefficients = torch.autograd.grad(theirs, (x, a, b), push)
    torch.testing.assert_close(of_x, expected, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(of_both.to(wide), torch.cat(of_coefficients), rtol=1e-3, atol=1e-3)
"""


def test_triton_kernels_interpreted():
    """In a process of its own: Triton decides on import whether it compiles or interprets."""
    pytest.importorskip("triton")
    environment = dict(os.environ, TRITON_INTERPRET="1", PYTHONPATH=os.pathsep.join(sys.path))
    done = subprocess.run([sys.executable, "-c", AGAINST_CPU], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("triton", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_same_on_the_device(dtype, triton, monkeypatch):
    if not triton:
        monkeypatch.setattr(module, "has_triton", lambda: False)
    x, (a, b) = values(2, 16, 9, 10, 11, dtype=dtype), coefficients(torch.float32)
    there = [t.detach().cuda().requires_grad_() for t in (x, a, b)]
    ours, theirs = pade(*there), pade(x, a, b)
    tolerance = {"rtol": 2e-2, "atol": 2e-2} if dtype == torch.bfloat16 else {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(ours.cpu(), theirs, **tolerance)
    push = torch.rand_like(theirs)
    for mine, expected in zip(
        torch.autograd.grad(ours, there, push.cuda()), torch.autograd.grad(theirs, (x, a, b), push)
    ):
        torch.testing.assert_close(mine.cpu(), expected, **tolerance)
