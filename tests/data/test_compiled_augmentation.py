"""The kernel in C and PyTorch alter slices alike, and the noise that they share is noise."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from boundary_loss.data import Augmentation
from boundary_loss.data.augmentation import compiled, plain
from boundary_loss.data.augmentation.drawn import Drawn, Speckle, Turn, rotations
from boundary_loss.data.augmentation.noise import normal
from boundary_loss.native import library

ALL = ["flip", "rotate(180)", "scale(0.5,2)", "elastic(4,9)", "intensity(0.9)", "noise(0.1)", "shift(5)"]
needs_kernels = pytest.mark.skipif(library() is None, reason="the kernels are not compiled")


def slices(shape: tuple[int, ...], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Smooth images (B, C, X, Y) in [0, 1] and labels of three classes, some voxels ignored."""
    numbers = torch.Generator().manual_seed(seed)
    images = torch.rand(shape, generator=numbers)
    for axis in (2, 3):
        images = (images + images.roll(1, axis) + images.roll(2, axis)) / 3
    labels = (images[:, 0] * 3).to(torch.uint8)
    return images, labels.masked_fill(images[:, -1] < 0.25, 255)


def draw(texts: list[str], images: Tensor, spacings: np.ndarray, seed: int = 3) -> Drawn:
    augmentation = Augmentation.parse(texts)
    assert augmentation is not None
    return augmentation.draw(range(len(images)), seed, images.shape[1:], spacings)


@needs_kernels
@pytest.mark.parametrize("shape", [(5, 3, 40, 31), (2, 1, 1, 1), (3, 2, 1, 50), (3, 2, 33, 1), (1, 5, 64, 80)])
@pytest.mark.parametrize("texts", [*([text] for text in ALL), ALL[:4], ALL[4:], ["flip", "scale(3,3)"], ALL])
def test_both_ways_alter_alike(shape: tuple[int, ...], texts: list[str]) -> None:
    images, labels = slices(shape)
    spacings = np.random.default_rng(1).uniform(0.5, 2, (shape[0], 2))
    drawn = draw(texts, images, spacings)
    found, expected = compiled.altered(images, labels, drawn), plain.altered(images, labels, drawn)
    torch.testing.assert_close(found[0], expected[0], atol=2e-5, rtol=1e-5)
    assert (found[1] != expected[1]).sum() <= 0.002 * labels.numel(), "either side of half-way between two pixels"
    assert found[1].dtype == torch.uint8 and set(found[1].unique().tolist()) <= {0, 1, 2, 255}


@needs_kernels
def test_flips_and_quarter_turns_are_exact() -> None:
    """Of an odd number of pixels, so that the centre is one."""
    images, labels = slices((4, 2, 33, 33))
    axes: list[tuple[int, ...]] = [(), (-2,), (-1,), (-2, -1)]
    turn = Turn.of(rotations(np.full((4, 1), np.pi / 2), "z", 2), np.ones(4), np.zeros((4, 2)))
    found = compiled.altered(images, labels, Drawn(np.ones((4, 2)), axes=axes))
    for b, along in enumerate(axes):
        assert torch.equal(found[0][b], images[b].flip(along)) and torch.equal(found[1][b], labels[b].flip(along))
    turned = compiled.altered(images, labels, Drawn(np.ones((4, 2)), axes=axes, turn=turn))
    assert torch.equal(turned[1], found[1].rot90(1, (1, 2)))
    torch.testing.assert_close(turned[0], found[0].rot90(1, (2, 3)), atol=2e-5, rtol=0)


@needs_kernels
def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = slices((7, 3, 40, 31))
    drawn, found = draw(ALL, images, np.ones((7, 2))), []
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found.append(compiled.altered(images, labels, drawn))
    assert torch.equal(found[0][0], found[1][0]) and torch.equal(found[0][1], found[1][1])


