"""The ledger's losses of a distance head: by hand, what all losses obey, and that ignored voxels do not matter."""

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from boundary_loss import DistanceHeadLoss, SDFProductLoss, class2one_hot
from boundary_loss.losses import build, gradient_norms
from boundary_loss.losses.head import HEADS
from boundary_loss.losses.regression import foreground_map, inner_edge, normalised_sdf

K = 3


def example(shape=(9, 7), seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.zeros(2, *shape, dtype=torch.long)
    labels[0, 1:5, 2:6], labels[1, 3:8, :3] = 1, 2
    output = torch.randn(2, K, *shape, generator=generator, dtype=torch.float64)
    return output.requires_grad_(), labels


@pytest.mark.parametrize("norm", ["l1", "l2", "l1+l2"])
def test_values(norm):
    output, labels = example()
    one_hot = class2one_hot(labels, K)
    chosen, maps = output[:, 1:], one_hot[:, 1:]
    torch.testing.assert_close(
        build("sdf", norm=norm, classes=[1, 2])(output, labels),
        DistanceHeadLoss("sdf", norm)(chosen, normalised_sdf(maps)),
    )
    torch.testing.assert_close(
        build("foreground", norm=norm, classes=[1, 2])(output, one_hot),
        DistanceHeadLoss("foreground", norm)(chosen, foreground_map(maps)),
    )
    torch.testing.assert_close(
        build("sdf_product", classes=[1, 2])(output, labels), SDFProductLoss()(chosen, normalised_sdf(maps))
    )


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("shape", [(9, 7), (8, 6, 4)])
def test_laws(name, shape):
    loss, items = build(name), HEADS[name](reduction="none")
    output, labels = example(shape)
    assert torch.autograd.gradcheck(loss, (output, labels))
    value = loss(output, labels)
    torch.testing.assert_close(loss(output.flip(2), labels.flip(1)), value)
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(loss(output[:, order], torch.argsort(order)[labels]), value)
    torch.testing.assert_close(items(output, labels).mean(), value)
    torch.testing.assert_close(HEADS[name](reduction="sum")(output, labels), items(output, labels).sum())
    one_hot = class2one_hot(labels, K)
    torch.testing.assert_close(loss(output, one_hot, loss.measure_target(one_hot)), value, rtol=0, atol=0)
    with torch.autocast("cpu", torch.bfloat16):
        assert loss(output.bfloat16(), labels).dtype == torch.float32


@pytest.mark.parametrize("name", HEADS)
def test_ignored_voxels_do_not_matter(name):
    loss = build(name)
    output, labels = example()
    labels[:, 2] = 255
    value = loss(output, labels)
    (gradient,) = torch.autograd.grad(value, output)
    assert (gradient[:, :, 2] == 0).all() and gradient.any()
    spoilt = output.detach().clone()
    spoilt[:, :, 2] = float("nan")
    torch.testing.assert_close(loss(spoilt, labels), value.detach(), rtol=0, atol=0)


def test_no_distance_is_measured_to_ignored_voxels():
    """An object beside them is as deep, and its edge there no edge, as if the object went on."""
    labels = torch.zeros(1, 7, 12, dtype=torch.long)
    labels[0, :, :5] = 1
    whole = class2one_hot(labels, 2)
    labels[0, :, 2] = 255
    one_hot = class2one_hot(labels, 2)
    ignored = one_hot.amax(1, keepdim=True) == 0
    expected = foreground_map(whole)[:, 1:].masked_fill(ignored, 0)
    torch.testing.assert_close(foreground_map(one_hot, ignored=ignored)[:, 1:], expected)
    maps = normalised_sdf(one_hot, ignored=ignored)
    assert (maps.masked_select(ignored.expand_as(maps)) == 0).all()
    torch.testing.assert_close(maps[:, 1:], normalised_sdf(whole)[:, 1:].masked_fill(ignored, 0))
    assert inner_edge(whole > 0)[0, 1, :, 4].all()


@pytest.mark.parametrize("name", HEADS)
def test_traced_into_a_compiled_model(name):
    torch._dynamo.reset()
    loss = build(name)
    output, labels = example()
    one_hot = class2one_hot(labels, K)
    maps = loss.measure_target(one_hot)
    traced = torch.compile(loss, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(traced(output, one_hot, maps), loss(output, one_hot, maps))


@pytest.mark.parametrize("name", HEADS)
def test_refusals(name):
    output, labels = example()
    with pytest.raises(ValueError, match="fits neither one-hot"):
        build(name)(output, labels[:, :4])
    with pytest.raises(ValueError, match="floating point"):
        build(name)(output.long(), labels)
    with pytest.raises(ValueError, match=r"\[3\].*0\.\.2"):
        build(name, classes=[3])(output, labels)
    with pytest.raises(ValueError, match=r"no option 'spacing'; it is written .*unit=mm"):
        build(name, spacing=1)
    with pytest.raises(ValueError, match="'mean', 'sum', 'none'"):
        HEADS[name](reduction="average")


def test_each_item_is_measured_with_its_own_spacing():
    output, labels = example()
    one_hot, spacing = class2one_hot(labels, K), torch.tensor([[0.7, 2.5], [3.0, 0.4]])
    for name in HEADS:
        maps = build(name).measure_target(one_hot, spacing)
        for b in range(2):
            alone = build(name).measure_target(one_hot[b : b + 1], spacing[b])
            torch.testing.assert_close(maps[b : b + 1], alone, rtol=0, atol=0)
        value = build(name)(output, labels, spacing_mm=spacing)
        torch.testing.assert_close(build(name)(output, labels, maps), value, rtol=0, atol=0)
    maps = build("foreground").measure_target(one_hot, spacing)
    for b, k in ((0, 1), (1, 2)):
        expected = distance_transform_edt(one_hot[b, k].numpy(), sampling=spacing[b])
        np.testing.assert_allclose(maps[b, k], expected, rtol=1e-5)


def test_voxels_are_counted_on_request():
    output, labels = example()
    spacing = torch.tensor([[0.7, 2.5], [3.0, 0.4]])
    for name in HEADS:
        counted = build(name, unit="voxel")(output, labels, spacing_mm=spacing)
        torch.testing.assert_close(counted, build(name)(output, labels), rtol=0, atol=0)
        assert counted != build(name)(output, labels, spacing_mm=spacing)
        with pytest.raises(ValueError, match="'voxel'"):
            build(name, unit="cm")
    square = torch.full((2, 2), 0.5)  # a signed map in [-1, 1] has no unit but where the axes differ
    for name, same in (("sdf", True), ("sdf_product", True), ("foreground", False)):
        values = build(name)(output, labels, spacing_mm=square), build(name)(output, labels)
        assert torch.allclose(*values) == same


def test_the_pull_of_two_outputs():
    output, labels = example()
    logits, head = output[:, :2].detach().requires_grad_(), output[:, 1:].detach().requires_grad_()
    terms = {"a": (3 * logits).sum(), "b": build("sdf")(torch.cat([head, head[:, :1]], 1), labels)}
    norms = gradient_norms(terms, [logits, head])
    assert norms["a"] == pytest.approx(3 * logits.numel() ** 0.5) and norms["b"] > 0
