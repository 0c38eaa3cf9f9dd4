"""Exact distances: SciPy as judge, laws, edge cases, bad input."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import distance_transform_edt

from boundary_loss.distance import either_distance, euclidean_distance, inside_distance, nearest_foreground
from boundary_loss.native import distances as compiled

SHAPES = [(7,), (1, 6), (5, 9), (33, 70), (3, 4, 5), (9, 1, 7), (12, 35, 17)]
SPACING = [0.7, 1.3, 5.0]


@st.composite
def masks(draw, dims: int = 2):
    """A mask with foreground, and a spacing."""
    shape = draw(array_shapes(min_dims=dims, max_dims=dims, max_side=9))
    mask = draw(arrays(bool, shape))
    mask.flat[draw(st.integers(0, mask.size - 1))] = True
    spacing = draw(st.lists(st.floats(0.25, 4), min_size=dims, max_size=dims))
    return mask, spacing


def scipy_distance(mask: np.ndarray, spacing) -> np.ndarray:
    return distance_transform_edt(~mask, sampling=spacing)


@pytest.fixture(params=["compiled", "plain"])
def engines(request, monkeypatch):
    """With the compiled kernels, and without."""
    if request.param == "plain":
        monkeypatch.setattr(compiled, "available", lambda: False)
    elif not compiled.available():
        pytest.skip("needs the compiled kernels")


@pytest.mark.usefixtures("engines")
@pytest.mark.parametrize("shape", [*SHAPES, (130, 140)])
@pytest.mark.parametrize("density", [0.001, 0.02, 0.4, 0.95])
def test_equals_scipy(shape, density):
    mask = np.random.default_rng(0).random(shape) < density
    mask.flat[mask.size // 2] = True
    spacing = SPACING[: len(shape)]
    exact = scipy_distance(mask, spacing)
    np.testing.assert_allclose(euclidean_distance(mask, spacing), exact, rtol=5e-7)
    np.testing.assert_allclose(euclidean_distance(mask, spacing, dtype=np.float64), exact, rtol=1e-12)
    np.testing.assert_allclose(euclidean_distance(mask), scipy_distance(mask, None), rtol=5e-7)


@pytest.mark.parametrize("where", ["corner", "slab", "hole"])
def test_large_maps(where):
    """Large enough for threads, blocks and the crop to be at work."""
    mask = np.zeros((3, 40, 64, 50), bool)
    if where == "corner":
        mask[:, 0, 0, 0] = True
    elif where == "slab":
        mask[:, :, 20:30] = True
    else:
        mask[:] = True
        mask[:, 10:20, 30:50, 5:25] = False
    found = euclidean_distance(mask, [3.0, 1.0, 0.5], spatial_dims=3)
    for n in range(len(mask)):
        np.testing.assert_allclose(found[n], scipy_distance(mask[n], [3.0, 1.0, 0.5]), rtol=5e-7)


def test_empty_full_and_one_voxel():
    assert np.isposinf(euclidean_distance(np.zeros((3, 4)))).all()
    assert (euclidean_distance(np.zeros((3, 4)), max_distance=7) == 7).all()
    assert not euclidean_distance(np.ones((3, 4, 2))).any()
    assert euclidean_distance(np.ones((1, 1))) == 0
    assert np.isposinf(euclidean_distance(np.zeros((1, 1))))
    assert euclidean_distance(np.zeros((0, 4, 4)), [1, 1], spatial_dims=2).shape == (0, 4, 4)


def test_kinds_in_kinds_out():
    mask = np.eye(5, 7)
    tensor = torch.from_numpy(mask)
    expected = scipy_distance(mask > 0, None)
    for given_mask in (mask, mask.astype(np.uint16), mask[::-1][::-1], np.asfortranarray(mask), mask > 0):
        found = euclidean_distance(given_mask)
        assert isinstance(found, np.ndarray) and found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=5e-7)
    read_only = mask.copy()
    read_only.flags.writeable = False
    np.testing.assert_allclose(euclidean_distance(read_only), expected, rtol=5e-7)
    found = euclidean_distance(tensor, dtype=torch.float64)
    assert isinstance(found, torch.Tensor) and found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), expected)
    assert not euclidean_distance(tensor.requires_grad_()).requires_grad


@pytest.mark.parametrize("shape", [(40,), (60, 70), (12, 40, 33)])
def test_max_distance(shape):
    """The transform ends there; it gives what cutting the whole one gives."""
    masks = np.zeros((4, *shape), bool)
    masks[0].flat[masks[0].size // 3] = True
    masks[1] = np.random.default_rng(0).random(shape) < 0.01
    masks[2][tuple(slice(n // 2) for n in shape)] = True
    spacing = SPACING[: len(shape)]
    for limit in (0.3, 2, 7.5, 1000):
        whole = euclidean_distance(masks, spacing, spatial_dims=len(shape))
        found = euclidean_distance(masks, spacing, spatial_dims=len(shape), max_distance=limit)
        np.testing.assert_allclose(found, np.minimum(whole, limit), rtol=5e-7)
    for wrong in (0, -1, np.nan):
        with pytest.raises(ValueError, match="max_distance must be positive"):
            euclidean_distance(masks[0], spacing, max_distance=wrong)


@given(masks(), masks())
@settings(max_examples=25, deadline=None)
def test_batch_is_singles(one, other):
    (mask, spacing), second = one, np.resize(other[0], one[0].shape)
    batch = np.stack([mask, second])
    found = euclidean_distance(batch, spacing, spatial_dims=2)
    np.testing.assert_array_equal(found[0], euclidean_distance(mask, spacing))
    np.testing.assert_array_equal(found[1], euclidean_distance(second, spacing))
    each = euclidean_distance(batch, [spacing, [1.0, 2.0]])
    np.testing.assert_array_equal(each[0], found[0])
    np.testing.assert_array_equal(each[1], euclidean_distance(second, [1.0, 2.0]))


@given(st.one_of(masks(1), masks(2), masks(3)), st.data())
@settings(max_examples=60, deadline=None)
def test_laws(case, data):
    mask, spacing = case
    found = euclidean_distance(mask, spacing)
    np.testing.assert_allclose(found, scipy_distance(mask, spacing), rtol=5e-7)
    assert ((found == 0) == mask).all()
    axis = data.draw(st.integers(0, mask.ndim - 1))
    np.testing.assert_allclose(euclidean_distance(np.flip(mask, axis), spacing), np.flip(found, axis), rtol=5e-7)
    order = data.draw(st.permutations(range(mask.ndim)))
    turned = euclidean_distance(mask.transpose(order), [spacing[a] for a in order])
    np.testing.assert_allclose(turned, found.transpose(order), rtol=5e-7)
    np.testing.assert_allclose(euclidean_distance(mask, [2.5 * s for s in spacing]), 2.5 * found, rtol=5e-7)
    smaller = mask & data.draw(arrays(bool, mask.shape))
    assert (euclidean_distance(smaller, spacing) >= found * (1 - 5e-7)).all()  # fewer voxels to be near to
    for a, step in enumerate(spacing):  # walking one voxel changes the distance by no more than the step
        assert (abs(np.diff(found, axis=a)) <= step * (1 + 1e-6)).all()


def test_translation():
    mask = np.zeros((40, 50), bool)
    mask[10:14, 20:22] = True
    moved = np.roll(mask, (5, 7), axis=(0, 1))
    near = euclidean_distance(mask)[3:20, 10:30]
    np.testing.assert_array_equal(near, euclidean_distance(moved)[8:25, 17:37])


@given(st.one_of(masks(1), masks(2), masks(3)))
@settings(max_examples=40, deadline=None)
def test_nearest(case):
    mask, spacing = case
    index = nearest_foreground(mask, spacing)
    assert mask[tuple(index)].all()
    own = np.indices(mask.shape)
    scale = np.reshape(spacing, (-1, *[1] * mask.ndim))
    length = np.sqrt((((index - own) * scale) ** 2).sum(axis=0))
    np.testing.assert_allclose(length, scipy_distance(mask, spacing), rtol=1e-12)
    assert (nearest_foreground(mask & False, spacing) == -1).all()
    assert nearest_foreground(np.stack([mask, mask]), spacing, spatial_dims=mask.ndim).shape == (
        2,
        mask.ndim,
        *mask.shape,
    )


def test_inside():
    masks = torch.zeros(2, 3, 6, 7, dtype=torch.bool)
    masks[0, 0, 1:5, 2:6] = True
    masks[1, 1] = True
    found = inside_distance(masks, [2.0, 1.0])
    expected = distance_transform_edt(masks[0, 0].numpy(), sampling=[2.0, 1.0])
    np.testing.assert_allclose(found[0, 0].numpy(), expected, rtol=5e-7)
    assert not found[1].any() and not found[0, 1:].any()


def test_two_classes_by_one_transform():
    """The masks of two classes that share the image have the distances that they have one by one."""
    second = torch.from_numpy(np.random.default_rng(0).random((4, 9, 11)) < 0.3)
    second[2], second[3] = False, True
    halves = torch.stack([~second, second], dim=1)
    for spacing in (None, [2.0, 0.7], [[1.0, 1.0], [2.0, 0.7], [1.0, 3.0], [1.0, 1.0]]):
        for distance in (inside_distance, either_distance):
            together = distance(halves, spacing)
            singly = torch.cat([distance(halves[:, k : k + 1], spacing) for k in (0, 1)], dim=1)
            torch.testing.assert_close(together, singly, rtol=0, atol=0)
            assert together.shape == halves.shape and not (together[2:].any() or torch.signbit(together).any())
    overlapping = halves.clone()
    overlapping[0, 0] = True
    torch.testing.assert_close(inside_distance(overlapping)[0, 1], inside_distance(halves)[0, 1])
    assert not inside_distance(overlapping)[0, 0].any()


@pytest.mark.parametrize(
    "mask, options, complaint",
    [
        (np.zeros((2, 3)), {"spacing_mm": [1.0, 0.0]}, "positive"),
        (np.zeros((2, 3)), {"spacing_mm": [1.0, np.nan]}, "positive"),
        (np.zeros((2, 3)), {"spacing_mm": 1.0}, "one number an axis"),
        (np.zeros((2, 3)), {"spacing_mm": [1.0, 1.0], "spatial_dims": 1}, "spatial_dims=1"),
        (np.zeros((2, 3)), {"spatial_dims": 3}, "3 spatial axes"),
        (np.zeros((2, 2, 2, 2)), {}, "say how many"),
        (np.zeros(()), {}, "0 spatial axes"),
        (np.zeros((3, 2, 2)), {"spacing_mm": [[1.0, 1.0], [1.0, 1.0]]}, "2 rows, .* 3 items"),
        (np.zeros((2, 2)), {"spacing_mm": [[1.0, 1.0], [1.0, 1.0]], "spatial_dims": 2}, "no axis of items"),
        (np.zeros((2, 3)), {"spacing_mm": [1.0]}, "has 1 number, .*spatial_dims=1"),
        (np.zeros((2, 3, 4)), {"spacing_mm": [1.0, 1.0]}, "has 2 numbers, .*spatial_dims=2"),
        (np.zeros((2, 3, 4, 5)), {"spacing_mm": [1.0, 1.0, 1.0]}, "spatial_dims="),
        (np.zeros((2, 3)), {"spacing_mm": ["x", 1.0]}, "list numbers"),
        (np.zeros((2, 3)), {"spatial_dims": 1.5}, "spatial_dims must be 1 to 3, got 1.5"),
        (np.zeros((2, 3), complex), {}, "numbers"),
        (torch.zeros(2, 3, dtype=torch.complex64), {}, "real numbers"),
        (np.zeros((2, 3)), {"dtype": np.int32}, "float32 or float64"),
        (np.array([["a"]]), {}, "numbers"),
    ],
)
def test_bad_input(mask, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        euclidean_distance(mask, **options)


@pytest.mark.parametrize("distance", [inside_distance, either_distance])
def test_inside_wants_classes_and_a_number_an_axis(distance):
    with pytest.raises(ValueError, match=r"\(B, K, ...\)"):
        distance(torch.zeros(4, 4))
    for masks in (torch.zeros(1, 3, 4, 4), torch.tensor([True, False]).view(1, 2, 1, 1).expand(1, 2, 4, 4)):
        with pytest.raises(ValueError, match=r"spacing_mm has 3 numbers, .*\(B, K, ...\) have 2 spatial axes"):
            distance(masks, [1.0, 1.0, 5.0])
