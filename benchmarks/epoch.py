"""Where the time of an epoch goes: milliseconds a slice and the network's share, per study, network and loss.

    PYTHONPATH=src python benchmarks/epoch.py [--device cuda] [--write benchmarks/RESULTS.md]
    make bench BENCH='--networks Dimwit,UNet --studies isles'

Phantom slices; the rows of each study's ledger that differ in what a step computes. The clock waits for a GPU at the
ends of every section; with OMP_NUM_THREADS=1 on a CPU it reads the training thread's processor time, which other work
on the machine does not blur; "undisturbed" is the same epoch without that, so it may be shorter than the sections' sum.
The network is forward, backward (the losses' included) and optimiser.

The original's loop spends about 100 ms a slice on everything but the network on two shared CPU cores (assertions,
one-hot checks, transforms, maps, collating).
"""

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from functools import partial
from pathlib import Path

import torch
from phantomstudies import CLASSES, write_study
from turns import machine, processor_time, write_section

from boundary_loss.call_syntax import parse_call
from boundary_loss.data import Slices
from boundary_loss.experiment import Experiment
from boundary_loss.folders.sliced import SlicedFolder
from boundary_loss.networks import build_network
from boundary_loss.settings import PRECISIONS
from boundary_loss.training.arithmetic import configure, make_optimiser
from boundary_loss.training.clock import Clock
from boundary_loss.training.devices import pick_device
from boundary_loss.training.epoch import EpochRunner
from boundary_loss.training.predictions import PredictionWriter
from boundary_loss.training.terms import activate

LESIONS = {
    "gdl": ["gdl:1"],
    "gdl + boundary 2D": ["gdl:1", "boundary:0.01@1"],
    "gdl + boundary 3D": ["gdl:1", "boundary(map=3d):0.01@1"],
    "gdl + hausdorff": ["gdl:1", "hausdorff:0.1@1"],
}
ROWS = {
    "isles": LESIONS,
    "wmh": LESIONS,
    "acdc": {"ce": ["ce:1"], "ce + boundary 2D": ["ce:1", "boundary:0.01@1-3"], "boundary 2D": ["boundary:1"]},
}
AUGMENTED = "gdl + boundary step, augmented", ["gdl:1", "boundary(map=step):0.01@1"]
AUGMENT = ("flip", "rotate(15)", "scale(0.9,1.1)", "elastic(8,20)", "intensity(0.1)", "noise(0.05)")
NETWORK = ("forward", "backward", "optimiser")


def main() -> None:
    args = arguments()
    device = pick_device(args.device)
    lines = [
        f"{machine(device.type)}. {args.slices} + {args.slices} phantom slices of {args.size} x {args.size}, batches "
        f"of {args.batch_size}, AMP={args.amp}, {'compiled, ' if args.compile else ''}median of {args.epochs} epochs "
        f"[least-most], milliseconds {'of the processor ' if processor_time(device.type) else ''}a slice. `make bench`",
        "",
        "| study | network | losses | beside the network | share of the network | an epoch undisturbed | sections |",
        "|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as name:
        for study in args.studies.split(","):
            count = {"train": args.slices, "val": args.slices}
            folder = write_study(Path(name) / study, study, args.size, count)
            for network in args.networks.split(";"):
                rows = {**ROWS[study]} | (dict([AUGMENTED]) if study == "isles" else {})
                for row, terms in rows.items():
                    if not args.rows or row in args.rows:
                        cells = measure(folder, network, terms, augment=row == AUGMENTED[0], args=args, device=device)
                        lines.append(f"| {study} | {network} | {row} | {cells} |")
                        print(lines[-1], flush=True)
    if args.write:
        heading = f"An epoch ({device.type.upper()}{'' if args.amp == 'off' else ', ' + args.amp})"
        write_section(args.write, heading, "\n".join(lines))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", default="isles,wmh,acdc", help=f"of {', '.join(CLASSES)}")
    parser.add_argument("--networks", default="Dimwit", help="separated by ';', as 'Dimwit;UNet(width=8)'")
    parser.add_argument("--rows", nargs="*", help="only these losses")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--slices", type=int, default=48)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--amp", choices=PRECISIONS, default="off")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--write", type=Path, help="replace the section in this file")
    args = parser.parse_args()
    for network in args.networks.split(";"):
        parse_call(network)
    return args


def measure(
    folder: SlicedFolder,
    network: str,
    terms: list[str],
    *,
    augment: bool,
    args: argparse.Namespace,
    device: torch.device,
) -> str:
    """The cells of a row; the first epoch warms up and is not counted."""
    experiment = Experiment(
        losses=tuple(terms), rate="constant", num_classes=len(folder.classes), network=network,
        epochs=args.epochs, batch_size=args.batch_size, learning_rate=1e-3, amp=args.amp, compiled=args.compile,
        augment=AUGMENT if augment else (),
    )  # fmt: skip
    configure(experiment, device)
    active = activate(experiment)
    needs = [term.need for term in active if term.need]
    train = Slices(folder, "train", needs=needs, device=device, augmentation=experiment.augmentation)
    val = Slices(folder, "val", needs=needs, device=device)
    net = build_network(network, len(folder.modalities), len(folder.classes)).to(device)
    runner = EpochRunner(net, active, make_optimiser(experiment, net, device), experiment, device)
    weights = tuple(term.weight for term in experiment.terms)
    now = time.thread_time if processor_time(device.type) else time.perf_counter
    per_slice = 1000 / (len(train) + len(val))
    sections: list[dict[str, float]] = []
    undisturbed: list[float] = []
    with tempfile.TemporaryDirectory() as run:
        for epoch in range(2 * args.epochs + 1):
            timed = epoch % 2 == 1
            runner.new_clock = partial(Clock, device if timed else None, now)
            seconds: dict[str, float] = defaultdict(float)
            start = now()
            with PredictionWriter(Path(run), epoch) as writer:
                for runs in (runner.train(train, epoch, weights, writer), runner.validate(val, epoch, weights, writer)):
                    for section, taken in runs.clock.seconds.items():
                        seconds[section] += taken
            whole = now() - start
            seconds["other"] = whole - sum(seconds.values())
            if timed:
                sections.append({section: per_slice * s for section, s in seconds.items()})
            elif epoch:
                undisturbed.append(per_slice * whole)
    beside = [sum(ms for name, ms in epoch.items() if name not in NETWORK) for epoch in sections]
    share = statistics.median(1 - b / sum(epoch.values()) for b, epoch in zip(beside, sections, strict=True))
    parts = ", ".join(f"{name} {statistics.median(e[name] for e in sections):.2f}" for name in sections[0])
    return (
        f"{statistics.median(beside):.2f} [{min(beside):.2f}-{max(beside):.2f}] | {share:.0%} | "
        f"{statistics.median(undisturbed):.2f} | {parts}"
    )


if __name__ == "__main__":
    main()
