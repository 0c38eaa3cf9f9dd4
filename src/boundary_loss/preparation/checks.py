"""What must be true of a case before it is prepared. Every fault is told with its case, its file and what was found."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from boundary_loss.preparation.label_values import label_faults, nearest_labels
from boundary_loss.preparation.study import GT, Case, Files, Recipe, Study
from boundary_loss.shapes import IGNORED
from boundary_loss.volumes import UNIT_MM, Volume, corners, in_words, read_volume, same_sizes

LISTED = 5
"""Cases that a warning names."""
FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Report:
    """What checking one case found: ``faults`` stop everything, ``doubts`` are printed."""

    volume: str
    faults: tuple[str, ...]
    doubts: tuple[str, ...]
    shape: tuple[int, ...] | None
    unit_voxels: bool
    """Whether the header says 1 x 1 x 1 mm, or nothing, and no one said otherwise."""
    empty: bool = False
    """Whether the labels of a whole volume hold no object."""
    classes: frozenset[int] = frozenset()
    """Those that the labels of a whole volume hold."""


@dataclass
class _Findings:
    """What is noted of a case while its files are read; ``--trust_affine`` turns disputes into doubts."""

    faults: list[str] = field(default_factory=list)
    disputes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    classes: frozenset[int] | None = None

    def report(self, case: Case, recipe: Recipe, first: Volume | None) -> Report:
        stopping, told = ([], self.disputes) if recipe.trust_affine else (self.disputes, [])
        return Report(
            volume=case.volume,
            faults=(*self.faults, *stopping),
            doubts=(*self.doubts, *told),
            shape=first.array.shape if first else None,
            unit_voxels=first is not None and has_unit_voxels(first, recipe),
            empty=self.classes is not None and not self.classes - {0, IGNORED},
            classes=self.classes or frozenset(),
        )


def check_case(case: Case, recipe: Recipe) -> Report:
    """Read all files of a case, labels included if it has any, and look for faults in and between them."""
    findings = _Findings()
    first: tuple[Path, Volume] | None = None
    named = list(zip(recipe.modalities, case.images)) + ([(GT, case.labels)] if case.labels else [])
    for name, files in named:
        if len(files.found) != 1:
            findings.faults.append(_count(name, files))
            continue
        path = files.found[0]
        try:
            volume = read_volume(path, recipe.spacing_mm, labels=name == GT)
        except ValueError as error:
            findings.faults.append(str(error))
            continue
        _look_at(path, volume, recipe, findings, labels=name == GT)
        if name == GT and recipe.kind == "volumes":
            findings.classes = classes_in(volume.array, recipe.values)
        if first is None:
            first = (path, volume)
            findings.disputes += [f"{path}: {fault}" for fault in axis_disputes(volume.array.shape, recipe)]
        else:
            _compare(path, volume, *first, findings)
    return findings.report(case, recipe, first[1] if first else None)


def _look_at(path: Path, volume: Volume, recipe: Recipe, findings: _Findings, *, labels: bool) -> None:
    found = label_faults(volume.array, recipe.values) if labels else image_faults(volume.array)
    findings.faults += [f"{path}: {fault}" for fault in found + size_faults(volume.spacing_mm)]
    findings.disputes += [f"{path}: {dispute}" for dispute in place_disputes(volume, recipe)]
    for doubt in place_doubts(volume, recipe):
        if not any(told.endswith(doubt) for told in findings.doubts):  # once a case, not once a file
            findings.doubts.append(f"{path}: {doubt}")


def _compare(path: Path, volume: Volume, first_path: Path, first: Volume, findings: _Findings) -> None:
    if volume.array.shape != first.array.shape:
        turned = sorted(volume.array.shape) == sorted(first.array.shape)
        findings.faults.append(
            f"{path}: shape {volume.array.shape}, but {first.array.shape} in {first_path.name}"
            + (": its axes are in another order" if turned else "")
        )
    elif not same_grid(volume, first):
        findings.disputes.append(f"{path}: its affine places the voxels elsewhere than that of {first_path.name}")


def _count(name: str, files: Files) -> str:
    where = f"{files.folder / files.pattern} ({name})"
    if not files.found:
        return f"{where}: missing"
    return f"{where}: {len(files.found)} files instead of one: {', '.join(path.name for path in files.found)}"


def image_faults(array: np.ndarray) -> list[str]:
    """Return what is wrong with the values of an image, which the network reads as 32-bit floats."""
    strange = int(np.count_nonzero(~np.isfinite(array))) if array.dtype.kind == "f" else 0
    if strange:
        return [f"{strange} of {array.size} voxels are NaN or infinite"]
    low, high = float(array.min()), float(array.max())
    if max(high - low, high, -low) > FLOAT32_MAX:
        return [f"values from {low:g} to {high:g}, more than 32-bit floats can span"]
    low, high = (float(np.float32(value)) for value in (low, high))
    return [f"constant: every voxel is {low:g}"] if low == high else []


def classes_in(labels: np.ndarray, values: Mapping[int, int]) -> frozenset[int]:
    """Return the classes that a label image holds, 255 for ignored voxels."""
    found = np.unique(nearest_labels(labels)).tolist()
    return frozenset(values[value] for value in found if value in values)


def axis_disputes(shape: tuple[int, ...], recipe: Recipe) -> list[str]:
    """Return where the planes of a volume lie if not along its last axis, in a study whose planes are square.

    A file that lists its slices first, (Z, Y, X), has two equal axes behind a shorter one.
    """
    odd = next((axis for axis in (0, 1) if shape[axis] < shape[2] == shape[1 - axis]), None)
    if not recipe.square_planes or odd is None:
        return []
    return [
        f"{in_words(shape)} voxels: its planes lie along axis {odd + 1} of 3, not along the last, so its axes, and "
        "the affine with them, are in another order than this study's"
    ]


def size_faults(spacing_mm: tuple[float, float, float]) -> list[str]:
    """Return what is wrong with a voxel size. No one's word can mend it: distances would mean nothing."""
    if np.isfinite(spacing_mm).all() and min(spacing_mm) > 0:
        return []
    return [f"voxel size {in_words(spacing_mm)} mm; it must be positive, or be stated: SPACING=X,Y,Z"]


