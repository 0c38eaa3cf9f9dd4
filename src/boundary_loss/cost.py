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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from boundary_loss import command, train
from boundary_loss.costing.counting import Step, by, count
from boundary_loss.costing.measuring import Measured, inference_ways, measured, training_step
from boundary_loss.costing.published import GIGABYTES, SECONDS, Mark
from boundary_loss.experiment import Experiment
from boundary_loss.figures.drawing import (
    LIGHT,
    MANY,
    Axes,
    Figure,
    Line2D,
    dash,
    heading,
    legend_below,
    new_figure,
    save,
    style,
)
from boundary_loss.files import write_text
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.run import RunFolder
from boundary_loss.folders.whole import WholeFolder
from boundary_loss.ledgercheck import RUN, parsed, taken_apart
from boundary_loss.networks import build_network
from boundary_loss.statistics import tables
from boundary_loss.training.devices import describe, pick_device

COLUMNS = ("row", "size", "of", "way", "bytes", "how")
TIMES = ("row", "size", "of", "way", "seconds", "how")
_POINTS = 1 << 14
"""A sample, of a row that does not say it."""
_FEW = 32**3
"""Voxels below which the time of a network is mostly that of its layers' calls and weights."""


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


@dataclass(frozen=True)
class Number:
    """One number of a table; ``value`` is None where ``how`` says why there is none."""

    row: str
    size: tuple[int, int, int]
    of: str
    way: str
    value: float | None
    how: str

    @property
    def side(self) -> float:
        """Of a cube of as many voxels."""
        return math.prod(self.size) ** (1 / 3)

    def cells(self) -> list[object]:
        value = "" if self.value is None else str(self.value) if isinstance(self.value, int) else f"{self.value:.6g}"
        return [self.row, by(self.size), self.of, self.way, value, self.how]


@dataclass
class Bench:
    """Measures until a size is predicted to take too long, or too much memory."""

    device: torch.device
    seconds: float
    memory: int
    """Bytes that are free on the device."""

    def __post_init__(self) -> None:
        self.where = f"measured on {describe(self.device)}, {torch.get_num_threads()} threads"
        self.done: dict[tuple[str, str, str], list[tuple[int, Measured | None]]] = {}

    def __call__(self, of: Number, call: Callable[[], object], guess: int = 0) -> tuple[Number, Number]:
        """The bytes and the seconds of one way at one size; ``of`` says which, ``guess`` how many bytes it may take."""
        key, voxels = (of.row, of.of, of.way), math.prod(of.size)
        why_not = self._refusal(key, voxels)
        if guess > self.memory and not why_not:
            why_not = f"not measured: it would take about {guess / 2**30:.0f} GiB"
        found = None if why_not else measured(call, self.device)
        self.done.setdefault(key, []).append((voxels, found))
        if found is None:
            why_not = why_not or "not measured: out of memory"
            return _but(of, None, why_not), _but(of, None, why_not)
        peak = self.where if found.peak is not None else "not measured: this system does not tell"
        return _but(of, found.peak, peak), _but(of, found.seconds, self.where)

    def _refusal(self, key: tuple[str, str, str], voxels: int) -> str:
        """Why it is not tried; empty if it is."""
        before = self.done.get(key, [])
        if any(found is None for _, found in before):
            return "not measured: a smaller size was not"
        seconds = _continued([(n, found.seconds) for n, found in before if found], voxels)
        memory = _continued([(n, found.peak or 0) for n, found in before if found], voxels)
        if seconds > self.seconds:
            return f"not measured: it would take about {seconds:.0f} s"
        if memory > self.memory:
            return f"not measured: it would take about {memory / 2**30:.0f} GiB"
        return ""


def _continued(known: Sequence[tuple[int, float]], voxels: int) -> float:
    """The line through the last two values, at this size; 0 if there are none to say.

    Through the last and 0 where that is the only one, and not of so few voxels that other costs are most of it.
    """
    if not known or (known[-1][0] < _FEW and len(known) < 2):
        return 0.0
    (first, low), (last, high) = [(0, 0.0), *known][-2:]
    return high + max(high - low, 0.0) * (voxels - last) / (last - first)


def _but(number: Number, value: float | None, how: str) -> Number:
    return Number(number.row, number.size, number.of, number.way, value, how)


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


def draw(title: str, unit: str, numbers: Sequence[Number], marks: Sequence[Mark], scale: float) -> Figure:
    """A panel for training and one for inference, over the side of a cube of as many voxels, on log axes."""
    names = list(dict.fromkeys(number.row for number in numbers))
    panels = [of for of in ("training", "inference") if any(n.of == of and n.value for n in numbers)]
    ways = list(dict.fromkeys(number.way for number in numbers if number.value))
    with style(LIGHT):
        figure = new_figure(height=4.6)
        for i, of in enumerate(panels):
            axes = figure.add_subplot(1, len(panels), i + 1)
            shown = [number for number in numbers if number.of == of and number.value]
            for c, name in enumerate(names):
                for w, way in enumerate(ways):
                    _curve(axes, [n for n in shown if (n.row, n.way) == (name, way)], scale, LIGHT.colour(c), _line(w))
            for mark in marks:
                if mark.row in names and mark.of in (of, *{number.way for number in shown}):
                    colour = LIGHT.colour(names.index(mark.row))
                    axes.plot(mark.side, mark.value, marker="*", markersize=11, color=colour, markeredgecolor="black")
            axes.set(xscale="log", yscale="log", xlabel="side of a cube, voxels", ylabel=unit)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.set_xticks(ticks := sorted({round(n.side) for n in numbers}), [str(tick) for tick in ticks])
            axes.minorticks_off()
            axes.set_title(of, loc="left", color=LIGHT.faint)
        handles = [Line2D([], [], color=LIGHT.colour(c), label=name) for c, name in enumerate(names)]
        handles += [Line2D([], [], color=LIGHT.faint, linestyle=_line(w), label=way) for w, way in enumerate(ways)]
        if any(mark.row in names for mark in marks):
            handles.append(
                Line2D([], [], color=LIGHT.faint, marker="*", linestyle="", label="published (OSS-Net, 2021)")
            )
        legend_below(figure, handles)
        how = "; ".join(dict.fromkeys(number.how for number in numbers if number.value))
        heading(figure, title, how, [], LIGHT)
    return figure


def _curve(axes: Axes, numbers: Sequence[Number], scale: float, colour: str, line: Any) -> None:
    """A line over the sizes; what was measured has marks."""
    values = [number.value / scale for number in numbers if number.value]
    marker = "o" if any(number.how.startswith("measured") for number in numbers) else ""
    axes.plot([n.side for n in numbers], values, color=colour, linestyle=line, marker=marker, markersize=4)


def _line(i: int) -> Any:
    return dash(MANY * i)


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
    folders = {id(own): PreparedFolder.open(parsed(own).data) for own in trainings}
    rows = [Row.of(own, folders[id(own)]) for own in trainings]
    device = pick_device(args.device)
    sizes = sizes_of(next(iter(folders.values())), args.sizes)
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
