"""Preprocessing shared by slicing and prediction; its settings are stored with the weights.

So a new case is prepared as the training slices were, however long ago the network was trained.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from skimage.transform import resize

from boundary_loss.folders import records
from boundary_loss.folders.sliced import from_pictures
from boundary_loss.folders.whole import Scale
from boundary_loss.preparation.normalisation import Moments, Normalisation


def _shape(value: Any, key: str, path: Path) -> None:
    records.list_of(records.count)(value, key, path)
    if len(value) != 2 or min(value) < 1:
        raise ValueError(f"{path}: '{key}' is {value}, expected two numbers of pixels")


def _pattern(value: Any, key: str, path: Path) -> None:
    """Refuse a pattern of files that are not below the folder of the cases."""
    records.text(value, key, path)
    parts = value.replace("<", "").replace(">", "").split("/")
    if value.startswith("/") or ".." in parts or not value.isprintable():
        raise ValueError(f"{path}: '{key}' is {value!r}, which would leave the folder of the cases")


def _scale(value: Any, key: str, path: Path) -> None:
    """Refuse what is not an offset and a factor."""
    records.list_of(records.number)(value, key, path)
    if len(value) != 2:
        raise ValueError(f"{path}: '{key}' is {value!r:.60}, expected an offset and a factor")


_OPTIONAL = ("shape", "normalise", "scale")
_FIELDS: dict[str, records.Check] = {
    "shape": _shape,
    "normalise": records.text,
    "scale": records.by_name(_scale),
    "pictures": records.flag,
    "label_values": records.list_of(records.count),
    "layout": records.by_name(_pattern),
    "orientations": records.texts,
}


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How slices came from volumes, or whole ones are scaled; written to slicing.json or whole.json, and from there
    into every file of weights."""

    shape: tuple[int, int] | None
    """(X, Y) that slices are resized to; None: as they are."""
    pictures: bool
    """Whether the network reads 8-bit pictures."""
    label_values: tuple[int, ...]
    """The label value, as in the study's files, that each class came from; the first that the study lists where there
    were several."""
    layout: dict[str, str]
    """The file of each modality in a folder of new cases, see :mod:`boundary_loss.preparation.layout`; may be empty."""
    orientations: tuple[str, ...]
    """Where the axes of the volumes pointed in the patient: ``("LPS",)``."""
    normalise: str = ""
    """How whole volumes are scaled, see :mod:`boundary_loss.preparation.normalisation`; empty for slices."""
    scale: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Offset and factor of each modality where they are those of a whole study, as ``zscore(study)`` has it."""

    def as_json(self) -> dict[str, Any]:
        of_volumes = {"normalise": self.normalise, "scale": {name: list(pair) for name, pair in self.scale.items()}}
        return {
            "shape": list(self.shape) if self.shape else None,
            "pictures": self.pictures,
            "label_values": list(self.label_values),
            "layout": dict(self.layout),
            "orientations": list(self.orientations),
        } | (of_volumes if self.normalise else {})

    @classmethod
    def from_json(cls, content: Any, path: Path, num_classes: int) -> "Preparation":
        """Take it from what ``path`` holds: slicing.json, whole.json, or a file of weights.

        Raises:
            ValueError: a field is missing or cannot be used, or a pattern of the layout would leave its folder.
        """
        records.checked_record(content, path, _FIELDS, needs=tuple(name for name in _FIELDS if name not in _OPTIONAL))
        if len(content["label_values"]) != num_classes:
            raise ValueError(f"{path} has {len(content['label_values'])} label values of {num_classes} classes")
        return cls(
            shape=tuple(content["shape"]) if content.get("shape") else None,
            pictures=content["pictures"],
            label_values=tuple(content["label_values"]),
            layout=content["layout"],
            orientations=tuple(content["orientations"]),
            normalise=content.get("normalise") or "",
            scale={name: (offset, factor) for name, (offset, factor) in (content.get("scale") or {}).items()},
        )


def prepare_new(arrays: Sequence[np.ndarray], modalities: Sequence[str], preparation: Preparation) -> np.ndarray:
    """Return the modalities of a new case, prepared as those of the training were: (C, X', Y', Z) float32.

    Raises:
        ValueError: the numbers of a modality that is scaled by those of a study are missing.
    """
    if not preparation.normalise:
        images = prepare_images(arrays, preparation.shape, pictures=preparation.pictures)
        return from_pictures(images) if preparation.pictures else images
    rules = Normalisation.of_modalities(preparation.normalise, modalities)
    missing = [name for name, rule in rules.items() if rule.of_study and name not in preparation.scale]
    if missing:
        raise ValueError(f"the numbers that {preparation.normalise} scales {missing[0]} by are missing")
    scales = [
        Scale(*(preparation.scale[name] if rule.of_study else rule.scale(Moments.of(array))), clipped=rule.clips)
        for (name, rule), array in zip(rules.items(), arrays, strict=True)
    ]
    return np.stack([scale(array.astype(np.float32)) for scale, array in zip(scales, arrays)]).astype(np.float32)


def prepare_images(arrays: Sequence[np.ndarray], shape: tuple[int, int] | None, *, pictures: bool) -> np.ndarray:
    """The modalities of a case as slices to be: each normalised by itself, 8 bits deep where asked, then resized.

    Args:
        arrays: C arrays (X, Y, Z), as in the files.
        shape: (X', Y') to resize to; None: as they are.

    Returns:
        (C, X', Y', Z): float32 in [0, 1], or uint8 for ``pictures``.
    """
    channels = [normalise(array) for array in arrays]
    if pictures:
        channels = [(255 * channel).astype(np.uint8) for channel in channels]
    if shape is not None and shape != channels[0].shape[:2]:
        channels = [resize_slices(channel, shape, order=1) for channel in channels]
    return np.stack(channels)


def normalise(array: np.ndarray) -> np.ndarray:
    """The whole volume's smallest value becomes 0, its largest 1; float32."""
    values = array.astype(np.float32)
    values -= values.min()
    return values / values.max()


def resize_slices(volume: np.ndarray, shape: tuple[int, int], *, order: int, outside: str = "constant") -> np.ndarray:
    """Resize each slice of (X, Y, Z) by interpolation of ``order`` without smoothing, in the volume's dtype.

    As in the original, what lies ``outside`` a slice counts as 0, which touches the outermost row of voxels only;
    with ``edge`` it counts as the nearest voxel.
    """
    layers = [
        resize(volume[:, :, z], shape, order=order, mode=outside, preserve_range=True, anti_aliasing=False)
        for z in range(volume.shape[2])
    ]
    return np.stack(layers, axis=-1).astype(volume.dtype)
