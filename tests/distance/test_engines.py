"""The torch and Triton engines give the CPU's numbers; on CUDA everything stays there."""

import importlib.util
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from boundary_loss import distance
from boundary_loss.distance import cpu, engine, libraries, minplus, nearest_foreground, signed_distance
from boundary_loss.distance.maps import Maps

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
    """Where the edt package is installed it takes over spread masks; the numbers and signs stay."""
    pytest.importorskip("edt")
    maps = drawn((12, 9, 14))
    maps[1] = False
    maps[1, 1:3, 1:3, 1:3] = maps[1, 9:11, 6:8, 11:13] = True
    assert cpu._is_spread(maps[1])
    found = cpu.signed(maps, spacing, np.float32)
    exact = cpu.signed(maps, spacing, np.float64)
    np.testing.assert_allclose(found, exact, rtol=1e-6)


PLANES = [(1, 1), (1, 7), (9, 1), (5, 9), (40, 33), (300, 270)]


@pytest.mark.parametrize("without", [False, True])
@pytest.mark.parametrize("shape", PLANES)
def test_planes_by_opencv_and_without(shape, without, monkeypatch):
    """Where OpenCV is installed it takes planes of square pixels: the very same whole squares as without it."""
    cv2 = pytest.importorskip("cv2")
    if without:
        monkeypatch.setattr(libraries, "installed", {"edt": None, "cv2": None}.get)
    draw = np.random.default_rng(0)
    for density in (0.0005, 0.02, 0.4, 0.95):
        mask = draw.random(shape) < density
        mask.flat[mask.size // 3] = True
        exact = distance_transform_edt(~mask)
        for view, expected in ((mask, exact), (mask[::-1, ::-1], exact[::-1, ::-1]), (mask.T, exact.T)):
            squared = libraries.squared_in_plane(view, np.ones(2), np.float32)
            np.testing.assert_array_equal(squared, np.rint(expected**2))
            for dtype, tolerance in ((np.float32, 3e-7), (np.float64, 1e-12)):
                squared = libraries.squared_in_plane(view, np.full(2, 0.7), dtype)
                assert squared.dtype == dtype
                np.testing.assert_allclose(np.sqrt(squared), 0.7 * expected, rtol=tolerance)
    assert cv2.getNumThreads() >= 1


def test_which_library_measures_a_plane(monkeypatch):
    """The rule of libraries.py: square pixels and no longer than the squares can be told."""
    asked = []
    monkeypatch.setattr(libraries, "installed", lambda name: asked.append(name))
    mask = np.zeros((3, 2000), bool)
    mask[0, 0] = True
    for plane, spacing in ((mask, [1.0, 1.0]), (mask[:, :50], [1.0, 1.5])):
        libraries.squared_in_plane(plane, np.array(spacing), np.float32)
        assert not asked
    libraries.squared_in_plane(mask[:, :50], np.array([1.5, 1.5]), np.float32)
    assert asked == ["cv2"]


def test_opencv_keeps_its_threads_to_itself():
    """It starts none beside ours, whoever uses it gets theirs back, and a forked process measures as well."""
    cv2 = pytest.importorskip("cv2")
    before = cv2.getNumThreads()
    maps = drawn((40, 33))
    try:
        cv2.setNumThreads(3)
        with libraries.opencv_in_one_thread():
            assert cv2.getNumThreads() == 1
            with libraries.opencv_in_one_thread():
                pass
            assert cv2.getNumThreads() == 1
        assert cv2.getNumThreads() == 3
        large = np.random.default_rng(0).random((400, 400)) < 0.001
        cv2.distanceTransform((~large).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)  # its pool runs
        expected = cpu.distances_to(maps, np.ones(2), np.float32)
        with multiprocessing.get_context("fork").Pool(1) as pool:
            forked = pool.apply_async(cpu.distances_to, (maps, np.ones(2), np.float32)).get(timeout=60)
        np.testing.assert_array_equal(forked, expected)
    finally:
        cv2.setNumThreads(before)


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
        patch.delenv("TRITON_INTERPRET")  # the tests on a GPU, in this same process, compile
        for tile, size in {"ROWS": 4, "COLUMNS": 4, "SCAN_ELEMENTS": 64}.items():
            patch.setattr(module, tile, size)  # the interpreter's time is in the tiles, full or not
        yield module


@pytest.mark.filterwarnings("ignore")  # the interpreter computes inf - inf on masked lanes
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("faces", [False, True])
def test_triton_equals_cpu(interpreted, shape, faces):
    maps = torch.from_numpy(drawn(shape))
    for spacing in spacings(shape):
        found = interpreted.distances(Maps(maps), spacing, faces=faces, signed=False)
        exact = cpu.distances_to(maps.numpy(), spacing, np.float64, faces=faces)
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
        np.testing.assert_allclose(plain.cpu(), cpu.distances_to(maps.numpy(), spacing, np.float64), rtol=1e-6)


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
    assert nearest_foreground(labels.cuda() == 1, [0.7, 2.0]).is_cuda