def place_disputes(volume: Volume, recipe: Recipe) -> list[str]:
    """Return how a header contradicts itself, unless the size of its voxels was stated."""
    dispute = None if recipe.spacing_mm else volume.geometry.dispute()
    return [dispute] if dispute else []


def place_doubts(volume: Volume, recipe: Recipe) -> list[str]:
    """Return what has to be told of a header that is believed, or overruled."""
    written = volume.geometry.spacing_mm
    if recipe.spacing_mm is None:
        return volume.geometry.doubts()
    if same_sizes(written, recipe.spacing_mm) or same_sizes(written, UNIT_MM):
        return []
    return [f"its header says {in_words(written)} mm a voxel; taken for {in_words(recipe.spacing_mm)}, as stated"]


def has_unit_voxels(volume: Volume, recipe: Recipe) -> bool:
    return recipe.spacing_mm is None and same_sizes(volume.spacing_mm, UNIT_MM)


@np.errstate(all="ignore")
def same_grid(a: Volume, b: Volume) -> bool:
    """Whether all corners of two volumes of one shape lie within half a voxel of each other."""
    apart = np.linalg.norm(corners(a.array.shape, a.affine) - corners(b.array.shape, b.affine), axis=1).max()
    return bool(apart <= 0.5 * min(b.spacing_mm))


def check_together(study: Study, cases: Sequence[Case], reports: Sequence[Report], recipe: Recipe) -> list[str]:
    """Faults that only show when all cases are seen."""
    faults = _never_found(study, cases) + _never_labelled(study, reports)
    patients: dict[str, list[str]] = {}
    for case in cases:
        patients.setdefault(case.patient, []).append(case.volume)
    for patient, volumes in sorted(patients.items()):
        if len(volumes) != study.volumes_per_patient:
            faults.append(
                f"{patient}: {len(volumes)} volumes ({', '.join(volumes)}); expected {study.volumes_per_patient}"
            )
    if study.kind == "slices" and recipe.shape is None:
        shapes: dict[tuple[int, ...], list[str]] = {}
        for report in reports:
            if report.shape is not None:
                shapes.setdefault(report.shape[:2], []).append(report.volume)
        if len(shapes) > 1:
            listed = "; ".join(f"{x} x {y}: {', '.join(names)}" for (x, y), names in sorted(shapes.items()))
            faults.append(f"slices of different sizes ({listed}); --shape X Y resizes them to one")
    return faults


