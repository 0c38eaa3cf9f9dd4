"""What a worker reports of a case, and what is written down of a folder that was prepared, whichever its kind."""

import argparse
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boundary_loss.folders.prepared import SETS
from boundary_loss.folders.split import Split
from boundary_loss.preparation.shown import Preparation
from boundary_loss.preparation.study import Case, Recipe, Study
from boundary_loss.unpack import read_source
from boundary_loss.volumes import Geometry


@dataclass
class Prepared:
    """What a worker reports of a case; ``digests`` are sha256 sums of arrays by file, and voxels are counted by class:
    ``positive`` those of an object, ``negative`` those of background, neither those that are ignored."""

    volume: str
    patient: str
    spacing_mm: tuple[float, float, float]
    orientation: str
    """Where the axes X, Y, Z point in the patient, in nibabel's letters, as ``LPS``; ``?`` where no one can tell."""
    source: Path
    """The file of the first modality."""
    geometry: Geometry
    """Of that file: where its voxels lie, and how many there were before resizing."""
    digests: dict[str, str] = field(default_factory=dict)
    positive: int = 0
    negative: int = 0
    num_slices: int = 0
    num_with_object: int = 0

    def grid(self, unpacked: Path) -> dict[str, Any]:
        """Return where the voxels of the source lie, and its path below the folder that was unpacked."""
        return {"file": self.source.relative_to(unpacked).as_posix()} | self.geometry.as_json()


@dataclass(frozen=True)
class Kind:
    """What the engine needs to know of a kind of folder: how a case is prepared, and what is recorded."""

    record: str
    """The file that makes a folder one of this kind: ``slicing.json``."""
    doing: str
    done: str
    again: str
    """In messages: ``slicing``, ``sliced``, ``slices it again``."""
    add_options: Callable[[argparse.ArgumentParser, Study], None]
    settings: Callable[[Study, argparse.Namespace], dict[str, Any]]
    """The fields of a :class:`Recipe` that the options decide."""
    make_folders: Callable[[Path, Recipe], None]
    prepare: Callable[[Case, Recipe, str, Path], Any]
    """Write the arrays of a case into a folder, on the side ``train`` or ``val``; returns a :class:`Prepared`."""
    doubts: Callable[[Sequence[tuple[str, Any]]], list[str]]
    """List what speaks against these cases on these sides, though it stops nothing."""
    write_records: Callable[[Path, Study, Recipe, Split, Sequence[tuple[str, Any]], Path], None]
    """Write the JSON files: of all cases with their sides, and of the folder that was unpacked."""


def common(
    study: Study, preparation: Preparation, cases: Sequence[tuple[str, Prepared]], digests: Mapping[str, str],
    unpacked: Path,
) -> dict[str, Any]:  # fmt: skip
    """Return what the records of both kinds say.

    Args:
        cases: each with its side, ``train`` or ``val``.
        digests: sha256 by file, of all that training reads.
    """
    source = read_source(unpacked)
    return {
        "study": study.name,
        "classes": list(study.classes),
        "modalities": list(study.modalities),
        "orientation": {case.volume: case.orientation for _, case in cases},
        "patient": {case.volume: case.patient for _, case in cases},
        "preparation": preparation.as_json(),
        "checksum": checksum(digests),
        "ratio": {which: ratio([case for side, case in cases if side == which]) for which in SETS},
        "phantom": source is not None and source.phantom,
        "source": None if source is None else source.to_json(),
    }


def common_options(recipe: Recipe) -> dict[str, Any]:
    """Return the settings that both kinds record, for people to read."""
    return {
        "seed": recipe.seed,
        "values": {str(value): k for value, k in recipe.values.items()},
        "trust_affine": recipe.trust_affine,
        "spacing_mm": list(recipe.spacing_mm) if recipe.spacing_mm else None,
    }


def label_values(recipe: Recipe) -> tuple[int, ...]:
    """Return the label value that each class comes from, the first that the study lists where there are several."""
    return tuple(
        next((value for value, own in recipe.values.items() if own == k), k) for k in range(recipe.num_classes)
    )


def checksum(digests: Mapping[str, str]) -> str:
    """Return one sha256 over the sorted names and digests of all arrays that training reads."""
    lines = "".join(f"{name} {digests[name]}\n" for name in sorted(digests))
    return hashlib.sha256(lines.encode()).hexdigest()


def ratio(cases: Sequence[Prepared]) -> dict[str, float]:
    """Count voxels with and without an object (ignored ones are neither) and slices, altered copies left out."""
    positive, negative = sum(case.positive for case in cases), sum(case.negative for case in cases)
    return {
        "volumes": len(cases),
        "slices": sum(case.num_slices for case in cases),
        "slices_with_object": sum(case.num_with_object for case in cases),
        "positive": positive,
        "negative": negative,
        "ratio": positive / max(negative, 1),
    }
