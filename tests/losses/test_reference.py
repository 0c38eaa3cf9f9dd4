"""Values and gradients of the original (boundary-loss v1.0, two classes, 2D), frozen in ``original.npz``.

Items: blobs, small blobs, empty, all foreground, one pixel, two boxes at the border. Of the gradients every 23rd
number is kept. Where a mask fills the image the original measured distances to a pixel outside it; those items are
left out for the losses that use distances.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from boundary_loss import (
    BoundaryLoss,
    CrossEntropy,
    DiceLoss,
    FocalLoss,
    GeneralizedDice,
    GeneralizedDiceLoss,
    HausdorffLoss,
    class2one_hot,
    dist_map_transform,
    signed_distance,
)

FROZEN = np.load(Path(__file__).with_name("original.npz"))
CLASSES = {"all": [0, 1], "fg": [1]}
EMPTY, FULL = 2, 3


def inputs(keep=slice(None)):
    probs = torch.from_numpy(FROZEN["probs_2d_k2"][keep]).double().requires_grad_()
    return probs, torch.from_numpy(FROZEN["labels_2d_k2"][keep])


def compare(name, chosen, loss, target, keep=slice(None), skip_gradient=()):
    """The items' losses, the sum of each item's absolute gradient, and the batch's loss and gradient."""
    probs, _ = inputs(keep)
    key = f"{name}_2d_k2_{chosen}"
    items = loss(classes=CLASSES[chosen], reduction="none")(probs, target)
    np.testing.assert_allclose(items.detach(), FROZEN[f"loss_{key}_items"][keep], rtol=1e-6, atol=2e-6)
    (gradient,) = torch.autograd.grad(items.sum(), probs)
    ours, theirs = gradient.abs().flatten(1).sum(1).numpy(), FROZEN[f"loss_{key}_item_absgrad"][keep]
    considered = [i for i in range(len(ours)) if i not in skip_gradient]
    np.testing.assert_allclose(ours[considered], theirs[considered], rtol=2e-6)
    if keep != slice(None):
        return
    batch = loss(classes=CLASSES[chosen])(probs, target)
    np.testing.assert_allclose(batch.item(), FROZEN[f"loss_{key}_batch"], rtol=2e-6)
    if f"grad_{key}" in FROZEN:
        (gradient,) = torch.autograd.grad(batch, probs)
        np.testing.assert_allclose(gradient.numpy().ravel()[::23], FROZEN[f"grad_{key}"], rtol=2e-5, atol=1e-9)


@pytest.mark.parametrize("chosen", CLASSES)
@pytest.mark.parametrize("loss", [CrossEntropy, FocalLoss, DiceLoss, GeneralizedDice])
@pytest.mark.parametrize("as_labels", [False, True])
def test_region_losses(loss, chosen, as_labels):
    _, labels = inputs()
    target = labels if as_labels else class2one_hot(labels, 2)
    # a gradient of 1e-26 is rounding: no two computations agree on it
    blind = {GeneralizedDice: (EMPTY, FULL)}.get(loss, ())
    compare(loss.__name__, chosen, loss, target, skip_gradient=blind)


@pytest.mark.parametrize("chosen", CLASSES)
@pytest.mark.parametrize(("convention", "name"), [("paper", "SurfaceLoss"), ("paper-int", "SurfaceLoss_int32map")])
def test_boundary(convention, name, chosen):
    keep = [0, 1, 4, 5] if chosen == "all" else [0, 1, EMPTY, 4, 5]
    _, labels = inputs(keep)
    compare(name, chosen, BoundaryLoss, signed_distance(labels, num_classes=2, convention=convention), keep)


@pytest.mark.parametrize("chosen", CLASSES)
def test_hausdorff(chosen):
    keep = [0, 1, 4, 5] if chosen == "all" else [0, 1, EMPTY, 4, 5]
    _, labels = inputs(keep)
    compare("HausdorffLoss", chosen, lambda **kw: HausdorffLoss(truncate=True, **kw), labels, keep)


@pytest.mark.parametrize("loss", [CrossEntropy, FocalLoss, DiceLoss, GeneralizedDice, HausdorffLoss])
def test_a_perfect_prediction(loss):
    _, labels = inputs()
    perfect = class2one_hot(labels, 2, dtype=torch.float64)
    frozen = FROZEN[f"loss_perfect_{loss.__name__}_2d_k2"]
    np.testing.assert_allclose(loss(reduction="none")(perfect, labels), frozen, atol=2e-6)


def test_the_ten_lines_of_its_readme():
    labels = np.zeros((2, 12, 10), np.uint8)
    labels[0, 3:8, 2:7] = labels[1, 5:9, 4:6] = 1
    disttransform = dist_map_transform([1, 1], 2)
    dice_loss = GeneralizedDiceLoss(idc=[0, 1])
    boundary_loss = BoundaryLoss(idc=[1])
    data = {"gt": class2one_hot(torch.from_numpy(labels), 2), "distmap": [disttransform(label) for label in labels]}
    pred_probs = torch.randn(2, 2, 12, 10, generator=torch.Generator().manual_seed(0)).softmax(dim=1)
    gdl_loss = dice_loss(pred_probs, data["gt"])
    bl_loss = boundary_loss(pred_probs, data["distmap"])
    assert (gdl_loss + 0.01 * bl_loss).isfinite()
    torch.testing.assert_close(bl_loss, boundary_loss(pred_probs, torch.stack(data["distmap"])))
