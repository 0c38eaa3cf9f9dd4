"""Exact distance maps."""

from boundary_loss.distance.signed import one_hot2dist

__all__ = ["one_hot2dist"]
