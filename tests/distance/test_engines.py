"""The torch and Triton engines give the CPU's numbers; on CUDA everything stays there."""

import importlib.util
import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from boundary_loss import distance
from boundary_loss.distance import cpu, engine, minplus, nearest_foreground, plain, signed_distance
from boundary_loss.distance.maps import Maps
from boundary_loss.native import distances as compiled

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
        exact = cpu.distances_to(Maps(torch.from_numpy(maps)), spacing, np.float64, faces=faces)
        for dtype, tolerance in ((torch.float32, 5e-7), (torch.float64, 1e-12)):
            found = minplus.distances_to(torch.from_numpy(maps), spacing, dtype, faces=faces)
            np.testing.assert_allclose(found.numpy(), exact, rtol=tolerance)
        single = cpu.distances_to(Maps(torch.from_numpy(maps)), spacing, np.float32, faces=faces)
        np.testing.assert_allclose(single, exact, rtol=5e-7)


LABELLED = [*SHAPES, (1, 1, 1), (20, 20, 1), (130, 70), (9, 40, 33)]
needs_kernels = pytest.mark.skipif(not compiled.available(), reason="needs the compiled kernels")


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64, torch.bool])
@pytest.mark.parametrize("shape", LABELLED)
def test_compiled_equals_plain(shape, dtype):
    """Both round once: the very same float32 numbers, of each class, side, spacing and limit, in one thread or more."""
    draw = np.random.default_rng(5)
    labels = torch.from_numpy(draw.choice([0, 1, 2, 100], (3, *shape), p=[0.9, 0.05, 0.04, 0.01])).to(dtype)
    labels[1] = 1
    labels[2] = 0
    labels[2].view(-1)[labels[2].numel() // 3] = 1
    maps = Maps(labels) if dtype == torch.bool else Maps(labels, (2, 1))
    rest = maps.others(ignored=None if dtype == torch.bool else 100)
    per_map = draw.uniform(0.5, 3, (len(maps), len(shape)))
    for spacing in (np.ones(len(shape)), np.full(len(shape), 0.7), spacings(shape)[0], per_map):
        for faces in (False, True):
            for limit in (np.inf, 3.0, 0.1):
                for dtype_out in (np.float32, np.float64):
                    options: Any = {"faces": faces, "limit": limit}
                    same = np.testing.assert_array_equal if dtype_out == np.float32 else _close
                    for given in (maps, rest):
                        expected = plain.distances_to(given, spacing, dtype_out, **options)
                        found = cpu.distances_to(given, spacing, dtype_out, **options)
                        same(found, np.where(np.isinf(expected), expected, np.minimum(expected, limit)))
                    options |= {"inside": 1.0, "nowhere": np.arange(len(maps)) + 0.5}
                    expected = plain.signed(maps, spacing, dtype_out, **options)
                    np.testing.assert_allclose(cpu.signed(maps, spacing, dtype_out, **options), expected, rtol=1e-6)


def _close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@needs_kernels
def test_compiled_in_any_number_of_threads(monkeypatch):
    """One large map shared by the threads, or a map each: the same bits."""
    draw = np.random.default_rng(0)
    for shape in ((1, 300, 270), (2, 40, 50, 60), (5, 33, 20)):
        maps = Maps(torch.from_numpy(draw.random(shape) < 0.003))
        found = []
        for threads in (1, 2, 3, 100):
            monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
            found.append(cpu.signed(maps, np.array([0.7, 1.3, 5.0])[: len(shape) - 1], np.float32))
        for other in found[1:]:
            np.testing.assert_array_equal(other, found[0])


@needs_kernels
def test_compiled_in_a_fork():
    maps = Maps(torch.from_numpy(np.random.default_rng(0).random((8, 120, 130)) < 0.01))
    expected = cpu.distances_to(maps, np.ones(2), np.float32)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        forked = pool.apply_async(cpu.distances_to, (maps, np.ones(2), np.float32)).get(timeout=60)
    np.testing.assert_array_equal(forked, expected)


@needs_kernels
def test_compiled_on_long_lines():
    """Where float32 would no longer hold the squares of the steps, float64 does."""
    mask = torch.zeros(1, 2, 6000, dtype=torch.bool)
    mask[0, 0, 0] = True
    found = cpu.distances_to(Maps(mask), np.array([1.0, 1.0]), np.float32)
    np.testing.assert_allclose(found[0, 1], np.hypot(np.arange(6000), 1), rtol=1e-7)
    by_faces = cpu.signed(Maps(mask), np.array([1.0, 1.0]), np.float64, faces=True)
    np.testing.assert_allclose(by_faces[0, 0, 1:], np.arange(1, 6000) - 0.5, rtol=1e-14)


def test_maps_are_made_one_at_a_time():
    labels = torch.tensor([[[0, 1, 2], [255, 1, 0]], [[2, 2, 2], [0, 0, 255]]])
    maps = Maps(labels, (1, 2))
    assert len(maps) == 4 and maps.shape == (4, 2, 3) and maps.size == 24 and maps.ndim == 3
    expected = np.stack([(labels[b] == k).numpy() for b in (0, 1) for k in (1, 2)])
    np.testing.assert_array_equal(np.stack([maps[n] for n in range(4)]), expected)
    np.testing.assert_array_equal(maps.masks(), expected)
    np.testing.assert_array_equal(maps.others().masks(), ~expected)
    known = np.repeat(labels.numpy() != 255, 2, axis=0)
    np.testing.assert_array_equal(maps.others(ignored=255).masks(), ~expected & known)
    np.testing.assert_array_equal(Maps(labels == 1).others()[0], (labels[0] != 1).numpy())


def test_torch_nearest():
    maps = torch.from_numpy(drawn((6, 7, 5)))
    spacing = np.array([1.0, 2.0, 0.5])
    index = minplus.nearest(maps, spacing)
    own = torch.stack(torch.meshgrid(*[torch.arange(n) for n in maps.shape[1:]], indexing="ij"))
    length = (((index - own) * torch.from_numpy(spacing).view(3, 1, 1, 1)) ** 2).sum(dim=1).sqrt()
    exact = cpu.distances_to(Maps(maps), spacing, np.float64)
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
        patch.delenv("TRITON_INTERPRET")  # the tests on a GPU, in this same process, compile
        for tile, size in {"ROWS": 4, "COLUMNS": 4, "KNOTS": 2, "FEW": 4, "SCAN_ELEMENTS": 64}.items():
            patch.setattr(module, tile, size)  # the interpreter's time is in the tiles, full or not
        yield module


@pytest.mark.filterwarnings("ignore")  # the interpreter computes inf - inf on masked lanes
@pytest.mark.parametrize("shape", [*SHAPES, (29, 3), (13, 2, 3)])
@pytest.mark.parametrize("faces", [False, True])
def test_triton_equals_cpu(interpreted, shape, faces):
    maps = torch.from_numpy(drawn(shape))
    for spacing in spacings(shape):
        found = interpreted.distances(Maps(maps), spacing, faces=faces, signed=False)
        exact = cpu.distances_to(Maps(maps), spacing, np.float64, faces=faces)
        np.testing.assert_allclose(found, exact, rtol=5e-7)
        found = interpreted.distances(Maps(maps), spacing, faces=faces, signed=True)
        exact = engine.signed(Maps(maps), spacing, torch.float64, faces=faces)
        np.testing.assert_allclose(found, exact, rtol=5e-7)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("shape", "dtype"), [((5, 9), torch.uint8), ((3, 2, 5), torch.int64)])
