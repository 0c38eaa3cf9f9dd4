"""One epoch: it repeats itself, and on a GPU gives the same numbers as on the CPU, to rounding."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from boundary_loss.command import Stop
from boundary_loss.data import Slices
from boundary_loss.experiment import Experiment
from boundary_loss.folders.sliced import SlicedFolder
from boundary_loss.networks import build_network
from boundary_loss.training.clock import Clock
from boundary_loss.training.epoch import EpochRunner
from boundary_loss.training.epoch_sums import EpochLog, Tally
from boundary_loss.training.predictions import PredictionWriter
from boundary_loss.training.ranks import Ranks
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
    experiment = Experiment(
        losses=tuple(terms), rate="constant", num_classes=2, network="Dimwit", epochs=1, batch_size=3,
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


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("terms", [*ROWS, ["gdl:1", "boundary(map=step,absent=far):0.01@1"]])
def test_nothing_waits_for_the_gpu_between_the_first_batch_and_the_last(
    sliced: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terms: list[str]
) -> None:
    """The first batch's probabilities are looked at, once; the numbers are fetched when the epoch is over."""

    def add_losses(tally: Tally, values: Sequence[torch.Tensor], *of_step: int) -> None:
        tally.losses[tally.done] = torch.stack([value.detach() for value in values])
        tally.done += 1
        torch.cuda.set_sync_debug_mode("error" if tally.done < len(tally.batches) else "default")

    monkeypatch.setattr(Tally, "add_losses", add_losses)
    try:
        one_epoch(sliced, tmp_path, terms, torch.device("cuda"))
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("looks", [True, False])
def test_a_loss_that_is_not_finite_is_found_however_late_one_looks(
    sliced: Path, monkeypatch: pytest.MonkeyPatch, looks: bool
) -> None:
    """A GPU is asked at the end: the message names the batch that was the first, not the last."""
    slices = Slices(SlicedFolder.open(sliced), "train")
    batches = list(torch.arange(12).split(4))
    tally = Tally(slices, batches, ["gdl:1", "ce:1"], torch.device("cpu"), Ranks())
    monkeypatch.setattr(Tally, "looks", property(lambda tally: looks))
    values = torch.tensor([[0.5, 1.0], [0.25, torch.inf], [torch.nan, 1.0]])
    says = r"gdl:1 = 0\.25, ce:1 = inf\) on batch 1 of 3, the train slices case_2_00_0000, case_2_00_0001"
    with pytest.raises(Stop, match=says):
        for row in values:
            tally.add_losses(list(row))
        tally.log(Clock())


@pytest.mark.parametrize("terms", ROWS, ids=NAMES)
def test_an_epoch_repeats_itself(sliced: Path, tmp_path: Path, terms: list[str]) -> None:
    first = one_epoch(sliced, tmp_path / "a", terms, torch.device("cpu"))
    second = one_epoch(sliced, tmp_path / "b", terms, torch.device("cpu"))
    np.testing.assert_array_equal(first.losses, second.losses)
    np.testing.assert_array_equal(first.dice, second.dice)
