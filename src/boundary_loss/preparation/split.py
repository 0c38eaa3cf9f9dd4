"""Which patients train and which are held out: drawn once, written down, reusable."""

import random
from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path

from boundary_loss.files import read_json
from boundary_loss.folders import records
from boundary_loss.folders.split import FIELDS, SIDES, Split
from boundary_loss.names import checked_names

HEADINGS = {"training": "train", "train": "train", "validation": "val", "val": "val"}
REMEDY = (
    "it is not a split: give JSON with non-empty lists 'train' and 'val' of patients, a list of such folds, or a text "
    "file with a held-out patient a line, or with both lists below Training: and Validation:; or draw one without "
    "--split"
)


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


def read_split(path: Path, patients: Sequence[str], fold: int = 0) -> Split:
    """Reuse a split of these patients that a file holds.

    Args:
        path: a ``split.json``, or any JSON file with lists ``train`` and ``val``; a list of these, a fold each, as
            nnU-Net's ``splits_final.json``; a text file with a held-out patient a line, whose others train; or one with
            both lists below ``Training:`` and ``Validation:``, as OSS-Net's split of BraTS (Reich et al. 2021).
        fold: the number of the one to take, where the file has several.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no split, has no such fold, or one of its folds does not fit the patients; they are named.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no split at {path}")
    splits = splits_in(path, patients)
    several = len(splits) > 1
    told = [
        f"{f'fold {number}: ' if several else ''}{fault}"
        for number, split in enumerate(splits)
        for fault in faults_of(split, patients)
    ]
    if told:
        raise ValueError(f"{path} does not fit the data: {'; '.join(told)}")
    found = fold_of(path, splits, fold)
    return replace(found, train=sorted(found.train), val=sorted(found.val))


def fold_of(path: Path, splits: Sequence[Split], fold: int) -> Split:
    """Return the fold of this number, or the only split of a file; ValueError if there is no such fold."""
    if len(splits) == 1:
        return splits[0]
    if not 0 <= fold < len(splits):
        raise ValueError(f"--fold {fold}: {path} has folds 0 to {len(splits) - 1}")
    return splits[fold]


def splits_in(path: Path, patients: Sequence[str]) -> list[Split]:
    """Return the split that a file holds, or the folds of one that holds several."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not text; {REMEDY}") from None
    if not text.lstrip().startswith(("{", "[")):
        return [listed_split(path, text, patients)]
    content = read_json(path)
    if not isinstance(content, list):
        return [Split.read(path, remedy=REMEDY)]
    if not content:
        raise ValueError(f"{path} is an empty list; {REMEDY}")
    checked = [records.checked_record(each, path, FIELDS, needs=SIDES) for each in content]
    folds = len(checked)
    return [replace(Split.from_json(each), fold=fold, folds=folds) for fold, each in enumerate(checked)]


def listed_split(path: Path, text: str, patients: Sequence[str]) -> Split:
    """Return the split of a text file that names a held-out patient a line; empty lines and ``# remarks`` are none."""
    stripped = (line.partition("#")[0].strip() for line in text.splitlines())
    lines = [line for line in stripped if line]
    if lines and lines[0].endswith(":"):
        return headed_split(path, lines)
    val = checked_names(lines, "patient", path)
    if not val:
        raise ValueError(f"{path} names nobody; {REMEDY}")
    return Split(None, None, None, None, sorted(set(patients) - set(val)), val)


def headed_split(path: Path, lines: Sequence[str]) -> Split:
    """Return the split whose patients stand below ``Training:`` and ``Validation:``."""
    found: dict[str, list[str]] = {"train": [], "val": []}
    side = ""
    for line in lines:
        if line.endswith(":") and line[:-1].lower() not in HEADINGS:
            raise ValueError(f"{path}: '{line}' is neither Training: nor Validation:; {REMEDY}")
        if line.endswith(":"):
            side = HEADINGS[line[:-1].lower()]
        else:
            found[side].append(line)
    train, val = (checked_names(found[side], "patient", path) for side in ("train", "val"))
    return Split(None, None, None, None, train, val)


def faults_of(split: Split, patients: Sequence[str]) -> list[str]:
    """Return what is wrong with a split of these patients."""
    train, val = split.train, split.val
    if not train or not val:
        return [f"it names nobody to {'hold out' if train else 'train'}; {REMEDY}"]
    faults = {
        "on both sides or twice": {name for name in train + val if (train + val).count(name) > 1},
        "not in the data": set(train + val) - set(patients),
        "in the data, but on neither side": set(patients) - set(train + val),
    }
    return [f"{fault}: {', '.join(sorted(names))}" for fault, names in faults.items() if names]


def in_words(path: Path, split: Split) -> str:
    """Return how a file was understood."""
    fold = "" if split.fold is None else f"fold {split.fold} of {split.folds}, "
    return f"split of {path}: {fold}{len(split.val)} held out, {len(split.train)} to train on"
