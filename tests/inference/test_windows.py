"""Windows add up to the volume, as MONAI's do; slices are slices."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from boundary_loss.inference.slices import slice_by_slice
from boundary_loss.inference.windows import WindowGrid, bytes_held, gaussian_weight, sliding_windows

triples = st.tuples(*[st.integers(1, 9)] * 3)


def drawn(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=shape).astype(np.float32))


def network(channels: int = 1, classes: int = 2) -> nn.Module:
    """Sees beyond a voxel, and the window's edges: windows differ where they overlap."""
    torch.manual_seed(0)
    return nn.Conv3d(channels, classes, 3, padding=1).requires_grad_(False)


def voxelwise(windows: Tensor) -> Tensor:
    return torch.cat([windows, windows.square()], dim=1)


@given(triples, triples, st.sampled_from([0, 0.25, 0.5, 0.9]))
def test_windows_lie_within_and_leave_nothing_out(shape: Any, patch: Any, overlap: float) -> None:
    grid = WindowGrid(shape, patch, overlap)
    seen = np.zeros(grid.padded, int)
    for origin in grid.origins:
        window = tuple(slice(first, first + side) for first, side in zip(origin, patch))
        assert seen[window].shape == patch
        seen[window] += 1
    assert seen.min() == 1 or overlap > 0
    assert seen.min() >= 1
    assert sum(map(len, grid.batches(3))) == len(list(grid.origins))


@given(triples, triples, st.sampled_from([0, 0.5, 0.8]), st.integers(1, 3))
def test_a_network_of_single_voxels_gives_what_it_gives_of_the_whole(
    shape: Any, patch: Any, overlap: float, batch_size: int
) -> None:
    """One voxel, patches larger than the volume along some axes or all, uneven ones."""
    image = drawn(2, *shape)
    found = sliding_windows(voxelwise, image, patch, overlap=overlap, batch_size=batch_size)
    torch.testing.assert_close(found, voxelwise(image[None])[0], rtol=1e-5, atol=1e-5)
    assert found.is_contiguous()


@given(triples, triples, st.sampled_from([0, 0.3, 0.5, 0.9]))
def test_a_constant_network_gives_exactly_its_constant(shape: Any, patch: Any, overlap: float) -> None:
    third = torch.tensor(1 / 3)
    found = sliding_windows(lambda w: third.expand(len(w), 3, *w.shape[2:]), drawn(1, *shape), patch, overlap=overlap)
    assert found.shape == (3, *shape) and bool((found == third).all())


@pytest.mark.parametrize(
    ("shape", "patch", "overlap"),
    [
        ((20, 17, 9), (8, 8, 4), 0.5),
        ((20, 17, 9), (8, 6, 12), 0.25),
        ((5, 4, 3), (8, 8, 8), 0.5),
        ((12, 8, 8), (12, 8, 8), 0.5),
        ((1, 1, 1), (4, 4, 4), 0.5),
        ((9, 16, 3), (4, 5, 2), 0.8),
    ],
)
@pytest.mark.filterwarnings("ignore")  # of MONAI's imports
def test_it_equals_monai(shape: tuple[int, ...], patch: tuple[int, ...], overlap: float) -> None:
    inferers = pytest.importorskip("monai.inferers")
    net, image = network(2), drawn(2, *shape)
    theirs = inferers.sliding_window_inference(image[None], patch, 3, net, overlap, mode="gaussian")[0]
    found = sliding_windows(net, image, patch, overlap=overlap, batch_size=3)
    torch.testing.assert_close(found, theirs, rtol=1e-5, atol=1e-5)


def test_the_weight_is_even_and_falls_from_the_middle() -> None:
    weight = gaussian_weight((9, 8, 1))
    assert weight.shape == (9, 8, 1) and weight.dtype == torch.float32
    torch.testing.assert_close(weight, weight.flip(0).flip(1))
    assert weight.argmax() == weight[:, :, 0].flatten().argmax() and weight[4, 3, 0] == weight.max()
    assert float(weight.min()) == pytest.approx(1e-3) and float(gaussian_weight((1,))) == 1


def test_batches_and_where_the_averages_are_change_nothing() -> None:
    net, image = network(), drawn(1, 13, 9, 7)
    alone = sliding_windows(net, image, (6, 4, 4))
    for options in ({"batch_size": 5}, {"memory": 0}, {"device": "cpu"}):
        torch.testing.assert_close(sliding_windows(net, image, (6, 4, 4), **options), alone)


