"""Signed maps: the original's numbers, the conventions, the empty and full rule, the ignored label."""

from pathlib import Path

import numpy as np
import pytest
import torch

from boundary_loss.distance import inside_distance, one_hot2dist, signed_distance

ORIGINAL = Path(__file__).parent / "original.npz"
SPACINGS = {
    "2d": {"none": None, "iso09": [0.9, 0.9], "aniso": [0.7, 1.3]},
    "3d": {"none": None, "zfirst": [5.0, 0.9, 0.9], "zlast": [0.9, 0.9, 5.0]},
}
CASES = [(dims, name) for dims in SPACINGS for name in SPACINGS[dims]]


@pytest.fixture(scope="module")
def original() -> dict[str, np.ndarray]:
    with np.load(ORIGINAL, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def both_kinds(labels: np.ndarray) -> list[int]:
    """The items that hold object and background: of the others the original's map is arbitrary."""
    return [i for i, item in enumerate(labels) if 0 < item.sum() < item.size]


@pytest.mark.parametrize("dims, name", CASES)
def test_original_in_float(original, dims, name):
    labels = original[f"labels_{dims}_k2"]
    expected = original[f"one_hot2dist_f32_{dims}_k2_{name}"]
    for i in both_kinds(labels):
        one_hot = np.stack([labels[i] == 0, labels[i] == 1])
        np.testing.assert_allclose(one_hot2dist(one_hot, SPACINGS[dims][name]), expected[i], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["none", "iso09"])
def test_original_truncated(original, name):
    labels = original["labels_2d_k2"]
    expected = original[f"one_hot2dist_asused_int32_2d_k2_{name}"]
    spacing = SPACINGS["2d"][name]
    items = both_kinds(labels)
    maps = signed_distance(labels[items], spacing, num_classes=2, convention="paper-int", spatial_dims=2)
    np.testing.assert_array_equal(maps, expected[items])
    one_hot = np.stack([labels[0] == 0, labels[0] == 1]).astype(np.int32)
    truncated = one_hot2dist(one_hot, spacing, dtype=one_hot.dtype)
    assert truncated.dtype == np.int32
    np.testing.assert_array_equal(truncated, expected[0])


@pytest.mark.parametrize("dims, name", [("2d", "none"), ("2d", "aniso"), ("3d", "none"), ("3d", "zfirst")])
def test_original_inside(original, dims, name):
    labels = original[f"labels_{dims}_k2"]
    masks = torch.from_numpy(np.stack([labels == 0, labels == 1], axis=1))
    found = inside_distance(masks, SPACINGS[dims][name]).numpy()
    expected = original[f"one_hot2hd_dist_f32_{dims}_k2_{name}"]
    items = both_kinds(labels)
    np.testing.assert_allclose(found[items], expected[items], rtol=1e-6)
    assert not found[[i for i in range(len(labels)) if i not in items]].any()
