"""Memory and time of the rows of a ledger, by the size of the volume: memory.csv, runtime.csv and a plot of each.

    python -m boundary_loss.cost results/brats --sizes 64 128 256 512 \\
        --run results/brats/oss_c --data data/BRATS --losses bce:1 --network OSSNet --sample 'points(16384)'

After each ``--run`` stand the words of a training. What a training step keeps is counted at every size, without
allocating it. Its peak (on a GPU) and inference in every way that the network has are measured, from the smallest size
on, until a measurement would take longer than ``--seconds`` or more than the memory. Networks have fresh weights and
inputs are noise: what ``prior`` and ``coarse`` cost depends on what they find, and is less where objects are compact.
The tables say of each number whether it was counted or measured, and where.
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import argparse
import math
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from boundary_loss import command, train
from boundary_loss.costing.bench import Bench, Number
from boundary_loss.costing.counting import Step, count
from boundary_loss.costing.measuring import inference_ways, training_step
from boundary_loss.costing.published import GIGABYTES, SECONDS
from boundary_loss.experiment import Experiment
from boundary_loss.figures.costs import draw
from boundary_loss.figures.drawing import save
from boundary_loss.files import write_text
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.run import RunFolder
from boundary_loss.folders.whole import WholeFolder
from boundary_loss.ledgercheck import RUN, parsed, taken_apart
from boundary_loss.networks import build_network
from boundary_loss.statistics import tables
from boundary_loss.training.devices import pick_device

COLUMNS = ("row", "size", "of", "way", "bytes", "how")
TIMES = ("row", "size", "of", "way", "seconds", "how")
_POINTS = 1 << 14
"""A sample, of a row that does not say it."""


@dataclass(frozen=True)
class Row:
    """A row of the ledger: what a step of it is, at a given size of the volume."""

    name: str
    network: str
    channels: int
    num_classes: int
    batch: int
    optimiser: str
    experiment: Experiment

    @classmethod
    def of(cls, words: Sequence[str], data: PreparedFolder) -> "Row":
        args = parsed(words)
        found = train.read_experiment(args, len(data.classes), of_volumes=isinstance(data, WholeFolder))
        return cls(
            RunFolder(args.folder).row, found.built_network, len(data.modalities), len(data.classes),
            found.batch_size, found.optimiser, found,
        )  # fmt: skip

    @property
    def is_of_space(self) -> bool:
        """Whether the network is asked at points."""
        return self.network.partition("(")[0] == "OSSNet"

    def shown(self, size: tuple[int, int, int]) -> tuple[int, ...]:
        """All that the network is shown of a volume of this size."""
        return tuple(self.experiment.view.frame(size).shape)

    def patch(self, size: tuple[int, int, int]) -> tuple[int, ...] | None:
        """The shape of a sample, if that is less than all."""
        shape = tuple(self.experiment.view.shape(self.experiment.view.frame(size)))
        return None if shape == self.shown(size) else shape

    def step(self, size: tuple[int, int, int]) -> Step:
        """A training step on volumes of this size."""
        of_planes = not (self.experiment.view.of_volumes or self.is_of_space)
        shape = self.shown(size)[:2] if of_planes else self.patch(size) or self.shown(size)
        points = getattr(self.experiment.view.sample, "count", _POINTS) if self.is_of_space else 0
        return Step(
            network=self.network, channels=self.channels, num_classes=self.num_classes, batch=self.batch, shape=shape,
            points=points, optimiser=self.optimiser,
        )  # fmt: skip


def costs(
    rows: Sequence[Row], sizes: Sequence[tuple[int, int, int]], bench: Bench
) -> Iterator[list[tuple[str, Number]]]:
    """Yield the numbers of every row and size, the smallest first, each with its table, ``memory`` or ``runtime``."""
    ordered = sorted(set(sizes), key=math.prod)
    with tqdm(total=len(rows) * len(ordered), desc="cost", disable=None, leave=False) as bar:
        for row in rows:
            for size in ordered:
                yield list(_of_size(row, size, bench))
                bar.update()


def _of_size(row: Row, size: tuple[int, int, int], bench: Bench) -> Iterator[tuple[str, Number]]:
    step, counted = row.step(size), None
    try:
        counted = count(step)
    except ValueError as error:
        yield "memory", Number(row.name, size, "training", "kept", None, f"not counted: {error}")
    else:
        yield "memory", Number(row.name, size, "training", "kept", counted.kept, "counted, float32")
        yield "memory", Number(row.name, size, "training", "held", counted.held, "counted, float32")
    if bench.device.type == "cuda":
        of, guess = Number(row.name, size, "training", "peak", None, ""), counted.held if counted else 0
        peak, seconds = bench(of, training_step(step, bench.device), guess)
        yield from (("memory", peak), ("runtime", seconds))
    of_image = 4 * row.channels * math.prod(row.shown(size))
    net = build_network(row.network, row.channels, row.num_classes).to(bench.device).eval()
    fits = 2 * of_image <= bench.memory
    image = torch.randn(row.channels, *(row.shown(size) if fits else (8, 8, 8)), device=bench.device)
    for way, call in inference_ways(step, net, image, row.patch(size)).items():
        guess = counted.kept // step.batch if counted and way == "whole" and not row.patch(size) else 0
        of = Number(row.name, size, "inference", way, None, "")
        peak, seconds = bench(of, call, guess if fits else 2 * of_image)
        yield from (("memory", peak), ("runtime", seconds))


def sizes_of(data: PreparedFolder, words: Sequence[str]) -> list[tuple[int, int, int]]:
    """``64`` -> 64³, ``96x144x224`` -> that; and the largest validation volume, the study's own."""
    found = []
    for word in words:
        sides = [int(side) for side in word.split("x") if side.isdigit()]
        if len(sides) not in (1, 3) or len(sides) != len(word.split("x")) or min(sides) < 8:
            raise ValueError(f"--sizes {word} is not understood; write 64, or 96x144x224, of 8 voxels or more")
        x, y, z = sides * 3 if len(sides) == 1 else sides
        found.append((x, y, z))
    volumes = data.volumes("val")
    shapes = {(*data.labels("val", stems[0]).shape, len(stems)) for stems in volumes.values()}
    return found + sorted(shapes, key=math.prod)[-1:]


