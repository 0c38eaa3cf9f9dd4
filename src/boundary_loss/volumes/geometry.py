"""Where the voxels of a NIfTI file lie, and which part of its header is believed where the parts disagree.

A header says it up to three times: voxel sizes (``pixdim``), a rigid transform built on them (qform), and an affine
with voxel sizes of its own (sform). The rule here is ITK's:

- a voxel is as large as ``pixdim`` says, in the unit that ``xyzt_units`` names. ITK, FSL, the evaluation of ACDC and
  ``nibabel``'s ``get_zooms`` go by it too;
- its axes point where the sform says if that is set and its voxel sizes are those of ``pixdim``; otherwise where the
  qform says; if neither is set, along ``pixdim`` alone, as in Analyze files.

Headers may hold infinities and NaN: they are computed with in silence here, and refused where files are checked.

``nibabel``'s ``affine`` prefers the sform whatever its voxel sizes are. In ACDC that is a matrix of 1 mm which nobody
filled in, beside a qform and ``pixdim`` of 1.3 x 1.3 x 10 mm.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.orientations import aff2axcodes
from nibabel.spatialimages import HeaderDataError

PLACEMENT = ("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z",
             "srow_x", "srow_y", "srow_z", "xyzt_units")  # fmt: skip
"""The fields of a NIfTI header that say, with ``pixdim``, where the voxels lie."""

SIZE_TOLERANCE = 0.01
"""Relative difference between the voxel sizes of ``pixdim`` and those of an sform that count as equal."""

_UNITS = {1: ("m", 1000.0), 2: ("mm", 1.0), 3: ("µm", 0.001)}
"""Name and mm of the units of length, by the lowest three bits of ``xyzt_units``; any other code is taken for mm."""

UNIT_MM = (1.0, 1.0, 1.0)
"""What headers say whose voxel size was lost."""

PLAUSIBLE_MM = (0.001, 100.0)
"""Voxel sizes outside suggest that a header names the wrong unit."""


@dataclass(frozen=True)
class Geometry:
    """Where the voxels of a NIfTI file lie, as its header says it: both transforms, their codes, the units.

    A file written with the geometry of another overlays it without a shift in every viewer, whichever of the two
    transforms that viewer goes by.
    """

    shape: tuple[int, int, int]
    fields: dict[str, Any]
    """The fields named in ``PLACEMENT``, and the first four of ``pixdim``; numbers and lists of numbers, as written."""

    @classmethod
    def of(cls, header: Nifti1Header, shape: tuple[int, ...]) -> "Geometry":
        x, y, z = shape
        pixdim = {"pixdim": header["pixdim"][:4].tolist()}
        return cls((x, y, z), {name: header[name].tolist() for name in PLACEMENT} | pixdim)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Geometry":
        x, y, z = content["shape"]
        return cls((x, y, z), {name: content[name] for name in (*PLACEMENT, "pixdim")})

    def as_json(self) -> dict[str, Any]:
        return {"shape": list(self.shape)} | self.fields

    def header(self) -> Nifti1Header:
        """Return a header with these transforms and nothing else."""
        header = Nifti1Header()
        header.set_data_shape(self.shape)
        for name in PLACEMENT:
            header[name] = self.fields[name]
        header["pixdim"][:4] = self.fields["pixdim"]
        return header

    @property
    def unit(self) -> tuple[str, float]:
        """The unit of the header's lengths, and how many mm it has."""
        return _UNITS.get(self.fields["xyzt_units"] & 7, ("mm", 1.0))

    @cached_property
    def spacing_mm(self) -> tuple[float, float, float]:
        """The size of a voxel: ``pixdim`` in mm. Zero, negative or NaN if the header says so."""
        x, y, z = (float(size) * self.unit[1] for size in self.fields["pixdim"][1:4])
        return x, y, z

    def restated(self, spacing_mm: tuple[float, float, float]) -> "Geometry":
        """Return the geometry as if its header gave this voxel size: for headers whose own is known to be wrong."""
        pixdim = [self.fields["pixdim"][0], *(size / self.unit[1] for size in spacing_mm)]
        return replace(self, fields=self.fields | {"pixdim": pixdim})

    @cached_property
    @np.errstate(all="ignore")
    def qform(self) -> np.ndarray | None:
        """(4, 4), voxel indices to mm; None if it is not set, or no rotation."""
        if self.fields["qform_code"] <= 0:
            return None
        try:
            affine = self.header().get_qform()
        except (ValueError, HeaderDataError):
            return None
        return self._in_mm(affine) if np.isfinite(affine).all() else None

    @cached_property
    @np.errstate(all="ignore")
    def sform(self) -> np.ndarray | None:
        """(4, 4), voxel indices to mm; None if it is not set."""
        return self._in_mm(self.header().get_sform()) if self.fields["sform_code"] > 0 else None

    def _in_mm(self, affine: np.ndarray) -> np.ndarray:
        return np.diag([self.unit[1]] * 3 + [1.0]) @ affine

    @cached_property
    @np.errstate(all="ignore")
    def affine(self) -> np.ndarray:
        """(4, 4), voxel indices to mm, by the rule at the top of the module.

        An sform of other voxel sizes than ``pixdim`` is taken where there is no qform, resized to ``pixdim``.
        """
        if self.sform is not None and self._sform_agrees:
            return self.sform
        if self.qform is not None:
            return self.qform
        if self.sform is not None and invertible(self.sform):
            return resized(self.sform, self.spacing_mm)
        return self._in_mm(self.header().get_base_affine())

    @cached_property
    def _sform_agrees(self) -> bool:
        return self.sform is not None and invertible(self.sform) and same_sizes(sizes(self.sform), self.spacing_mm)

    def dispute(self) -> str | None:
        """Return how transforms disagree so that the size of a voxel cannot be known; None if it can.

        An sform of unit sizes beside a qform was not filled in: that is no dispute.
        """
        if self.sform is None or self._sform_agrees:
            return None
        if not invertible(self.sform):
            return f"singular affine (sform): {np.round(self.sform[:3], 4).tolist()}"
        if self.qform is not None and same_sizes(sizes(self.sform), UNIT_MM):
            return None
        return f"header says {in_words(self.spacing_mm)} mm a voxel, its affine (sform) {in_words(sizes(self.sform))}"

    def doubts(self) -> list[str]:
        """Return what of the header is believed though something speaks against it."""
        doubts = []
        if self.unit[0] != "mm" and not all(PLAUSIBLE_MM[0] <= size <= PLAUSIBLE_MM[1] for size in self.spacing_mm):
            doubts.append(f"{in_words(self.spacing_mm)} mm a voxel: the header's unit is {self.unit[0]} (xyzt_units)")
        if self.fields["qform_code"] > 0 and self.qform is None:
            doubts.append("its qform is no rotation; left alone")
        if self._sform_agrees and self.qform is not None and orientation(self.qform) != orientation(self.affine):
            doubts.append(
                f"its axes point {orientation(self.affine)} by the sform, which is believed, "
                f"but {orientation(self.qform)} by the qform"
            )
        return doubts