def _never_found(study: Study, cases: Sequence[Case]) -> list[str]:
    """Name the modalities that no case has, where a study may do without them."""
    found = [name for number, name in enumerate(study.modalities) if any(case.images[number].found for case in cases)]
    lacking = [name for name in study.modalities if name not in found]
    if study.kind == "slices" or not lacking or not found:
        return []
    return [f"no case has {', '.join(lacking)}: PREPARE='--modalities {' '.join(found)}' does without"]


def _never_labelled(study: Study, reports: Sequence[Report]) -> list[str]:
    """Name the classes that no case has, in a study that declares them itself."""
    found = frozenset().union(*(report.classes for report in reports))
    if not study.every_class or not found:
        return []
    lacking = [(value, k) for value, k in study.values.items() if k not in found and k != IGNORED]
    return [
        f"no case has {study.classes[k]} (label {value}): take it out of the declared labels, or add a case with it"
        for value, k in lacking
    ]


def refuse_faulty(study: Study, cases: Sequence[Case], reports: Sequence[Report], recipe: Recipe) -> None:
    """Raise one ValueError that lists every fault of every case; doubts are printed.

    Raises:
        ValueError: there is a fault.
    """
    faults = faults_of(reports, study.usual_mm) + check_together(study, cases, reports, recipe)
    refuse(faults, f"the {study.name} data", "PREPARE")


def faults_of(reports: Sequence[Report], usual_mm: tuple[float, float, float] | None = None) -> list[str]:
    """Return a line for each fault; doubts are printed. ``usual_mm``: the voxel size that the data is known to have."""
    for report in reports:
        for doubt in report.doubts:
            print(f"warning: {report.volume}: {doubt}")
    _doubt_units(_listed(report.volume for report in reports if report.unit_voxels), usual_mm)
    if empty := _listed(report.volume for report in reports if report.empty):
        print(f"warning: {empty}: the labels are background alone, without an object")
    return [f"{report.volume}: {fault}" for report in reports for fault in report.faults]


def _listed(volumes: Iterable[str]) -> str:
    """Return the first names, and how many more there are; empty without any."""
    names = list(volumes)
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def _doubt_units(volumes: str, usual_mm: tuple[float, float, float] | None) -> None:
    """Print that voxels of 1 mm may have lost their size, unless the data is known for it."""
    if volumes and usual_mm != UNIT_MM:
        stated = ",".join(f"{size:g}" for size in usual_mm) if usual_mm else "X,Y,Z"
        known = f" The data is known for {in_words(usual_mm)} mm." if usual_mm else ""
        print(
            f"warning: {volumes}: the header says 1 x 1 x 1 mm a voxel, or nothing, as headers do that lost their "
            f"voxel size; every distance follows from it.{known} If it is another, state it in mm: SPACING={stated}"
        )


def refuse(lines: Sequence[str], what: str, variable: str) -> None:
    """Raise one ValueError that lists the faults of ``what``, if there are any.

    Args:
        variable: of make, that takes the command's options: ``PREPARE``, ``PREDICT``.
    """
    if not lines:
        return
    listed = "\n".join(f"    {line}" for line in lines)
    advice = ""
    if any("affine" in line for line in lines):
        advice = (
            "\n  If you know the size of their voxels, state it in mm: SPACING=X,Y,Z (--spacing X,Y,Z)."
            f"\n  If you know that the voxels correspond, {variable}=--trust_affine goes on: the voxel size "
            "that the header states by itself (pixdim) is then believed."
        )
    count = "1 fault" if len(lines) == 1 else f"{len(lines)} faults"
    raise ValueError(f"{count} in {what}; nothing was written:\n{listed}{advice}")
