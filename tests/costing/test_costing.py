"""What a step keeps, counted on the meta device, against what torch keeps; and inference, measured."""

import os
import subprocess
import sys

import pytest
import torch

from boundary_loss.costing.counting import Step, count
from boundary_loss.costing.measuring import inference_ways, measured, training_step
from boundary_loss.networks import LOGITS, build_network, outputs

STEPS = [
    Step(network="VNet(width=2)", channels=1, num_classes=2, batch=2, shape=(16, 32, 16)),
    Step(
        network="VNet(width=2,kernel=3,norm=batch,dropout=0.5)", channels=2, num_classes=3, batch=1, shape=(17, 20, 9)
    ),
    Step(network="VNet(width=2,recompute=true)", channels=1, num_classes=2, batch=1, shape=(16, 16, 16)),
    Step(network="UNet3D(width=2)", channels=1, num_classes=2, batch=1, shape=(16, 16, 8)),
    Step(network="UNet(width=2)", channels=5, num_classes=2, batch=3, shape=(32, 24)),
    Step(network="OSSNet(width=16,channels=8)", channels=2, num_classes=2, batch=1, shape=(32, 32, 16), points=50),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.network)
def test_what_is_counted_without_memory_is_what_true_tensors_keep(step):
    torch.manual_seed(0)
    net = build_network(step.network, step.channels, step.num_classes)
    inputs, kept = step.inputs("cpu"), {}
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: kept.setdefault(t.untyped_storage().data_ptr(), t) is None or t, lambda t: t
    ):
        answer = outputs(net(*inputs))[LOGITS].softmax(1)
    known = {t.untyped_storage().data_ptr() for t in (*net.parameters(), *inputs)}
    expected = sum(t.untyped_storage().nbytes() for place, t in kept.items() if place not in known)
    assert answer.requires_grad
    assert count(step).kept == pytest.approx(expected, rel=0.05)


def test_the_vnet_keeps_what_its_documentation_says():
    """4.5 GiB in a batch of 3 of the published size, 1.2 when each level is computed a second time."""
    full = {"channels": 1, "num_classes": 2, "batch": 3, "shape": (96, 144, 224)}
    assert count(Step(network="VNet", **full)).kept / 2**30 == pytest.approx(4.5, abs=0.2)
    assert count(Step(network="VNet(recompute=true)", **full)).kept / 2**30 == pytest.approx(1.2, abs=0.2)


def test_twice_the_volume_or_batch_keeps_twice_as_much_and_points_add_their_own():
    base = {"network": "VNet", "channels": 1, "num_classes": 2}
    one = count(Step(**base, batch=1, shape=(64, 64, 64)))
    assert count(Step(**base, batch=2, shape=(64, 64, 64))).kept == pytest.approx(2 * one.kept, rel=0.01)
    assert count(Step(**base, batch=1, shape=(128, 64, 64))).kept == pytest.approx(2 * one.kept, rel=0.01)
    points = {"network": "OSSNet", "channels": 4, "num_classes": 2, "batch": 1, "shape": (128, 128, 80)}
    few, more, most = (count(Step(**points, points=n)).kept for n in (1000, 2000, 3000))
    assert more - few == pytest.approx(most - more, rel=0.01) and more > few


def test_what_is_held_has_weights_gradients_and_the_optimisers_state():
    base = {"network": "VNet", "channels": 1, "num_classes": 2, "batch": 1, "shape": (16, 16, 16)}
    sgd, adam, lookahead = (count(Step(**base, optimiser=name)).held for name in ("sgd", "adam", "lookahead"))
    assert adam - sgd == lookahead - adam == 4 * 10_759_546


def test_networks_of_the_users_own_are_not_counted():
    with pytest.raises(ValueError, match="this package"):
        count(Step(network="mine.nets:Net", channels=1, num_classes=2, batch=1, shape=(8, 8)))


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.network)
def test_every_way_of_inference_runs(step):
    net = build_network(step.network, step.channels, step.num_classes).eval()
    shape = step.shape if len(step.shape) == 3 else (*step.shape, 2)
    ways = inference_ways(step, net, torch.randn(step.channels, *shape), None)
    expected = (
        {"dense", "prior", "coarse"} if step.points else {"slices"} if len(step.shape) == 2 else {"whole", "windows"}
    )
    assert set(ways) == expected
    for call in ways.values():
        assert call() is not None


MEASURED = """
import torch
from boundary_loss.costing.measuring import measured
held = []
found = measured(lambda: held.append(torch.ones(1 << 24)) or held.clear(), torch.device("cpu"))
assert found is not None and found.seconds > 0
assert found.peak is None or found.peak > 1 << 25, found.peak
"""


def test_a_measurement_sees_time_and_memory():
    """In a process of its own: another test may have left this one memory, which is then no news to the system."""
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    done = subprocess.run([sys.executable, "-c", MEASURED], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_too_little_memory_is_an_answer():
    def fails():
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    assert measured(fails, torch.device("cpu")) is None


def test_a_training_step_runs():
    training_step(STEPS[3], torch.device("cpu"))()
    training_step(STEPS[5], torch.device("cpu"))()
