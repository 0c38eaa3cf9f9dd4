"""The torch and Triton engines give the CPU's numbers; on CUDA everything stays there."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from boundary_loss import distance
from boundary_loss.distance import cpu, engine, minplus, nearest_foreground, signed_distance

SHAPES = [(7,), (5, 9), (3, 33), (3, 4, 5), (4, 1, 6)]


def drawn(shape: tuple[int, ...]) -> np.ndarray:
    """Four maps: noise, one voxel, empty, full."""
    maps = np.zeros((4, *shape), bool)
    maps[0] = np.random.default_rng(1).random(shape) < 0.4
    maps[1].flat[maps[1].size // 3] = True
    maps[3] = True
    return maps


def spacings(shape: tuple[int, ...]) -> list[np.ndarray]:
    """One spacing for all maps, and one for each."""
    return [np.array([0.7, 1.3, 5.0])[: len(shape)], np.random.default_rng(2).uniform(0.5, 3, (4, len(shape)))]


@pytest.mark.parametrize("faces", [False, True])
@pytest.mark.parametrize("shape", [*SHAPES, (40, 33), (6, 20, 31)])
def test_torch_equals_cpu(shape, faces, monkeypatch):
    monkeypatch.setattr(minplus, "CHUNK", 5000)  # so that there are several chunks
    maps = drawn(shape)
    for spacing in spacings(shape):
        exact = cpu.distances_to(maps, spacing, np.float64, faces=faces)
        for dtype, tolerance in ((torch.float32, 5e-7), (torch.float64, 1e-12)):
            found = minplus.distances_to(torch.from_numpy(maps), spacing, dtype, faces=faces)
            np.testing.assert_allclose(found.numpy(), exact, rtol=tolerance)
        single = cpu.distances_to(maps, spacing, np.float32, faces=faces)
        np.testing.assert_allclose(single, exact, rtol=5e-7)


@pytest.mark.parametrize("spacing", [np.array([0.7, 1.3, 5.0]), np.array([[1.0, 1.0, 1.0], [2.0, 0.5, 1.0]] * 2)])
def test_across_with_edt(spacing):
    """Where the edt package is installed it takes over spread masks; the numbers stay."""
    pytest.importorskip("edt")
    maps = drawn((12, 9, 14))
    maps[1] = False
    maps[1, 1:3, 1:3, 1:3] = maps[1, 9:11, 6:8, 11:13] = True
    assert cpu._is_spread(maps[1])
    found = cpu.distances_across(maps, spacing, np.float32)
    exact = cpu.distances_across(maps, spacing, np.float64)
    np.testing.assert_allclose(found, exact, rtol=1e-6)


def test_torch_nearest():
    maps = torch.from_numpy(drawn((6, 7, 5)))
    spacing = np.array([1.0, 2.0, 0.5])
    index = minplus.nearest(maps, spacing)
    own = torch.stack(torch.meshgrid(*[torch.arange(n) for n in maps.shape[1:]], indexing="ij"))
    length = (((index - own) * torch.from_numpy(spacing).view(3, 1, 1, 1)) ** 2).sum(dim=1).sqrt()
    exact = cpu.distances_to(maps.numpy(), spacing, np.float64)
    np.testing.assert_allclose(length[:2], exact[:2], rtol=1e-12)
    assert (index[2] == -1).all()


@pytest.fixture(scope="module")
def interpreted():
    """The Triton engine run by Triton's interpreter, on CPU tensors."""
    pytest.importorskip("triton")
    path = Path(distance.__file__).parent / "triton_edt.py"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        spec = importlib.util.spec_from_file_location("interpreted_triton_edt", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module


@pytest.mark.filterwarnings("ignore")  # the interpreter computes inf - inf on masked lanes
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("faces", [False, True])
def test_triton_equals_cpu(interpreted, shape, faces):
    maps = torch.from_numpy(drawn(shape))
    for spacing in spacings(shape):
        found = interpreted.distances(maps, spacing, faces=faces, across=False)
        exact = cpu.distances_to(maps.numpy(), spacing, np.float64, faces=faces)
        np.testing.assert_allclose(found, exact, rtol=5e-7)
        found = interpreted.distances(maps, spacing, faces=faces, across=True)
        exact = engine.distances_across(maps, spacing, torch.float64, faces=faces)
        np.testing.assert_allclose(found, exact, rtol=5e-7)


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("shape", [*SHAPES, (250, 190), (512, 512), (33, 70, 45), (96, 144, 224)])
def test_cuda_equals_cpu(shape):
    maps = torch.from_numpy(drawn(shape))
    for spacing in spacings(shape):
        for faces in (False, True):
            for find in (engine.distances_to, engine.distances_across):
                found = find(maps.cuda(), spacing, torch.float32, faces=faces)
                assert found.is_cuda
                np.testing.assert_allclose(found.cpu(), find(maps, spacing, torch.float64, faces=faces), rtol=1e-6)
        plain = minplus.distances_to(maps.cuda(), spacing, torch.float32)
        np.testing.assert_allclose(plain.cpu(), cpu.distances_to(maps.numpy(), spacing, np.float64), rtol=1e-6)


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_signed_maps():
    labels = torch.from_numpy(np.random.default_rng(0).integers(0, 3, (2, 30, 41)))
    labels[0, :3] = 255
    for options in ({}, {"convention": "interface", "absent": "far"}, {"convention": "paper-int"}):
        found = signed_distance(labels.cuda(), [0.7, 2.0], num_classes=3, **options)
        expected = signed_distance(labels, [0.7, 2.0], num_classes=3, **options)
        assert found.is_cuda
        np.testing.assert_allclose(found.cpu(), expected, rtol=1e-6, atol=1e-6)
    assert nearest_foreground(labels.cuda() == 1, [0.7, 2.0]).is_cuda
