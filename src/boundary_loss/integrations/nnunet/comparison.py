"""Several nnU-Net trainers in our statistics: their folds joined, repeated trainings pooled as seeds.

nnU-Net validates the last checkpoint, so a trainer becomes a row whose runs have one epoch, the last, and no best one
(:mod:`boundary_loss.folders.run` says what files these are). Everything after that is the report's and the statistics'.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from boundary_loss.files import read_json, write_array, write_json
from boundary_loss.folders.run import ROWS, RUN
from boundary_loss.integrations.nnunet.layout import fold_of, prediction_folders, trainer_folder
from boundary_loss.integrations.nnunet.summary import FILE, read_summary
from boundary_loss.metric_definitions import EVALUATION_ARRAYS
from boundary_loss.report.table import Scores
from boundary_loss.statistics import tables
from boundary_loss.statistics.comparison import short_label

SETTINGS = {
    "num_epochs": ("epochs", int),
    "num_iterations_per_epoch": ("iterations_per_epoch", int),
    "batch_size": ("batch_size", int),
    "initial_lr": ("learning_rate", float),
    "weight_decay": ("weight_decay", float),
}
"""Of debug.json, where nnU-Net notes each attribute of a trainer as text: our name, and the type."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """One folder of predictions that was evaluated."""

    predictions: Path
    row: str
    """Name of the trainer's folder."""
    fold: str
    seed: str
    """Number among the folders of this name; empty if there is only one."""

    @property
    def part(self) -> str:
        parts = (f"fold{self.fold}" if self.fold else "", f"seed{self.seed}" if self.seed else "")
        return "_".join(filter(None, parts))


def trainings(paths: Sequence[Path]) -> list[Training]:
    """Return every evaluated folder at these paths; folders of one name are one trainer, trained several times.

    Raises:
        FileNotFoundError: a path that is no folder, or folders without surface_summary.json, all of them.
        ValueError: a training without a split, whose validation is of what it was trained on.
    """
    found = [folder for path in dict.fromkeys(paths) for folder in prediction_folders(path)]
    lacking = [folder for folder in found if not (folder / FILE).is_file()]
    if lacking:
        listed = ", ".join(map(str, lacking))
        raise FileNotFoundError(f"no {FILE} in {listed}: evaluate (in place of compare) writes it")
    unsplit = next((folder for folder in found if fold_of(folder) == "all"), None)
    if unsplit is not None:
        raise ValueError(f"{unsplit} was validated on the cases that it was trained on (fold all); name single folds")
    homes: dict[str, list[Path]] = {}
    for home in dict.fromkeys(map(trainer_folder, found)):
        homes.setdefault(home.name, []).append(home)
    return [
        Training(
            predictions=folder, row=home.name, fold=fold_of(folder),
            seed=str(homes[home.name].index(home)) if len(homes[home.name]) > 1 else "",
        )
        for folder, home in ((folder, trainer_folder(folder)) for folder in found)
    ]  # fmt: skip


def short_names(rows: Sequence[str]) -> dict[str, str]:
    """Return the trainers' names for folders ``TRAINER__PLANS__CONFIGURATION``, if that tells them apart."""
    short = {row: row.split("__")[0] for row in rows}
    return short if len(set(short.values())) == len(short) else {row: row for row in rows}


def write_runs(folder: Path, given: Sequence[Training], patient: str = "") -> list[Path]:
    """Write each training as a run folder, and return these.

    Args:
        patient: a regular expression, whose match in a case's name (its group, if it has one) is the patient; none =
            every case is one.

    Raises:
        ValueError: labels that differ, a case whose name the expression does not fit.
    """
    contents = {training: read_summary(training.predictions / FILE) for training in given}
    _refuse_differing(contents)
    names = short_names(list(dict.fromkeys(training.row for training in given)))
    places = {training: folder / names[training.row] / training.part for training in given}
    for training, place in places.items():
        _write_run(place, training, contents[training], patient)
    return list(places.values())


def _refuse_differing(contents: Mapping[Training, Mapping[str, Any]]) -> None:
    for what in ("labels", "settings"):
        first, *others = contents.items()
        for training, content in others:
            if content[what] != first[1][what]:
                raise ValueError(
                    f"{training.predictions / FILE} has other {what} than {first[0].predictions / FILE} "
                    f"({content[what]}, {first[1][what]}); evaluate both alike"
                )


def _write_run(place: Path, training: Training, content: Mapping[str, Any], patient: str) -> None:
    entries, keys = content["metric_per_case"], list(content["labels"])
    cases = [entry["prediction_file"].partition(".")[0] for entry in entries]
    place.mkdir(parents=True)
    for name in content["settings"]["metrics"]:
        if f"val_3d_{name}" in EVALUATION_ARRAYS:
            values = [[np.nan, *(entry["metrics"][key][name] for key in keys)] for entry in entries]
            write_array(place / f"val_3d_{name}.npy", np.array([values], np.float32))
    about = {"name": training.row, "study": _study(training), "trained_by": "nnU-Net"}
    write_json(place / RUN, about | recorded(training.predictions))
    write_json(place / ROWS, {
        "items": "volumes", "train": [], "val": cases, "slices": [], "volumes": cases,
        "patients": [_patient(case, patient) for case in cases],
        "classes": ["background", *content["labels"].values()], "losses": [],
    })  # fmt: skip


def metrics_in(places: Sequence[Path]) -> list[str]:
    """Return the arrays that the run folders have, in the order of their definitions."""
    return [name for name in EVALUATION_ARRAYS if any((place / f"{name}.npy").is_file() for place in places)]


def _study(training: Training) -> str:
    """The data set, above the trainer's folder; of other predictions the folder that holds them."""
    return trainer_folder(training.predictions).parent.name


def _patient(case: str, patient: str) -> str:
    found = re.search(patient, case) if patient else None
    if patient and found is None:
        raise ValueError(f"--patient {patient} does not fit the case {case}")
    return case if found is None else found[1] if found.re.groups else found[0]


def recorded(predictions: Path) -> dict[str, Any]:
    """Return what nnU-Net noted of a training that a comparison wants equal; nothing of other predictions."""
    path = predictions.parent / "debug.json"
    if not fold_of(predictions) or not path.is_file():
        return {}
    noted = read_json(path)
    found: dict[str, Any] = {name: kind(noted[key]) for key, (name, kind) in SETTINGS.items() if key in noted}
    _, *setup = trainer_folder(predictions).name.split("__")
    return found | dict(zip(("plans", "configuration"), setup))


def table_of(scores: Scores) -> str:
    """Return a table of mean ± standard deviation over cases, a block for each metric."""
    blocks = []
    for shown in scores.comparisons:
        unit = f" ({shown.metric.unit})" if shown.metric.unit else ""
        lines = [[f"{short_label(shown.name)}{unit}", *shown.columns]]
        for label in scores.labels:
            cells = [scores.get(label, shown.name, column, "last") for column in shown.columns]
            lines.append([label, *("–" if cell is None else cell.text for cell in cells)])
        blocks.append(tables.aligned(lines, right=True))
    return "\n\n".join(blocks)
