"""Exact Euclidean distances on the CPU.

The axes are taken one after the other (:mod:`boundary_loss.distance.parabolas`). These savings keep it exact:

- an "inside" transform is cropped to the box of its unknown voxels and one voxel around it; and any transform that is
  asked for short distances alone, to the box of the foreground and as much around it;
- the sources of a min-plus product are only the slices that hold foreground;
- where every run of unknown voxels is short, as inside lesions or in noise, few offsets are left on every axis;
  otherwise a library does the work within slices (:mod:`boundary_loss.distance.libraries`), several at once.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from boundary_loss.distance import libraries, parabolas
from boundary_loss.distance.layout import SpacingTable
from boundary_loss.distance.maps import Maps

SHORT = 32  # voxels; a power of two. Runs below it are faster by min-plus products alone


def distances_to(
    masks: np.ndarray | Maps, spacing: SpacingTable, dtype: Any, *, faces: bool = False, limit: float = math.inf
) -> np.ndarray:
    """Distance of each voxel to the nearest True voxel of its map.

    Args:
        masks: (N, ...) bool.
        spacing: (D,) or (N, D), mm.
        dtype: float32 or float64.
        faces: measure to the nearest point of the True voxels' boxes instead of to their centres.
        limit: mm; longer distances may be given as this.

    Returns:
        (N, ...) mm; 0 on True voxels, inf throughout a map that has none.
    """
    return _each(masks, spacing, dtype, partial(_fill, faces=faces, limit=limit))


def signed(
    masks: np.ndarray | Maps, spacing: SpacingTable, dtype: Any, *, faces: bool = False, limit: float = math.inf
) -> np.ndarray:
    """Distance of each voxel to the nearest voxel of the other kind, negative on True voxels; arguments as above.

    inf throughout a map that has no True voxel, -inf throughout one that has no other.
    """
    return _each(masks, spacing, dtype, partial(_fill_signed, faces=faces, limit=limit))


def nearest(masks: np.ndarray, spacing: SpacingTable) -> np.ndarray:
    """The index of the nearest True voxel, (N, ...) bool -> (N, D, ...) int64; -1 in a map that has none."""
    found = np.empty((len(masks), masks.ndim - 1, *masks.shape[1:]), np.int64)
    rows = np.broadcast_to(spacing, found.shape[:2])

    def fill(n: int) -> None:
        found[n] = libraries.nearest(masks[n], rows[n])

    parabolas.in_threads([partial(fill, n) for n in range(len(masks))], masks.size)
    return found


def _each(masks: np.ndarray | Maps, spacing: SpacingTable, dtype: Any, fill: Callable[..., None]) -> np.ndarray:
    """Have each map written into zeros by ``fill(out, mask, spacing)``."""
    result = np.zeros(masks.shape, dtype)
    rows = np.broadcast_to(spacing, (len(masks), masks.ndim - 1))
    jobs = [lambda n=n: fill(result[n], masks[n], rows[n]) for n in range(len(masks))]  # a map exists while it is read
    with libraries.opencv_in_one_thread():
        if masks.ndim <= 3:
            parabolas.in_threads(jobs, masks.size)
        else:  # one volume at a time: its slices are what runs side by side
            for job in jobs:
                job()
    return result


def _fill_signed(out: np.ndarray, mask: np.ndarray, spacing: np.ndarray, *, faces: bool, limit: float) -> None:
    if mask.ndim == 3 and out.dtype == np.float32 and not faces and math.isinf(limit) and _is_spread(mask):
        both = libraries.across_volume(mask, spacing)
        if both is not None:
            np.copyto(out, np.where(mask, -both, both))
            return
    _fill(out, mask, spacing, faces=faces, limit=limit)
    inside = np.zeros_like(out)
    _fill(inside, ~mask, spacing, faces=faces, limit=limit)
    out -= inside  # everywhere one of the two is 0


def _is_spread(mask: np.ndarray) -> bool:
    """Whether the foreground spans more than a quarter of every axis, and far voxels lie between."""
    box = _box(mask)
    if box is None or _short_axis(~mask) is not None:
        return False
    return all(4 * (hi - lo) > size for (lo, hi), size in zip(box, mask.shape))


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
    found = out[tuple(crop)]
    np.sqrt(_squared(mask[tuple(crop)], spacing, out.dtype, faces, limit), out=found)
    if not math.isinf(limit):
        np.minimum(found, limit, out=found)


def _around(part: slice, box: tuple[int, int], steps: float) -> slice:
    """What of ``part`` lies within so many steps, and the one to a voxel's face, of a box."""
    reach = math.ceil(steps) + 1
    return slice(max(part.start, box[0] - reach), min(part.stop, box[1] + reach))


def _box(mask: np.ndarray) -> list[tuple[int, int]] | None:
    """First and one past the last True position on each axis."""
    box = []
    for axis in range(mask.ndim):
        if mask.take(0, axis).any() and mask.take(-1, axis).any():  # so is most background: no need to look inside
            box.append((0, mask.shape[axis]))
            continue
        found = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        if not found.size:
            return None
        box.append((int(found[0]), int(found[-1]) + 1))
    return box


def _squared(mask: np.ndarray, spacing: np.ndarray, dtype: Any, faces: bool, limit: float) -> np.ndarray:
    """Squared distances within one map that has foreground; beyond the limit they may be too long."""
    if mask.ndim == 1:
        return parabolas.on_line(mask, spacing[0], dtype, faces)
    in_plane = mask.ndim == 2 and not faces
    short = None if in_plane and libraries.is_fast_in(mask.shape, spacing) else _short_axis(~mask)
    if short is not None:
        return parabolas.along_every_axis(mask, spacing, dtype, faces, short, limit)
    if in_plane:
        return libraries.squared_in_plane(mask, spacing, dtype)
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
    """Whether every line has an end to its runs and none is of ``SHORT`` voxels, by doubling the length asked about."""
    if unknown.shape[axis] < SHORT:
        return not unknown.all(axis=axis).any()
    lines = np.moveaxis(unknown, axis, 0)
    some = lines[:, ::16] if unknown.ndim == 2 else lines[:, ::8, ::8]  # most masks are told by a few lines
    return not (_has_long_runs(some) or _has_long_runs(lines))


def _has_long_runs(lines: np.ndarray) -> bool:
    run, length = lines, 1
    while length < SHORT:
        run = run[:-length] & run[length:]
        length *= 2
    return bool(run.any())
