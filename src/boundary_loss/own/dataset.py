"""What a data set declares, whichever layout it has, and how its faults are listed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boundary_loss.names import fault_of_name

JSON = "dataset.json"
NNUNET, DECATHLON = "nnU-Net", "Decathlon"
"""The layouts."""
MOST_CLASSES = 100
"""Classes beside the background; more are taken for instances, which are not what the losses separate."""
SHOWN = 10
"""Names that one message lists."""


@dataclass(frozen=True)
class Listed:
    """A case as the data set lists it."""

    name: str
    images: tuple[Path, ...]
    """A file for each channel, or one that holds all channels."""
    label: Path | None = None
    """None for a case to be predicted."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set in one of the layouts that are read."""

    layout: str
    """One of the layouts above."""
    classes: tuple[str, ...]
    """Names, background first."""
    values: dict[int, int]
    """The class of each label value; an ignored label has the class 255."""
    channels: tuple[str, ...]
    normalisations: tuple[str, ...]
    """Of each channel what its name asks for, as nnU-Net reads it: ``CT``, ``zscore``, ..."""
    ending: str
    """Of the names of files, as ``.nii.gz``."""
    training: tuple[Listed, ...]
    test: tuple[Listed, ...]
    stacked: bool = False
    """Whether one file holds all channels of a case."""
    remarks: tuple[str, ...] = ()
    """What is read otherwise than a user may think."""
    about: dict[str, str] = field(default_factory=dict)
    """``licence``, ``reference`` and ``description``, where the data set gives them."""

    @property
    def single(self) -> bool:
        """Whether the files of images have the names of their cases, as in the Decathlon, and no channel in them."""
        return self.layout != NNUNET and len(self.channels) == 1


class Faults(list[str]):
    """Faults of a data set, in the order in which they were found."""

    def refuse(self, what: Path) -> None:
        """Raise one ValueError that lists all faults, if there are any."""
        if self:
            count = "1 fault" if len(self) == 1 else f"{len(self)} faults"
            listed = "\n".join(f"    {fault}" for fault in self)
            raise ValueError(f"{count} in {what}; nothing was written:\n{listed}")


def shortened(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def safe_names(texts: Sequence[str], taken: Sequence[str] = ()) -> tuple[str, ...]:
    """Return names that can be part of a path, different from each other and from those ``taken``.

    ``T1/Gd`` becomes ``T1-Gd``; a name that comes twice gets its number.
    """
    names: list[str] = []
    for number, text in enumerate(texts):
        name = re.sub(r"[^\w.+ -]+", "-", str(text).strip()).strip("-. ") or f"channel{number}"
        if name in (*names, *taken):
            name = f"{name}-{number}"
        names.append(name)
    return tuple(names)


def text_of(content: Mapping[str, Any], *keys: str) -> str:
    """Return the first of these entries that is text, on one line; empty if none is."""
    found = (content[key] for key in keys if isinstance(content.get(key), str))
    return " ".join(next(found, "").split())[:500]


def about_of(content: Mapping[str, Any]) -> dict[str, str]:
    """Return what dataset.json says of the origin of the data."""
    return {
        "licence": text_of(content, "licence", "license"),
        "reference": text_of(content, "reference"),
        "description": text_of(content, "description"),
    }


def numbered_names(declared: Any, key: str, faults: Faults) -> list[str]:
    """Return the names of the channels, which ``{"0": name, ...}`` numbers from 0, in their order.

    Args:
        key: of dataset.json, for messages.
    """
    numbers = [str(number) for number in range(len(declared))] if isinstance(declared, dict) else []
    if not numbers or set(declared) != set(numbers):
        faults.append(f'{JSON}: \'{key}\' is {declared!r:.60}; expected {{"0": "T1", "1": ...}}, numbered from 0')
        return []
    return [str(declared[number]) for number in numbers]


def check_count(content: Mapping[str, Any], key: str, found: int, what: str, faults: Faults) -> None:
    """Note a number of cases that is not that of the files."""
    declared = content.get(key)
    if declared is not None and declared != found:
        faults.append(f"{JSON}: '{key}' is {declared!r:.30}, but there are {found} {what}")


def check_case_names(names: Sequence[str], faults: Faults) -> None:
    """Note names that cannot be part of a path."""
    faults += [f"the case name {name!r:.80} {fault}" for name in names if (fault := fault_of_name(name))]
