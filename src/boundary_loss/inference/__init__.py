"""Whole volumes from a network: of space, asked point by point, or shown in parts."""
