"""How the values of each channel are scaled, as its name asks for: the names are those of nnU-Net.

CT has Hounsfield units, which are the same in all scans: nnU-Net cuts them at the 0.5th and 99.5th percentile of the
voxels of all objects in the training cases (Isensee et al., Nature Methods 2021). Of other scans each
is scaled by itself.
"""

from collections.abc import Sequence

import numpy as np

from boundary_loss.own.dataset import Dataset, Listed
from boundary_loss.preparation.label_values import nearest_labels
from boundary_loss.volumes import read_channels, read_volume

RULES = {"rescale_to_0_1": "minmax", "rgb_to_0_1": "window(0,255)"}
PERCENTILES = (0.5, 99.5)
CASES = 40
"""Cases that a window is taken from, evenly spaced in the list, if there are more."""
VOXELS = 10_000
"""Of each case, evenly spaced among those of objects."""


def rules_of(dataset: Dataset) -> list[str]:
    """Return a rule of normalisation for each channel, see :mod:`boundary_loss.preparation.normalisation`.

    Reads images and labels of CT alone. A CT without a voxel of an object, or with one value in all, gets ``zscore``.
    """
    return [
        window(dataset, number) if name.upper() == "CT" else RULES.get(name, "zscore")
        for number, name in enumerate(dataset.normalisations)
    ]


def window(dataset: Dataset, number: int) -> str:
    """Return ``window(low,high)`` of a channel, whose ends are percentiles of its values in objects."""
    objects = [value for value, k in dataset.values.items() if 0 < k < len(dataset.classes)]
    values = [values_in_objects(case, number, objects, stacked=dataset.stacked) for case in chosen(dataset.training)]
    found = np.concatenate(values) if values else np.empty(0)
    low, high = (float(value) for value in np.percentile(found, PERCENTILES)) if found.size else (0.0, 0.0)
    return f"window({low:.6g},{high:.6g})" if low < high else "zscore"


def chosen(cases: Sequence[Listed]) -> list[Listed]:
    """Return at most ``CASES`` cases, evenly spaced."""
    places = np.unique(np.linspace(0, len(cases) - 1, min(len(cases), CASES)).round().astype(int))
    return [cases[place] for place in places]


def values_in_objects(case: Listed, number: int, objects: Sequence[int], *, stacked: bool) -> np.ndarray:
    """Return finite values of a channel at voxels of objects; none if image and labels differ in shape."""
    assert case.label is not None
    image = (read_channels(case.images[0])[number] if stacked else read_volume(case.images[number])).array
    labels = nearest_labels(read_volume(case.label, labels=True).array)
    if image.shape != labels.shape:
        return np.empty(0)  # refused when all cases are checked
    found = image[np.isin(labels, objects)].astype(np.float64)
    return found[np.isfinite(found)][:: max(1, found.size // VOXELS)]
