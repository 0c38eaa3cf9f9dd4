"""Every row of a ledger, checked before the first of them is trained: what would stop it at its turn is said now.

    python -m boundary_loss.ledgercheck --run results/isles/gdl --data data/ISLES --losses gdl:1 \\
        --run results/isles/surface --data data/ISLES --losses boundary:1@1

After each ``--run`` stand the words of a training, as :mod:`boundary_loss.train` takes them. Nothing is written.
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import argparse
import io
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from itertools import groupby
from pathlib import Path
from textwrap import indent
from typing import Any

import torch

from boundary_loss import command, train
from boundary_loss.command import USERS_FAULTS, Stop
from boundary_loss.files import unfinished
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.run import RunFolder
from boundary_loss.folders.whole import WholeFolder
from boundary_loss.training import folder
from boundary_loss.training.samples import check_samples, trial_of
from boundary_loss.training.terms import activate
from boundary_loss.training.trial import try_losses, try_network

RUN = "--run"


def taken_apart(words: Sequence[str]) -> list[list[str]]:
    """The words of each training."""
    if not words or words[0] != RUN:
        raise Stop(f"begin each training with {RUN}, then its folder and options (see the head of ledgercheck.py)")
    return [list(group) for is_mark, group in groupby(words, RUN.__eq__) if not is_mark]


def parsed(words: Sequence[str]) -> argparse.Namespace:
    """As training reads them; its refusal as an exception."""
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            return train.arguments(words)
    except SystemExit:
        raise Stop(said.getvalue().strip().removeprefix("error: ")) from None


def check(words: Sequence[str], built: set[tuple[Any, ...]]) -> None:
    """Raise what a training with these words would end in, as far as it shows without reading all slices.

    Args:
        built: networks that were tried already, on which data, weights and size; this one's is added.
    """
    args = parsed(words)
    if args.boxes is not None and not args.boxes.is_dir():
        args.boxes = None  # the locator finds them later; the losses and the network do not depend on them
    folder.refuse(args.folder, command.settings(words, train.BESIDE), fresh=args.fresh)
    data = PreparedFolder.open(args.data)
    experiment = train.read_experiment(args, len(data.classes), of_volumes=isinstance(data, WholeFolder))
    terms = activate(experiment)
    cpu = torch.device("cpu")
    for which in ("train", "val"):
        check_samples(experiment, terms, data, which)
    trial = trial_of(experiment, data)
    try_losses(terms, trial, len(data.classes), cpu)
    if (network := (experiment.built_network, args.data, experiment.initial_weights, trial.size)) not in built:
        net, _ = train.network(experiment, data)
        try_network(net, experiment, trial, len(data.modalities), cpu)
        built.add(network)
    if not args.fresh:
        boxes = train.about_boxes(experiment).get("boxes_checksum")
        folder.refuse_changed_data(unfinished(args.folder), data.about.checksum, boxes)


def faults(trainings: Sequence[Sequence[str]]) -> dict[str, str]:
    """``{row: what is wrong with it}``, of the rows that cannot be trained."""
    found: dict[str, str] = {}
    built: set[tuple[Any, ...]] = set()
    for words in trainings:
        name = RunFolder(Path(words[0])).row
        try:
            check(words, built)
        except USERS_FAULTS as error:
            found.setdefault(name, str(error))
        except Exception as error:
            error.add_note(f"in the row {name} of the ledger")  # of the user's own loss or network, with its traceback
            raise
    return found


def explained(found: dict[str, str], rows: Sequence[str]) -> str:
    """All faults, each said once, with the rows that have it, and the ways on."""
    having: dict[str, list[str]] = {}
    for row, text in found.items():
        having.setdefault(text, []).append(row)
    listed = "\n".join(f"  {', '.join(names)}: {indent(text, '    ').lstrip()}" for text, names in having.items())
    good = [row for row in rows if row not in found]
    others = f"; RUNS='{' '.join(good)}' trains the others" if good else ""
    return (
        f"{len(found)} of {len(rows)} rows cannot be trained, and nothing was begun:\n{listed}\n"
        f"  Mend them in the ledger or on the command line{others}."
    )


def report(trainings: Sequence[Sequence[str]]) -> None:
    """Print the rows of these trainings if all can be trained, or stop with what is wrong with any of them."""
    rows = list(dict.fromkeys(RunFolder(Path(words[0])).row for words in trainings))
    found = faults(trainings)
    if found:
        raise Stop(explained(found, rows))
    print(f"checked: {', '.join(rows)}")


def main() -> None:
    report(taken_apart(sys.argv[1:]))


if __name__ == "__main__":
    command.run(main)
