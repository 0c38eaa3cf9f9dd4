"""Exact distances between the surfaces of two masks, in mm: Hausdorff, HD95, average symmetric surface distance.

A surface is a mask's border voxels: those with a face neighbour outside the mask or outside the image, as in
medpy. Only they are looked at, with a k-d tree, instead of the distance map of the whole image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from boundary_loss.metrics.empty import diagonal_mm, distance_where_empty

Box = tuple[slice, ...]

CROWDED = 0.25
"""Border voxels per voxel of the box around both masks, above which the box's distance map is faster than trees."""


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances in mm between two surfaces; where a mask was empty, every metric is what the empty-mask rule says."""

    from_pred: NDArray[np.float64]
    """(n,) from each border voxel of the prediction to the nearest of the ground truth."""
    from_gt: NDArray[np.float64]
    """(m,) the other way."""
    rule: float | None = None
    """The value that the empty-mask rule gives; None where both surfaces exist."""

    @property
    def hausdorff(self) -> float:
        """The largest distance of all (Hausdorff 1914)."""
        return float(max(self.from_pred.max(), self.from_gt.max())) if self.rule is None else self.rule

    @property
    def hd95(self) -> float:
        """95th percentile of both sides' distances pooled, as in medpy."""
        if self.rule is not None:
            return self.rule
        return float(np.percentile(np.concatenate([self.from_pred, self.from_gt]), 95))

    @property
    def hd95_directed(self) -> float:
        """The larger of the two sides' 95th percentiles, as in MONAI."""
        if self.rule is not None:
            return self.rule
        return float(max(np.percentile(self.from_pred, 95), np.percentile(self.from_gt, 95)))

    @property
    def assd(self) -> float:
        """Average symmetric surface distance: the mean over the border voxels of both (Heimann et al. 2009)."""
        if self.rule is not None:
            return self.rule
        return float((self.from_pred.sum() + self.from_gt.sum()) / (len(self.from_pred) + len(self.from_gt)))


class Surface:
    """The border voxels of a mask, kept to be compared with many others.

    Args:
        mask: (...) bool, or zeros and ones; any number of axes.
        spacing_mm: a voxel's size along each axis; 1 mm if not given.

    Raises:
        ValueError: other values in the mask, or a spacing that does not fit it.
    """

    def __init__(self, mask: ArrayLike, spacing_mm: Sequence[float] | None = None) -> None:
        voxels = _as_mask(mask)
        self.shape = voxels.shape
        self.spacing = _as_spacing(spacing_mm, voxels.ndim)
        self.box = bounding_box(voxels)
        self._inside_box = border(voxels[self.box]) if self.box is not None else np.zeros(0, bool)

    @cached_property
    def border(self) -> NDArray[np.bool_]:
        """(...) bool, of the mask's shape."""
        whole = np.zeros(self.shape, bool)
        if self.box is not None:
            whole[self.box] = self._inside_box
        return whole

    @cached_property
    def voxels(self) -> NDArray[np.intp]:
        """(n, axes) indices of the border voxels in the image."""
        if self.box is None:
            return np.zeros((0, len(self.shape)), np.intp)
        return np.argwhere(self._inside_box) + [side.start for side in self.box]

    @cached_property
    def points_mm(self) -> NDArray[np.float64]:
        return self.voxels * self.spacing

    @cached_property
    def tree(self) -> cKDTree:
        return cKDTree(self.points_mm, balanced_tree=False, compact_nodes=False)

    def distances(self, pred: "Surface") -> SurfaceDistances:
        """Distances between the surface of a prediction and this one, of a ground truth in the same image."""
        if pred.shape != self.shape or not np.array_equal(pred.spacing, self.spacing):
            raise ValueError(
                f"surfaces in images of {pred.shape} voxels of {pred.spacing.tolist()} mm and "
                f"{self.shape} voxels of {self.spacing.tolist()} mm cannot be compared"
            )
        rule = distance_where_empty(pred.box is None, self.box is None, diagonal_mm(self.shape, self.spacing.tolist()))
        if rule is not None:
            return SurfaceDistances(np.zeros(0), np.zeros(0), rule)
        measure = _by_map if _is_crowded(pred, self) else _by_tree
        return SurfaceDistances(measure(pred, self), measure(self, pred))


