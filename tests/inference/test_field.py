"""Whole volumes asked of fields: dense, as OSS-Net asks, and coarse to fine; what each of them may miss."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from scipy import ndimage

from boundary_loss.inference.field import Lattice, _dilated, coarse, dense, prior, probabilities
from boundary_loss.networks import build_network


class Code(NamedTuple):
    labels: torch.Tensor
    aux: torch.Tensor | None


@dataclass
class Known:
    """A field that gives the class of the nearest voxel of its volume, (1, X, Y, Z) of classes."""

    classes: int = 2
    bytes_per_point: int = 10
    aux: Any = None
    asked: list[torch.Tensor] = field(default_factory=list)

    def encode(self, volume):
        return Code(volume[0, 0].long(), self.aux)

    def at(self, code, points):
        assert points.shape[0] == 1 and 0 < points.shape[1] <= 1000
        self.asked.append(points[0])
        x, y, z = points[0].round().long().T
        return torch.nn.functional.one_hot(code.labels[x, y, z], self.classes).float().T[None]


def blobs(shape, *, classes=2, smooth=1.5, seed=0):
    """Classes of a smoothed random field: of all sizes, down to single voxels."""
    rough = np.random.default_rng(seed).standard_normal(shape)
    values = ndimage.gaussian_filter(rough, smooth, mode="nearest")
    limits = np.quantile(values, np.linspace(0.6, 1, classes, endpoint=False))[: classes - 1]
    return torch.from_numpy(np.digitize(values, limits).astype(np.uint8))


def test_probabilities_are_the_softmax_everywhere():
    labels = blobs((9, 5, 7), classes=3)
    found = probabilities(Known(3), labels[None], memory=100 * 10)
    assert found.shape == (3, 9, 5, 7) and torch.equal(found.argmax(0), labels.long())
    torch.testing.assert_close(found.amax(0), torch.tensor([1.0, 0, 0]).softmax(0)[0].expand(9, 5, 7))


SHAPES = [(21, 17, 13), (16, 16, 16), (1, 9, 30), (4, 5, 3), (17, 1, 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_dense_gives_back_every_voxel(shape):
    labels = blobs(shape, classes=3)
    found = dense(Known(3), labels[None], memory=997 * 10)
    assert torch.equal(found.labels, labels) and found.labels.dtype == torch.uint8
    assert found.evaluated == labels.numel()


def missed_components_hold_no_corner(labels, found, stride):
    """Every wrong voxel is in a component, of 26 neighbours, that no corner of the cells is in."""
    last = [size - 1 for size in labels.shape]
    corners = np.zeros(labels.shape, bool)
    corners[np.ix_(*[sorted({min(i, end) for i in range(0, end + stride, stride)}) for end in last])] = True
    for value in np.unique(labels):
        parts, _ = ndimage.label(labels.numpy() == value, np.ones((3, 3, 3)))
        wrong = np.unique(parts[(parts > 0) & (found.numpy() != labels.numpy())])
        assert not np.isin(parts[corners], wrong).any()
    return int((found != labels).sum())


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
@pytest.mark.parametrize("shape", SHAPES)
def test_coarse_misses_components_without_a_corner_and_nothing_else(shape, stride):
    missed = 0
    for seed in range(6):
        for smooth in (0.6, 1.0, 2.0):
            labels = blobs(shape, classes=2 + seed % 2, smooth=smooth, seed=seed)
            found = coarse(Known(3), labels[None], stride=stride, memory=1000 * 10)
            missed += missed_components_hold_no_corner(labels, found.labels, stride)
            assert found.evaluated <= labels.numel()
    assert stride > 1 or missed == 0
    assert stride == 1 or min(shape) < 10 or missed > 0  # or this has tried nothing


def test_coarse_asks_no_voxel_twice_and_few_of_a_large_object():
    x = torch.stack(torch.meshgrid(*[torch.arange(64.0)] * 3, indexing="ij"), dim=-1)
    labels = ((x - 30).square().sum(-1) < 400).to(torch.uint8)
    network = Known()
    found = coarse(network, labels[None], memory=1000 * 10)
    assert torch.equal(found.labels, labels)
    asked = torch.cat(network.asked)
    assert len(asked.unique(dim=0)) == len(asked) == found.evaluated < labels.numel() / 6


@pytest.mark.parametrize("value", [0, 1])
def test_a_uniform_volume_takes_the_corners_alone(value):
    labels = torch.full((9, 12, 5), value, dtype=torch.uint8)
    found = coarse(Known(), labels[None], memory=1000 * 10)
    assert torch.equal(found.labels, labels)
    assert found.evaluated == 3 * 4 * 2


def test_a_thin_winding_object_is_followed_from_the_corners_it_holds():
    labels = torch.zeros(33, 33, 33, dtype=torch.uint8)
    labels[0, 0, :31] = labels[0, 1:31, 30] = labels[1:31, 30, 30] = labels[30, 30, 3:30] = labels[30, 3:30, 3] = 1
    found = coarse(Known(), labels[None], stride=8, memory=1000 * 10)
    assert torch.equal(found.labels, labels)
    labels[0, 0, ::8] = labels[0, ::8, 0] = 0  # now in pieces, and no corner is in the long one
    found = coarse(Known(), labels[None], stride=8, memory=1000 * 10)
    assert not found.labels.any()


@pytest.mark.parametrize("way", [dense, coarse, prior])
def test_another_resolution_is_asked_of_the_field(way):
    labels = blobs((20, 16, 12), smooth=3)
    finer = Lattice((39, 16, 6), scale=(0.5, 1.0, 2.0), offset=(0.2, 0.0, 0.1))
    found = way(Known(), labels[None], finer, memory=1000 * 10)
    places = [(torch.arange(n) * s + o).round().long() for n, s, o in zip(finer.shape, finer.scale, finer.offset)]
    expected = labels[places[0]][:, places[1]][:, :, places[2]]
    assert found.labels.shape == (39, 16, 6)
    if way is dense:
        assert torch.equal(found.labels, expected)
    else:
        assert (found.labels != expected).float().mean() < 0.02


def reference_prior(labels, aux):
    """The rule of the paper, on single voxels."""
    shape = labels.shape
    coarse_map = torch.nn.functional.interpolate(
        aux, [-(-size // 4) for size in shape], mode="trilinear", align_corners=True
    )
    found = torch.zeros(shape, dtype=torch.uint8)
    grid = (slice(None, None, 4),) * 3
    found[grid] = labels[grid] * (coarse_map[0, 0] > 0.5)
    for stride in (2, 1):
        near = torch.nn.functional.max_pool3d((found > 0).float()[None, None], 3**stride, 1, 3**stride // 2)[0, 0]
        grid = (slice(None, None, stride),) * 3
        found[grid] = torch.where(near[grid] > 0, labels[grid], found[grid])
    return found


def test_prior_is_the_rule_of_the_paper():
    labels = blobs((24, 20, 12), smooth=2)
    chance = torch.rand(1, 1, 3, 3, 2, generator=torch.Generator().manual_seed(0))
    aux = torch.cat([torch.zeros_like(chance), chance.logit()], dim=1)
    network = Known(aux=aux)
    found = prior(network, labels[None], memory=1000 * 10)
    assert torch.equal(found.labels, reference_prior(labels, chance))
    assert (found.labels != labels).any() and found.evaluated < labels.numel()
    everywhere = prior(Known(), labels[None], memory=1000 * 10)
    assert torch.equal(everywhere.labels, reference_prior(labels, torch.ones(1, 1, 1, 1, 1)))


def test_dilation_equals_max_pooling():
    mask = torch.rand(9, 4, 13, generator=torch.Generator().manual_seed(0)) < 0.03
    for radius in (1, 4):
        pooled = torch.nn.functional.max_pool3d(mask[None, None].float(), 2 * radius + 1, 1, radius)[0, 0] > 0
        assert torch.equal(_dilated(mask, radius), pooled)


def test_the_memory_bounds_the_points_at_a_time():
    labels, network = blobs((9, 9, 9)), Known()
    for way in (dense, coarse, prior):
        network.asked.clear()
        way(network, labels[None], memory=37 * 10 + 5)
        assert max(map(len, network.asked)) == 37
        with pytest.raises(ValueError, match="memory of 9 bytes is too little: one point takes 10 bytes"):
            way(network, labels[None], memory=9)


def test_bad_input():
    with pytest.raises(ValueError, match="stride=3 must be a power of 2"):
        coarse(Known(), blobs((4, 4, 4))[None], stride=3)
    with pytest.raises(ValueError, match=r"one volume \(C, X, Y, Z\)"):
        dense(Known(), torch.zeros(1, 1, 4, 4, 4))


def test_an_occupancy_network_is_a_field():
    torch.manual_seed(0)
    net = build_network("OSSNet(width=12,channels=8)", 2, 2).eval()
    volume = torch.randn(2, 18, 11, 9)
    found = dense(net, volume, memory=100 * net.bytes_per_point)
    points = torch.cartesian_prod(*[torch.arange(float(size)) for size in (18, 11, 9)])
    with torch.no_grad():
        expected = net(volume[None], points[None])["logits"][0].argmax(0).view(18, 11, 9)
    assert (found.labels == expected).float().mean() > 0.999
    assert (coarse(net, volume).labels == found.labels).float().mean() > 0.5
    assert prior(net, volume).labels.shape == (18, 11, 9)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("way", [dense, coarse, prior])
def test_the_same_points_are_asked_on_the_device(way):
    for seed, shape in enumerate(SHAPES):
        labels = blobs(shape, classes=3, seed=seed)
        here, there = (way(Known(3), volume[None], memory=1000 * 10) for volume in (labels, labels.cuda()))
        assert torch.equal(there.labels.cpu(), here.labels) and there.evaluated == here.evaluated
