"""Sliced folders as tensors in memory, the distance maps that losses need, and altered slices to learn from."""

from boundary_loss.data.augmentation import Augmentation
from boundary_loss.data.needs import MapNeed, check_needs
from boundary_loss.data.samples import Batch, Samples
from boundary_loss.data.slices import Slices

__all__ = ["Augmentation", "Batch", "MapNeed", "Samples", "Slices", "check_needs"]
