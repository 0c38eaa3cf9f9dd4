"""Sliced folders as tensors in memory, and the distance maps that losses need."""

from boundary_loss.data.slices import MapNeed, Slices

__all__ = ["MapNeed", "Slices"]
