"""Which patients train and which are held out: drawn once, written down, reusable."""

import random
from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path

from boundary_loss.folders.split import Split


def draw_split(patients: Sequence[str], *, retain: int, fold: int, seed: int) -> Split:
    """Hold out ``retain`` patients of the shuffled list, the ``fold``-th lot of them.

    Raises:
        ValueError: nobody would be held out, nobody would be left, or there is no such fold.
    """
    shuffled = sorted(patients)
    random.Random(seed).shuffle(shuffled)
    if not 1 <= retain < len(shuffled):
        raise ValueError(
            f"--retain {retain}: there are {len(shuffled)} patients; "
            f"hold out at least 1 and at most {len(shuffled) - 1}"
        )
    folds = ceil(len(shuffled) / retain)
    if not 0 <= fold < folds:
        raise ValueError(
            f"--fold {fold}: {len(shuffled)} patients, {retain} held out at a time, make folds 0 to {folds - 1}"
        )
    val = shuffled[fold * retain : (fold + 1) * retain]
    return Split(seed, fold, folds, retain, sorted(set(shuffled) - set(val)), sorted(val))


def read_split(path: Path, patients: Sequence[str]) -> Split:
    """Reuse a split: a ``split.json``, any JSON file with lists ``train`` and ``val`` of these patients, or a ``.txt``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no split, or does not fit the patients; they are named.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no split at {path}")
    remedy = (
        "it is not a split: give one with non-empty lists 'train' and 'val' of patients (in a .txt: names below "
        "Training: and Validation:), or draw one without --split"
    )
    found = Split.read(path, remedy=remedy)
    train, val = found.train, found.val
    if not train or not val:
        raise ValueError(f"{path} names nobody to train or to hold out; {remedy}")
    faults = {
        "on both sides or twice": {name for name in train + val if (train + val).count(name) > 1},
        "not in the data": set(train + val) - set(patients),
        "in the data, but on neither side": set(patients) - set(train + val),
    }
    told = [f"{fault}: {', '.join(sorted(names))}" for fault, names in faults.items() if names]
    if told:
        raise ValueError(f"{path} does not fit the data: {'; '.join(told)}")
    return replace(found, train=sorted(train), val=sorted(val))