@np.errstate(all="ignore")
def sizes(affine: np.ndarray) -> np.ndarray:
    """Return the length of a voxel along each of the three axes of a (4, 4) affine."""
    return np.linalg.norm(affine[:3, :3], axis=0)


@np.errstate(all="ignore")
def invertible(affine: np.ndarray) -> bool:
    """Whether a (4, 4) affine is finite and maps no two voxels to one place."""
    if not np.isfinite(affine).all():
        return False
    return bool(abs(np.linalg.det(affine[:3, :3])) > 1e-6 * sizes(affine).prod())


@np.errstate(all="ignore")
def same_sizes(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> bool:
    """Whether voxel sizes agree but for rounding; NaN agrees with nothing."""
    return bool((np.abs(np.subtract(a, b)) <= SIZE_TOLERANCE * np.abs(b)).all())


@np.errstate(all="ignore")
def resized(affine: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Return an invertible affine with its directions and origin, and voxels of another size."""
    return affine @ np.diag([*(np.array(spacing_mm) / sizes(affine)), 1.0])


def orientation(affine: np.ndarray) -> str:
    """Return where the axes of a volume point in the patient, in nibabel's letters, as ``LPS``; ``?`` if unknown."""
    if not np.isfinite(affine).all():
        return "???"
    return "".join(letter or "?" for letter in aff2axcodes(affine))


def in_words(values: Sequence[float] | np.ndarray) -> str:
    """Return ``0.9 x 1.2 x 3``."""
    return " x ".join(f"{value:.4g}" for value in values)
