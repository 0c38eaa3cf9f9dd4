"""A run folder from a ledger row.

    python -m boundary_loss.train results/isles/gdl --data data/ISLES --losses gdl:1 --network UNet --epochs 100

Trains beside (``gdl_tmp``) and publishes the folder when the last epoch is done. Killed at any moment, the same
command goes on from the last checkpoint and ends with the same arrays. SIGTERM (status 75) and Ctrl-C (130) let the
step at hand finish and save it.
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

from boundary_loss import command, settings
from boundary_loss.command import Stop
from boundary_loss.data import Samples
from boundary_loss.data.boxes import Boxes
from boundary_loss.data.cases import OF_STUDY
from boundary_loss.experiment import Experiment
from boundary_loss.files import sole_maker, unfinished
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.run import RunFolder
from boundary_loss.folders.whole import WholeFolder
from boundary_loss.inference.decision import ARGMAX
from boundary_loss.metric_definitions import SLICES
from boundary_loss.networks import build_network
from boundary_loss.preparation.shown import Preparation
from boundary_loss.signals import is_rank
from boundary_loss.training import folder
from boundary_loss.training.arithmetic import configure, make_optimiser
from boundary_loss.training.devices import describe, memory_explained, pick_device, share_processors
from boundary_loss.training.epoch import EpochRunner
from boundary_loss.training.gpus import hold_gpus, parse_gpus
from boundary_loss.training.launch import launch, leave_to_parent
from boundary_loss.training.ranks import PARENT, Ranks, joined
from boundary_loss.training.run import Training
from boundary_loss.training.samples import check_words, make_samples, trial_of
from boundary_loss.training.terms import activate
from boundary_loss.training.tracking import TRACKERS, tracker
from boundary_loss.training.trial import try_losses, try_network
from boundary_loss.training.weights import Weights

# Options that do not shape the result; a run that stopped at a NaN goes on with --skip_nan
BESIDE = (
    *("--device", "--gpus", "--nproc", "--share"),
    *("--queue", "--fresh", "--save_minutes", "--skip_nan", "--track"),
)


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Of the command line, or of ``words``."""
    parser = command.parser("Train one run of a study.")
    parser.add_argument("folder", type=Path, help="the run folder to make, as results/isles/gdl")
    groups = {title: parser.add_argument_group(title) for title in settings.GROUPS}
    groups[settings.DATA].add_argument("--data", type=Path, required=True, help="prepared data, as data/ISLES")
    settings.add_options(groups)
    run = groups[settings.RUN]
    run.add_argument("--save_minutes", type=float, default=10, help="between checkpoints in an epoch; 0: none there")
    run.add_argument("--skip_nan", action="store_true", help="leave out steps whose loss is not finite, and go on")
    run.add_argument("--track", choices=TRACKERS, help="logs beside the CSV")
    run.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    run.add_argument("--gpus", help="train on the next of these that is free, as 0,1,2,3, and hold it")
    run.add_argument("--nproc", type=int, default=1, help="train in so many processes, each with a GPU of its own")
    run.add_argument("--share", type=int, default=1, help="on a CPU, so many trainings share its cores")
    run.add_argument("--queue", type=Path, nargs="*", default=[], help="the study's run folders, for the time left")
    run.add_argument("--fresh", action="store_true", help="set an existing folder aside and train anew")
    return parser.parse_args(words)


def main() -> None:
    args = arguments()
    words = command.settings(sys.argv[1:], BESIDE)
    if is_rank():  # its parent has seen to the rest
        command.die_with(int(os.environ[PARENT]))
        train_run(args, words)
        return
    check_processes(args)
    with sole_maker(args.folder):
        if folder.is_done(args.folder, words, fresh=args.fresh):
            print(f"{args.folder} is complete")
            return
        with hold_gpus(parse_gpus(args.gpus, args.nproc), args.nproc) if takes_gpus(args) else nullcontext():
            if args.nproc == 1:
                train_run(args, words)
            else:
                launch(args.nproc, "boundary_loss.train", sys.argv[1:])


def takes_gpus(args: argparse.Namespace) -> bool:
    return bool(args.gpus) and args.device != "cpu"


def check_processes(args: argparse.Namespace) -> None:
    """Refuse numbers that cannot work, of processes, slices and minutes."""
    if args.batch_size < 1:
        raise Stop(f"BS={args.batch_size} does not fit: a batch has 1 slice or more")
    if not 0 <= args.save_minutes < float("inf"):
        raise Stop(f"SAVE_MINUTES={args.save_minutes:g} does not fit: 0 or more; 0 saves at the end of epochs alone")
    if not 1 <= args.nproc <= args.batch_size:
        raise Stop(f"NPROC={args.nproc} does not fit: 1 or more, at most the BS={args.batch_size} slices of a batch")
    if args.nproc > 1 and args.device not in ("auto", "cpu", "cuda"):
        raise Stop(f"NPROC={args.nproc} takes a GPU each; name them with GPUS=0,1 instead of DEVICE={args.device}")


def train_run(args: argparse.Namespace, words: list[str]) -> None:
    """Train to the last epoch, from the start or from where the run was left, and publish."""
    device = pick_device("cuda" if takes_gpus(args) and args.device == "auto" else args.device)
    of_volumes = WholeFolder.is_at(args.data)
    with memory_explained(args.batch_size, of_volumes=of_volumes), joined(device) as (ranks, device):
        train_rank(args, words, ranks, device)


