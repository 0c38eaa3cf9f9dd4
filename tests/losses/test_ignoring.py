"""Ignored voxels count nowhere: an image is worth the same beside them, in every loss, whatever they hold."""

import pytest
import torch
from torch.nn import functional as F

from boundary_loss import (
    BoundaryLoss,
    DistanceHeadLoss,
    FusedDiceCEBoundary,
    FusedDiceCELoss,
    FusedDiceLoss,
    FusedGeneralizedDiceBoundary,
    HausdorffDTLoss,
    HausdorffLoss,
    HDLoss,
    SDFLoss,
    SDFProductLoss,
    class2one_hot,
    signed_distance,
)
from boundary_loss.losses import LOSSES
from boundary_loss.losses.head import HEADS

K = 3
ACTIVE = {name: cls(activation="softmax") for name, cls in LOSSES.items() if name not in ("diceloss", "surface")}
ACTIVE |= {f"{name} sigmoid": LOSSES[name](activation="sigmoid") for name in ("dice", "hausdorff", "boundary")}
ACTIVE |= {
    "hausdorff both": HausdorffLoss(activation="softmax", sides="both"),
    "boundary shifted": BoundaryLoss(activation="softmax", shift="optimum"),
    "dice penalise": LOSSES["dice"](activation="softmax", absent="penalise"),
    "gdl penalise": LOSSES["gdl"](activation="softmax", absent="penalise"),
}
HEAD = {name: cls() for name, cls in HEADS.items()}
OTHERS = {
    "fused": FusedDiceLoss(ignore_label=255),
    "fused with cross-entropy": FusedDiceCELoss(ignore_label=255, ce_weight=[0.5, 1, 2]),
    "HDLoss": HDLoss(softmax=True, to_onehot_y=True),
    "HausdorffDTLoss": HausdorffDTLoss(sigmoid=True, to_onehot_y=True),
}
WITH_MAPS = {
    "fused with maps": FusedGeneralizedDiceBoundary((0.5, 0.5)),
    "fused with cross-entropy and maps": FusedDiceCEBoundary((0.5, 0.5, 0.5), ignore_label=255),
    "SDFLoss": SDFLoss(),
    "SDFProductLoss": SDFProductLoss(),
    "DistanceHeadLoss": DistanceHeadLoss("foreground", "l1+l2"),
}
NAMES = [*ACTIVE, *HEAD, *OTHERS, *WITH_MAPS]


def value(name, logits, labels, mask=None):
    """The loss of logits (or of a head's output) and labels (B, ...); what takes maps gets those of the labels."""
    known = labels != 255 if mask is None else mask
    maps = signed_distance(labels.where(known.view_as(labels), 255), num_classes=K, ignore_index=255)
    if name in ACTIVE:
        loss = ACTIVE[name]
        return loss(logits, maps, mask=known) if loss.target == "distance" else loss(logits, labels, mask=mask)
    if name in HEAD or name in ("fused", "fused with cross-entropy"):
        return (HEAD | OTHERS)[name](logits, labels, mask=mask)
    if name in OTHERS:
        return OTHERS[name](logits, labels.unsqueeze(1), mask=mask)
    if name == "SDFLoss":
        return SDFLoss()(logits, logits, labels.unsqueeze(1), mask=mask)
    if name in ("fused with maps", "fused with cross-entropy and maps"):
        return WITH_MAPS[name](logits, labels, maps, mask=mask)
    return WITH_MAPS[name](logits, maps, mask=known)


def example(shape, B=2):
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(B, K, *shape, generator=draw, dtype=torch.float64)
    return logits, torch.randint(0, K, (B, *shape), generator=draw)


def padded(tensor, width, fill):
    """The last axis gets ``width`` voxels before and behind."""
    return F.pad(tensor, [width, width], value=fill)


@pytest.mark.parametrize("how", ["label", "mask"])
@pytest.mark.parametrize("fill", [0.7, torch.nan, torch.inf])
@pytest.mark.parametrize("name", NAMES)
def test_beside_ignored_voxels_an_image_is_worth_the_same(name, fill, how):
    for shape in ((6, 5), (3, 4, 4)):
        logits, labels = example(shape)
        inner = logits.clone().requires_grad_()
        outer = padded(logits, 4, fill).requires_grad_()
        ignored = padded(torch.zeros_like(labels), 4, 1).bool()
        wide = padded(labels, 4, 255 if how == "label" else 1)
        alone = value(name, inner, labels)
        beside = value(name, outer, wide, None if how == "label" else ~ignored)
        torch.testing.assert_close(beside, alone)
        (expected,), (found,) = torch.autograd.grad(alone, inner), torch.autograd.grad(beside, outer)
        torch.testing.assert_close(found[..., 4:-4], expected)
        assert not found[..., :4].any() and not found[..., -4:].any()


