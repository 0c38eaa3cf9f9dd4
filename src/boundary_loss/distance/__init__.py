"""Exact distance maps: 2D and 3D, any spacing, batched, NumPy or torch, CPU or CUDA."""

from boundary_loss.distance.approximate import approximate_distance
from boundary_loss.distance.euclidean import either_distance, euclidean_distance, inside_distance, nearest_foreground
from boundary_loss.distance.signed import one_hot2dist, signed_distance
from boundary_loss.distance.transform import dist_map_transform

__all__ = [
    "approximate_distance",
    "dist_map_transform",
    "either_distance",
    "euclidean_distance",
    "inside_distance",
    "nearest_foreground",
    "one_hot2dist",
    "signed_distance",
]
