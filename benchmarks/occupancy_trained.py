"""A trained network of space on its validation cases: each way of inference beside dense, in time and in voxels.

    PYTHONPATH=src python benchmarks/occupancy_trained.py --run results/brats/oss_c --data data/BRATS \\
        [--device cuda] [--cases 1] [--rounds 3] [--write benchmarks/RESULTS.md]

benchmarks/occupancy.py draws its mask; here the surface is that of a network, with all its islands and holes. What a
way gives is compared with dense inference, and Dice is with the truth, both in the grid of the files.
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from turns import machine, publish, ratio, take_turns

from boundary_loss.data.cases import ShownCases
from boundary_loss.data.point_samples import ask_in_source
from boundary_loss.data.view import View
from boundary_loss.data.ways import Coarse, Dense, Prior, Way
from boundary_loss.folders.run import BEST_WEIGHTS
from boundary_loss.folders.whole import WholeFolder
from boundary_loss.inference.field import Field
from boundary_loss.training.devices import pick_device
from boundary_loss.training.weights import Weights

WAYS: dict[str, Way] = {"dense": Dense(), "coarse(stride=4)": Coarse(), "coarse(stride=2)": Coarse(2), "prior": Prior()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="of a row that is trained on points")
    parser.add_argument("--data", type=Path, required=True, help="whole volumes, whose val cases are predicted")
    parser.add_argument("--cases", type=int, default=2, help="so many of them, the first with an object")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--write", type=Path, help="replace the section in this file")
    args = parser.parse_args()
    device = pick_device(args.device)
    weights = Weights.read(args.run / BEST_WEIGHTS)
    if weights.view is None or not weights.view.of_points:
        parser.error(f"{args.run} was not trained on points")
    net: Any = weights.build().to(device).eval()  # a Field, since its view is of points
    lines = [
        f"{machine(device.type)}. `{weights.network}`; x = time of dense inference over that of the way, median of "
        f"{args.rounds} rounds in turns.",
        "",
        "| case | way | ms | x | voxels as dense | others | Dice |",
        "|---|---|---|---|---|---|---|",
    ]
    cases = ShownCases(WholeFolder.open(args.data), "val", weights.view)
    full = [case for case in cases.names if bool((cases.folder.truth(case) == 1).any())]
    for case in full[: args.cases]:
        lines += measured(net, cases, case, weights.view, device, args.rounds)
    publish(lines, f"Trained occupancy network ({device.type.upper()})", args.write)


def measured(
    net: Field, cases: ShownCases, case: str, view: View, device: torch.device, rounds: int
) -> list[str]:  # fmt: skip
    """A line for each way."""
    frame = cases.frame(case)
    box = frame.source_box()
    *parts, _ = cases.parts(case, box)
    volume = frame.within(box).resample(cases.scaled(case, [part.to(device) for part in parts]), 1)
    truth = torch.from_numpy(cases.folder.truth(case).copy()) == 1
    found: dict[str, Tensor] = {}

    def step(name: str) -> Callable[[], None]:
        def run() -> None:
            found[name] = ask_in_source(net, volume, frame, WAYS[name])

        return run

    times = take_turns({name: step(name) for name in WAYS}, rounds)
    lines = []
    for name in WAYS:
        others = int((found[name] != found["dense"]).sum())
        mask = found[name].cpu() == 1
        dice = 2 * int((mask & truth).sum()) / max(1, int(mask.sum()) + int(truth.sum()))
        cell = f"{statistics.median(times[name]):.0f} | {ratio(times['dense'], times[name]):.1f}"
        lines.append(f"| {case} | {name} | {cell} | {1 - others / truth.numel():.4%} | {others} | {dice:.3f} |")
        print(lines[-1], flush=True)
    return lines


if __name__ == "__main__":
    main()
