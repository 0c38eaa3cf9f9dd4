"""A folder of predictions of new cases. Each is written whole; a killed attempt goes on where it was left.

pred_TESTING/
    case_1.nii.gz                     labels; .nrrd or .h5 if the case came so
    softmax/case_1_1_lesion.nii.gz    probabilities of a class, where asked for
    predictions.json                  the weights' checksum, network, epoch, classes and label values
    arguments.txt                     the settings, as typed
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from boundary_loss import command
from boundary_loss.command import Stop
from boundary_loss.files import begin_folder, clear_folder, publish, refuse_foreign, unfinished, write_json
from boundary_loss.folders import records
from boundary_loss.predict.inference import Predictor
from boundary_loss.predict.locating import Locator
from boundary_loss.predict.resolution import Grid
from boundary_loss.predict.restore import label_path, write_prediction
from boundary_loss.predict.saved import ABOUT
from boundary_loss.preparation.checks import check_case, faults_of, refuse
from boundary_loss.preparation.shown import Preparation, prepare_new
from boundary_loss.preparation.study import Case, Recipe
from boundary_loss.training.weights import Weights
from boundary_loss.volumes import Volume, orientation, read_volume, written_as


@dataclass(frozen=True)
class Trained:
    """What new cases are prepared and predicted by, as a file of weights says."""

    digest: str
    """sha256 of the file."""
    about: dict[str, Any]
    modalities: tuple[str, ...]
    classes: tuple[str, ...]
    temperature: float
    preparation: Preparation
    locator: Locator | None = None
    """What finds the box that is shown of a case; None if all of it is shown."""

    @classmethod
    def of(cls, weights: Weights) -> "Trained":
        """Refuse weights of an older version, which do not say how new cases have to be prepared."""
        told = {name: getattr(weights, name) for name in ("modalities", "classes", "temperature", "preparation")}
        missing = [name for name, value in told.items() if not value]
        if missing:
            raise ValueError(
                f"{weights.path} does not say how its slices were prepared ({', '.join(missing)} missing): it was "
                "trained before this was written down; slice the data and train again"
            )
        names = {"modalities": list(weights.modalities), "classes": list(weights.classes)}
        return cls(digest=weights.digest, about={"network": weights.network, "epoch": weights.epoch} | names, **told)

    def recipe(self, *, trust_affine: bool, spacing_mm: tuple[float, float, float] | None) -> Recipe:
        """How new cases are checked: prepared as the training slices were, with what the user says of their headers."""
        return Recipe(
            modalities=self.modalities,
            num_classes=len(self.classes),
            values={},
            shape=self.preparation.shape,
            pictures=self.preparation.pictures,
            n_augment=0,
            discard_negatives=False,
            seed=0,
            trust_affine=trust_affine,
            spacing_mm=spacing_mm,
        )

    def as_json(self) -> dict[str, Any]:
        return self.about | {"weights": self.digest, "label_values": list(self.preparation.label_values)}


def predict_new(
    target: Path, cases: Sequence[Case], trained: Trained, predictor: Predictor, words: list[str],
    recipe: Recipe, *, fresh: bool, resolution_mm: Sequence[float] | None = None,
) -> None:  # fmt: skip
    """Predict the cases that ``target``, or what an interrupted attempt left beside it, does not hold yet.

    Args:
        resolution_mm: the size of a voxel of the predictions, of a network of space; None = that of each case.

    Raises:
        ValueError: a fault in a case; all of them are told before anything is written.
        Stop: ``target`` was made with other settings or weights.
    """
    place = standing(target, words, trained, fresh=fresh)
    todo = [case for case in cases if place is None or not _labels_of(case, place).is_file()]
    if place == target and not todo:
        print(f"{target} is complete: {_counted(cases)}")
        return
    check_new(todo, recipe)
    grown = begin(target, place, words, trained)
    if len(todo) < len(cases):
        print(f"{len(cases) - len(todo)} of {len(cases)} cases are there already")
    for case in tqdm(todo, desc="predicting", unit="case", disable=None, leave=False):
        tqdm.write(predict_case(grown, case, trained, predictor, recipe, resolution_mm))
    aside = publish(grown, target)
    print(f"{target}: {_counted(cases)}" + (f"; the one before is kept as {aside}" if aside else ""))


def _labels_of(case: Case, folder: Path) -> Path:
    """Where the predicted labels of a case are, in the format of its first modality."""
    name = case.images[0].found[0].name if case.images[0].found else ""
    return label_path(folder, case.volume, written_as(name))


def standing(target: Path, words: list[str], trained: Trained, *, fresh: bool) -> Path | None:
    """Where predictions made with these settings and weights lie: the folder, the unfinished one, or nowhere."""
    if command.refuse_other_settings(target, words, fresh=fresh, in_results=True):
        if _weights_of(target) != trained.digest:
            raise Stop(f"{target} was predicted with other weights; FRESH=1 predicts anew and keeps the old beside it")
        return target
    grown = unfinished(target)
    refuse_foreign(grown, ours=command.RECORD)
    same = command.recorded(grown) == words and _weights_of(grown) == trained.digest
    return grown if same else None


def _weights_of(folder: Path) -> str | None:
    """The checksum of the weights that a folder's predictions were made with."""
    about = records.read_record(folder / ABOUT, {"weights": records.text}, remedy=f"move {folder} away")
    return about.get("weights")


