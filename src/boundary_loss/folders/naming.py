"""Parse the names of slices: ``case_10_00_0003`` is slice 3 of volume ``case_10``, not augmented."""

from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import NamedTuple

from boundary_loss.names import checked_name


class Stem(NamedTuple):
    """The parts of a slice's name, ``volume_augmentation_index``.

    3D metrics are computed on a volume: a patient (ISLES, WMH) or one frame of a patient (ACDC).
    """

    volume: str
    augmentation: int
    position: int

    @classmethod
    def parse(cls, text: str) -> "Stem":
        parts = text.rsplit("_", 2)
        if len(parts) != 3 or not all(number.isascii() and number.isdigit() for number in parts[1:]):
            raise ValueError(f"'{text}' is not a slice's name; expected VOLUME_AUGMENTATION_SLICE, as case_10_00_0003")
        return cls(parts[0], int(parts[1]), int(parts[2]))


def checked_stem(text: object, file: PurePath | str) -> str:
    """Return ``text`` if it is a slice's name that passes :func:`checked_name`; the error names ``file``."""
    stem = checked_name(text, "slice", file)
    try:
        Stem.parse(stem)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    return stem


def by_volume(stems: Iterable[str]) -> dict[str, list[str]]:
    """Group slice names: ``{volume: [its slices in order]}``, volumes sorted by name; augmented copies left out."""
    volumes: dict[str, list[tuple[int, str]]] = {}
    for text in stems:
        stem = Stem.parse(text)
        if stem.augmentation == 0:
            volumes.setdefault(stem.volume, []).append((stem.position, text))
    return {volume: [text for _, text in sorted(volumes[volume])] for volume in sorted(volumes)}


def frame_pairs(patients: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return ``{patient: its two volumes}``, sorted, of the patients with two in ``{volume: patient}``."""
    frames: dict[str, list[str]] = {}
    for volume, patient in sorted(patients.items()):
        frames.setdefault(patient, []).append(volume)
    return {patient: (pair[0], pair[1]) for patient, pair in sorted(frames.items()) if len(pair) == 2}
