"""The one label that is no class, and masks of voxels that count; importable without torch."""

from typing import Any

IGNORED = 255
"""The label of voxels that count in no map, no loss and no metric."""


def only_0_and_255(name: str, to_ignore: str = "") -> str:
    """Message for labels of 0 and 255 alone; ``to_ignore`` is what to write if the voxels of 255 are to be ignored."""
    text = (
        f"{name} holds only 0 and 255, and 255 is the label of ignored voxels. If it is a mask stored as 0 and 255, "
        f"give {name} > 0"
    )
    return f"{text}; if those voxels are to be ignored, say {to_ignore}" if to_ignore else text


def refuse_masks_of_255(labels: Any, name: str, to_ignore: str = "") -> None:
    """Refuse labels of 0 and 255 alone, which are masks more often than they are background and ignored voxels.

    Args:
        labels: an array or a tensor, of any shape.
        to_ignore: see :func:`only_0_and_255`.

    Raises:
        ValueError: there are no other labels.
    """
    if 0 not in labels.shape and labels.max() == IGNORED and not ((labels != 0) & (labels != IGNORED)).any():
        raise ValueError(only_0_and_255(name, to_ignore))


def refuse_unless_bool(dtype: object, is_bool: bool, example: str) -> None:
    """Refuse a ``mask=`` of another type, before its numbers are taken for True and False.

    Args:
        dtype: of the mask, an array's or a tensor's.
        is_bool: whether it is the type of True and False.
        example: how to write the mask.
    """
    if not is_bool:
        raise ValueError(f"mask must be bool, True where a voxel counts, got {dtype}; {example}")
