"""Makes the samples of an experiment's training and validation, or checks them before anything is read."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from boundary_loss.data import Cases, MapNeed, Patches, Samples, Slices, check_needs
from boundary_loss.data.boxes import Boxes
from boundary_loss.data.cases import ShownCases
from boundary_loss.data.needs import check_case_needs
from boundary_loss.data.patches import Patch
from boundary_loss.data.point_samples import PointSamples, check_point_needs
from boundary_loss.data.points import Points
from boundary_loss.experiment import Experiment
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.whole import WholeFolder
from boundary_loss.inference.decision import ARGMAX
from boundary_loss.settings import DEBUG_CASES, DEBUG_SLICES
from boundary_loss.shapes import Labels
from boundary_loss.training.terms import PROBS, ActiveTerm

_MIDDLE = 32
"""Voxels along a side of what stands for a sample of volumes where a user's own loss is tried."""


def make_samples(
    experiment: Experiment, terms: Sequence[ActiveTerm], folder: PreparedFolder, which: str, device: torch.device
) -> Samples:
    """Return the samples of ``train``, altered at each step if the experiment says so, or of ``val``.

    Raises:
        ValueError: the data do not fit together, or cannot have the maps that the terms need.
    """
    check_words(experiment, folder)
    augmentation, needs = experiment.augmentation if which == "train" else None, needs_of(terms)
    if not (isinstance(folder, WholeFolder) and experiment.view.of_volumes):
        slices = Slices(
            folder, which, needs=needs, limit=limit(experiment), device=device, augmentation=augmentation
        )  # fmt: skip
        if experiment.save_train and which == "train" and not slices.is_even:
            raise ValueError("save_train keeps predictions on training slices of one size; here the volumes differ")
        return slices
    cases = shown_cases(experiment, folder, which)
    if experiment.view.of_points:
        return PointSamples(cases, needs=needs, device=device, augmentation=augmentation)
    if which == "train":
        return Patches(cases, needs=needs, device=device, augmentation=augmentation)
    return Cases(
        cases, needs=needs, device=device, batch_size=experiment.batch_size, decision=experiment.decision
    )  # fmt: skip


def shown_cases(experiment: Experiment, folder: WholeFolder, which: str) -> ShownCases:
    """Return the cases of a set as the experiment shows them.

    Raises:
        FileNotFoundError, ValueError: the boxes are missing or damaged.
    """
    boxes = Boxes.read(experiment.boxes) if experiment.boxes else None
    return ShownCases(folder, which, experiment.view, boxes, limit(experiment))


def check_samples(experiment: Experiment, terms: Sequence[ActiveTerm], folder: PreparedFolder, which: str) -> list[str]:
    """Return the names of the items of :func:`make_samples`, without reading them.

    Raises:
        ValueError: as there, as far as it can be found without reading.
    """
    check_words(experiment, folder)
    deforms = experiment.augmentation is not None and experiment.augmentation.deforms
    deformed = which == "train" and deforms
    if isinstance(folder, WholeFolder) and experiment.view.of_volumes:
        check_case_needs(needs_of(terms), deformed=deformed)
        if experiment.view.of_points:
            check_point_needs(needs_of(terms), experiment.augmentation)
        cases = shown_cases(experiment, folder, which)
        for name in cases.names:
            cases.frame(name)
        return cases.names
    if experiment.augmentation is not None:
        experiment.augmentation.check_slices()
    return check_needs(needs_of(terms), folder, which, limit=limit(experiment), deformed=deformed)


def check_words(experiment: Experiment, folder: PreparedFolder) -> None:
    """Refuse words that do not fit the folder, or each other.

    Raises:
        ValueError: names them, and what does fit.
    """
    words = experiment.view.words
    if experiment.infer and not isinstance(experiment.view.sample, Patch | Points):
        raise ValueError(f"INFER={words['infer']} puts patches together; it does not go with SAMPLE={words['sample']}")
    if experiment.decision != ARGMAX and (experiment.view.of_points or not experiment.view.of_volumes):
        raise ValueError(
            f"--decision {experiment.decision} needs the probabilities of a whole volume at once, which "
            f"SAMPLE={words['sample']} does not have in validation; give it to predict"
        )
    if experiment.view.of_volumes:
        if not isinstance(folder, WholeFolder):
            raise ValueError(
                f"SAMPLE={words['sample']} needs whole volumes, and {folder.path} holds slices; "
                "preprocess/prepare_*.py prepares whole volumes"
            )
        if experiment.save_train:
            raise ValueError(
                f"save_train keeps predictions on training slices; it does not go with SAMPLE={words['sample']}"
            )
        if experiment.view.of_points:
            _check_losses(experiment)
        return
    given = {"FIT": " ".join(words["fit"]), "the boxes": str(experiment.boxes or "")}
    for name, value in given.items():
        if value:
            raise ValueError(f"{name} ({value}) says what is shown of whole volumes; it does not go with SAMPLE=slices")


def _check_losses(experiment: Experiment) -> None:
    """Refuse losses that need the neighbours of a voxel."""
    for term in experiment.terms:
        loss = term.build()
        if not (getattr(loss, "takes_dense", False) or getattr(loss, "on_points", term.reads == PROBS)):
            raise ValueError(
                f"'{term.text}' reads the voxels around each; it does not go with "
                f"SAMPLE={experiment.view.words['sample']}, as ce, focal, dice, gdl, tversky and boundary do"
            )


@dataclass(frozen=True)
class Trial:
    """A sample that stands for all of them in trials before the training."""

    name: str
    size: tuple[int, ...]
    """Of a sample, X Y or X Y Z; others may be of other sizes."""
    count: int
    """Samples in an epoch."""
    labels: Labels
    """(1, X, Y[, Z]) of the sample ``name``, or of its middle."""
    spacing: Tensor
    """(1, D) mm."""


def trial_of(experiment: Experiment, folder: PreparedFolder) -> Trial:
    """Return the training sample in the middle of the list, which is less often empty than the first.

    Raises:
        ValueError: there are none.
    """
    if isinstance(folder, WholeFolder) and experiment.view.of_volumes:
        return _trial_of_volumes(shown_cases(experiment, folder, "train"))
    stems = folder.stems("train")[: limit(experiment)]
    if not stems:
        raise ValueError(f"{folder.path / 'train'} holds no slices")
    name = stems[len(stems) // 2]
    labels = torch.from_numpy(folder.labels("train", name))[None]
    size = tuple(folder.labels("train", stems[0]).shape)
    return Trial(name, size, len(stems), labels, torch.tensor([folder.spacing("train", name)]))


def _trial_of_volumes(cases: ShownCases) -> Trial:
    name = cases.names[len(cases.names) // 2]
    frame = cases.frame(name)
    side = [min(_MIDDLE, size) for size in frame.shape]
    middle = frame.box([(size - own) // 2 for size, own in zip(frame.shape, side)], side)
    labels = middle.read(cases.folder.truth(name), 0)
    count = len(cases.names) * getattr(cases.view.sample, "each", 1)
    return Trial(name, cases.view.shape(frame), count, labels[None], cases.spacing(name, frame)[None])


def needs_of(terms: Sequence[ActiveTerm]) -> list[MapNeed]:
    """Return the distance maps that the terms read."""
    return [term.need for term in terms if term.need]


def limit(experiment: Experiment) -> int | None:
    """Return how many slices of a set, or cases, are used; None for all."""
    few = DEBUG_CASES if experiment.view.of_volumes else DEBUG_SLICES
    return few if experiment.debug else None