def test_triton_reads_labels(interpreted, shape, dtype):
    """One launch for a batch and its classes, from the labels; what is ignored is in no mask of the others."""
    draw = np.random.default_rng(4)
    maps = Maps(torch.from_numpy(draw.choice([0, 1, 2, 255], (2, *shape))).to(dtype), (2, 0))
    one, each = spacings(shape)
    for spacing in (one, each):
        found = interpreted.distances(maps, spacing, faces=False, signed=True)
        np.testing.assert_allclose(found, cpu.signed(maps, spacing, np.float64), rtol=5e-7)
    rest = maps.others(ignored=255)
    found = interpreted.distances(rest, one, faces=False, signed=False)
    np.testing.assert_allclose(found, cpu.distances_to(rest, one, np.float64), rtol=5e-7)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("faces", [False, True])
@pytest.mark.parametrize("shape", [(30, 5), (18, 2, 4)])
def test_all_engines_end_at_a_limit(interpreted, shape, faces):
    """Up to the limit the numbers are those without; beyond, and only there, the limit; inf where there is nothing."""
    maps = Maps(torch.from_numpy(drawn(shape)))
    for spacing in spacings(shape):
        exact = engine.signed(maps, spacing, torch.float64, faces=faces)
        for limit in (0.1, 4.0):
            expected = torch.where(exact.isinf(), exact, exact.clamp(-limit, limit))
            found = engine.signed(maps, spacing, torch.float32, faces=faces, limit=limit)
            np.testing.assert_allclose(found, expected, rtol=5e-7)
            if limit > 1:  # the interpreter is slow
                found = interpreted.distances(maps, spacing, faces=faces, signed=True, limit=limit)
                np.testing.assert_allclose(engine._limited(found, limit), expected, rtol=5e-7)
            found = minplus.distances_to(maps.masks(), spacing, torch.float64, faces=faces, limit=limit)
            np.testing.assert_allclose(engine._limited(found, limit), expected.clamp(min=0), rtol=1e-12)


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("shape", [*SHAPES, (250, 190), (512, 512), (33, 70, 45), (96, 144, 224)])
def test_cuda_equals_cpu(shape):
    maps = torch.from_numpy(drawn(shape))
    for spacing in spacings(shape):
        for faces in (False, True):
            for find, limit in ((engine.distances_to, 7.0), (engine.signed, 7.0), (engine.signed, np.inf)):
                found = find(Maps(maps.cuda()), spacing, torch.float32, faces=faces, limit=limit)
                assert found.is_cuda
                exact = find(Maps(maps), spacing, torch.float64, faces=faces, limit=limit)
                np.testing.assert_allclose(found.cpu(), exact, rtol=1e-6)
        plain = minplus.distances_to(maps.cuda(), spacing, torch.float32)
        np.testing.assert_allclose(plain.cpu(), cpu.distances_to(Maps(maps), spacing, np.float64), rtol=1e-6)


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_signed_maps():
    labels = torch.from_numpy(np.random.default_rng(0).integers(0, 3, (2, 30, 41)))
    labels[0, :3] = 255
    for options in ({}, {"convention": "interface", "absent": "far"}, {"convention": "paper-int"}, {"max_distance": 2}):
        found = signed_distance(labels.cuda(), [0.7, 2.0], num_classes=3, **options)
        expected = signed_distance(labels, [0.7, 2.0], num_classes=3, **options)
        assert found.is_cuda
        np.testing.assert_allclose(found.cpu(), expected, rtol=1e-6, atol=1e-6)
    assert nearest_foreground(labels.cuda() == 1, [0.7, 2.0], spatial_dims=2).is_cuda
