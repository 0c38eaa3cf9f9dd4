"""The one label that is no class; importable without torch."""

IGNORED = 255
"""The label of voxels that count in no map, no loss and no metric."""


def only_0_and_255(name: str, to_ignore: str = "") -> str:
    """Message for labels of 0 and 255 alone; ``to_ignore`` is what to write if the voxels of 255 are to be ignored."""
    text = (
        f"{name} holds only 0 and 255, and 255 is the label of ignored voxels. If it is a mask stored as 0 and 255, "
        f"give {name} > 0"
    )
    return f"{text}; if those voxels are to be ignored, say {to_ignore}" if to_ignore else text
