"""Measure what the losses of each row cost in a training step: step_cost.csv in the folder of results.

    python -m boundary_loss.losscost results/acdc --run results/acdc/ce_dice --data data/ACDC-2D --losses ce:1 dice:1

After each ``--run`` stand the words of a training. Every row's losses run forward and backward on a batch of the
study's training samples, with noise for logits, the rows in turns; networks do not run, and nothing is trained. With
one thread on a CPU the clock is that thread's processor time, so that other work on the machine does not blur it.
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from boundary_loss import command, train
from boundary_loss.command import Stop
from boundary_loss.contest.costs import COLUMNS, COSTS, StepCost
from boundary_loss.costing.measuring import measured
from boundary_loss.data import Batch
from boundary_loss.files import write_text
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.run import RunFolder
from boundary_loss.folders.whole import WholeFolder
from boundary_loss.ledgercheck import RUN, parsed, taken_apart
from boundary_loss.networks.distance_head import DISTANCES
from boundary_loss.statistics import tables
from boundary_loss.training.devices import describe, pick_device
from boundary_loss.training.samples import make_samples
from boundary_loss.training.terms import PROBS, ActiveTerm, activate
from boundary_loss.training.trial import made_map

Clock = Callable[[], float]


@dataclass(frozen=True)
class Step:
    """The losses of a row on a batch, ready to be run."""

    row: str
    terms: tuple[ActiveTerm, ...]
    weights: tuple[float, ...]
    batch: Batch
    logits: Tensor
    """(B, K, ...), a leaf."""
    distances: Tensor
    """Of a distance head; a leaf."""

    def __call__(self) -> None:
        """Run forward and backward."""
        outputs = {PROBS: self.logits.softmax(dim=1), DISTANCES: self.distances}
        values = [weight * term(outputs, self.batch) for term, weight in zip(self.terms, self.weights, strict=True)]
        torch.autograd.grad(torch.stack(values).sum(), [self.logits, self.distances], allow_unused=True)

    def make_maps(self) -> None:
        """Make the distance maps of the batch that the losses read, as its loader does."""
        for term in self.terms:
            if term.need:
                made_map(term.need, self.batch.labels, self.batch.gt, self.batch.spacings)


def step_of(words: Sequence[str], device: torch.device) -> Step:
    """Return the step of a training with these words.

    Raises:
        ValueError: a loss that reads a further output of the network, which noise cannot stand for.
    """
    args = parsed(words)
    data = PreparedFolder.open(args.data)
    experiment = train.read_experiment(args, len(data.classes), of_volumes=isinstance(data, WholeFolder))
    terms, few = activate(experiment), replace(experiment, debug=True)  # a few cases are enough for a batch
    other = [term.text for term in terms if term.reads not in (PROBS, DISTANCES)]
    if other:
        raise ValueError(f"{', '.join(other)}: what a further output of the network costs is not measured")
    samples = make_samples(few, terms, data, "train", device)
    (batch,) = samples.batches([torch.arange(min(experiment.batch_size, len(samples)))], device)
    generator = torch.Generator().manual_seed(0)
    noise = [torch.randn(batch.gt.shape, generator=generator).to(device).requires_grad_() for _ in range(2)]
    weights = experiment.weights(experiment.epochs - 1, (1.0,) * (experiment.epochs - 1))
    return Step(RunFolder(args.folder).row, tuple(terms), tuple(weights), batch, *noise)


def measure(steps: Sequence[Step], rounds: int, device: torch.device) -> list[StepCost]:
    """Time the steps in turns, after a round that is not counted, and measure the peak of each."""
    clock = clock_of(device)
    times: dict[str, list[float]] = {step.row: [] for step in steps}
    maps: dict[str, list[float]] = {step.row: [] for step in steps}
    for turn in range(rounds + 1):
        for step in steps:
            took, took_maps = milliseconds(step, clock), milliseconds(step.make_maps, clock)
            if turn:
                times[step.row].append(took)
                maps[step.row].append(took_maps)
    where = f"{describe(device)}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    first = times[steps[0].row]
    return [_cost(step, times[step.row], maps[step.row], first, where, device) for step in steps]


def clock_of(device: torch.device) -> Clock:
    """The processor time of this thread where it does all the work; otherwise the time, once the device is done."""
    if device.type == "cuda":
        return partial(_after_all, device)
    return time.thread_time if torch.get_num_threads() == 1 else time.perf_counter


def _after_all(device: torch.device) -> float:
    torch.cuda.synchronize(device)
    return time.perf_counter()


def milliseconds(call: Callable[[], object], clock: Clock) -> float:
    start = clock()
    call()
    return 1e3 * (clock() - start)


def _cost(
    step: Step, times: list[float], maps: list[float], first: list[float], where: str, device: torch.device
) -> StepCost:
    low, middle, high = statistics.quantiles(times, n=4, method="inclusive") if len(times) > 1 else times * 3
    found = measured(step, device)
    peak = found.peak if found else None
    return StepCost(
        row=step.row, batch="x".join(map(str, step.logits.shape)), rounds=len(times), milliseconds=middle, low=low,
        high=high, times_of_first=statistics.median(own / base for own, base in zip(times, first, strict=True)),
        mebibytes=peak / 2**20 if peak is not None else float("nan"), maps_milliseconds=statistics.median(maps),
        measured_on=where,
    )  # fmt: skip


def to_csv(costs: Sequence[StepCost]) -> str:
    lines = [[value if isinstance(value, str | int) else tables.cell(value)
              for value in (getattr(cost, name) for name in COLUMNS)] for cost in costs]  # fmt: skip
    return tables.to_csv(COLUMNS, lines)


def arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = command.parser("Measure what the losses of the rows cost in a training step.")
    parser.add_argument("folder", type=Path, help="where step_cost.csv goes, as results/acdc")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each row")
    parser.add_argument("--threads", type=int, default=1, help="of a CPU")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    return parser.parse_args(words)


def main() -> None:
    words = sys.argv[1:]
    start = words.index(RUN) if RUN in words else len(words)
    args, trainings = arguments(words[:start]), taken_apart(words[start:])
    if args.rounds < 1 or args.threads < 1:
        raise Stop(f"--rounds {args.rounds} and --threads {args.threads} must be 1 or more")
    torch.set_num_threads(args.threads)
    device = pick_device(args.device)
    costs = measure([step_of(own, device) for own in trainings], args.rounds, device)
    write_text(args.folder / COSTS, to_csv(costs))
    lines = [["row", "ms", "times", "MiB", "ms for maps"]]
    lines += [
        [c.row, f"{c.milliseconds:.1f}", f"{c.times_of_first:.2f}", f"{c.mebibytes:.1f}", f"{c.maps_milliseconds:.1f}"]
        for c in costs
    ]
    print(f"{args.folder / COSTS}: a step of {costs[0].batch}, {costs[0].measured_on}")
    print(tables.aligned(lines, right=True))


if __name__ == "__main__":
    command.run(main)
