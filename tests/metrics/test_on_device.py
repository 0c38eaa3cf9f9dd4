"""Distances measured with tensors; CPU tensors take the same path as those on CUDA."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from boundary_loss.metrics import measure, surface_distances

SPACINGS = {1: (2.0,), 2: (0.7, 1.3), 3: (0.9, 1.1, 5.0)}
METRICS = ("hausdorff", "hd95", "hd95_directed", "assd")


@st.composite
def pairs(draw):
    shape = draw(st.sampled_from([(9,), (5, 8), (1, 6), (4, 3, 6), (1, 1, 1)]))
    return tuple(draw(arrays(bool, shape)) for _ in "pg")


@given(pairs())
@settings(deadline=None, max_examples=60)
def test_equals_the_trees(pair):
    spacing = SPACINGS[pair[0].ndim]
    on_cpu, on_device = surface_distances(*pair, spacing), surface_distances(*pair, spacing, device="cpu")
    assert on_device.rule == on_cpu.rule
    for name in METRICS:
        assert getattr(on_device, name) == pytest.approx(getattr(on_cpu, name), rel=1e-5, abs=1e-6)


@given(pairs())
@settings(deadline=None, max_examples=30)
def test_every_distance_is_there_in_order(pair):
    assume(pair[0].any() and pair[1].any())
    spacing = [1.0] * pair[0].ndim
    on_cpu = surface_distances(*pair, spacing)
    on_device = surface_distances(*map(torch.from_numpy, pair), spacing, device="cpu")
    np.testing.assert_allclose(on_device.from_pred, on_cpu.from_pred, rtol=1e-5)
    np.testing.assert_allclose(on_device.from_gt, on_cpu.from_gt, rtol=1e-5)


@pytest.mark.parametrize(
    ("pred", "spacing", "message"),
    [
        (np.zeros((4, 3)), None, "do not match"),
        (np.full((3, 4), 2), None, "zeros and ones, found values from 2 to 2"),
        (np.zeros((3, 4)), (1.0, -1.0), "2 positive numbers"),
    ],
)
def test_bad_input_is_explained(pred, spacing, message):
    with pytest.raises(ValueError, match=message):
        surface_distances(pred, np.zeros((3, 4)), spacing, device="cpu")


def test_four_axes_are_for_the_trees():
    with pytest.raises(ValueError, match="1 to 3 axes, got 4"):
        surface_distances(np.ones((2, 2, 2, 2)), np.ones((2, 2, 2, 2)), [1.0] * 4, device="cpu")
    with pytest.raises(ValueError, match="at least one axis"):
        surface_distances(np.ones(()), np.ones(()), device="cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_measures_the_same_where_the_masks_are():
    rng = np.random.default_rng(0)
    pred, gt = (rng.random((40, 33, 21)) < 0.05 for _ in "pg")
    spacing = (0.9, 1.1, 3.0)
    on_cpu = surface_distances(pred, gt, spacing)
    on_cuda = surface_distances(torch.from_numpy(pred).cuda(), torch.from_numpy(gt).cuda(), spacing)
    for name in METRICS:
        assert getattr(on_cuda, name) == pytest.approx(getattr(on_cpu, name), rel=1e-5)
    labels = [torch.from_numpy(mask.astype(np.uint8)) for mask in (pred, gt)]
    there, here = (measure(*(label.to(d) for label in labels), spacing, metrics=["all"]) for d in ("cuda", "cpu"))
    for name, values in here.items():
        assert there[name][1] == pytest.approx(values[1], rel=1e-5), name
