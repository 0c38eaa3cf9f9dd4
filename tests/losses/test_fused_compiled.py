"""The kernels in C against the same sums and gradient in PyTorch, computed in float64."""

import ctypes

import pytest
import torch

from boundary_loss import FusedDiceLoss
from boundary_loss.losses import fused_compiled, fused_plain, fused_sums
from boundary_loss.native import library

pytestmark = pytest.mark.skipif(library() is None, reason="needs the compiled kernels")

DTYPES = [torch.float32, torch.bfloat16, torch.float16]
EPS = {torch.float32: 1e-6, torch.bfloat16: 2**-8, torch.float16: 2**-11}
"""Of the gradient, which is rounded to the logits' type."""


def example(B=2, K=3, N=1000, dtype=torch.float32, ignored=None, maps=True, seed=0):
    draw = torch.Generator().manual_seed(seed)
    classes = max(K, 2)
    logits = (3 * torch.randn(B, K, N, generator=draw)).to(dtype)
    labels = torch.randint(0, classes, (B, N), generator=draw)
    if ignored is not None:
        labels[:, : N // 3] = ignored
    distances = torch.randn(B, classes, N, generator=draw) if maps else None
    pulls = torch.stack([torch.randn(B, classes, generator=draw, dtype=torch.float64) for _ in range(3)], dim=1)
    return logits, labels, distances, pulls


def agree(logits, labels, distances, pulls, ignore_label=-1, p=1, exact=None, costs=None):
    """Sums and gradient of both; ``exact`` are the logits for the reference, where they are not the same tensor.

    ``costs``: (B, K) of the classes' voxels in the cross-entropy; the sums are with those of the first item.
    """
    wide = (logits if exact is None else exact).double()
    maps = None if distances is None else distances.double()
    one = None if costs is None else costs[0]
    ours = fused_compiled.sums(logits, labels, distances, ignore_label, p, one)
    theirs = fused_plain.sums(wide, labels, maps, ignore_label, p, one)
    size = max(labels.shape[1], 1) ** 0.5
    if one is not None:
        torch.testing.assert_close(ours[4], theirs[4], rtol=1e-6, atol=1e-6 * size, equal_nan=True)
    for a, b in zip(ours[:4], theirs[:4], strict=True):
        good = ~theirs[1].isnan()  # of what is NaN by Σ s^p, the other sums are free
        torch.testing.assert_close(a[good], b[good], rtol=1e-6, atol=1e-6 * size)
    assert torch.equal(ours[1].isnan(), ~good)
    assert torch.equal(ours[2], theirs[2])
    ours = fused_compiled.gradient(logits, labels, distances, ignore_label, p, pulls, costs)
    theirs = fused_plain.gradient(wide, labels, maps, ignore_label, p, pulls, costs)
    assert ours.dtype == logits.dtype and ours.stride() == torch.empty_like(logits).stride()
    eps = EPS[logits.dtype]
    torch.testing.assert_close(ours.double(), theirs, rtol=eps, atol=max(1e-5 * p, eps / 256), equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [1, 2, 3, 4, 5, 7, 8, 13, 20])
def test_any_number_of_classes(K, dtype):
    for maps in (True, False):
        agree(*example(K=K, dtype=dtype, ignored=200, maps=maps), ignore_label=200)


def some_costs(logits):
    """(B, K): from 0 to 3, other ones in each item."""
    B, K = logits.shape[0], max(logits.shape[1], 2)
    return torch.linspace(0, 3, B * K, dtype=torch.float64).reshape(K, B).T


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [1, 2, 3, 4, 5, 8, 13])
def test_cross_entropy(K, dtype):
    for maps, p, N in ((True, 2, 1000), (False, 1, 1), (False, 1, 129), (False, 3, (1 << 14) + 77)):
        logits, *others = example(K=K, N=N, dtype=dtype, ignored=200, maps=maps)
        agree(logits, *others, ignore_label=200, p=p, costs=some_costs(logits))