@needs_kernels
def test_what_comes_in_stays_as_it_is() -> None:
    images, labels = slices((3, 2, 20, 24))
    before = images.clone(), labels.clone()
    laid_out = images.contiguous(memory_format=torch.channels_last)
    drawn = draw(ALL, images, np.ones((3, 2)))
    assert torch.equal(compiled.altered(laid_out, labels, drawn)[0], compiled.altered(images, labels, drawn)[0])
    assert torch.equal(images, before[0]) and torch.equal(labels, before[1])


def test_what_there_is_no_kernel_for_goes_the_other_way() -> None:
    images, labels = slices((3, 2, 20, 24))
    assert compiled.can_alter(images, labels) == (library() is not None)
    assert not compiled.can_alter(images.double(), labels) and not compiled.can_alter(images, labels.long())
    assert not compiled.can_alter(images.to("meta"), labels)
    assert not compiled.can_alter(images[..., None], labels[..., None]), "volumes"


@needs_kernels
def test_a_nan_stays_one() -> None:
    images, labels = slices((1, 2, 8, 8))
    images[0, 0, 3, 4] = torch.nan
    drawn = draw(["intensity(0.1)"], images, np.ones((1, 2)))
    assert compiled.altered(images, labels, drawn)[0][0, 0].isnan().any()


def pcg3d(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The hash as its paper writes it, in NumPy's uint32."""
    x, y, z = (v * np.uint32(1664525) + np.uint32(1013904223) for v in (x, y, z))
    for last in (False, True):
        x = x + y * z
        y = y + z * x
        z = z + x * y
        if not last:
            x, y, z = (v ^ (v >> np.uint32(16)) for v in (x, y, z))
    return x, y, z


@pytest.mark.parametrize("shape", [(2, 3, 8, 9), (1, 1, 5, 7), (1, 2, 1, 1)])
def test_noise_is_the_formula(shape: tuple[int, ...]) -> None:
    streams = np.random.default_rng(0).integers(2**32, size=(shape[0], 2), dtype=np.uint32)
    found = normal(shape, torch.from_numpy(streams.view(np.int32))).double().numpy()
    voxels = shape[2] * shape[3]
    half = (voxels + 1) // 2
    for b, (low, high) in enumerate(streams):
        numbers = np.arange(shape[1] * half, dtype=np.uint32)
        first, second, _ = pcg3d(numbers, np.full_like(numbers, low), np.full_like(numbers, high))
        radius = np.sqrt(-2 * np.log(((first >> np.uint32(9)) + 0.5) / 2**23))
        angle = 2 * np.pi * second.view(np.int32) / 2**32
        for c in range(shape[1]):
            of_c = slice(c * half, (c + 1) * half)
            expected = np.concatenate([(radius * np.cos(angle))[of_c], (radius * np.sin(angle))[of_c]])[:voxels]
            np.testing.assert_allclose(found[b, c].reshape(-1), expected, atol=3e-6)


def test_noise_is_normal_and_independent() -> None:
    """Of places beside each other, of modalities, and of slices whose streams have numbers beside each other."""
    streams = torch.tensor([[5, 0], [6, 0], [5, 1], [-(2**31), 7]], dtype=torch.int32)
    noise = normal((4, 2, 256, 256), streams).double().numpy().reshape(16, -1)  # halves of the eight planes
    for half in noise:
        assert stats.kstest(half, "norm").pvalue > 1e-3
        power = np.abs(np.fft.rfft(half)[1:-1]) ** 2 / len(half)
        assert stats.kstest(power, "expon").pvalue > 1e-3, "not white"
    for between in (np.corrcoef(noise), np.corrcoef(noise**2)):
        assert np.abs(between - np.eye(16)).max() < 5 / np.sqrt(noise.shape[1])
    assert np.abs(noise).max() < 5.8 and np.abs(stats.kurtosis(noise, axis=1)).max() < 0.1


def test_streams_are_numbered_by_all_62_bits() -> None:
    speckle = Speckle.of([(0.1, 2**61 + 3), (0.2, 3), (0.3, 2**32 - 1)])
    assert speckle.streams.tolist() == [[3, 2**29], [3, 0], [2**32 - 1, 0]]
    assert speckle.deviations.tolist() == pytest.approx([0.1, 0.2, 0.3])