def surface_distances(pred: ArrayLike, gt: ArrayLike, spacing_mm: Sequence[float] | None = None) -> SurfaceDistances:
    """Distances in mm between the surfaces of two masks; ``.hausdorff``, ``.hd95``, ``.hd95_directed``, ``.assd``.

    Args:
        pred: (...) bool, or zeros and ones; 2D, 3D, any number of axes.
        gt: of the same shape.
        spacing_mm: a voxel's size along each axis; 1 mm if not given.

    Raises:
        ValueError: shapes differ, other values in a mask, or a spacing that does not fit.

    >>> import numpy as np
    >>> pred, gt = np.zeros((2, 8, 8), bool)
    >>> pred[2:4, 2:4] = gt[2:4, 2:6] = True
    >>> surface_distances(pred, gt, spacing_mm=(1.0, 0.5)).hausdorff
    1.0
    """
    if np.shape(pred) != np.shape(gt):
        raise ValueError(f"prediction of shape {np.shape(pred)} and ground truth of shape {np.shape(gt)} do not match")
    return Surface(gt, spacing_mm).distances(Surface(pred, spacing_mm))


def bounding_box(mask: NDArray[np.bool_]) -> Box | None:
    """The smallest box that holds the mask; None if it is empty."""
    box: list[slice] = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        occupied = np.flatnonzero(mask[(*box,)].any(axis=others))
        if not len(occupied):
            return None
        box.append(slice(int(occupied[0]), int(occupied[-1]) + 1))
    return tuple(box)


def border(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The voxels of the mask with a face neighbour outside the mask or outside the array."""
    inside = mask.copy()
    for axis in range(mask.ndim):
        along_inside, along_mask = np.moveaxis(inside, axis, 0), np.moveaxis(mask, axis, 0)  # views
        along_inside[1:] &= along_mask[:-1]
        along_inside[:-1] &= along_mask[1:]
        along_inside[0] = along_inside[-1] = False
    return mask & ~inside


def _by_tree(a: Surface, b: Surface) -> NDArray[np.float64]:
    """From each border voxel of ``a`` to the nearest of ``b``; those on both surfaces need no search."""
    away = ~b.border[tuple(a.voxels.T)]
    result = np.zeros(len(away))
    result[away] = b.tree.query(a.points_mm[away])[0]
    return result


def _by_map(a: Surface, b: Surface) -> NDArray[np.float64]:
    """The same from the distance map of the box around both."""
    box = _joint_box(a, b)
    distances = distance_transform_edt(~b.border[box], sampling=b.spacing)
    return distances[a.border[box]]


def _joint_box(a: Surface, b: Surface) -> Box:
    assert a.box is not None and b.box is not None
    return tuple(slice(min(p.start, q.start), max(p.stop, q.stop)) for p, q in zip(a.box, b.box))


def _is_crowded(a: Surface, b: Surface) -> bool:
    num_voxels = len(a.voxels) + len(b.voxels)
    volume = np.prod([side.stop - side.start for side in _joint_box(a, b)])
    return bool(num_voxels > CROWDED * volume)


def _as_mask(mask: ArrayLike) -> NDArray[np.bool_]:
    array = np.asarray(mask)
    if array.dtype != bool:
        if not np.logical_or(array == 0, array == 1).all():
            raise ValueError(
                f"a mask holds zeros and ones, found values from {array.min()} to {array.max()}; "
                "give one class at a time, as labels == 1"
            )
        array = array.astype(bool)
    if array.ndim == 0:
        raise ValueError("a mask needs at least one axis, got a single number")
    return array


def _as_spacing(spacing_mm: Sequence[float] | None, num_axes: int) -> NDArray[np.float64]:
    spacing = np.ones(num_axes) if spacing_mm is None else np.asarray(spacing_mm, float)
    if spacing.shape != (num_axes,) or not (np.isfinite(spacing).all() and (spacing > 0).all()):
        raise ValueError(f"spacing_mm must be {num_axes} positive numbers, one an axis, got {spacing_mm}")
    return spacing