def train_rank(args: argparse.Namespace, words: list[str], ranks: Ranks, device: torch.device) -> None:
    """What one process does of it: all, or its part of each batch."""
    data = PreparedFolder.open(args.data)
    experiment = read_experiment(args, len(data.classes), of_volumes=isinstance(data, WholeFolder))
    check_words(experiment, data)
    share_processors(min(args.share, len(args.queue)))
    configure(experiment, device)
    terms = activate(experiment)
    net, about_network = network(experiment, data)
    net.to(device)
    trial = trial_of(experiment, data)
    try_network(net, experiment, trial, len(data.modalities), device)
    try_losses(terms, trial, len(data.classes), device)
    train, val = (make_samples(experiment, terms, data, which, device) for which in ("train", "val"))
    boxes = Boxes.read(experiment.boxes) if experiment.boxes else None
    run = unfinished(args.folder)
    if ranks.is_first:
        say_absent(RunFolder(args.folder).name, train)
        for remark in boxes.remarks if boxes else ():
            print(f"{RunFolder(args.folder).name}  warning: {remark}", flush=True)
        for remark in train.remarks:
            print(f"{RunFolder(args.folder).name}  note: {remark}", flush=True)
        folder.start(run, words, describe_run(args, experiment, net, device), data, train, val)
    ranks.wait()
    queue = [path for path in args.queue if not path.exists()]
    runner = EpochRunner(net, terms, make_optimiser(experiment, net, device), experiment, device, args.skip_nan, ranks)
    with tracker(args.track if ranks.is_first else None, run, val) as track:
        Training(run, runner, train, val, about_network, queue, args.save_minutes, track)()
    if ranks.is_first:
        folder.finish(run, args.folder)


def read_experiment(args: argparse.Namespace, num_classes: int, *, of_volumes: bool = False) -> Experiment:
    if num_classes < 2:
        raise Stop(f"{args.data} has {num_classes} class; there is nothing to tell apart from the background")
    return Experiment(num_classes=num_classes, of_volumes=of_volumes, **settings.given(args))


def say_absent(name: str, train: Samples) -> None:
    """Warn of classes that cannot be learned."""
    if train.absent:
        absent = ", ".join(f"{train.folder.classes[k]} ({k})" for k in train.absent)
        item = "slice" if train.items == SLICES else "case"
        print(f"{name}  warning: no training {item} has the class {absent}: it cannot be learned", flush=True)


def network(experiment: Experiment, data: PreparedFolder) -> tuple[nn.Module, dict[str, Any]]:
    """The seeded network, and what is needed to build it again."""
    if data.preparation is not None:  # what cannot be used must not reach the weights, which pass it on
        Preparation.from_json(data.preparation, data.record_path, len(data.classes))
    torch.manual_seed(experiment.seed)
    about: dict[str, Any] = {
        "network": experiment.built_network,
        "in_channels": len(data.modalities),
        "num_classes": len(data.classes),
        "modalities": data.modalities,
        "classes": data.classes,
        "temperature": experiment.temperature,
        "preparation": data.preparation,
        **shown_alike(experiment, data),
    }
    net = build_network(about["network"], about["in_channels"], about["num_classes"])
    if experiment.initial_weights is not None:
        given = Weights.read(experiment.initial_weights)
        given.load_into(net, f"{about['network']} (they are of {given.network})")
    return net, about


def shown_alike(experiment: Experiment, data: PreparedFolder) -> dict[str, Any]:
    """What weights say beside that, so that a new case is shown as those of the training were; nothing of slices."""
    if not experiment.view.of_volumes:
        return {}
    boxes = Boxes.read(experiment.boxes) if experiment.boxes else None
    about: dict[str, Any] = {"view": experiment.view.words, "box": list(boxes.size) if boxes else None}
    if experiment.decision != ARGMAX:
        about["decision"] = experiment.decision
    if boxes is not None and data.preparation and data.preparation.get("normalise") == OF_STUDY:
        scale = {name: [found.mean, 1 / found.deviation] for name, found in boxes.intensities.items()}
        about["preparation"] = {**data.preparation, "scale": scale}
    return about


def describe_run(
    args: argparse.Namespace, experiment: Experiment, net: nn.Module, device: torch.device
) -> dict[str, Any]:
    """What run.json says of the run itself."""
    return (
        experiment.settings()
        | {
            "name": RunFolder(args.folder).name,
            "num_parameters": sum(parameter.numel() for parameter in net.parameters()),
            "skip_nan": args.skip_nan,
            "losses": loss_names(experiment),
            "device": describe(device),
            "num_processes": args.nproc,
            "num_threads": torch.get_num_threads(),
        }
        | about_boxes(experiment)
    )


def about_boxes(experiment: Experiment) -> dict[str, Any]:
    """What run.json says of the boxes that the network is shown; nothing without them."""
    if experiment.boxes is None:
        return {}
    boxes = Boxes.read(experiment.boxes)
    return {"boxes_checksum": boxes.checksum, "boxes_kept": boxes.kept}


def loss_names(experiment: Experiment) -> list[str]:
    """A short name for each term: the loss's own, or the ledger's text where two terms share a loss."""
    names = [term.name for term in experiment.terms]
    return names if len(set(names)) == len(names) else [term.text for term in experiment.terms]


if __name__ == "__main__":
    command.run(main, leave_to_parent if is_rank() else command.say)
