"""A run folder from a ledger row.

    python -m boundary_loss.train results/isles/gdl --data data/ISLES --losses gdl:1 --network UNet --epochs 100

Trains beside (``gdl_tmp``) and publishes the folder when the last epoch is done. Killed at any moment, the same
command goes on after the last finished epoch and ends with the same arrays.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from boundary_loss import command
from boundary_loss.command import Stop
from boundary_loss.data import Slices
from boundary_loss.experiment import LAYOUTS, PRECISIONS, Experiment
from boundary_loss.files import sole_maker, unfinished
from boundary_loss.networks import build_network
from boundary_loss.runfolder import RunFolder
from boundary_loss.slicedfolder import SlicedFolder
from boundary_loss.training import folder
from boundary_loss.training.arithmetic import configure, make_optimiser
from boundary_loss.training.checkpoint import load_weights
from boundary_loss.training.devices import describe, pick_device
from boundary_loss.training.epoch import EpochRunner
from boundary_loss.training.run import Training
from boundary_loss.training.terms import activate

DEBUG_SLICES = 10
BESIDE = ("--device", "--queue", "--fresh")  # options that do not shape the result


def arguments() -> argparse.Namespace:
    parser = command.parser("Train one run of a study.")
    parser.add_argument("folder", type=Path, help="the run folder to make, as results/isles/gdl")
    data = parser.add_argument_group("data and losses")
    data.add_argument("--data", type=Path, required=True, help="sliced data, as data/ISLES")
    data.add_argument("--losses", nargs="+", required=True, help="terms loss[(option=value)]:weight[@classes]")
    data.add_argument("--augment", nargs="+", default=[], help="altered training slices: flip rotate(15) ..., or none")
    data.add_argument("--schedule", default="constant", help="rule of the terms' weights, as steal(0.01)")
    net = parser.add_argument_group("network and optimiser")
    net.add_argument("--network", default="UNet", help="name[(option=value)] or package.module:Class")
    net.add_argument("--weights", type=Path, help="start from these weights (a best.pkl)")
    net.add_argument("--epochs", type=int, default=100)
    net.add_argument("--batch_size", type=int, default=8)
    net.add_argument("--lr", type=float, default=1e-3)
    net.add_argument("--rate", default="plateau(20)", help="rule of the learning rate")
    net.add_argument("--optimiser", choices=("adam", "sgd"), default="adam")
    net.add_argument("--temperature", type=float, default=1.0, help="of the softmax")
    net.add_argument("--seed", type=int, default=0)
    speed = parser.add_argument_group("arithmetic of the network; the losses are computed in float32 always")
    speed.add_argument("--amp", choices=PRECISIONS, default="off", help="16-bit floats where they are safe")
    speed.add_argument("--layout", choices=LAYOUTS, default="last", help="where an image's channels stand in memory")
    speed.add_argument("--compile", action="store_true", help="torch.compile, with CUDA graphs on a GPU")
    speed.add_argument("--deterministic", action="store_true", help="the same bits from the same GPU, every time")
    run = parser.add_argument_group("the run")
    run.add_argument("--group", action="store_true", help="one validation batch a volume")
    run.add_argument("--best", choices=("volume", "slice"), default="volume", help="what the best epoch maximises")
    run.add_argument("--save_train", action="store_true", help="keep predictions on training slices too")
    run.add_argument("--gradients", action="store_true", help="log each term's gradient norm and propose weights")
    run.add_argument("--debug", action="store_true", help=f"{DEBUG_SLICES} slices a set")
    run.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    run.add_argument("--queue", type=Path, nargs="*", default=[], help="the study's run folders, for the time left")
    run.add_argument("--fresh", action="store_true", help="set an existing folder aside and train anew")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    words = command.settings(sys.argv[1:], BESIDE)
    with sole_maker(args.folder):
        if folder.is_done(args.folder, words, fresh=args.fresh):
            print(f"{args.folder} is complete")
        else:
            train_run(args, words)


def train_run(args: argparse.Namespace, words: list[str]) -> None:
    """Train to the last epoch, from the start or from where the run was left, and publish."""
    data = SlicedFolder.open(args.data)
    experiment = read_experiment(args, len(data.classes))
    device = pick_device(args.device)
    configure(experiment, device)
    terms = activate(experiment)
    net, about_network = network(experiment, data, args.weights)
    net.to(device)
    options: dict[str, Any] = {
        "needs": [term.need for term in terms if term.need],
        "limit": DEBUG_SLICES if experiment.debug else None,
        "device": device,
    }
    train = Slices(data, "train", augmentation=experiment.augmentation, **options)
    val = Slices(data, "val", **options)
    run = unfinished(args.folder)
    folder.start(run, words, describe_run(args, experiment, net, device), data, train, val)
    queue = [path for path in args.queue if not path.exists()]
    runner = EpochRunner(net, terms, make_optimiser(experiment, net, device), experiment, device)
    Training(run, runner, train, val, about_network, queue)()
    folder.finish(run, args.folder)


def read_experiment(args: argparse.Namespace, num_classes: int) -> Experiment:
    return Experiment.parse(
        terms=args.losses,
        schedule=args.schedule,
        augment=args.augment,
        rate=args.rate,
        num_classes=num_classes,
        network=args.network,
        epochs=args.epochs,
        batch_size=args.batch_size,
        learning_rate=args.lr,
        optimiser=args.optimiser,
        temperature=args.temperature,
        seed=args.seed,
        group=args.group,
        best=args.best,
        save_train=args.save_train,
        gradients=args.gradients,
        debug=args.debug,
        amp=args.amp,
        layout=args.layout,
        compiled=args.compile,
        deterministic=args.deterministic,
    )


def network(experiment: Experiment, data: SlicedFolder, weights: Path | None) -> tuple[nn.Module, dict[str, Any]]:
    """The seeded network, and what is needed to build it again."""
    torch.manual_seed(experiment.seed)
    about: dict[str, Any] = {
        "network": experiment.network,
        "in_channels": len(data.modalities),
        "num_classes": len(data.classes),
        "modalities": data.modalities,
        "classes": data.classes,
    }
    net = build_network(experiment.network, about["in_channels"], about["num_classes"])
    if weights is not None:
        content = load_weights(weights)
        try:
            net.load_state_dict(content["weights"])
        except RuntimeError as error:
            raise Stop(f"{weights} ({content.get('network')}) does not fit {experiment.network}: {error}") from None
    return net, about


def describe_run(
    args: argparse.Namespace, experiment: Experiment, net: nn.Module, device: torch.device
) -> dict[str, Any]:
    """What run.json says of the run itself."""
    return {
        "name": RunFolder(args.folder).name,
        "terms": [term.text for term in experiment.terms],
        "schedule": args.schedule,
        "augment": args.augment,
        "rate": args.rate,
        "network": experiment.network,
        "num_parameters": sum(parameter.numel() for parameter in net.parameters()),
        "epochs": experiment.epochs,
        "batch_size": experiment.batch_size,
        "learning_rate": experiment.learning_rate,
        "optimiser": experiment.optimiser,
        "seed": experiment.seed,
        "best": experiment.best,
        "debug": experiment.debug,
        "amp": experiment.amp,
        "layout": experiment.layout,
        "compiled": experiment.compiled,
        "deterministic": experiment.deterministic,
        "losses": loss_names(experiment),
        "device": describe(device),
        "num_threads": torch.get_num_threads(),
    }


def loss_names(experiment: Experiment) -> list[str]:
    """A short name for each term: the loss's own, or the ledger's text where two terms share a loss."""
    names = [term.name for term in experiment.terms]
    return names if len(set(names)) == len(names) else [term.text for term in experiment.terms]


if __name__ == "__main__":
    command.run(main)
