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

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.spatialimages import HeaderDataError

from boundary_loss.volumes.geometry import (
    PLAUSIBLE_MM,
    UNIT_MM,
    Geometry,
    in_words,
    invertible,
    orientation,
    resized,
    same_sizes,
    sizes,
)

PLACEMENT = ("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z",
             "srow_x", "srow_y", "srow_z", "xyzt_units")  # fmt: skip
"""The fields of a NIfTI header that say, with ``pixdim``, where the voxels lie."""

_UNITS = {1: ("m", 1000.0), 2: ("mm", 1.0), 3: ("µm", 0.001)}
"""Name and mm of the units of length, by the lowest three bits of ``xyzt_units``; any other code is taken for mm."""


@dataclass(frozen=True)
class NiftiGeometry(Geometry, format="nifti"):
    """Where the voxels of a NIfTI file lie, as its header says it: both transforms, their codes, the units.

    A file written with the geometry of another overlays it without a shift in every viewer, whichever of the two
    transforms that viewer goes by.
    """

    ending = ".nii.gz"

    shape: tuple[int, int, int]
    fields: dict[str, Any]
    """The fields named in ``PLACEMENT``, and the first four of ``pixdim``; numbers and lists of numbers, as written."""

    @classmethod
    def of(cls, header: Nifti1Header, shape: tuple[int, ...]) -> "NiftiGeometry":
        x, y, z = shape
        pixdim = {"pixdim": header["pixdim"][:4].tolist()}
        return cls((x, y, z), {name: header[name].tolist() for name in PLACEMENT} | pixdim)

    @classmethod
    def _from_json(cls, content: dict[str, Any]) -> "NiftiGeometry":
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

    def restated(self, spacing_mm: tuple[float, float, float]) -> "NiftiGeometry":
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
