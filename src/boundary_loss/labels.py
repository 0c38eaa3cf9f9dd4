"""The one label that is no class; importable without torch."""

IGNORED = 255
"""The label of voxels that count in no map, no loss and no metric."""
