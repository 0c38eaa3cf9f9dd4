"""Surfaces of elements that count by their area: surfels, the triangles of marching cubes, and the same smoothed.

Both surfaces are closed where a mask reaches the image's edge: beyond it lies background, as in the packages whose
numbers these are.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter

from boundary_loss.empty_masks import diagonal_mm, distance_where_empty
from boundary_loss.metrics.border_distances import AreaDistances
from boundary_loss.metrics.borders import bounding_box
from boundary_loss.metrics.cells import cell_codes, element_sizes, elements, mixed
from boundary_loss.metrics.nearest import nearest
from boundary_loss.metrics.reading import as_mask, as_spacing
from boundary_loss.metrics.surface import Surface


class Surfels:
    """The cells that the surface of a mask runs through, each with the area it has there, as in surface-distance 0.1.

    Nikolov et al. (arXiv:1809.04430, 2018): distances are those between the middles of the cells of both masks. A cell
    of which more than half of the corners are held has the area of the opposite cell.

    Args:
        mask: (X, Y) or (X, Y, Z) bool, or zeros and ones.
        spacing_mm: a voxel's size along each axis; 1 mm if not given.

    Raises:
        ValueError: other values in the mask or another number of axes, or a spacing that does not fit.
    """

    def __init__(self, mask: ArrayLike, spacing_mm: Sequence[float] | None = None) -> None:
        voxels = _flat_or_solid(mask)
        self.shape = voxels.shape
        self._padded = np.pad(voxels, 1)
        self.cells = Surface(self._padded, spacing_mm, _mixed_cells)

    @cached_property
    def sizes(self) -> NDArray[np.float64]:
        """(n,) mm², of the cells in the order of ``cells.voxels``; mm in 2D."""
        if self.cells.box is None:
            return np.zeros(0)
        codes = _codes_of_voxels(self._padded[self.cells.box])
        return surfel_sizes(self.cells.spacing)[codes[mixed(codes, codes.ndim)]]

    def distances(self, pred: "Surfels") -> AreaDistances:
        """Distances between the surface of a prediction and this one, of a ground truth in the same image."""
        apart = self.cells.distances(pred.cells)
        longest = diagonal_mm(self.shape, self.cells.spacing.tolist())
        rule = distance_where_empty(pred.cells.box is None, self.cells.box is None, longest)
        return AreaDistances(apart.from_pred, apart.from_gt, rule, of_pred=pred.sizes, of_gt=self.sizes)


class Mesh:
    """The triangles of a mask's surface, or its segments in 2D, with the same numbers as pymeshmetrics 1.4.1.

    Podobnik and Vrtovec (arXiv:2509.05670, 2025): marching cubes half way between voxels, and distances from the middle
    of each triangle to the nearest place on the other surface, exactly.

    Args:
        mask: (X, Y) or (X, Y, Z) bool, or zeros and ones.
        spacing_mm: a voxel's size along each axis; 1 mm if not given.

    Raises:
        ValueError: other values in the mask or another number of axes, or a spacing that does not fit.
    """

    def __init__(self, mask: ArrayLike, spacing_mm: Sequence[float] | None = None) -> None:
        voxels = _flat_or_solid(mask)
        self.shape = voxels.shape
        self.spacing = as_spacing(spacing_mm, voxels.ndim)
        box = bounding_box(voxels)
        self.empty = box is None
        self._inside = voxels[box] if box is not None else np.zeros((0,) * voxels.ndim, bool)
        self._start = np.array([side.start for side in box] if box is not None else [0] * voxels.ndim)
        codes = cell_codes(self._inside)
        found = np.unravel_index(np.flatnonzero(mixed(codes, codes.ndim)), codes.shape)
        self.codes: NDArray[np.uint8] = codes[found]
        """(n,) of the mixed cells, the last axis running fastest."""
        self.places = np.stack(found, axis=1) + self._start
        """(n, D) number of each mixed cell along each axis; its last corner is the voxel of this number."""

    @cached_property
    def cell_of_element(self) -> NDArray[np.intp]:
        """(E,) of which of the cells each element is a part."""
        first = elements(len(self.shape)).first
        return np.repeat(np.arange(len(self.codes)), (first[1:] - first[:-1])[self.codes])

    @cached_property
    def corners(self) -> NDArray[np.float64]:
        """(E, D, D) mm: of each element D places."""
        return self._halves / 2 * self.spacing

    @cached_property
    def _halves(self) -> NDArray[np.int64]:
        """(E, D, D) of each element D places half way between two voxels, in half voxels."""
        table, owner = elements(len(self.shape)), self.cell_of_element
        begin = np.searchsorted(owner, np.arange(len(self.codes)))
        number = table.first[self.codes[owner]] + np.arange(len(owner)) - begin[owner]
        return 2 * (self.places[owner][:, None] - 1) + table.corners[number]

    @cached_property
    def sizes(self) -> NDArray[np.float64]:
        """(E,) mm²; mm in 2D."""
        return element_sizes(self.corners)

    def distances(self, pred: "Mesh") -> AreaDistances:
        """Distances between the surface of a prediction and this one, of a ground truth in the same image."""
        refuse_other_image(pred, self)
        rule = distance_where_empty(pred.empty, self.empty, diagonal_mm(self.shape, self.spacing.tolist()))
        if rule is not None:
            return AreaDistances(np.zeros(0), np.zeros(0), rule)
        return AreaDistances(pred.apart(self), self.apart(pred), of_pred=pred.sizes, of_gt=self.sizes)

    def apart(self, other: "Mesh") -> NDArray[np.float64]:
        """(E,) mm from the middle of each element to the other surface, 0 where both are the same."""
        away = ~self._same(other)
        found = np.zeros(len(away))
        found[away] = nearest(self.corners[away].mean(axis=1), other.corners)[0]
        return found

    def _same(self, other: "Mesh") -> NDArray[np.bool_]:
        """(E,) whether the element belongs to the other surface too."""
        return _shared(self, other)[self.cell_of_element]


_SIGMA = 1.5
_REACH = 6
"""Voxels around an object in which its smoothed mask is not 0: four deviations."""
_LEAST = 0.15


class SmoothMesh(Mesh):
    """The triangles of :class:`Mesh`, moved to where a smoothed mask says the surface runs, without its steps.

    The mask is smoothed by a Gaussian of 1.5 voxels, whatever their size, and the surface taken at the level that keeps
    the number of voxels. Each place stays between the same two voxels, at least 0.15 of their distance from both:
    nothing vanishes, and no hole closes. Of parts that are thinner than about three voxels little is left to smooth,
    and corners are rounded as if they were noise.
    """

    @cached_property
    def corners(self) -> NDArray[np.float64]:
        """(E, D, D) mm: of each element D places."""
        if self.empty:
            return np.zeros((0, len(self.shape), len(self.shape)))
        low, across = self._halves // 2, self._halves % 2  # across: 1 along the axis on which the two voxels lie
        smoothed, level = self._smoothed
        of_low, of_high = (
            smoothed[tuple(np.moveaxis(voxel - self._start + _REACH, -1, 0))] for voxel in (low, low + across)
        )
        steps = of_high - of_low
        share = np.where(steps == 0, 0.5, (level - of_low) / np.where(steps == 0, 1, steps))
        return (low + across * self._kept_between(share, low, of_low, of_high, level)[..., None]) * self.spacing

    @cached_property
    def _smoothed(self) -> tuple[NDArray[np.float64], float]:
        """The smoothed mask in its box and around it, and the level above which it has as many voxels as the mask."""
        smoothed = gaussian_filter(np.pad(self._inside, _REACH).astype(np.float64), _SIGMA, mode="constant")
        last = smoothed.size - np.count_nonzero(self._inside)
        ranked = np.partition(smoothed.ravel(), [last - 1, last])
        return smoothed, float(ranked[last - 1] + ranked[last]) / 2

    def _kept_between(
        self,
        share: NDArray[np.float64],
        low: NDArray[np.int64],
        of_low: NDArray[np.float64],
        of_high: NDArray[np.float64],
        level: float,
    ) -> NDArray[np.float64]:
        """The share of the way from the low to the high voxel, near the one on whose side the level is not between."""
        held_low = np.pad(self._inside, _REACH)[tuple(np.moveaxis(low - self._start + _REACH, -1, 0))]
        inner, outer = np.where(held_low, of_low, of_high), np.where(held_low, of_high, of_low)
        from_inner = np.where(held_low, share, 1 - share)
        from_inner = np.where(inner > outer, from_inner, np.where(inner < level, 0.0, 1.0)).clip(_LEAST, 1 - _LEAST)
        return np.where(held_low, from_inner, 1 - from_inner)

    def _same(self, other: Mesh) -> NDArray[np.bool_]:
        alike = np.array_equal(self.places, other.places) and np.array_equal(self.codes, other.codes)
        return np.full(len(self.corners), alike)


ElementSurface = Any
"""A class like those above: of a mask and a spacing, with ``distances(pred)``."""
OF_ELEMENTS: dict[str, Callable[[ArrayLike, Sequence[float] | None], ElementSurface]] = {
    "surfel": Surfels,
    "mesh": Mesh,
    "smooth": SmoothMesh,
}
"""By the name that ends their metrics, as ``hd95_mesh``."""


def surfel_sizes(spacing_mm: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """(codes,) area of a surfel by the code of its cell, in mm²; in 2D its length in mm."""
    axes = len(spacing_mm)
    table = elements(axes)
    whole = np.concatenate([[0.0], np.cumsum(element_sizes(table.corners / 2 * np.asarray(spacing_mm)))])
    sizes = whole[table.first[1:]] - whole[table.first[:-1]]
    codes = np.arange(len(sizes))
    crowded = np.array([code.bit_count() > 2**axes // 2 for code in codes.tolist()])
    return sizes[np.where(crowded, codes[::-1], codes)]


def refuse_other_image(pred: Mesh, gt: Mesh) -> None:
    """Refuse surfaces of images of another shape or spacing."""
    if pred.shape != gt.shape or not np.array_equal(pred.spacing, gt.spacing):
        raise ValueError(
            f"surfaces in images of {pred.shape} voxels of {pred.spacing.tolist()} mm and "
            f"{gt.shape} voxels of {gt.spacing.tolist()} mm cannot be compared"
        )


def _shared(a: Mesh, b: Mesh) -> NDArray[np.bool_]:
    """(n,) whether the same surface runs through a cell of ``a`` in ``b``."""
    grid = [size + 1 for size in a.shape]
    in_a, in_b = (np.ravel_multi_index(tuple(mesh.places.T), grid) for mesh in (a, b))
    place = np.searchsorted(in_b, in_a).clip(max=len(in_b) - 1)
    return (in_b[place] == in_a) & (b.codes[place] == a.codes)


def _mixed_cells(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return mixed(_codes_of_voxels(mask), mask.ndim)


def _codes_of_voxels(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Of the mask's shape: the code of the cell whose last corner the voxel is."""
    return cell_codes(mask)[(slice(None, -1),) * mask.ndim]


def _flat_or_solid(mask: ArrayLike) -> NDArray[np.bool_]:
    voxels = as_mask(mask)
    if voxels.ndim not in (2, 3):
        raise ValueError(f"surfaces of triangles or surfels need a mask (X, Y) or (X, Y, Z), got shape {voxels.shape}")
    return voxels
