"""Which new cases there are to predict, and where the file of each modality is."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from boundary_loss.names import checked_name
from boundary_loss.preparation.layout import find_new_cases
from boundary_loss.preparation.shown import Preparation
from boundary_loss.preparation.study import Case, Files
from boundary_loss.volumes import stem_of

CASE = "case"
"""The column of a list that names the cases; the others are the modalities."""


def cases_in(source: Path, preparation: Preparation, modalities: Sequence[str]) -> list[Case]:
    """The cases of a folder in the study's layout, or of a ``.csv`` list.

    Raises:
        FileNotFoundError: there is no such list or folder, or no case in it.
        ValueError: the list cannot be read, or the study has no layout for new cases.
    """
    if source.suffix == ".csv":
        return listed_cases(source, modalities)
    if not preparation.layout:
        raise ValueError(
            f"{source}: the study of these weights has no layout for new cases; list the files in a .csv with the "
            f"columns {CASE},{','.join(modalities)}, or give them by --images"
        )
    return find_new_cases(source, preparation.layout)


def listed_cases(path: Path, modalities: Sequence[str]) -> list[Case]:
    """The rows of a list ``case,ct,cbf,...``; its paths start at the folder that it lies in."""
    if not path.is_file():
        raise FileNotFoundError(f"no list at {path}")
    with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets put a mark before the first column
        reader = csv.DictReader(file)
        columns, rows = reader.fieldnames or [], list(reader)
    if sorted(columns) != sorted((CASE, *modalities)):
        raise ValueError(f"{path} has the columns {','.join(columns)}; expected {CASE},{','.join(modalities)}")
    cases = []
    for number, row in enumerate(rows, 2):
        if None in row or not all(row.values()):
            raise ValueError(f"{path}, line {number}: expected {len(columns)} entries, {','.join(columns)}")
        name = checked_name(row[CASE], "case", f"{path}, line {number}")
        cases.append(_case(name, [path.parent / row[modality] for modality in modalities]))
    if not cases:
        raise ValueError(f"{path} lists no case")
    return _distinct(cases)


def given_cases(lists: Sequence[Sequence[Path]], modalities: Sequence[str]) -> list[Case]:
    """A case for each list of files, in the order of the modalities, named by what the files' names share."""
    for paths in lists:
        if len(paths) != len(modalities):
            raise ValueError(
                f"--images {' '.join(map(str, paths))}: {len(paths)} files, but the network reads {len(modalities)}: "
                f"{', '.join(modalities)}"
            )
    return _distinct([_case(checked_name(shared_name(paths), "case", "--images"), paths) for paths in lists])


def shared_name(paths: Sequence[Path]) -> str:
    """``caseA_ct.nii.gz caseA_cbf.nii.gz`` -> ``caseA``; the first file's own name if they share nothing."""
    names = [stem_of(path.name) for path in paths]
    shared = ""
    for words in zip(*(re.findall(r"[^_. -]+|[_. -]+", name) for name in names)):
        if len(set(words)) > 1:
            break
        shared += words[0]
    return shared.strip("_. -") or names[0]


def _case(name: str, paths: Sequence[Path]) -> Case:
    files = tuple(Files(path.parent, path.name, (path,) if path.is_file() else ()) for path in paths)
    return Case(volume=name, patient=name, images=files, labels=None)


def _distinct(cases: list[Case]) -> list[Case]:
    names = [case.volume for case in cases]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"more than one case is called {', '.join(twice)}; a .csv list gives each a name of its own")
    return cases
