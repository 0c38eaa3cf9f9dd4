"""Where the voxels of a source file lay, as grids.json and whole.json hold it, checked by its format."""

from pathlib import Path
from typing import Any

from boundary_loss.folders import records


def _numbers(value: Any, key: str, path: Path) -> None:
    """Refuse what is not four numbers: a row of an affine, or the first of pixdim."""
    records.list_of(records.number)(value, key, path)
    if len(value) != 4:
        raise ValueError(f"{path}: '{key}' has {len(value)} numbers, expected 4")


def voxels(value: Any, key: str, path: Path) -> None:
    """Refuse what is not three numbers of voxels."""
    records.list_of(records.count)(value, key, path)
    if len(value) != 3 or min(value) < 1:
        raise ValueError(f"{path}: '{key}' is {value!r:.60}, expected three numbers of voxels")


def _line(value: Any, key: str, path: Path) -> None:
    """Refuse what is not one line of text: a line more would be a field more in the header that is written."""
    records.text(value, key, path)
    if len(value.splitlines()) > 1 or value.endswith(("\n", "\r")):
        raise ValueError(f"{path}: '{key}' is {value!r:.60}, expected one line of text")


_ALWAYS: dict[str, records.Check] = {"file": records.text, "shape": voxels}
_FORMATS: dict[str, dict[str, records.Check]] = {
    "nifti": _ALWAYS
    | {
        **dict.fromkeys(("qform_code", "sform_code", "xyzt_units"), records.whole),
        **dict.fromkeys(("quatern_b", "quatern_c", "quatern_d"), records.number),
        **dict.fromkeys(("qoffset_x", "qoffset_y", "qoffset_z"), records.number),
        **dict.fromkeys(("srow_x", "srow_y", "srow_z", "pixdim"), _numbers),
    },
    "nrrd": _ALWAYS | {"header": records.list_of(_line)},
    "hdf5": _ALWAYS,
    "png": _ALWAYS,
}


def check_grid(value: Any, key: str, path: Path) -> None:
    """Refuse what does not say where the voxels of a file lay: ``file``, ``shape`` and the header of its ``format``.

    Data that was sliced when NIfTI was the only format does not name it.
    """
    records.mapping(value, key, path)
    kind = value.get("format", "nifti")
    if kind not in _FORMATS:
        raise ValueError(f"{path}: '{key}, format' is {kind!r:.60}, expected {', '.join(_FORMATS)}")
    records.record(_FORMATS[kind], needs=tuple(_FORMATS[kind]))(value, key, path)
