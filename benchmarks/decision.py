"""What the decision by expected Dice changes in trained networks: Dice and HD95 of the validation cases, beside argmax.

    python benchmarks/decision.py --data data/ATRIA --runs results/atria/dice/seed0 results/atria/dice/seed1

The networks stay as they are, so that both decisions are made of the same probabilities. Cases are compared in pairs:
mean difference, with the 95 % bootstrap interval (BCa) of the report.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from turns import machine, publish

from boundary_loss import measure
from boundary_loss.data import Cases, Samples, Slices
from boundary_loss.data.cases import ShownCases
from boundary_loss.data.view import probs_in_source
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.run import BEST_WEIGHTS
from boundary_loss.folders.whole import WholeFolder
from boundary_loss.inference.decision import DECISIONS, decide
from boundary_loss.networks import LOGITS, outputs
from boundary_loss.statistics.paired import interval
from boundary_loss.training.devices import pick_device
from boundary_loss.training.weights import Weights

METRICS = ["dsc", "hd95"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the prepared data that the runs were validated on")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run folders, as results/atria/dice/seed0")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--write", type=Path, help="replace the section in this file")
    args = parser.parse_args()
    device, folder = pick_device(args.device), PreparedFolder.open(args.data)
    lines = [
        f"{machine(device.type)}. Means over the validation cases and classes; difference = expected Dice - argmax, "
        "with its 95 % interval. `python benchmarks/decision.py`",
        "",
        "| run | Dice, argmax | expected Dice | difference | HD95 mm, argmax | expected Dice | difference |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in args.runs:
        lines.append(f"| {'/'.join(run.parts[-3:])} | {' | '.join(cells_of(run, folder, device))} |")
        print(lines[-1], flush=True)
    publish(lines, f"Decision by expected Dice, {folder.path.name} ({device.type.upper()})", args.write)


def cells_of(run: Path, folder: PreparedFolder, device: torch.device) -> list[str]:
    """The cells of each metric: both means and their difference."""
    weights = Weights.read(run / BEST_WEIGHTS)
    if weights.view is not None and weights.view.of_points:
        raise SystemExit(f"{run} was trained on points; this compares networks on voxels")
    scores: list[list[list[float]]] = []  # (cases, metrics, decisions)
    for probs, truth, spacing in predicted(weights, folder, device):
        classes = {name: k for k, name in enumerate(folder.classes) if k}
        found = [measure(decide(probs, name), truth, spacing, classes, METRICS) for name in DECISIONS]
        scores.append([[float(np.mean([*values[metric].values()])) for values in found] for metric in METRICS])
    table = np.array(scores)
    return [cell for m, digits in enumerate((3, 2)) for cell in compared(table[:, m], digits)]


def compared(values: np.ndarray, digits: int) -> list[str]:
    """Both means of (cases, 2) values, and the mean difference with its interval."""
    differences = values[:, 1] - values[:, 0]
    low, high = interval(differences)
    difference = f"{differences.mean():+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"
    return [*(f"{mean:.{digits}f}" for mean in values.mean(0)), difference]


def predicted(
    weights: Weights, folder: PreparedFolder, device: torch.device
) -> Iterator[tuple[Tensor, np.ndarray, tuple[float, ...]]]:
    """Probabilities (K, X, Y, Z) of each validation case, its true classes, and its spacing in mm."""
    net = weights.build().to(device)
    if weights.view is not None and weights.view.of_volumes:
        assert isinstance(folder, WholeFolder)
        cases = Cases(ShownCases(folder, "val", weights.view), device=device)
        for (case,), probs in probabilities(net, cases, weights.temperature or 1.0, device):
            yield probs_in_source(probs[0], cases.frames[case]), folder.truth(case), folder.spacing_3d(case)
        return
    slices = Slices(folder, "val", device=device)
    for names, probs in probabilities(net, slices, weights.temperature or 1.0, device):
        truth = np.stack([folder.labels("val", name) for name in names], axis=-1)
        volume = next(volume for volume, rows in slices.volumes.items() if slices.names[rows[0]] == names[0])
        yield probs.movedim(0, -1), truth, folder.spacing_3d(volume)


@torch.inference_mode()
def probabilities(
    net: nn.Module, samples: Samples, temperature: float, device: torch.device
) -> Iterator[tuple[list[str], Tensor]]:
    """The softmax of each volume, by the names of its items."""
    batches = samples.in_order(8, group=True)
    for batch in samples.batches(batches, device):
        found = samples.forward(lambda *inputs: outputs(net(*inputs)), batch)
        yield list(batch.names), torch.softmax(found[LOGITS].float() / temperature, dim=1)


if __name__ == "__main__":
    main()
