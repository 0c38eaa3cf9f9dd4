"""What a dataset declares, and what one run of its preparation was asked to do."""

import glob
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from boundary_loss.shapes import IGNORED
from boundary_loss.volumes import READ, ending_of, stem_of

GT = "gt"


@dataclass(frozen=True)
class Files:
    """What a pattern found in a folder; a sound case has exactly one file for each."""

    folder: Path
    pattern: str
    found: tuple[Path, ...]

    @classmethod
    def match(cls, folder: Path, pattern: str) -> "Files":
        return cls(folder, pattern, tuple(sorted(shown(folder, pattern))))

    @classmethod
    def volume(cls, folder: Path, name: str) -> "Files":
        """Find a volume by its name without the ending, in any format that is read."""
        found = [path for path in shown(folder, f"{glob.escape(name)}.*") if stem_of(path.name) == name]
        return cls(folder, f"{name}{{{','.join(READ)}}}", tuple(sorted(found)))


def volume_names(folder: Path) -> list[str]:
    """Return the names, without their endings, of the volumes in a folder, sorted; none if there is no such folder."""
    return sorted({stem_of(path.name) for path in shown(folder, "*") if ending_of(path.name)})


def shown(folder: Path, pattern: str) -> Iterator[Path]:
    """Yield what a pattern finds below a folder, without what systems hide there.

    A Mac leaves a file ``._NAME`` beside each NAME on disks that are not its own, and ``__MACOSX`` in zips.
    """
    for path in folder.glob(pattern):
        if not any(part.startswith(".") or part == "__MACOSX" for part in path.relative_to(folder).parts):
            yield path


@dataclass(frozen=True)
class Case:
    """One volume to cut: its name, whose it is, and its files."""

    volume: str
    """Name of the volume, and of its slices: ``case_10``, ``patient001_01``."""
    patient: str
    """Splits are by patient: all volumes of one go to the same side."""
    images: tuple[Files, ...]
    """One for each modality, in the study's order."""
    labels: Files | None
    """None for a new case, which is there to be predicted."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """A dataset: where its files are, and what must be true of them."""

    name: str
    classes: tuple[str, ...]
    """Names, background first."""
    modalities: tuple[str, ...]
    """Names of the folders that the slices go to, in the order of the network's input channels."""
    values: dict[int, int]
    """The label values a file may hold, and the class that each becomes."""
    ignorable: tuple[int, ...] = ()
    """Label values that ``--ignore`` leaves out of every loss and metric."""
    find: Callable[[Path], list[Case]]
    """Lists the cases of an unpacked folder."""
    expects: str
    """What ``find`` looks for, in words."""
    kind: Literal["slices", "volumes"] = "slices"
    """What the volumes become: a folder of slices, or one of whole volumes, whose arrays are those of the files."""
    normalise: str = "minmax"
    """How values become what a network sees of whole volumes, see :mod:`boundary_loss.preparation.normalisation`.
    Slices have one rule: each volume's smallest value becomes 0, its largest 1."""
    square_planes: bool = False
    """Whether planes are square, and more voxels lie along them than across: a volume with its planes along another
    axis than the last is then noticed."""
    usual_mm: tuple[float, float, float] | None = None
    """The size of a voxel that the dataset's authors name, to be told where headers have lost it."""
    shape: tuple[int, int] | None = None
    """(X, Y) that slices are resized to, unless ``--shape`` says otherwise; None: as they are."""
    every_class: bool = False
    """Whether a class that no case has is a fault, as in data sets whose labels people declare."""
    pictures: bool = False
    """Slices are kept as 8-bit PNGs alone, without arrays and 3D distance maps."""
    volumes_per_patient: int = 1
    layout: dict[str, str] = field(default_factory=dict)
    """Where the file of each modality is in a folder of new, unlabelled cases: ``{"ct": "<case_*>/*.CT.*/*.nii"}``,
    see :mod:`boundary_loss.preparation.layout`. Empty: new cases have to be listed."""

    def of_modalities(self, names: Sequence[str]) -> "Study":
        """The study with these of its modalities alone, in its own order."""
        numbers = [number for number, name in enumerate(self.modalities) if name in names]
        kept = tuple(self.modalities[number] for number in numbers)

        def find(source: Path) -> list[Case]:
            cases = self.find(source)
            return [replace(case, images=tuple(case.images[number] for number in numbers)) for case in cases]

        layout = {name: pattern for name, pattern in self.layout.items() if name in kept}
        return replace(self, modalities=kept, layout=layout, find=find)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How every case is cut: the study's part and the user's, in plain values that travel to workers."""

    modalities: tuple[str, ...]
    num_classes: int
    values: dict[int, int]
    shape: tuple[int, int] | None
    pictures: bool
    n_augment: int
    discard_negatives: bool
    seed: int
    trust_affine: bool
    spacing_mm: tuple[float, float, float] | None
    """The size of a voxel of every file, where the headers are known to be wrong; None: as they say."""
    kind: Literal["slices", "volumes"] = "slices"
    normalise: str = "minmax"
    square_planes: bool = False

    @staticmethod
    def values_of(study: Study, *, ignore: bool) -> dict[int, int]:
        """The study's label values, with the ignorable ones turned into 255 where asked.

        Raises:
            ValueError: the study has nothing to ignore.
        """
        if not ignore:
            return dict(study.values)
        if not study.ignorable:
            raise ValueError(f"--ignore: {study.name} has no label to ignore")
        return {value: IGNORED if value in study.ignorable else k for value, k in study.values.items()}

    def stem(self, volume: str, augmentation: int, index: int) -> str:
        """Name of a slice; the 8-bit study's numbers are not padded, as in the original."""
        if self.pictures:
            return f"{volume}_{augmentation}_{index}"
        return f"{volume}_{augmentation:02d}_{index:04d}"
