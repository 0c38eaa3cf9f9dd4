"""The samples that an experiment trains on and is validated on: made, or only checked before anything is read."""

from collections.abc import Sequence

import torch

from boundary_loss.data import MapNeed, Samples, Slices, check_needs
from boundary_loss.experiment import Experiment
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.settings import DEBUG_SLICES
from boundary_loss.training.terms import ActiveTerm


def make_samples(
    experiment: Experiment, terms: Sequence[ActiveTerm], folder: PreparedFolder, which: str, device: torch.device
) -> Samples:
    """Return the samples of ``train``, altered at each step if the experiment says so, or of ``val``.

    Raises:
        ValueError: data that does not fit together, or that cannot have the maps that the terms need.
    """
    augmentation = experiment.augmentation if which == "train" else None
    return Slices(
        folder, which, needs=needs_of(terms), limit=limit(experiment), device=device, augmentation=augmentation
    )


def check_samples(experiment: Experiment, terms: Sequence[ActiveTerm], folder: PreparedFolder, which: str) -> list[str]:
    """Return the names of the items of :func:`make_samples`, without reading them.

    Raises:
        ValueError: as there, as far as it shows without reading.
    """
    if experiment.augmentation is not None:
        experiment.augmentation.check_slices()
    deforms = experiment.augmentation is not None and experiment.augmentation.deforms
    deformed = which == "train" and deforms
    return check_needs(needs_of(terms), folder, which, limit=limit(experiment), deformed=deformed)


def needs_of(terms: Sequence[ActiveTerm]) -> list[MapNeed]:
    """Return the distance maps that the terms read."""
    return [term.need for term in terms if term.need]


def limit(experiment: Experiment) -> int | None:
    """Return how many slices of a set are used; None is all."""
    return DEBUG_SLICES if experiment.debug else None
