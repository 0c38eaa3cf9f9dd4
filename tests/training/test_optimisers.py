"""Lookahead against a plain loop around PyTorch's RAdam; weights with a share of the learning rate."""

import copy

import pytest
import torch
from torch import nn

from boundary_loss.networks.pade import PadeUnit
from boundary_loss.training.optimisers import LookaheadRAdam, grouped, set_rate


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 6), PadeUnit(), nn.Linear(6, 2, bias=False))


def push(net, step):
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
    net.zero_grad()
    net(x).square().mean().backward()


def reference(net, steps, every, share, rate):
    """As Zhang et al. write it: an outer loop of slow weights around k steps of the inner optimiser."""
    inner = torch.optim.RAdam(net.parameters(), lr=rate)
    slow = [weight.detach().clone() for weight in net.parameters()]
    for step in range(steps):
        push(net, step)
        inner.step()
        if (step + 1) % every == 0:
            for old, weight in zip(slow, net.parameters()):
                old += share * (weight.detach() - old)
                weight.data.copy_(old)
    return net


@pytest.mark.parametrize(("every", "share"), [(5, 0.8), (1, 0.5), (3, 1.0)])
def test_lookahead_is_the_loop_of_the_paper(every, share):
    ours, theirs = network(), network()
    optimiser = LookaheadRAdam(ours.parameters(), lr=0.01, every=every, share=share)
    for step in range(23):
        push(ours, step)
        optimiser.step()
    reference(theirs, 23, every, share, 0.01)
    for mine, expected in zip(ours.parameters(), theirs.parameters()):
        torch.testing.assert_close(mine, expected)


@pytest.mark.parametrize("stop", [1, 4, 5, 8])
def test_resumed_from_its_state_it_goes_on_alike(stop, tmp_path):
    whole = network()
    optimiser = LookaheadRAdam(grouped(whole, 0.01), lr=0.01)
    for step in range(12):
        if step == stop:
            state = {"net": whole.state_dict(), "optimiser": optimiser.state_dict()}
            torch.save(copy.deepcopy(state), tmp_path / "state.pt")
        push(whole, step)
        optimiser.step()
    resumed = network(seed=1)
    optimiser = LookaheadRAdam(grouped(resumed, 0.01), lr=0.01)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    resumed.load_state_dict(state["net"])
    optimiser.load_state_dict(state["optimiser"])
    for step in range(stop, 12):
        push(resumed, step)
        optimiser.step()
    for mine, expected in zip(resumed.parameters(), whole.parameters()):
        assert torch.equal(mine, expected)


def test_weights_without_a_gradient_stay():
    net = network()
    before = net[2].weight.detach().clone()
    net[2].weight.requires_grad_(False)
    optimiser = LookaheadRAdam(net.parameters(), lr=0.1)
    for step in range(6):
        push(net, step)
        optimiser.step()
    assert torch.equal(net[2].weight, before)


def test_groups_are_those_of_the_shares():
    net = network()
    first, units = grouped(net, 3e-4)
    assert [tuple(weight.shape) for weight in first["params"]] == [(6, 4), (6,), (2, 6)]
    assert [tuple(weight.shape) for weight in units["params"]] == [(6,), (4,)]
    assert first["lr"] == 3e-4 and units["lr"] == pytest.approx(1e-2)
    optimiser = torch.optim.Adam([first, units], lr=3e-4)
    set_rate(optimiser, 3e-5)
    assert [group["lr"] for group in optimiser.param_groups] == pytest.approx([3e-5, 1e-3])


def test_one_group_in_the_order_of_the_network_where_no_weight_differs():
    net = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6))
    (group,) = grouped(net, 0.1)
    assert list(group) == ["params"]
    assert all(a is b for a, b in zip(group["params"], net.parameters(), strict=True))


def test_a_weight_that_two_modules_share_is_moved_once():
    unit = PadeUnit()
    net = nn.ModuleList([nn.Linear(2, 2), unit, nn.Sequential(unit)])
    assert sum(len(group["params"]) for group in grouped(net, 0.1)) == 4


@pytest.mark.parametrize("options", [{"every": 0}, {"share": 0.0}, {"share": 1.5}])
def test_bad_options(options):
    with pytest.raises(ValueError, match="lookahead needs"):
        LookaheadRAdam(network().parameters(), **options)
