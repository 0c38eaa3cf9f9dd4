"""Where the time of an epoch goes: seconds a slice and shares, per loss, for a network on phantom slices.

    python benchmarks/epoch.py --network Dimwit --size 256

The original's loop spends about 100 ms a slice on everything but the network on two shared CPU cores (assertions,
one-hot checks, transforms, maps, collating); this prints what ours spends. The network is forward, backward and
optimiser.
"""

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from boundary_loss.data import Slices
from boundary_loss.distance import signed_distance
from boundary_loss.experiment import Experiment
from boundary_loss.files import write_array, write_json
from boundary_loss.networks import build_network
from boundary_loss.phantom.isles import draw_case
from boundary_loss.slicedfolder import SlicedFolder, write_png
from boundary_loss.training.devices import describe, pick_device
from boundary_loss.training.epoch import EpochRunner
from boundary_loss.training.predictions import PredictionWriter
from boundary_loss.training.terms import activate

ROWS = {
    "gdl": ["gdl:1"],
    "gdl + boundary 2D": ["gdl:1", "boundary:0.01@1"],
    "gdl + boundary 3D": ["gdl:1", "boundary(map=3d):0.01@1"],
    "gdl + hausdorff": ["gdl:1", "hausdorff:0.1@1"],
}
NETWORK = ("forward", "backward", "optimiser")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--network", default="Dimwit")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--slices", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    device = pick_device(args.device)
    print(f"{args.network}, {args.slices} + {args.slices} slices of {args.size} x {args.size}, {describe(device)}")
    print("\n| run | everything but the network, ms a slice | " + "sections, ms a slice |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = SlicedFolder.open(write_study(Path(name) / "data", args.size, args.slices))
        for row, terms in ROWS.items():
            print(measure(row, terms, folder, Path(name) / "run", args, device), flush=True)


def write_study(folder: Path, size: int, num_slices: int) -> Path:
    """Slices of phantom ISLES cases, five modalities, as slicing would leave them."""
    rng = np.random.default_rng(0)
    for which in ("train", "val"):
        stems: list[str] = []
        while len(stems) < num_slices:
            images, _ = draw_case(rng, size)
            labels = images.pop("OT")
            volume = np.stack([image / image.max() for image in images.values()]).astype(np.float32)
            maps = signed_distance(labels, (1.0, 1.0, 5.0), num_classes=2)
            for z in range(min(labels.shape[-1], num_slices - len(stems))):
                stem = f"case_{len(stems)}_00_{z:04d}"
                write_array(folder / which / "in_npy" / f"{stem}.npy", volume[..., z])
                write_array(folder / which / "gt_npy" / f"{stem}.npy", labels[..., z])
                write_array(folder / which / "3d_distmap" / f"{stem}.npy", maps[..., z])
                (folder / which / "gt").mkdir(exist_ok=True)
                write_png(folder / which / "gt" / f"{stem}.png", labels[..., z])
                stems.append(stem)
        write_json(folder / which / "spacing.json", {stem: [1.0, 1.0] for stem in stems})
    about = {"study": "benchmark", "classes": ["background", "lesion"], "modalities": list(images), "checksum": ""}
    write_json(folder / "slicing.json", about)
    return folder


def measure(
    row: str, terms: list[str], folder: SlicedFolder, run: Path, args: argparse.Namespace, device: torch.device
) -> str:
    """A table row: the median epoch after the first, which warms up."""
    experiment = Experiment.parse(
        terms=terms, schedule="constant", rate="constant", num_classes=2, network=args.network, epochs=args.epochs,
        batch_size=8, learning_rate=1e-3,
    )  # fmt: skip
    active = activate(experiment)
    needs = [term.need for term in active if term.need]
    train, val = (Slices(folder, which, needs=needs, device=device) for which in ("train", "val"))
    net = build_network(args.network, len(folder.modalities), 2).to(device)
    runner = EpochRunner(net, active, torch.optim.Adam(net.parameters()), experiment, device)
    weights = tuple(term.weight for term in experiment.terms)
    epochs = []
    for epoch in range(args.epochs + 1):
        seconds: Counter[str] = Counter()
        start = time.perf_counter()
        with PredictionWriter(run, epoch) as writer:
            seconds.update(runner.train(train, epoch, weights, writer).clock.seconds)
            seconds.update(runner.validate(val, epoch, weights, writer).clock.seconds)
        seconds["other"] = time.perf_counter() - start - seconds.total()
        epochs.append(seconds)
    per_slice = 1000 / (len(train) + len(val))
    beside = [per_slice * sum(s for name, s in e.items() if name not in NETWORK) for e in epochs[1:]]
    median = epochs[1 + int(np.argsort(beside)[len(beside) // 2])]
    sections = ", ".join(f"{name} {s * per_slice:.2f}" for name, s in median.items())
    return f"| {row} | {np.median(beside):.2f} [{min(beside):.2f}-{max(beside):.2f}] | {sections} |"


if __name__ == "__main__":
    main()
