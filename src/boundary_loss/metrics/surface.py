"""Exact distances between the surfaces of two masks, in mm: Hausdorff, HD95, average symmetric surface distance.

A surface is a mask's border voxels: those with a face neighbour outside the mask or outside the image, as in
medpy. Only they are looked at, with a k-d tree, instead of the distance map of the whole image.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from boundary_loss.empty_masks import diagonal_mm, distance_where_empty
from boundary_loss.metrics.border_distances import SurfaceDistances
from boundary_loss.metrics.borders import Box, border, bounding_box
from boundary_loss.metrics.reading import as_counted, as_mask, as_spacing, is_cuda, refuse_axes_of_items
from boundary_loss.native import distances as compiled

if TYPE_CHECKING:
    from torch import Tensor

CROWDED, CROWDED_FOR_SCIPY = 0.07, 0.3
"""Share of unshared border voxels in the box around both masks above which a distance map is faster than a k-d tree:
with the compiled kernels, and with SciPy."""


class Surface:
    """The border voxels of a mask, kept to be compared with many others.

    Args:
        mask: (...) bool, or zeros and ones; any number of axes.
        spacing_mm: a voxel's size along each axis; 1 mm if not given.
        edge: which voxels are the border; :func:`~boundary_loss.metrics.borders.border` if not given.

    Raises:
        ValueError: other values in the mask, or a spacing that does not fit it.
    """

    def __init__(
        self,
        mask: ArrayLike,
        spacing_mm: Sequence[float] | None = None,
        edge: Callable[[NDArray[np.bool_]], NDArray[np.bool_]] = border,
    ) -> None:
        voxels = as_mask(mask)
        self.shape = voxels.shape
        self.spacing = as_spacing(spacing_mm, voxels.ndim)
        # One voxel more on each side, where the image has it: what lies beyond is then as it is in the whole image.
        box = bounding_box(voxels)
        self.box = box and tuple(slice(max(s.start - 1, 0), min(s.stop + 1, n)) for s, n in zip(box, self.shape))
        self._inside_box = edge(voxels[self.box]) if self.box is not None else np.zeros(0, bool)

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
        in_box = np.unravel_index(np.flatnonzero(self._inside_box), self._inside_box.shape)  # argwhere, much faster
        return np.stack([along + side.start for along, side in zip(in_box, self.box)], axis=1)

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
        rule = distance_where_empty(pred.box is None, self.box is None,
                                    diagonal_mm(self.shape, self.spacing.tolist()))  # fmt: skip
        if rule is not None:
            return SurfaceDistances(np.zeros(0), np.zeros(0), rule)
        away_pred, away_gt = _away(pred, self), _away(self, pred)
        box = _joint_box(pred, self)
        volume = np.prod([side.stop - side.start for side in box])
        crowded = CROWDED if _has_kernels(self) else CROWDED_FOR_SCIPY
        if np.count_nonzero(away_pred) + np.count_nonzero(away_gt) > crowded * volume:
            return SurfaceDistances(_by_map(pred, self, box), _by_map(self, pred, box))
        return SurfaceDistances(_by_tree(pred, self, away_pred), _by_tree(self, pred, away_gt))


def surface_distances(
    pred: Union[ArrayLike, "Tensor"],
    gt: Union[ArrayLike, "Tensor"],
    spacing_mm: Sequence[float] | None = None,
    *,
    mask: Union[ArrayLike, "Tensor", None] = None,
    surface: str = "voxel",
    device: Any = None,
) -> SurfaceDistances:
    """Distances in mm between the surfaces of two masks; ``.hausdorff``, ``.hd95``, ``.assd``, ``.percentile(99)``, ...

    Where a mask is empty, ``.rule`` is the distance that the empty-mask rule gives, else None.

    Args:
        pred: (...) bool, or zeros and ones; one image, 2D or 3D, or with a spacing any number of axes. An array or a
            tensor of any type.
        gt: of the same shape.
        spacing_mm: a voxel's size along each axis; 1 mm if not given.
        mask: bool, of the same shape, True where a voxel counts; the others belong to neither mask, so that a surface
            runs along them.
        surface: what distances are measured between: ``voxel``, border voxels, each counting once, as in medpy and
            MONAI; ``surfel``, cells that count by their area, as in surface-distance; ``mesh``, the triangles of
            marching cubes by their area, as in pymeshmetrics; ``smooth``, the same without the steps of voxels. All but
            ``voxel`` take masks of 2 or 3 axes and are measured on the CPU. docs/surface_metrics.md compares them with
            the truth.
        device: measure there, with exact distance maps in float32 (1 to 3 axes), as ``cuda``. Not given, tensors on
            CUDA are measured where they are, and everything else on the CPU with k-d trees.

    Raises:
        ValueError: shapes differ, other values in a mask, a spacing that does not fit, or without a spacing a shape
            that could be a batch.

    >>> import numpy as np
    >>> pred, gt = np.zeros((2, 8, 8), bool)
    >>> pred[2:4, 2:4] = gt[2:4, 2:6] = True
    >>> distances = surface_distances(pred, gt, spacing_mm=(1.0, 0.5))
    >>> distances.hausdorff, distances.surface_dice(tolerance_mm=0.5)
    (1.0, 0.8333333333333334)
    """
    if np.shape(pred) != np.shape(gt):
        raise ValueError(
            f"prediction of shape {tuple(np.shape(pred))} and ground truth of shape {tuple(np.shape(gt))} do not match"
        )
    refuse_axes_of_items(np.shape(pred), spacing_mm, "measure one item at a time")
    counted = None if mask is None else as_counted(mask, np.shape(gt))
    if surface != "voxel":
        return _of_elements(pred, gt, spacing_mm, counted, surface)
    if device is not None or is_cuda(pred) or is_cuda(gt):
        from boundary_loss.metrics.on_device import distances_on_device  # imports torch

        return distances_on_device(pred, gt, spacing_mm, device, counted)
    of_pred, of_gt = (Surface(of, spacing_mm) for of in _counted_masks(pred, gt, counted))
    return of_gt.distances(of_pred)


def _of_elements(
    pred: Any, gt: Any, spacing_mm: Sequence[float] | None, counted: NDArray[np.bool_] | None, surface: str
) -> SurfaceDistances:
    from boundary_loss.metrics.element_surfaces import OF_ELEMENTS  # is built upon this module

    if surface not in OF_ELEMENTS:
        raise ValueError(f"surface={surface!r} is not understood; known: voxel, {', '.join(OF_ELEMENTS)}")
    of_pred, of_gt = (OF_ELEMENTS[surface](of, spacing_mm) for of in _counted_masks(pred, gt, counted))
    return of_gt.distances(of_pred)


def _counted_masks(pred: Any, gt: Any, counted: NDArray[np.bool_] | None) -> list[NDArray[np.bool_]]:
    masks = [as_mask(pred, "pred"), as_mask(gt, "gt")]
    return masks if counted is None else [counted & mask for mask in masks]


def _away(a: Surface, b: Surface) -> NDArray[np.bool_]:
    """(n,) which border voxels of ``a`` are none of ``b``'s: those on both surfaces need no search."""
    return ~b.border[tuple(a.voxels.T)]


def _by_tree(a: Surface, b: Surface, away: NDArray[np.bool_]) -> NDArray[np.float64]:
    """From each border voxel of ``a`` to the nearest of ``b``."""
    result = np.zeros(len(away))
    result[away] = b.tree.query(a.points_mm[away])[0]
    return result


def _by_map(a: Surface, b: Surface, box: Box) -> NDArray[np.float64]:
    """The same from the distance map of the box around both."""
    border = b.border[box]
    if _has_kernels(b):
        distances = compiled.measured(border[None], b.spacing, np.float64)[0]
    else:
        distances = distance_transform_edt(~border, sampling=b.spacing)
    return distances[a.border[box]]


def _has_kernels(surface: Surface) -> bool:
    return len(surface.shape) <= 3 and compiled.available()


def _joint_box(a: Surface, b: Surface) -> Box:
    assert a.box is not None and b.box is not None
    return tuple(slice(min(p.start, q.start), max(p.stop, q.stop)) for p, q in zip(a.box, b.box))