@pytest.mark.parametrize("name", NAMES)
def test_in_the_middle_too_nothing_that_is_ignored_matters(name):
    logits, labels = example((6, 5))
    hole = torch.zeros_like(labels, dtype=torch.bool)
    hole[:, 2:4, 1:3] = True
    by_label = value(name, logits, labels.masked_fill(hole, 255))
    for stray in (0, 2, 77):
        found = value(name, logits.masked_fill(hole.unsqueeze(1), 3.0), labels.masked_fill(hole, stray), ~hole)
        torch.testing.assert_close(found, by_label)
    torch.testing.assert_close(value(name, logits, labels, (~hole).unsqueeze(1)), by_label)


@pytest.mark.parametrize("name", NAMES)
def test_a_mask_of_every_voxel_changes_nothing(name):
    logits, labels = example((6, 5))
    everywhere = torch.ones_like(labels, dtype=torch.bool)
    torch.testing.assert_close(value(name, logits, labels, everywhere), value(name, logits, labels), rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_where_everything_is_ignored_there_is_nothing_to_learn(name):
    logits, labels = example((6, 5))
    logits.requires_grad_()
    found = value(name, logits, labels, torch.zeros_like(labels, dtype=torch.bool))
    (gradient,) = torch.autograd.grad(found, logits)
    assert found.isfinite() and not gradient.any()


@pytest.mark.parametrize("name", [n for n in ACTIVE if ACTIVE[n].target == "one_hot"] + list(HEAD))
def test_one_hot_targets_with_a_mask_are_as_labels(name):
    logits, labels = example((6, 5))
    mask = torch.rand(labels.shape, generator=torch.Generator().manual_seed(1)) < 0.7
    loss = (ACTIVE | HEAD)[name]
    expected = loss(logits, labels, mask=mask)
    for one_hot in (class2one_hot(labels, K), class2one_hot(labels.where(mask, 255), K)):
        torch.testing.assert_close(loss(logits, one_hot, mask=mask), expected)


@pytest.mark.parametrize("name", ["gdl", "hausdorff", "boundary", "foreground", "fused"])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda mask: mask.to(torch.uint8), "mask must be bool"),
        (lambda mask: mask[:, :4], r"mask \(2, 4, 5\)"),
        (lambda mask: mask.numpy(), "mask must be a torch tensor"),
    ],
)
def test_masks_that_are_none(name, wrong, message):
    logits, labels = example((6, 5))
    target = signed_distance(labels, num_classes=K) if name == "boundary" else labels
    with pytest.raises(ValueError, match=message):
        (ACTIVE | HEAD | OTHERS)[name](logits, target, mask=wrong(labels >= 0))


def test_one_channel_of_floating_labels():
    """As loaders give them: (B, 1, ...) float32, 255 where ignored; what lies between is a soft target."""
    logits, labels = example((6, 5))
    labels, logits = labels.clamp(max=1), logits[:, :1]
    labels[:, 2] = 255
    loss = LOSSES["dice"](activation="sigmoid")
    expected = loss(logits, labels)
    for target in (labels.unsqueeze(1), labels.unsqueeze(1).float(), labels.float(), labels.to(torch.uint16)):
        torch.testing.assert_close(loss(logits, target), expected)
    soft = labels.unsqueeze(1).clamp(max=1) * 0.25
    pair = torch.cat([-logits, logits], dim=1) / 2
    torch.testing.assert_close(
        loss(logits, soft), LOSSES["dice"](activation="softmax")(pair, torch.cat([1 - soft, soft], 1))
    )


def test_one_channel_of_0_and_255_is_refused():
    logits, labels = example((6, 5))
    white = 255.0 * labels.clamp(max=1).unsqueeze(1)
    for target in (white, white.long(), white[:, 0]):
        with pytest.raises(ValueError, match=r"pass target == 255.*ignore_index=255"):
            LOSSES["dice"](activation="sigmoid")(logits[:, :1], target)
    LOSSES["dice"](activation="sigmoid", ignore_index=255)(logits[:, :1], white)
