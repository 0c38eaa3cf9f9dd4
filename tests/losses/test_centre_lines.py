"""clDice and cbDice: the authors' numbers, memory of the soft skeleton, millimetres, and limits."""

import pytest
import torch
from blocks import blocks

from boundary_loss import CbDiceLoss, ClDiceLoss, class2one_hot
from boundary_loss.losses.skeletons import dilated, eroded, soft_skeleton

CL_DICE = {
    (4, 5): [0.576997691455, 0.610925490702, 0.615067205930, 0.694218634306, 0.641439786579, 0.534872231797],
    (2, 3, 2): [0.636356095569, 0.613130411885, 0.688688209613, 0.687206068382, 0.548837777725, 0.713718487724],
}
CB_DICE = {(4, 5): [0.141882121562, 0.543385744094], (2, 3, 2): [0.057330429553, 0.415019929409]}


@pytest.mark.parametrize("shape", CL_DICE)
def test_the_numbers_of_the_authors_cldice(shape):
    """Of soft_cldice in github.com/jocpae/clDice, for each item and class alone."""
    logits, labels = blocks(shape)
    found = ClDiceLoss(reduction="classes")(logits.softmax(1), labels)
    assert found.flatten().tolist() == pytest.approx(CL_DICE[shape], abs=1e-9)


@pytest.mark.parametrize("shape", CB_DICE)
def test_the_numbers_of_the_authors_cbdice(shape):
    """1 plus the value of SoftcbDiceLoss in github.com/PengchengShi1220/cbDice, for each item alone."""
    logits, labels = blocks(shape, K=2, side=5 if len(shape) == 2 else 4)
    loss = CbDiceLoss(activation="softmax", classes=[1], unit="voxel", reduction="none")
    assert loss(3 * logits, labels).tolist() == pytest.approx(CB_DICE[shape], abs=1e-6)


def plain_skeleton(values, iterations):
    skeleton = (values - dilated(eroded(values))).relu()
    for _ in range(iterations):
        values = eroded(values)
        lost = (values - dilated(eroded(values))).relu()
        skeleton = skeleton + (lost - skeleton * lost).relu()
    return skeleton


@pytest.mark.parametrize("shape", [(12, 9), (6, 7, 5)])
def test_computing_again_gives_the_same_gradient(shape):
    values = torch.rand(2, 2, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    ours, theirs = soft_skeleton(values, 4), plain_skeleton(values, 4)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    gradients = [torch.autograd.grad(skeleton.square().sum(), values)[0] for skeleton in (ours, theirs)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("skeleton", ["soft", "thin"])
@pytest.mark.parametrize("kind", [ClDiceLoss, CbDiceLoss])
def test_a_perfect_prediction(kind, skeleton):
    for shape in ((4, 5), (2, 3, 2)):
        _, labels = blocks(shape, K=2)
        truth = class2one_hot(labels, 2).double()
        loss = kind(skeleton=skeleton)
        assert loss(truth, labels).item() == pytest.approx(0, abs=1e-6)
        assert loss(1 - truth, labels).item() > 0.5


@pytest.mark.parametrize("kind", [ClDiceLoss, CbDiceLoss])
def test_translation_in_a_frame_of_background(kind):
    logits, labels = blocks((4, 4), K=2)
    labels[:, :3], labels[:, -3:], labels[:, :, :3], labels[:, :, -3:] = 0, 0, 0, 0
    logits = torch.where(labels.unsqueeze(1) > 0, logits, logits.new_tensor([30.0, -30.0]).view(1, 2, 1, 1))
    loss = kind(activation="softmax", classes=[1])
    moved = loss(logits.roll((2, -1), (2, 3)), labels.roll((2, -1), (1, 2)))
    torch.testing.assert_close(moved, loss(logits, labels))


def test_cbdice_scales_with_the_spacing():
    logits, labels = blocks((2, 3, 2), K=2, side=4)
    loss = CbDiceLoss(activation="softmax", classes=[1])
    one, two, other = (loss(logits, labels, spacing_mm=s) for s in ((2.5, 1, 0.8), (5, 2, 1.6), (1, 1, 1)))
    torch.testing.assert_close(one, two)
    assert one.item() != pytest.approx(other.item(), rel=1e-3)


@pytest.mark.parametrize("kind", [ClDiceLoss, CbDiceLoss])
def test_refusals(kind):
    for options in ({"iterations": 0}, {"smooth": 0.0}, {"skeleton": "hard"}):
        with pytest.raises(ValueError, match=next(iter(options))):
            kind(**options)
