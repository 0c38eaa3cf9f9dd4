"""The cases of a set of whole volumes, as a network sees them: frames, scaled images, labels and maps.

Axis letters: C modalities, K classes, X Y Z voxels (see :mod:`boundary_loss.shapes`).
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from boundary_loss.data.boxes import Boxes
from boundary_loss.data.case_maps import CaseMaps, case_map, fit_in_memory
from boundary_loss.data.frame import Box, Frame
from boundary_loss.data.needs import MapNeed
from boundary_loss.data.patches import ObjectVoxels
from boundary_loss.data.view import View
from boundary_loss.folders.whole import Scale, WholeFolder
from boundary_loss.shapes import IGNORED

OF_STUDY = "zscore(study)"
"""The rule of normalisation whose numbers are those of the boxes, where there are boxes."""


@dataclass(frozen=True, eq=False)
class ShownCases:
    """The cases of ``train`` or ``val``, or the first ``limit`` of them, through one view."""

    folder: WholeFolder
    which: str
    view: View
    boxes: Boxes | None = None
    limit: int | None = None

    @cached_property
    def names(self) -> list[str]:
        """Return the names of the cases, sorted.

        Raises:
            ValueError: there are none, or one of them has no box.
        """
        names = self.folder.cases(self.which)[: self.limit]
        if not names:
            raise ValueError(f"{self.folder.path} has no case to {'train' if self.which == 'train' else 'validate'} on")
        if self.boxes is not None:
            missing = [name for name in names if name not in self.boxes.cases]
            if missing:
                raise ValueError(f"the boxes are of other data: {missing[0]} of {self.folder.path} has none")
        return names

    @property
    def planes(self) -> list[str]:
        """Return the names of all planes of the cases, sorted."""
        known = set(self.names)
        return [stem for case, stems in self.folder.volumes(self.which).items() if case in known for stem in stems]

    def frame(self, case: str) -> Frame:
        """Return the frame of a case; patches lie within it."""
        box = None if self.boxes is None else self.boxes.cases[case].box
        try:
            return self.view.frame(self.folder.truth(case).shape, box)
        except ValueError as error:
            raise ValueError(f"{self.which}/{case}: {error}") from None

    def spacing(self, case: str, frame: Frame) -> Tensor:
        """Return the spacing in the frame, (3,) float32 mm."""
        return torch.tensor(frame.spacing(self.folder.spacing_3d(case)))

    def scale(self, case: str, modality: str) -> Scale:
        """Scale the values of the file for the network."""
        if self.boxes is not None and self.folder.preparation.get("normalise") == OF_STUDY:
            found = self.boxes.intensities[modality]
            return Scale(found.mean, 1 / found.deviation)
        return self.folder.scale(case, modality)

    def parts(self, case: str, box: Box) -> list[Tensor]:
        """Read a box of the source: each modality in its own type, then the labels.

        Raises:
            ValueError: a value is not finite; names the case.
        """
        found = []
        for modality in self.folder.modalities:
            part = np.array(self.folder.volume(case, modality)[box.slices])
            if part.dtype.kind == "f" and not np.isfinite(part).all():
                raise ValueError(f"{self.which}/{case} has NaN or infinite values in {modality}; prepare the data anew")
            found.append(torch.from_numpy(part))
        return [*found, torch.from_numpy(np.array(self.folder.truth(case)[box.slices]))]

    def scaled(self, case: str, parts: Sequence[Tensor]) -> Tensor:
        """Return (C, X, Y, Z) float32 of the modalities' parts, on their device; 0 is the value beyond a volume."""
        scales = [self.scale(case, modality) for modality in self.folder.modalities]
        return torch.stack([scale(part.float()) for scale, part in zip(scales, parts, strict=True)])

    def bytes_of_maps(self, needs: Sequence[MapNeed]) -> int:
        """Return the bytes that the maps of all cases take."""
        voxels = sum(self.folder.truth(case).size for case in self.names)
        return 4 * voxels * sum(len(need.classes) for need in needs)

    def maps(self, needs: Sequence[MapNeed], device: torch.device) -> CaseMaps:
        """Return the maps of whole cases: kept on the host if a quarter of its memory holds them, else made anew."""
        keep = fit_in_memory(self.bytes_of_maps(needs))
        return CaseMaps(partial(self._map, torch.device("cpu") if keep else device), keep)

    def _map(self, device: torch.device, case: str, need: MapNeed) -> Tensor:
        labels = torch.from_numpy(np.ascontiguousarray(self.folder.truth(case))).to(device)
        return case_map(need, labels, self.folder.spacing_3d(case), len(self.folder.classes))

    @cached_property
    def contents(self) -> "Contents":
        """Return what the labels of all cases contain; each is read once.

        Raises:
            ValueError: a label that is no class, or no labelled voxel at all.
        """
        shown = tqdm(self.names, desc=f"{self.which}: reading labels", leave=False, disable=None)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(self._read_labels, shown))
        present = set().union(*(classes for classes, _ in found))
        absent = [k for k in range(len(self.folder.classes)) if k not in present]
        if len(absent) == len(self.folder.classes):
            raise ValueError(f"{self.folder.path} has no labelled voxel to {self.which} on: all are {IGNORED}")
        objects = dict(zip(self.names, (own for _, own in found), strict=True))
        return Contents(has_ignored=IGNORED in present, absent=absent, objects=objects)

    def _read_labels(self, case: str) -> tuple[set[int], ObjectVoxels]:
        labels, num_classes = self.folder.truth(case), len(self.folder.classes)
        found: set[int] = set()
        for plane in np.moveaxis(labels, -1, 0):
            found.update(np.flatnonzero(np.bincount(plane.ravel(order="K"))).tolist())
        unknown = sorted(found - {*range(num_classes), IGNORED})
        if unknown:
            raise ValueError(f"{self.which}/{case} has labels {unknown}, expected 0..{num_classes - 1}")
        box = self.frame(case).source_box()
        return found, ObjectVoxels.of(labels, box)


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What the labels of a set contain."""

    has_ignored: bool
    absent: list[int]
    """Classes that no case has."""
    objects: dict[str, ObjectVoxels]
    """Of each case, in what is shown of it."""