def test_outputs_by_name_are_averaged_each() -> None:
    net, image = network(), drawn(1, 9, 9, 6)

    def several(windows: Tensor) -> dict[str, Tensor]:
        return {"logits": net(windows), "distances": windows.tanh()}

    found = sliding_windows(several, image, (4, 4, 4), batch_size=2)
    assert list(found) == ["logits", "distances"] and found["distances"].shape == image.shape
    torch.testing.assert_close(found["logits"], sliding_windows(net, image, (4, 4, 4)))
    torch.testing.assert_close(found["distances"], image.tanh())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_whatever_the_network_computes_in_averages_are_float32(dtype: torch.dtype) -> None:
    image = drawn(1, 6, 5, 4)
    found = sliding_windows(lambda windows: windows.to(dtype), image, (4, 4, 4))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, image.to(dtype).float(), rtol=1e-5, atol=1e-5)


def test_under_autocast_it_is_that_of_the_precision() -> None:
    net, image = network(), drawn(1, 8, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        found = sliding_windows(net, image, (4, 4, 4))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, sliding_windows(net, image, (4, 4, 4)), rtol=0.05, atol=0.05)


def test_integers_are_shown_as_they_are_stored() -> None:
    image = torch.arange(60, dtype=torch.int16).view(1, 5, 4, 3)
    found = sliding_windows(lambda windows: windows.float() / 2, image, (3, 3, 3))
    torch.testing.assert_close(found, image.float() / 2)


def test_nothing_is_kept_for_a_gradient_and_the_image_stays() -> None:
    net, image = nn.Conv3d(1, 2, 1), drawn(1, 5, 5, 5)
    before = image.clone()
    assert not sliding_windows(net, image, (4, 4, 4)).requires_grad
    assert not slice_by_slice(nn.Conv2d(1, 2, 1), image).requires_grad
    assert torch.equal(image, before)


def test_what_is_held_is_said() -> None:
    assert bytes_held((10, 10, 10), 2) == 3 * 4000


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"patch": (4, 4)}, r"windows of \(4, 4\)"),
        ({"patch": (4, 0, 4)}, r"windows of \(4, 0, 4\)"),
        ({"overlap": 1.0}, "overlap=1.0 must be"),
        ({"overlap": -0.1}, "overlap=-0.1 must be"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"call": lambda w: w[..., ::2]}, r"made \(1, 1, 4, 4, 2\); expected \(1, 'K', 4, 4, 4\)"),
        ({"call": lambda w: w[0]}, "expected"),
        ({"call": lambda w: {"logits": w, "aux": w[:, :, ::2]}}, "of its output 'aux'; expected"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], says: str) -> None:
    arguments = {"call": voxelwise, "image": drawn(1, 6, 6, 6), "patch": (4, 4, 4)} | options
    with pytest.raises(ValueError, match=says):
        sliding_windows(**arguments)


@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_slices_are_shown_one_by_one(batch_size: int) -> None:
    torch.manual_seed(0)
    net, image = nn.Conv2d(2, 3, 3, padding=1).requires_grad_(False), drawn(2, 6, 5, 4)
    found = slice_by_slice(net, image, batch_size=batch_size)
    assert found.shape == (3, 6, 5, 4)
    for z in range(4):
        torch.testing.assert_close(found[..., z], net(image[None, ..., z])[0])
    several = slice_by_slice(lambda s: {"logits": net(s), "same": s.bfloat16()}, image, batch_size=batch_size)
    torch.testing.assert_close(several["logits"], found)
    assert torch.equal(several["same"], image.bfloat16().float())


@pytest.mark.parametrize("image", [drawn(6, 5, 4), drawn(2, 6, 5, 0)])
def test_what_has_no_slices_is_refused(image: Tensor) -> None:
    with pytest.raises(ValueError, match=r"expected \(C, X, Y, Z\)"):
        slice_by_slice(lambda slices: slices, image)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_it_is_the_same_wherever_image_and_averages_are() -> None:
    net, image = network(), drawn(1, 20, 17, 9)
    expected = sliding_windows(net, image, (8, 8, 4), batch_size=3)
    net = net.cuda()
    for shown, memory, where in ((image, 1e9, "cuda"), (image.cuda(), 1e9, "cuda"), (image.cuda(), 0, "cpu")):
        found = sliding_windows(net, shown, (8, 8, 4), batch_size=3, device="cuda", memory=memory)
        assert found.device.type == where
        torch.testing.assert_close(found.cpu(), expected, rtol=1e-3, atol=1e-3)