@pytest.mark.parametrize("labels", [torch.uint8, torch.int8, torch.int64])
def test_cross_entropy_of_labels_that_are_no_class(labels):
    logits, classes, distances, pulls = example()
    classes[:, :100], classes[:, 100:200] = 3, 100
    agree(logits, classes.to(labels), distances, pulls, ignore_label=100, costs=some_costs(logits))


@pytest.mark.parametrize("N", [0, 1, 15, 127, 128, 129, (1 << 14) - 1, (1 << 14) + 1, 3 * (1 << 14) + 77])
@pytest.mark.parametrize("K", [1, 2, 3])
def test_any_size(N, K):
    agree(*example(K=K, N=N))


def test_no_item():
    logits, labels, distances, pulls = example(B=0)
    assert [tuple(s.shape) for s in fused_compiled.sums(logits, labels, distances, -1, 1)] == [(0, 3)] * 4
    assert fused_compiled.gradient(logits, labels, distances, -1, 1, pulls).shape == logits.shape


@pytest.mark.parametrize("p", [1, 2, 3, 6])
@pytest.mark.parametrize("K", [1, 2, 4])
def test_powers(p, K):
    for maps in (True, False):
        agree(*example(K=K, ignored=-1, maps=maps), p=p)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16])
@pytest.mark.parametrize("ignored", [-1, 1, 100, 255, 2**32 + 1])
def test_labels(dtype, ignored):
    """Those that are no class, those that only other types hold, and those that an ignored label looks like."""
    logits, labels, distances, pulls = example()
    held = torch.iinfo(dtype)
    strays = [x for x in (-1, -2, 3, 100, 127, 255, 256 + 1, 2**31 - 1, 2**32 + 1) if held.min <= x <= held.max]
    labels[:, : len(strays)] = torch.tensor(strays)
    agree(logits, labels.to(dtype), distances, pulls, ignore_label=ignored)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [1, 2, 3, 4, 9])
def test_layouts(K, dtype):
    logits, labels, distances, pulls = example(K=K, N=700, dtype=dtype)
    spread = torch.stack([logits, logits + 1], 3)[..., 0]
    turned = labels.T.contiguous().T
    sliced = torch.stack([distances.double(), distances.double()], 2)[:, :, 0]
    for other in (logits.mT.contiguous().mT, logits.transpose(0, 1).contiguous().transpose(0, 1), spread):
        agree(other, turned, sliced, pulls, exact=logits)
    expanded = logits[:1].expand(2, -1, -1)
    agree(expanded, labels, distances[:1].expand(2, -1, -1), pulls)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int16])
def test_maps_of_any_type(dtype):
    logits, labels, distances, pulls = example()
    agree(logits, labels, (2 * distances).to(dtype), pulls)


NUMBERS = [0.0, -0.0, 1e-30, 1.0, -1.0, 20.0, -50.0, -90.0, 3e4, -6e4, torch.inf, -torch.inf, torch.nan]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [1, 2, 3])
def test_extreme_logits(K, dtype):
    """As torch: NaN for the voxels that hold NaN, +∞, or −∞ alone; the voxels beside them are as ever."""
    grid = torch.cartesian_prod(*[torch.tensor(NUMBERS)] * K).reshape(-1, K).T.contiguous().to(dtype)
    logits = grid.T.reshape(-1, K, 1)  # an item of its own each
    labels = torch.arange(len(logits)).remainder(max(K, 2)).unsqueeze(1)
    pulls = torch.stack(
        [torch.linspace(-1, 2, max(K, 2), dtype=torch.float64).expand(len(logits), -1) for _ in range(3)], dim=1
    )
    agree(logits, labels, None, pulls)
    agree(logits, labels, None, pulls, p=2)
    agree(logits, labels, None, pulls, costs=some_costs(logits).flip(0))


