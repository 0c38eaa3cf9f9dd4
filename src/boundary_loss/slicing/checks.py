"""What must be true of a case before it is cut. Every fault is told with its case, its file and what was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boundary_loss.slicing.study import GT, Case, Files, Recipe, Study
from boundary_loss.volumes import Volume, read_volume

SHOWN = 5
"""Unexpected values that a message lists."""
SPACING_TOLERANCE = 0.01
"""Relative difference allowed between the header's voxel size and its affine."""


@dataclass(frozen=True)
class Report:
    """What checking one case found: ``faults`` stop everything, ``doubts`` are printed."""

    volume: str
    faults: tuple[str, ...]
    doubts: tuple[str, ...]
    shape: tuple[int, ...] | None


def check_case(case: Case, recipe: Recipe) -> Report:
    """Read all files of a case, labels included if it has any, and look for faults in and between them."""
    faults: list[str] = []
    grids: list[str] = []
    first: tuple[Path, Volume] | None = None
    named = list(zip(recipe.modalities, case.images)) + ([(GT, case.labels)] if case.labels else [])
    for name, files in named:
        if len(files.found) != 1:
            faults.append(_count(name, files))
            continue
        path = files.found[0]
        try:
            volume = read_volume(path)
        except ValueError as error:
            faults.append(str(error))
            continue
        found = label_faults(volume.array, recipe.values) if name == GT else image_faults(volume.array)
        faults += [f"{path}: {fault}" for fault in found]
        grids += [f"{path}: {fault}" for fault in grid_faults(volume)]
        if first is None:
            first = (path, volume)
        elif volume.array.shape != first[1].array.shape:
            faults.append(f"{path}: shape {volume.array.shape}, but {first[1].array.shape} in {first[0].name}")
        elif not same_grid(volume, first[1]):
            grids.append(f"{path}: its affine places the voxels elsewhere than that of {first[0].name}")
    shape = first[1].array.shape if first else None
    # a voxel size that is no size cannot be trusted on anybody's word: distances would be meaningless
    hopeless = [fault for fault in grids if not recipe.trust_affine or "voxel size" in fault]
    doubts = [fault for fault in grids if fault not in hopeless]
    return Report(case.volume, tuple(faults + hopeless), tuple(doubts), shape)


def _count(name: str, files: Files) -> str:
    where = f"{files.folder / files.pattern} ({name})"
    if not files.found:
        return f"{where}: missing"
    return f"{where}: {len(files.found)} files instead of one: {', '.join(path.name for path in files.found)}"


def image_faults(array: np.ndarray) -> list[str]:
    values = array.astype(np.float32, copy=False)
    strange = int(np.count_nonzero(~np.isfinite(values)))
    if strange:
        return [f"{strange} of {values.size} voxels are NaN or infinite"]
    if values.min() == values.max():
        return [f"constant: every voxel is {values.flat[0]:g}"]
    return []


def label_faults(array: np.ndarray, accepted: dict[int, int]) -> list[str]:
    unexpected = [value for value in np.unique(array).tolist() if value not in accepted]
    if not unexpected:
        return []
    shown = ", ".join(f"{value:g}" for value in unexpected[:SHOWN])
    more = f" and {len(unexpected) - SHOWN} more" if len(unexpected) > SHOWN else ""
    return [f"unexpected label {shown}{more}; known: {', '.join(map(str, sorted(accepted)))}"]


def grid_faults(volume: Volume) -> list[str]:
    """Faults of a header by itself."""
    spacing, affine = np.array(volume.spacing_mm), volume.affine
    if not np.isfinite(spacing).all() or (spacing <= 0).any():
        return [f"voxel size {_numbers(spacing)} mm; it must be positive"]
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-6 * spacing.prod():
        return [f"singular affine {np.round(affine[:3], 4).tolist()}"]
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if np.abs(lengths / spacing - 1).max() > SPACING_TOLERANCE:
        return [f"header says {_numbers(spacing)} mm a voxel, its affine {_numbers(lengths)}"]
    return []


def same_grid(a: Volume, b: Volume) -> bool:
    """Whether all corners of two volumes of one shape lie within half a voxel of each other."""
    corners = np.array([(*corner, 1) for corner in np.ndindex(2, 2, 2)]) * (*(np.array(a.array.shape) - 1), 1)
    apart = np.linalg.norm(corners @ (a.affine - b.affine).T, axis=1).max()
    return bool(apart <= 0.5 * min(b.spacing_mm))


def _numbers(values: np.ndarray) -> str:
    return " x ".join(f"{value:.4g}" for value in values)


def check_together(study: Study, cases: Sequence[Case], reports: Sequence[Report], recipe: Recipe) -> list[str]:
    """Faults that only show when all cases are seen."""
    faults = []
    patients: dict[str, list[str]] = {}
    for case in cases:
        patients.setdefault(case.patient, []).append(case.volume)
    for patient, volumes in sorted(patients.items()):
        if len(volumes) != study.volumes_per_patient:
            faults.append(
                f"{patient}: {len(volumes)} volumes ({', '.join(volumes)}); expected {study.volumes_per_patient}"
            )
    if recipe.shape is None:
        shapes: dict[tuple[int, ...], list[str]] = {}
        for report in reports:
            if report.shape is not None:
                shapes.setdefault(report.shape[:2], []).append(report.volume)
        if len(shapes) > 1:
            listed = "; ".join(f"{x} x {y}: {', '.join(names)}" for (x, y), names in sorted(shapes.items()))
            faults.append(f"slices of different sizes ({listed}); --shape X Y resizes them to one")
    return faults


def refuse_faulty(study: Study, cases: Sequence[Case], reports: Sequence[Report], recipe: Recipe) -> None:
    """Raise one ValueError that lists every fault of every case; doubts are printed.

    Raises:
        ValueError: there is a fault.
    """
    refuse(faults_of(reports) + check_together(study, cases, reports, recipe), f"the {study.name} data")


def faults_of(reports: Sequence[Report]) -> list[str]:
    """A line for each fault; doubts are printed."""
    for report in reports:
        for doubt in report.doubts:
            print(f"warning: {report.volume}: {doubt}")
    return [f"{report.volume}: {fault}" for report in reports for fault in report.faults]


def refuse(lines: Sequence[str], what: str) -> None:
    """Raise one ValueError that lists the faults of ``what``, if there are any."""
    if not lines:
        return
    listed = "\n".join(f"    {line}" for line in lines)
    advice = ""
    if any("affine" in line for line in lines):
        advice = "\n  If you know that the voxels correspond whatever the affines say, --trust_affine goes on."
    count = "1 fault" if len(lines) == 1 else f"{len(lines)} faults"
    raise ValueError(f"{count} in {what}; nothing was written:\n{listed}{advice}")
