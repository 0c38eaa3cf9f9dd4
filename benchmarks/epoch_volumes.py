"""What a training step on patches of volumes costs beside the network: share of the step, by V-Net and losses.

    make -f atria.make SRC=phantom PHANTOM='--cases 4 --size 256' RETAIN=1 data/ATRIA-phantom
    PYTHONPATH=src python benchmarks/epoch_volumes.py --data data/ATRIA-phantom [--write benchmarks/RESULTS.md]

Training epochs of the left-atrium study, with its augmentation: reading, deforming, distance maps of what is shown,
losses, metrics, writing. The network is forward, backward (the losses' included) and optimiser. With OMP_NUM_THREADS=1
on a CPU the clock reads the training thread's processor time, which other work on the machine blurs little. Target: at
most 5 %.
"""

import argparse
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
from turns import machine, processor_time, publish

from boundary_loss.data.patches import Patch
from boundary_loss.experiment import Experiment
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.whole import WholeFolder
from boundary_loss.networks import build_network
from boundary_loss.training.arithmetic import configure, make_optimiser
from boundary_loss.training.clock import Clock
from boundary_loss.training.devices import pick_device
from boundary_loss.training.epoch import EpochRunner
from boundary_loss.training.predictions import PredictionWriter
from boundary_loss.training.samples import make_samples
from boundary_loss.training.terms import activate

NETWORK = ("forward", "backward", "optimiser")
NETWORKS = ("VNet", "VNet(kernel=3,width=8,norm=instance,levels=1-2-2)")
LOSSES = {
    "dice": ("dice(over=batch):1@1",),
    "dice + boundary": ("dice(over=batch):1@1", "boundary:0.1@1"),
    "dice + hausdorff": ("dice(over=batch):1@1", "hausdorff:0.1@1"),
}
PLAIN: tuple[str, ...] = ()
AUGMENT = ("flip(y)", "rotate(3)", "shift(3)", "noise(1)")
BENT = ("flip(y)", "rotate(10,xyz)", "scale(0.9,1.1)", "elastic(4,12)", "intensity(0.1)", "noise(1)")


def main() -> None:
    args = arguments()
    device = pick_device(args.device)
    folder = PreparedFolder.open(args.data)
    if not isinstance(folder, WholeFolder):
        raise ValueError(f"{args.data} holds slices; give a folder of whole volumes")
    unit = "milliseconds of the processor" if processor_time(device.type) else "milliseconds"
    lines = [
        f"{machine(device.type)}. {args.sample}, batches of {args.batch_size}, {unit} a patch, median of {args.epochs} "
        "training epochs [least-most]. `python benchmarks/epoch_volumes.py`",
        "",
        "| network | losses | augmentation | beside the network | share of the step | sections |",
        "|---|---|---|---|---|---|",
    ]
    for network in args.networks.split(";"):
        for augment in (PLAIN, AUGMENT, BENT):
            for name, losses in LOSSES.items() if augment == AUGMENT else [("dice", LOSSES["dice"])]:
                cells = measure(folder, network, losses, augment, args, device)
                lines.append(f"| {network} | {name} | {' '.join(augment) or 'none'} | {cells} |")
                print(lines[-1], flush=True)
    publish(lines, f"An epoch on volumes ({device.type.upper()})", args.write)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="whole volumes, as data/ATRIA-phantom")
    parser.add_argument("--networks", default=";".join(NETWORKS), help="separated by ';'")
    parser.add_argument("--sample", default="patch(64,64,32)", help="what is shown of a case")
    parser.add_argument("--batch_size", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--write", type=Path, help="replace the section in this file")
    args = parser.parse_args()
    Patch.parse(args.sample)
    return args


def measure(
    folder: WholeFolder, network: str, losses: tuple[str, ...], augment: tuple[str, ...], args: argparse.Namespace,
    device: torch.device,
) -> str:  # fmt: skip
    """The cells of a row; the first epoch warms up and is not counted."""
    experiment = Experiment(
        losses=losses, rate="constant", num_classes=len(folder.classes), network=network, epochs=args.epochs,
        batch_size=args.batch_size, learning_rate=1e-3, augment=augment, sample=args.sample, of_volumes=True,
    )  # fmt: skip
    configure(experiment, device)
    terms = activate(experiment)
    train = make_samples(experiment, terms, folder, "train", device)
    net = build_network(network, len(folder.modalities), len(folder.classes)).to(device)
    runner = EpochRunner(net, terms, make_optimiser(experiment, net, device), experiment, device)
    now = time.thread_time if processor_time(device.type) else time.perf_counter
    runner.new_clock = partial(Clock, device, now)
    weights, epochs = tuple(term.weight for term in experiment.terms), []
    with tempfile.TemporaryDirectory() as run:
        for epoch in range(args.epochs + 1):
            start = now()
            with PredictionWriter(Path(run), epoch) as writer:
                seconds = dict(runner.train(train, epoch, weights, writer).clock.seconds)
            seconds["other"] = now() - start - sum(seconds.values())
            epochs.append({section: 1000 / len(train) * s for section, s in seconds.items()})
    return cells_of(epochs[1:])


def cells_of(epochs: list[dict[str, float]]) -> str:
    beside = [sum(ms for name, ms in epoch.items() if name not in NETWORK) for epoch in epochs]
    share = statistics.median(own / sum(epoch.values()) for own, epoch in zip(beside, epochs, strict=True))
    parts = ", ".join(f"{name} {statistics.median(epoch.get(name, 0) for epoch in epochs):.1f}" for name in epochs[0])
    return f"{statistics.median(beside):.1f} [{min(beside):.1f}-{max(beside):.1f}] | {share:.1%} | {parts}"


if __name__ == "__main__":
    main()
