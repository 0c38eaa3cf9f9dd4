import math

import pytest
import torch

from boundary_loss import BoundaryLoss, GeneralizedDice, signed_distance
from boundary_loss.losses import gradient_norms, propose_weight


def test_norms_of_two_losses():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 2, 6, 5, generator=generator, requires_grad=True)
    labels = torch.randint(0, 2, (2, 6, 5), generator=generator)
    probs = logits.softmax(1)
    terms = {
        "gdl": GeneralizedDice()(probs, labels),
        "boundary": BoundaryLoss(idc=[1])(probs, signed_distance(labels, num_classes=2)),
        "constant": torch.tensor(3.0),
    }
    norms = gradient_norms(terms, logits)
    for name in ("gdl", "boundary"):
        (gradient,) = torch.autograd.grad(terms[name], logits, retain_graph=True)
        assert norms[name] == pytest.approx(gradient.norm().item())
    assert norms["constant"] == 0
    weight = propose_weight(norms, "boundary", beside="gdl", share=0.5)
    (gradient,) = torch.autograd.grad(weight * terms["boundary"], logits, retain_graph=True)
    assert gradient.norm().item() == pytest.approx(0.5 * norms["gdl"])
    (terms["gdl"] + terms["boundary"]).backward()  # the graph is still there


def test_no_weight_for_what_does_not_pull():
    assert math.isnan(propose_weight({"a": 1.0, "b": 0.0}, "b", beside="a"))
    with pytest.raises(ValueError, match="'c'; there are a, b"):
        propose_weight({"a": 1.0, "b": 0.0}, "c", beside="a")
