"""One epoch: it repeats itself, and on a GPU gives the same numbers as on the CPU, to rounding."""

from pathlib import Path

import numpy as np
import pytest
import torch

from boundary_loss.data import Slices
from boundary_loss.experiment import Experiment
from boundary_loss.networks import build_network
from boundary_loss.slicedfolder import SlicedFolder
from boundary_loss.training.epoch import EpochRunner
from boundary_loss.training.predictions import PredictionWriter
from boundary_loss.training.tally import EpochLog
from boundary_loss.training.terms import activate

ROWS = [
    ["gdl:1", "boundary:0.01@1"],
    ["gdl:1", "boundary(map=step):0.01@1"],
    ["gdl:1", "boundary(map=3d):0.01@1"],
    ["gdl:1", "hausdorff(sides=both):0.1@1"],
    ["ce:1", "focal:1", "dice:1"],
    ["gdl:1", "sdf:1@1", "foreground(norm=l1):0.1"],
]
NAMES = ["2d", "step", "3d", "hausdorff", "region", "head"]


def one_epoch(sliced: Path, run: Path, terms: list[str], device: torch.device) -> EpochLog:
    experiment = Experiment.parse(
        terms=terms, schedule="constant", rate="constant", num_classes=2, network="Dimwit", epochs=1, batch_size=3,
        learning_rate=1e-3,
    )  # fmt: skip
    active = activate(experiment)
    slices = Slices(SlicedFolder.open(sliced), "train", needs=[t.need for t in active if t.need], device=device)
    torch.manual_seed(0)
    net = build_network(experiment.built_network, 2, 2).to(device)
    runner = EpochRunner(net, active, torch.optim.Adam(net.parameters(), lr=1e-3), experiment, device)
    with PredictionWriter(run, 0) as writer:
        return runner.train(slices, 0, [term.weight for term in experiment.terms], writer)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("terms", ROWS, ids=NAMES)
def test_an_epoch_on_the_gpu_is_one_on_the_cpu(sliced: Path, tmp_path: Path, terms: list[str]) -> None:
    cpu = one_epoch(sliced, tmp_path / "cpu", terms, torch.device("cpu"))
    gpu = one_epoch(sliced, tmp_path / "gpu", terms, torch.device("cuda"))
    np.testing.assert_allclose(gpu.losses, cpu.losses, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(gpu.dice, cpu.dice, atol=0.05)


@pytest.mark.parametrize("terms", ROWS, ids=NAMES)
def test_an_epoch_repeats_itself(sliced: Path, tmp_path: Path, terms: list[str]) -> None:
    first = one_epoch(sliced, tmp_path / "a", terms, torch.device("cpu"))
    second = one_epoch(sliced, tmp_path / "b", terms, torch.device("cpu"))
    np.testing.assert_array_equal(first.losses, second.losses)
    np.testing.assert_array_equal(first.dice, second.dice)