def test_exponential():
    """By the share of a class among two, 1 / (1 + e^-x): to two units in the last place of float32."""
    x = torch.cat([torch.linspace(-87, 87, 20001), torch.linspace(-1e-3, 1e-3, 2001)]).unsqueeze(1)
    _, predicted, _, _ = fused_compiled.sums(x.unsqueeze(1), torch.zeros_like(x, dtype=torch.long), None, -1, 1)
    expected = torch.stack([-x, x], 1).squeeze(2).double().sigmoid()
    assert ((predicted - expected).abs() / expected).max() < 3 * 2**-23


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rounding_of_narrow_types(dtype):
    """Every number of the type is read as it is; gradients are rounded as torch does, subnormal and infinite too."""
    every = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(dtype)
    zeros = torch.zeros(1, 2, len(every))
    labels = torch.zeros(1, len(every), dtype=torch.long)
    maps = torch.stack([every, torch.zeros_like(every)]).unsqueeze(0)
    of_boundary = torch.zeros(1, 3, 2, dtype=torch.float64)
    of_boundary[:, 2] = 1
    for scale in (4.0, 3.999, 2.0, 1e-3):  # s (φ - Σ s φ) is a quarter of φ, a power of two
        precise = fused_compiled.gradient(zeros, labels, maps, -1, 1, scale * of_boundary)
        ours = fused_compiled.gradient(zeros.to(dtype), labels, maps, -1, 1, scale * of_boundary)
        torch.testing.assert_close(ours, precise.to(dtype), rtol=0, atol=0, equal_nan=True)
    size = every.float().abs()
    finite = (size > 1e-30) & (size < 1e30)  # whose products float32 holds
    quarter = fused_compiled.gradient(zeros, labels, maps, -1, 1, 4 * of_boundary)[0, 0]
    assert torch.equal(quarter[finite], every[finite].float())


@pytest.mark.parametrize("K", [1, 2, 5])
def test_threads_do_not_show(K):
    logits, labels, distances, pulls = example(B=3, K=K, N=50_001, ignored=9)
    before, runs = torch.get_num_threads(), []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        costs = some_costs(logits)
        ours = fused_compiled.sums(logits, labels, distances, 9, 2, costs[0])
        runs.append([*ours, fused_compiled.gradient(logits, labels, distances, 9, 2, pulls, costs)])
    torch.set_num_threads(before)
    assert all(torch.equal(a, b) for run in runs[1:] for a, b in zip(runs[0], run, strict=True))


def test_channels_last_keeps_its_layout():
    logits = torch.randn(2, 3, 20, 21).to(memory_format=torch.channels_last).requires_grad_()
    labels = torch.randint(0, 3, (2, 20, 21))
    FusedDiceLoss()(logits, labels).backward()
    assert logits.grad.is_contiguous(memory_format=torch.channels_last)
    plain = logits.detach().contiguous().requires_grad_()
    FusedDiceLoss()(plain, labels).backward()
    assert torch.equal(logits.grad, plain.grad)


def test_which_engine():
    x = torch.zeros(1, 2, 3)
    assert all(fused_sums.engine(x.to(dtype)) is fused_compiled for dtype in DTYPES)
    assert fused_sums.engine(x.double()) is fused_plain


def test_without_kernels(monkeypatch):
    monkeypatch.setattr(fused_compiled, "library", lambda: None)
    assert fused_sums.engine(torch.zeros(1, 2, 3)) is fused_plain


def test_memory_that_is_not_to_be_had(monkeypatch):
    class Short:
        bl_fused_sums = bl_fused_gradient = staticmethod(lambda *_: -1)

    monkeypatch.setattr(fused_compiled, "library", Short)
    logits, labels, distances, _ = example()
    with pytest.raises(MemoryError, match=r"logits \(2, 3, 1000\)"):
        fused_compiled.sums(logits, labels, distances, -1, 1)


def test_structure_is_that_of_the_header():
    assert ctypes.sizeof(fused_compiled._Tensor) == 5 * 8
