"""The Dice that a setting of the arithmetic ends with, beside the noise of seeds: AMP and layout on a phantom.

    PYTHONPATH=src python benchmarks/same_dice.py [--device cuda] [--write benchmarks/RESULTS.md]

Each setting trains the same row with the same seeds. Its Dice differs from the default's of the same seed by some
rounding that training has blown up; that difference means nothing as long as its mean over the seeds lies within the
seeds' own spread.
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
from phantomstudies import write_study
from turns import machine, write_section

from boundary_loss.data import Slices
from boundary_loss.experiment import Experiment
from boundary_loss.folders.sliced import SlicedFolder
from boundary_loss.networks import build_network
from boundary_loss.training.arithmetic import configure, make_optimiser
from boundary_loss.training.devices import pick_device
from boundary_loss.training.epoch import EpochRunner
from boundary_loss.training.epoch_sums import foreground_mean
from boundary_loss.training.predictions import PredictionWriter
from boundary_loss.training.terms import activate

SETTINGS: dict[str, dict[str, Any]] = {
    "float32, channels last (default)": {},
    "channels first": {"layout": "first"},
    "AMP=bf16": {"amp": "bf16"},
    "AMP=fp16": {"amp": "fp16"},
}
TERMS = ["gdl:1", "boundary:0.01@1"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="UNet(width=4)")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--slices", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--settings", nargs="*", help=f"of {', '.join(SETTINGS)}")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--write", type=Path, help="replace the section in this file")
    args = parser.parse_args()
    device = pick_device(args.device)
    lines = [
        f"{machine(device.type)}. {args.network} on {args.slices} ISLES phantom slices of {args.size} x {args.size}, "
        f"{' + '.join(TERMS)}, {args.epochs} epochs, seeds 0 to {args.seeds - 1}; mean of the last three epochs' "
        "Dice per volume on as many held-out slices. `python benchmarks/same_dice.py`",
        "",
        "| setting | mean | deviation over seeds | mean difference from the default, seed by seed | each seed |",
        "|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = write_study(Path(name) / "isles", "isles", args.size, {"train": args.slices, "val": args.slices})
        plain: list[float] = []
        for setting, options in SETTINGS.items():
            if args.settings and plain and setting not in args.settings:
                continue
            found = [train(folder, Path(name) / "run", seed, options, args, device) for seed in range(args.seeds)]
            plain = plain or found
            difference = statistics.mean(f - p for f, p in zip(found, plain, strict=True))
            lines.append(
                f"| {setting} | {statistics.mean(found):.3f} | {statistics.stdev(found):.3f} | {difference:+.3f} | "
                f"{', '.join(f'{dice:.3f}' for dice in found)} |"
            )
            print(lines[-1], flush=True)
    if args.write:
        write_section(args.write, f"The same Dice ({device.type.upper()})", "\n".join(lines))


def train(
    folder: SlicedFolder, run: Path, seed: int, options: dict[str, Any], args: argparse.Namespace, device: torch.device
) -> float:
    experiment = Experiment(
        losses=tuple(TERMS), rate="constant", num_classes=2, network=args.network, epochs=args.epochs,
        batch_size=8, learning_rate=5e-3, seed=seed, **options,
    )  # fmt: skip
    configure(experiment, device)
    terms = activate(experiment)
    needs = [term.need for term in terms if term.need]
    sets = [Slices(folder, which, needs=needs, device=device) for which in ("train", "val")]
    torch.manual_seed(seed)
    net = build_network(args.network, len(folder.modalities), 2).to(device)
    runner = EpochRunner(net, terms, make_optimiser(experiment, net, device), experiment, device)
    weights, dice = tuple(term.weight for term in experiment.terms), []
    for epoch in range(args.epochs):
        with PredictionWriter(run, epoch) as writer:
            runner.train(sets[0], epoch, weights, writer)
            dice.append(foreground_mean(runner.validate(sets[1], epoch, weights, writer).volume_dice))
    return statistics.mean(dice[-3:])


if __name__ == "__main__":
    main()
