"""New, unlabelled cases in a folder, found by a pattern for each modality.

    {"ct": "<case_*>/SMIR.Brain.XX.O.CT.*/*.nii", "mtt": "<case_*>/SMIR.Brain.XX.O.CT_MTT.*/*.nii"}

A pattern is a path with wildcards below the folder; what matches inside the angle brackets is the case's name. Next to
the brackets stands plain text, without wildcards, up to the next slash: ``<*>_0000.nii.gz``.
"""

import glob
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from boundary_loss.names import checked_name
from boundary_loss.preparation.study import Case, Files, shown


def find_new_cases(folder: Path, layout: Mapping[str, str]) -> list[Case]:
    """The cases that have at least one of their files, sorted by name; a folder without any is told and left out.

    Raises:
        FileNotFoundError: there is no such folder, or no case in it; the patterns are told.
        ValueError: the name of a case cannot be part of a path.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder at {folder}")
    names = {name for pattern in layout.values() for name in _names(folder, pattern)}
    if not names:
        raise FileNotFoundError(f"no case in {folder}; expected {', '.join(layout.values())}")
    for name in sorted({name for pattern in layout.values() for name in _folders(folder, pattern)} - names):
        print(f"warning: {name}: its folder has no file of any modality; left out")
    return [_case(folder, layout, name) for name in sorted(names)]


def _case(folder: Path, layout: Mapping[str, str], name: str) -> Case:
    images = tuple(Files.match(folder, _filled(pattern, glob.escape(name))) for pattern in layout.values())
    return Case(volume=checked_name(name, "case", folder), patient=name, images=images, labels=None)


def _names(folder: Path, pattern: str) -> list[str]:
    """Names of the cases that have a file of this pattern."""
    place, before, after = _bracketed(pattern)
    found = (path.relative_to(folder).parts[place] for path in shown(folder, _open(pattern)))
    return [part.removeprefix(before).removesuffix(after) for part in found]


def _folders(folder: Path, pattern: str) -> list[str]:
    """Names of the folders that a pattern takes for cases, whatever is in them."""
    place, _, _ = _bracketed(pattern)
    parts = PurePosixPath(_open(pattern)).parts
    if place == len(parts) - 1:
        return []
    return [path.name for path in shown(folder, "/".join(parts[: place + 1])) if path.is_dir()]


def _bracketed(pattern: str) -> tuple[int, str, str]:
    """Which part of the path the brackets stand in, and the text before and after them there."""
    for place, part in enumerate(PurePosixPath(pattern).parts):
        if "<" in part:
            before, _, rest = part.partition("<")
            return place, before, rest.partition(">")[2]
    raise ValueError(f"the pattern '{pattern}' does not say what names a case: put that part in <angle brackets>")


def _open(pattern: str) -> str:
    return pattern.replace("<", "").replace(">", "")


def _filled(pattern: str, name: str) -> str:
    before, _, rest = pattern.partition("<")
    return before + name + rest.partition(">")[2]
