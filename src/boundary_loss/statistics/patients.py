"""Average a row's values per patient, which is what a comparison of two rows pairs.

A patient's volumes, or slices, are averaged, for they are not independent of each other; folds are joined.

Axis letters: S seeds, N patients.
"""

from dataclasses import dataclass

import numpy as np

from boundary_loss.folders.naming import Stem
from boundary_loss.statistics.values import Measured, When


@dataclass(frozen=True, kw_only=True)
class Patients:
    """One column of a metric at one choice of epoch."""

    names: tuple[str, ...]
    """Sorted."""
    values: np.ndarray
    """(S, N); NaN where one of the patient's cases was not measured."""
    folds: np.ndarray
    """(N,) name of the fold that holds the patient out; empty names without folds."""
    cases: np.ndarray
    """(N,) how many volumes, or slices, each has."""


def by_patient(measured: Measured, column: str, when: When) -> Patients:
    """Return the mean over each patient's cases, for each seed. Cases that are patients stay as they are.

    Raises:
        ValueError: the row lacks the column or the epoch, or a case was held out in two folds.
    """
    if column not in measured.columns:
        raise ValueError(f"{measured.label} has no {column}")
    if not measured.epochs(when):
        raise ValueError(f"{measured.label} has no {when} epoch yet")
    if len(set(measured.cases)) < len(measured.cases):
        raise ValueError(f"a case was held out in several folds of {measured.label}: the folds are not of one split")
    owners = np.array(_owners(measured))
    values = measured.seeds_at(when)[:, :, measured.columns.index(column)]
    names, first, cases = np.unique(owners, return_index=True, return_counts=True)
    means = np.stack([values[:, owners == name].mean(axis=1) for name in names], axis=1)
    return Patients(names=tuple(map(str, names)), values=means, folds=np.array(measured.folds)[first], cases=cases)


def _owners(measured: Measured) -> list[str]:
    """Return the patient that each case belongs to."""
    patients = {volume: patient for run in measured.runs for volume, patient in run.patients.items()}
    patients |= {patient: patient for patient in patients.values()}
    return [patients[case if case in patients else Stem.parse(case).volume] for case in measured.cases]
