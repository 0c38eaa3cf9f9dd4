"""Exact Euclidean distances by NumPy and SciPy: used on a CPU if the kernels are not compiled.

The axes are taken one after the other (:mod:`boundary_loss.distance.parabolas`). These savings keep it exact:

- an "inside" transform is cropped to the box of its unknown voxels and one voxel around it; a transform with a limit,
  to the box of the foreground and the limit around it;
- the sources of a min-plus product are only the slices that hold foreground;
- if every run of unknown voxels is short, as inside lesions or in noise, min-plus products need few offsets;
  otherwise SciPy's feature transform works within slices, several at once.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

from boundary_loss.distance import parabolas
from boundary_loss.distance.layout import SpacingTable
from boundary_loss.distance.maps import Maps

SHORT = 32  # voxels, a power of two: shorter runs are faster by min-plus products alone


def distances_to(maps: Maps, spacing: SpacingTable, dtype: Any, *, faces: bool, limit: float) -> np.ndarray:
    """Do what :func:`boundary_loss.distance.engine.distances_to` does."""
    return _each(maps, spacing, dtype, partial(_fill, faces=faces, limit=limit))


def signed(
    maps: Maps,
    spacing: SpacingTable,
    dtype: Any,
    *,
    faces: bool,
    limit: float,
    inside: float,
    nowhere: float | np.ndarray,
) -> np.ndarray:
    """Do what :func:`boundary_loss.distance.engine.signed` does."""
    distances = _each(maps, spacing, dtype, partial(_fill_signed, faces=faces, limit=limit))
    if inside:
        np.add(distances, inside, out=distances, where=distances < 0)
    for distance, absent in zip(distances, np.broadcast_to(nowhere, len(maps))):
        if distance.size and np.isinf(distance.flat[0]):  # then the whole map is infinite
            distance.fill(math.copysign(1, distance.flat[0]) * absent + 0.0)  # no -0
    return distances


def nearest(maps: Maps, spacing: SpacingTable) -> np.ndarray:
    """Do what :func:`boundary_loss.distance.engine.nearest` does."""
    found = np.empty((len(maps), maps.ndim - 1, *maps.shape[1:]), np.int64)
    rows = np.broadcast_to(spacing, found.shape[:2])

    def fill(n: int) -> None:
        found[n] = _nearest(maps[n], rows[n])

    parabolas.in_threads([partial(fill, n) for n in range(len(maps))], maps.size)
    return found


def _each(maps: Maps, spacing: SpacingTable, dtype: Any, fill: Callable[..., None]) -> np.ndarray:
    """Return an array of zeros into which ``fill(out, mask, spacing)`` has written each map."""
    result = np.zeros(maps.shape, dtype)
    rows = np.broadcast_to(spacing, (len(maps), maps.ndim - 1))

    def one(n: int) -> None:
        fill(result[n], maps[n], rows[n])  # each mask is built here and freed after

    if maps.ndim <= 3:
        parabolas.in_threads([partial(one, n) for n in range(len(maps))], maps.size)
    else:  # one volume at a time: its slices run in parallel
        for n in range(len(maps)):
            one(n)
    return result


def _fill_signed(out: np.ndarray, mask: np.ndarray, spacing: np.ndarray, *, faces: bool, limit: float) -> None:
    _fill(out, mask, spacing, faces=faces, limit=limit)
    inside = np.zeros_like(out)
    _fill(inside, ~mask, spacing, faces=faces, limit=limit)
    out -= inside  # at every voxel one of the two is 0


def _fill(out: np.ndarray, mask: np.ndarray, spacing: np.ndarray, *, faces: bool, limit: float) -> None:
    """Write the distances of one map into ``out``, which holds zeros."""
    unknown = _box(~mask)
    if unknown is None:
        return
    if not mask.any():
        out.fill(np.inf)
        return
    # Outside the box all is foreground, so the nearest foreground of an unknown voxel is at most one voxel beyond.
    crop = [slice(max(lo - 1, 0), hi + 1) for lo, hi in unknown]
    if not math.isinf(limit):
        out[~mask] = limit
        known = _box(mask) or []
        crop = [_around(part, box, limit / step) for part, box, step in zip(crop, known, spacing)]
    # The root of an exact square, times the side, is rounded once: steps of one length have exact squares in float32.
    equal = bool((spacing == spacing[0]).all())
    scale, exact = (spacing[0], out.dtype) if equal else (1.0, np.float64)
    squared = _squared(mask[tuple(crop)], spacing / scale, exact, faces, limit / scale)
    found = np.sqrt(squared) if scale == 1 else scale * np.sqrt(squared, dtype=np.float64)
    out[tuple(crop)] = np.minimum(found, limit) if not math.isinf(limit) else found


def _around(part: slice, box: tuple[int, int], steps: float) -> slice:
    """Return the part of ``part`` within so many steps of a box, plus one for distances to faces."""
    reach = math.ceil(steps) + 1
    return slice(max(part.start, box[0] - reach), min(part.stop, box[1] + reach))


def _box(mask: np.ndarray) -> list[tuple[int, int]] | None:
    """Return first and last True position, the last plus one, along each axis."""
    box = []
    for axis in range(mask.ndim):
        if mask.take(0, axis).any() and mask.take(-1, axis).any():  # as most background
            box.append((0, mask.shape[axis]))
            continue
        found = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        if not found.size:
            return None
        box.append((int(found[0]), int(found[-1]) + 1))
    return box


def _squared(mask: np.ndarray, spacing: np.ndarray, dtype: Any, faces: bool, limit: float) -> np.ndarray:
    """Return the squared distances within one map that has foreground; beyond the limit they may be too long."""
    if mask.ndim == 1:
        return parabolas.on_line(mask, spacing[0], dtype, faces)
    short = _short_axis(~mask)
    if short is not None:
        return parabolas.along_every_axis(mask, spacing, dtype, faces, short, limit)
    if mask.ndim == 2 and not faces:
        return _squared_in_plane(mask, spacing, dtype)
    box = _box(mask)
    assert box is not None
    axis = int(np.argmin([hi - lo for lo, hi in box]))  # the fewer sources, the shorter the min-plus product
    first, last = box[axis]
    turned = np.moveaxis(mask, axis, 0)
    within = np.full((last - first, *turned.shape[1:]), np.inf, dtype)
    others = np.delete(spacing, axis)

    def fill_slice(i: int) -> None:
        if turned[first + i].any():
            within[i] = _squared(np.ascontiguousarray(turned[first + i]), others, dtype, faces, limit)

    parabolas.in_threads([partial(fill_slice, i) for i in range(last - first)], mask.size)
    lines = within.reshape(last - first, -1)
    across = parabolas.min_plus(lines, turned.shape[0], first, float(spacing[axis]), faces, limit)
    return np.moveaxis(across.reshape(turned.shape), 0, axis)


def _short_axis(unknown: np.ndarray) -> int | None:
    return next((axis for axis in range(unknown.ndim) if _runs_are_short(unknown, axis)), None)


def _runs_are_short(unknown: np.ndarray, axis: int) -> bool:
    """Return True if every line has foreground and no run of ``SHORT`` unknown voxels; tests lengths 1, 2, 4, ..."""
    if unknown.shape[axis] < SHORT:
        return not unknown.all(axis=axis).any()
    lines = np.moveaxis(unknown, axis, 0)
    some = lines[:, ::16] if unknown.ndim == 2 else lines[:, ::8, ::8]  # a few lines decide for most masks
    return not (_has_long_runs(some) or _has_long_runs(lines))


def _has_long_runs(lines: np.ndarray) -> bool:
    run, length = lines, 1
    while length < SHORT:
        run = run[:-length] & run[length:]
        length *= 2
    return bool(run.any())


def _squared_in_plane(mask: np.ndarray, spacing: np.ndarray, dtype: Any) -> np.ndarray:
    """Return squared distances by SciPy's feature transform, whose integer steps are squared faster here."""
    indices = _nearest(mask, spacing)
    total = np.zeros(mask.shape, dtype)
    for axis, index in enumerate(indices):
        own = np.arange(mask.shape[axis], dtype=np.int32).reshape([-1 if a == axis else 1 for a in range(mask.ndim)])
        steps = np.subtract(index, own, out=index).astype(dtype)
        steps *= spacing[axis]
        steps *= steps
        total += steps
    return total


def _nearest(mask: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Return the index of the nearest True voxel, (...) bool -> (D, ...) int32; -1 if there is none."""
    if not mask.any():
        return np.full((mask.ndim, *mask.shape), -1, np.int32)
    return distance_transform_edt(~mask, sampling=spacing, return_distances=False, return_indices=True)
