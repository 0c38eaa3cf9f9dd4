"""One table of all losses that take a segmentation or its distance maps, for the laws that all must obey."""

import pytest
import torch

from boundary_loss import signed_distance
from boundary_loss.losses import LOSSES

SHAPES = {"2d": (5, 4), "3d": (3, 4, 2)}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(params=sorted(set(LOSSES) - {"diceloss", "surface"}))
def name(request):
    return request.param


@pytest.fixture(params=SHAPES)
def shape(request):
    return SHAPES[request.param]


@pytest.fixture
def example():
    """``example(loss, B, K, shape)`` -> probabilities (float64, requiring gradients), labels, the loss's target."""

    def make(loss, B, K, shape, seed=0):
        draw = torch.Generator().manual_seed(seed)
        probs = torch.randn(B, K, *shape, generator=draw, dtype=torch.float64).softmax(1)
        labels = torch.randint(0, K, (B, *shape), generator=draw)
        return probs.requires_grad_(), labels, _target_of(loss, labels, K)

    return make


@pytest.fixture
def target_of():
    return _target_of


def _target_of(loss, labels, K):
    if loss.target == "distance":
        return signed_distance(labels, num_classes=K, convention="symmetric", dtype=torch.float64)
    return labels
