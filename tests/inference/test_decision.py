"""Decisions from probabilities: the optimum of the ratio, laws, and what it gains in expected Dice."""

import numpy as np
import pytest
import torch
from torch import Tensor

from boundary_loss.inference.decision import decide, dice_optimal


def of_object(p: Tensor) -> Tensor:
    return torch.stack([1 - p, p])


def ratio(p: Tensor, chosen: Tensor) -> float:
    return float(2 * p[chosen].sum() / (chosen.sum() + p.sum()))


def blob(shape: tuple[int, ...], peak: float, seed: int = 0) -> Tensor:
    """Probabilities that fall from a centre, with a little noise."""
    grids = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in shape), indexing="ij")
    falls = torch.exp(-4 * sum((g - 0.1) ** 2 for g in grids))
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    return (peak * falls * (0.8 + 0.2 * noise)).double()


@pytest.mark.parametrize("shape", [(7, 12), (5, 6, 9)])
@pytest.mark.parametrize("peak", [0.3, 0.6, 0.99])
def test_takes_the_best_of_all_numbers_of_most_probable_voxels(shape, peak):
    p = blob(shape, peak)
    ranked = p.flatten().sort(descending=True).values
    counts = torch.arange(1, len(ranked) + 1)
    best = float((2 * ranked.cumsum(0) / (counts + p.sum())).max())
    chosen = dice_optimal(of_object(p)) == 1
    assert ratio(p, chosen) == pytest.approx(best, abs=1e-12)
    assert torch.equal(chosen, p > best / 2)


def test_finds_what_is_likely_somewhere_but_nowhere_above_a_half():
    p = blob((16, 16), 0.45)
    assert not decide(of_object(p)).any()
    assert dice_optimal(of_object(p)).any()


@pytest.mark.parametrize("classes", [2, 4])
def test_certain_probabilities_keep_their_classes(classes):
    labels = torch.randint(0, classes, (6, 5, 4), generator=torch.Generator().manual_seed(1))
    probs = torch.nn.functional.one_hot(labels, classes).movedim(-1, 0).double()
    assert torch.equal(dice_optimal(probs), labels.to(torch.uint8))


def test_a_class_that_is_probably_absent_is_left_out():
    p = torch.zeros(9, 9, dtype=torch.float64)
    p[4, 4] = 0.2  # present with odds of 1 to 4
    assert not dice_optimal(of_object(p)).any()
    assert not dice_optimal(of_object(torch.zeros(3, 3))).any()


def test_an_object_that_fills_the_image():
    assert dice_optimal(of_object(torch.ones(3, 4, 2))).all()


def random_probs(classes: int, shape: tuple[int, ...], seed: int) -> Tensor:
    drawn = torch.randn(classes, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (2 * drawn).softmax(0)


def mean_ratio(probs: Tensor, labels: Tensor) -> float:
    return float(np.mean([ratio(probs[k], labels == k) for k in range(1, len(probs))]))


@pytest.mark.parametrize("seed", range(4))
def test_several_classes_are_no_worse_than_argmax(seed):
    probs = random_probs(4, (6, 7), seed)
    assert mean_ratio(probs, dice_optimal(probs)) >= mean_ratio(probs, decide(probs)) - 1e-12


def test_flips_and_the_order_of_classes_change_nothing():
    probs = random_probs(4, (5, 8), 3)
    labels = dice_optimal(probs)
    assert torch.equal(dice_optimal(probs.flip(1)), labels.flip(0))
    swapped = dice_optimal(probs[[0, 2, 1, 3]])
    assert torch.equal(torch.tensor([0, 2, 1, 3], dtype=torch.uint8)[swapped.long()], labels)


def test_gains_expected_dice_if_the_probabilities_are_right():
    """Truths are drawn from the probabilities themselves, so that the expectation is known by its mean."""
    p = blob((20, 20), 0.6)
    truths = torch.rand(200, *p.shape, generator=torch.Generator().manual_seed(0)) < p
    found = {name: decide(of_object(p), name) == 1 for name in ("argmax", "dice")}
    dice = {
        name: float((2 * (truths & chosen).sum((1, 2)) / (truths.sum((1, 2)) + chosen.sum())).mean())
        for name, chosen in found.items()
    }
    assert dice["dice"] > dice["argmax"] + 0.05
    assert dice["dice"] == pytest.approx(ratio(p, found["dice"]), abs=0.01)


def test_an_unknown_decision_is_refused():
    with pytest.raises(ValueError, match="one of argmax, dice, got 'vote'"):
        decide(torch.ones(2, 3, 3) / 2, "vote")
