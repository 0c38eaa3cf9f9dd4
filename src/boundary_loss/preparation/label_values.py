"""The label values of a file, and the classes that a study makes of them."""

from collections.abc import Collection, Mapping

import numpy as np

LABEL_TOLERANCE = 1e-3
"""How far a floating label may be from the whole number that it is taken for. Scaled masks are off by rounding, as 255
with a slope of 1/255 in 32 bits is 1.00000006; an interpolated mask also has values halfway."""

SHOWN = 5
"""Unexpected values that a message lists."""


def nearest_labels(array: np.ndarray) -> np.ndarray:
    """Return the labels with floats that are nearly whole rounded, and everything else as it is."""
    if array.dtype.kind != "f":
        return array
    rounded = np.rint(array)
    with np.errstate(invalid="ignore"):  # infinite - infinite
        return np.where(np.abs(array - rounded) <= LABEL_TOLERANCE, rounded, array)


def label_faults(array: np.ndarray, accepted: Collection[int]) -> list[str]:
    """Return a message that lists the values that are not accepted; nothing if all are."""
    unexpected = [value for value in np.unique(nearest_labels(array)).tolist() if value not in accepted]
    if not unexpected:
        return []
    shown = ", ".join(f"{value:.8g}" for value in unexpected[:SHOWN])
    more = f" and {len(unexpected) - SHOWN} more" if len(unexpected) > SHOWN else ""
    return [f"unexpected label {shown}{more}; known: {', '.join(map(str, sorted(accepted)))}"]


def to_classes(array: np.ndarray, values: Mapping[int, int]) -> np.ndarray:
    """Return uint8 classes of label values as in the file."""
    labels = nearest_labels(array)
    classes = np.zeros(array.shape, np.uint8)
    for value, k in values.items():
        classes[labels == value] = k
    return classes
