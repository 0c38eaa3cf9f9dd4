"""Losses of distance heads; the maps are made again here with SciPy."""

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion, distance_transform_edt

from boundary_loss import DistanceHeadLoss, SDFLoss, SDFProductLoss, class2one_hot
from boundary_loss.losses import SDF_loss
from boundary_loss.losses.regression import foreground_map, normalised_sdf, sdf_to_probs

SHAPES = [(9, 7), (5, 6, 4)]


def example(shape, K=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.zeros(2, *shape, dtype=torch.long)
    for b in range(2):
        for k in range(1, K):
            first = int(torch.randint(0, 3, (), generator=generator))
            labels[b, first : first + 3, 3 * (k - 1) : 3 * k] = k
    output = torch.randn(2, K, *shape, generator=generator, dtype=torch.float64)
    return output, labels


def sdf_by_scipy(mask, spacing=None):
    inside, outside = distance_transform_edt(mask, spacing), distance_transform_edt(~mask, spacing)
    edge = mask & ~binary_erosion(mask, border_value=1)
    return outside / outside.max() - np.where(edge, 0, inside / inside.max())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("uneven", [False, True])
def test_normalised_sdf(shape, uneven):
    _, labels = example(shape, K=3)
    spacing = (2.5, 0.8, 1.0)[: len(shape)] if uneven else None
    one_hot = class2one_hot(labels, 3)
    ours = normalised_sdf(one_hot, spacing).numpy()
    for b, k in np.ndindex(2, 3):
        expected = sdf_by_scipy(one_hot[b, k].numpy().astype(bool), spacing)
        np.testing.assert_allclose(ours[b, k], expected, rtol=1e-5, atol=1e-6)


def test_maps_without_a_boundary_are_zero():
    one_hot = class2one_hot(torch.zeros(1, 4, 4, dtype=torch.long), 2)
    assert (normalised_sdf(one_hot) == 0).all()
    assert (foreground_map(one_hot) == 0).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("sigmoid", "include_background"), [(True, True), (False, True), (True, False)])
def test_sdf_loss_is_the_mean_square(shape, sigmoid, include_background):
    output, labels = example(shape)
    f = output.tanh() if sigmoid else output
    maps = normalised_sdf(class2one_hot(labels, 2))
    first = 0 if include_background else 1
    expected = (f - maps)[:, first:].square().mean()
    loss = SDFLoss(sigmoid=sigmoid, include_background=include_background)
    torch.testing.assert_close(loss(torch.zeros_like(output), output, labels[:, None]), expected)


def test_sdf_loss_of_a_one_hot_target_and_of_one_channel():
    output, labels = example((9, 7))
    one_hot = class2one_hot(labels, 2)
    expected = SDFLoss()(output, output, labels[:, None])
    torch.testing.assert_close(SDF_loss(to_onehot_y=False)(output, output, one_hot), expected)
    alone = SDFLoss(include_background=False)(output[:, 1:], output[:, 1:], labels[:, None])
    torch.testing.assert_close(alone, SDFLoss(include_background=False)(output, output, labels[:, None]))


def test_product_loss_by_hand_and_at_its_least():
    output, labels = example((9, 7))
    maps = normalised_sdf(class2one_hot(labels, 2)).double()
    f = output.tanh()
    items = []
    for b in range(2):
        product = (f[b] * maps[b]).sum() + 1e-5
        items.append((f[b] - maps[b]).abs().mean() - product / (product + (f[b] ** 2).sum() + (maps[b] ** 2).sum()))
    torch.testing.assert_close(SDFProductLoss(reduction="none")(output, maps), torch.stack(items))
    assert SDFProductLoss(tanh=False)(maps, maps).item() == pytest.approx(-1 / 3, abs=1e-4)
    assert SDFProductLoss(tanh=False)(-maps, maps).item() > 0


@pytest.mark.parametrize("kind", ["sdf", "foreground"])
@pytest.mark.parametrize("norm", ["l1", "l2", "l1+l2"])
def test_heads(kind, norm):
    output, labels = example((9, 7))
    one_hot = class2one_hot(labels, 2)
    maps = normalised_sdf(one_hot) if kind == "sdf" else foreground_map(one_hot)
    gap = (output.tanh() if kind == "sdf" else output) - maps
    expected = sum(value for name, value in (("l1", gap.abs().mean()), ("l2", (gap**2).mean())) if name in norm)
    torch.testing.assert_close(DistanceHeadLoss(kind, norm)(output, maps), expected)


@pytest.mark.parametrize("shape", [(4, 3), (3, 4, 2)])
def test_gradients(shape):
    output, labels = example(shape)
    output.requires_grad_()
    maps = normalised_sdf(class2one_hot(labels, 2)).double()
    for loss in (SDFProductLoss(), DistanceHeadLoss(), DistanceHeadLoss("foreground", "l1+l2", reduction="none")):
        assert torch.autograd.gradcheck(loss, (output, maps))
    assert torch.autograd.gradcheck(lambda f: SDFLoss()(f, f, labels[:, None]), output)


def test_half_precision():
    output, labels = example((9, 7))
    maps = normalised_sdf(class2one_hot(labels, 2))
    with torch.autocast("cpu", torch.bfloat16):
        for loss in (SDFProductLoss(), DistanceHeadLoss()):
            assert loss(output.bfloat16(), maps).dtype == torch.float32


def test_smooth_step():
    values = sdf_to_probs(torch.tensor([-1.0, 0.0, 1.0]))
    torch.testing.assert_close(values, torch.tensor([1.0, 0.5, 0.0]))


def test_refusals():
    output, labels = example((9, 7))
    with pytest.raises(ValueError, match="one shape"):
        DistanceHeadLoss()(output, output[:, :1])
    with pytest.raises(ValueError, match=r"\(B, 1"):
        SDFLoss()(output, output, labels)
    with pytest.raises(ValueError, match="'sdf', 'foreground'"):
        DistanceHeadLoss("x")
    with pytest.raises(ValueError, match="'l1'"):
        DistanceHeadLoss("sdf", "l3")
