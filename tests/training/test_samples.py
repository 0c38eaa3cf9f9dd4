"""Samples that are no slices go through the same epochs: patches of volumes, several of an item, in 3D."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from boundary_loss.data import Batch, MapNeed, Samples
from boundary_loss.distance import signed_distance
from boundary_loss.encoding import encode_one_hot
from boundary_loss.experiment import Experiment
from boundary_loss.networks import build_network
from boundary_loss.training.epoch import EpochRunner
from boundary_loss.training.epoch_sums import EpochLog
from boundary_loss.training.ranks import Ranks
from boundary_loss.training.terms import activate

CPU = torch.device("cpu")


class Halves(Samples):
    """Three cases (16, 12, 10), shown in two halves along X each."""

    which, num_classes, has_ignored, absent, each = "train", 2, True, [], 2

    def __init__(self, needs: Sequence[MapNeed]) -> None:
        numbers = torch.Generator().manual_seed(0)
        self.names, self.needs = [f"case_{i}" for i in range(3)], needs
        self.volumes = {name: [row] for row, name in enumerate(self.names)}
        self.images = torch.rand(3, 1, 16, 12, 10, generator=numbers)
        self.labels = (self.images[:, 0] > 0.6).to(torch.uint8)
        self.labels[0, :2] = 255

    def batches(
        self, batches: Sequence[Tensor], device: torch.device, seed: int = 0, whole: Sequence[Tensor] | None = None
    ) -> Iterator[Batch]:
        for samples in batches:
            rows = samples // self.each
            cut = [slice(8 * (s % 2), 8 * (s % 2) + 8) for s in samples.tolist()]
            labels = torch.stack([self.labels[row, x] for row, x in zip(rows, cut, strict=True)])
            images = torch.stack([self.images[row, :, x] for row, x in zip(rows, cut, strict=True)])
            spacings = torch.ones(len(samples), 3)
            yield Batch(
                index=rows, names=self.names_of(samples), inputs=(images,), labels=labels,
                gt=encode_one_hot(labels, 2, torch.float32), mask=(labels != 255).unsqueeze(1), spacings=spacings,
                maps={need: self.map_of(need, labels, spacings) for need in self.needs},
            )  # fmt: skip

    def map_of(self, need: MapNeed, labels: Tensor, spacings: Tensor) -> Tensor:
        if need.measure:
            return need.measure(encode_one_hot(labels, 2, torch.float32), spacings, mask=(labels != 255).unsqueeze(1))
        return signed_distance(labels, spacings, num_classes=2, classes=need.classes, spatial_dims=3)


class Kept:
    """Stands in for the writer of predictions."""

    def __init__(self) -> None:
        self.written: list[tuple[str, tuple[int, ...]]] = []

    def write(self, which: str, names: Sequence[str], classes: Tensor) -> None:
        self.written += [(name, tuple(found.shape)) for name, found in zip(names, classes, strict=True)]


def epochs(network: str, *losses: str) -> tuple[Halves, list[EpochLog], Kept]:
    """One of training and one of validation."""
    experiment = Experiment(
        losses=losses, rate="constant", num_classes=2, network=network, epochs=1, batch_size=4, gradients=True,
    )  # fmt: skip
    terms = activate(experiment)
    samples = Halves([term.need for term in terms if term.need])
    torch.manual_seed(0)
    net = build_network(experiment.built_network, 1, 2)
    runner = EpochRunner(net, terms, torch.optim.Adam(net.parameters(), lr=1e-3), experiment, CPU)
    weights, kept = [term.weight for term in experiment.terms], Kept()
    logs = [run(samples, 0, weights, kept) for run in (runner.train, runner.validate)]  # type: ignore[arg-type]
    return samples, logs, kept


@pytest.mark.parametrize("network", ["Dimwit3D", "UNet3D(width=2)"])
def test_an_epoch_of_patches_of_volumes(network: str) -> None:
    losses = ("gdl:1", "boundary(map=step):0.1@1", "hausdorff:0.1@1", "sdf:1")
    samples, logs, kept = epochs(network, *losses)
    assert len(samples) == 6 and kept.written == [(name, (8, 12, 10)) for name in samples.names for _ in range(2)]
    for log in logs:
        assert log.losses.shape == (2, 4) and np.isfinite(log.losses).all()
        assert log.dice.shape == log.volume_dice.shape == (3, 2)
    assert (logs[0].gradients > 0).all()


class Bright(torch.nn.Module):
    """Class 1 where it is brighter than half."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.slope = torch.nn.Parameter(torch.ones(()))

    def forward(self, image: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(image), self.slope * (image - 0.5)], dim=1)


def test_the_samples_of_an_item_add_up() -> None:
    """Dice of a case, from its two halves, is that of the case."""
    samples, logs, _ = epochs(f"{__name__}:Bright", "ce:1")
    predicted, true = samples.images[:, 0] > 0.5, samples.labels == 1
    predicted &= samples.labels != 255
    both = (predicted & true).sum(dim=(1, 2, 3))
    expected = 2 * both / (predicted.sum(dim=(1, 2, 3)) + true.sum(dim=(1, 2, 3)))
    np.testing.assert_allclose(logs[1].dice[:, 1], expected, rtol=1e-6)


def test_batches_and_names_follow_the_samples() -> None:
    samples = Halves([])
    assert [batch.tolist() for batch in samples.in_order(4, group=False)] == [[0, 1, 2, 3], [4, 5]]
    assert [batch.tolist() for batch in samples.in_order(4, group=True)] == [[0, 1], [2, 3], [4, 5]]
    assert samples.names_of(torch.tensor([5, 0, 1])) == ["case_2", "case_0", "case_0"]
    drawn = torch.cat(samples.shuffled(4, seed=1))
    assert sorted(drawn.tolist()) == list(range(6)) and torch.equal(drawn, torch.cat(samples.shuffled(4, seed=1)))
    assert Ranks().part(drawn).rows.tolist() == drawn.tolist()