def begin(target: Path, place: Path | None, words: list[str], trained: Trained) -> Path:
    """The unfinished folder to fill: a new one, that of a killed attempt, or a finished one that lacks new cases."""
    grown = unfinished(target)
    if place != grown:
        clear_folder(grown, ours=command.RECORD)
    if place == target:
        target.rename(grown)
    elif place is None:
        begin_folder(grown)
        write_json(grown / ABOUT, trained.as_json())
        command.record(grown, words)
    return grown


def check_new(cases: Sequence[Case], recipe: Recipe) -> None:
    """Read every file and refuse what cannot be predicted; all faults are told at once."""
    reports = [check_case(case, recipe) for case in tqdm(cases, desc="checking", disable=None, leave=False)]
    refuse(faults_of(reports), "the new cases", "PREDICT")


def predict_case(
    folder: Path, case: Case, trained: Trained, predictor: Predictor, recipe: Recipe,
    resolution_mm: Sequence[float] | None = None,
) -> str:  # fmt: skip
    """Predict and write one case; returns a line with the volume of each class."""
    preparation = trained.preparation
    volumes = [read_volume(files.found[0], recipe.spacing_mm) for files in case.images]
    arrays = [volume.array for volume in volumes]
    box, found = (None, True) if trained.locator is None else trained.locator(arrays)
    grid = None if resolution_mm is None else Grid.of(volumes[0], resolution_mm)
    shown = prepare_new(arrays, trained.modalities, preparation)
    prediction = predictor(shown, box, None if grid is None else grid.frame)
    labels = write_prediction(
        folder, case.volume, prediction, volumes[0].geometry, preparation.label_values, trained.classes,
        place=None if grid is None else grid.affine,
    )  # fmt: skip
    told = "" if found else "; warning: the locator found nothing; the box is in the volume's centre"
    voxel_mm3 = np.prod(resolution_mm or volumes[0].spacing_mm)
    return f"{case.volume}: {_amounts(labels, float(voxel_mm3), trained)}{told}{_turned(volumes[0], preparation)}"


def _amounts(labels: np.ndarray, voxel_mm3: float, trained: Trained) -> str:
    millilitres = voxel_mm3 / 1000
    named = list(zip(trained.preparation.label_values, trained.classes))[1:]
    return ", ".join(f"{name} {np.count_nonzero(labels == value) * millilitres:.2f} ml" for value, name in named)


def _turned(source: Volume, preparation: Preparation) -> str:
    """A warning where the axes point elsewhere than the network ever saw."""
    found = orientation(source.affine)
    if not preparation.orientations or found in preparation.orientations:
        return ""
    return f"; warning: its axes point {found}, those of the training {', '.join(preparation.orientations)}"


def _counted(cases: Sequence[Case]) -> str:
    return "1 case" if len(cases) == 1 else f"{len(cases)} cases"