def free_memory(device: torch.device) -> int:
    """Bytes; on the host, what the system says is free, of which a third is left to others."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 2 // 3


def arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = command.parser("Count and measure what the rows of a ledger cost.")
    parser.add_argument("folder", type=Path, help="where the tables and plots go, as results/brats")
    parser.add_argument("--sizes", nargs="+", default=["64", "128", "256", "512"], help="sides: 64, or 96x144x224")
    parser.add_argument("--seconds", type=float, default=60, help="no measurement that would take longer is begun")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    return parser.parse_args(words)


def main() -> None:
    words = sys.argv[1:]
    start = words.index(RUN) if RUN in words else len(words)
    args, trainings = arguments(words[:start]), taken_apart(words[start:])
    opened = [PreparedFolder.open(parsed(own).data) for own in trainings]
    rows = [Row.of(own, data) for own, data in zip(trainings, opened, strict=True)]
    device = pick_device(args.device)
    sizes = sizes_of(opened[0], args.sizes)
    bench = Bench(device, args.seconds, free_memory(device))
    found: list[tuple[str, Number]] = []
    for numbers in costs(rows, sizes, bench):
        found += numbers
        write_tables(args.folder, found)  # what is measured is kept, if this is called off
    for name, unit, scale, marks in (
        ("memory", "GB", 1e9, GIGABYTES),
        ("runtime", "seconds", 1.0, SECONDS),
    ):
        own = [number for table, number in found if table == name]
        if any(number.value for number in own):
            save(draw(f"{name} by the size of the volume", unit, own, marks, scale), args.folder / f"{name}.png")
    missing = sum(number.value is None for _, number in found)
    print(f"{args.folder}: memory.csv, runtime.csv and plots; {missing} numbers not measured, see the column how")


def write_tables(folder: Path, found: Sequence[tuple[str, Number]]) -> None:
    """Write memory.csv and runtime.csv."""
    for name, columns in (("memory", COLUMNS), ("runtime", TIMES)):
        lines = [number.cells() for table, number in found if table == name]
        write_text(folder / f"{name}.csv", tables.to_csv(columns, lines))


if __name__ == "__main__":
    command.run(main)
