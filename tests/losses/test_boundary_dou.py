"""The boundary difference-over-union loss: the authors' numbers in 2D, the definition in 3D, absent classes."""

import pytest
import torch
from blocks import blocks
from scipy.ndimage import binary_erosion, generate_binary_structure

from boundary_loss import BoundaryDoULoss
from boundary_loss.losses.boundary_dou import boundary_share, inner_edge


def test_the_numbers_of_the_authors_code():
    """Computed by BoundaryDoULoss of github.com/sunfan-bvb/BoundaryDoULoss, without its calls of cuda()."""
    logits, labels = blocks((4, 5))
    pooled = BoundaryDoULoss(over="batch", activation="softmax")
    each = BoundaryDoULoss(activation="softmax", reduction="none")
    for target in (labels, labels.unsqueeze(1)):
        assert pooled(logits, target).item() == pytest.approx(0.6461447957911369, abs=1e-7)
        assert each(logits, target).tolist() == pytest.approx([0.6709614312915347, 0.6066258886546855], abs=1e-7)


@pytest.mark.parametrize("shape", [(9, 12), (1, 7), (6, 9, 5), (4, 1, 3)])
def test_edges_are_what_an_erosion_takes(shape):
    mask = torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(0)) < 0.8
    mask[0, 0] = True
    cross = generate_binary_structure(len(shape), 1)
    for b in range(2):
        for k in range(3):
            expected = mask[b, k].numpy() & ~binary_erosion(mask[b, k].numpy(), cross)
            assert (inner_edge(mask)[b, k].numpy() == expected).all()


def test_the_formula_of_a_cube():
    labels = torch.zeros(1, 9, 9, 9, dtype=torch.long)
    labels[:, 2:7, 2:7, 2:7] = 1
    probs = torch.full((1, 2, 9, 9, 9), 0.5, dtype=torch.float64)
    size, edge, image = 5**3, 5**3 - 3**3, 9**3
    alpha = 1 - 2 * edge / size
    expected = (image / 4 + size - size) / (image / 4 + size - (1 + alpha) * size / 2)
    assert BoundaryDoULoss(classes=[1])(probs, labels).item() == pytest.approx(expected, rel=1e-6)


def test_limits_of_alpha():
    edge, size = torch.tensor([1.0, 30.0, 1.0]), torch.tensor([1.0, 100.0, 1000.0])
    assert boundary_share(edge, size, -1, 0.8, 1e-9).tolist() == pytest.approx([-1, 0.4, 0.8])
    assert boundary_share(edge, size, 0, 0.5, 1e-9).tolist() == pytest.approx([0, 0.4, 0.5])


def test_translation_in_a_frame_of_background():
    logits, labels = blocks((3, 3), K=2)
    labels[:, :3], labels[:, -3:], labels[:, :, :3], labels[:, :, -3:] = 0, 0, 0, 0
    loss = BoundaryDoULoss(activation="softmax", classes=[1])
    moved = loss(logits.roll((2, -1), (2, 3)), labels.roll((2, -1), (1, 2)))
    torch.testing.assert_close(moved, loss(logits, labels))


@pytest.mark.parametrize("absent", ["paper", "skip", "penalise"])
def test_absent_classes(absent):
    probs = torch.full((1, 2, 6, 5), 0.5, requires_grad=True)
    loss = BoundaryDoULoss(classes=[1], absent=absent)(probs, torch.zeros(1, 6, 5, dtype=torch.long))
    (gradient,) = torch.autograd.grad(loss, probs)
    assert loss.item() == pytest.approx({"paper": 1.0, "skip": 0.0, "penalise": 0.5}[absent])
    assert gradient[:, 1].gt(0).all() == (absent == "penalise")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"most": 1.0}, "most=1"),
        ({"least": 0.9}, "least=0.9"),
        ({"smooth": 0.0}, "smooth=0"),
        ({"over": "batch", "reduction": "none"}, "one value for all items"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        BoundaryDoULoss(**options)
