"""Exact Euclidean distances on the CPU.

Squared Euclidean distances are separable: with ``f`` the squared distance within each slice across an axis,
the squared distance in the volume is ``min over j of f[j] + (spacing * (i - j))^2`` along that axis, a min-plus
product with parabolas (Saito & Toriwaki, Pattern Recognition 1994). These savings keep it exact:

- an "inside" transform is cropped to the box of its unknown voxels and one voxel around it;
- the sources of a min-plus product are only the slices that hold foreground, and its offsets end where a parabola
  has risen above the largest distance found;
- where every run of unknown voxels is short, as inside lesions or in noise, few offsets are left on every axis;
  otherwise SciPy's feature transform does the work within slices (it lets threads run side by side).
"""

import importlib.util
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

from boundary_loss.distance.layout import SpacingTable

BLOCK = 1 << 17  # elements of one min-plus block: the working set then stays in the core's own cache
SHORT = 32  # voxels; a power of two. Runs below it are faster by min-plus products alone
SMALL = 1 << 15  # voxels below which starting threads costs more than they save


def distances_to(masks: np.ndarray, spacing: SpacingTable, dtype: Any, *, faces: bool = False) -> np.ndarray:
    """Distance of each voxel to the nearest True voxel of its map.

    Args:
        masks: (N, ...) bool.
        spacing: (D,) or (N, D), mm.
        dtype: float32 or float64.
        faces: measure to the nearest point of the True voxels' boxes instead of to their centres.

    Returns:
        (N, ...) mm; 0 on True voxels, inf throughout a map that has none.
    """
    result = np.zeros(masks.shape, dtype)
    rows = np.broadcast_to(spacing, (len(masks), masks.ndim - 1))
    jobs = [partial(_fill, result[n], masks[n], rows[n], faces) for n in range(len(masks))]
    if masks.ndim <= 3:
        in_threads(jobs, masks.size)
    else:  # one volume at a time: its slices are what runs side by side
        for job in jobs:
            job()
    return result


def distances_across(masks: np.ndarray, spacing: SpacingTable, dtype: Any, *, faces: bool = False) -> np.ndarray:
    """Distance of each voxel to the nearest voxel of the other kind; shapes as above.

    In a volume whose objects lie all over it, the ``edt`` package does both kinds at once in less time than two
    transforms take here; it is used where it is installed.
    """
    rows = np.broadcast_to(spacing, (len(masks), masks.ndim - 1))
    if masks.ndim == 4 and dtype == np.float32 and not faces and any(map(_is_spread, masks)) and _has_edt():
        import edt

        threads = torch.get_num_threads()
        kinds = np.ascontiguousarray(masks).view(np.uint8) + 1
        maps = [edt.edt(kind, anisotropy=tuple(row), parallel=threads) for kind, row in zip(kinds, rows)]
        return np.stack(maps)
    result = distances_to(masks, spacing, dtype, faces=faces)
    result += distances_to(~masks, spacing, dtype, faces=faces)  # everywhere one of the two is 0
    return result


@cache
def _has_edt() -> bool:
    return importlib.util.find_spec("edt") is not None


def _is_spread(mask: np.ndarray) -> bool:
    """Whether the foreground spans more than a quarter of every axis, and far voxels lie between."""
    box = _box(mask)
    if box is None or _short_axis(~mask) is not None:
        return False
    return all(4 * (hi - lo) > size for (lo, hi), size in zip(box, mask.shape))


def nearest(mask: np.ndarray, spacing: SpacingTable) -> np.ndarray:
    """The index of the nearest True voxel, (...) bool -> (D, ...) int32; -1 where there is none."""
    if not mask.any():
        return np.full((mask.ndim, *mask.shape), -1, np.int32)
    return distance_transform_edt(~mask, sampling=spacing, return_distances=False, return_indices=True)


def in_threads(jobs: Iterable[Callable[[], Any]], size: int) -> None:
    """Run the jobs, side by side where they are large, in as many threads as torch was given."""
    jobs = list(jobs)
    workers = min(torch.get_num_threads(), len(jobs))
    if workers < 2 or size < SMALL:
        for job in jobs:
            job()
        return
    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(job) for job in jobs]:
            done.result()


def _fill(out: np.ndarray, mask: np.ndarray, spacing: np.ndarray, faces: bool) -> None:
    """Write the distances of one map into ``out``, which holds zeros."""
    unknown = _box(~mask)
    if unknown is None:
        return
    if not mask.any():
        out.fill(np.inf)
        return
    # Outside the box all is foreground, so the nearest foreground of an unknown voxel is at most one voxel beyond.
    crop = tuple(slice(max(lo - 1, 0), hi + 1) for lo, hi in unknown)
    out[crop] = np.sqrt(_squared(mask[crop], spacing, out.dtype, faces))


def _box(mask: np.ndarray) -> list[tuple[int, int]] | None:
    """First and one past the last True position on each axis."""
    box = []
    for axis in range(mask.ndim):
        found = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        if not found.size:
            return None
        box.append((int(found[0]), int(found[-1]) + 1))
    return box


def _squared(mask: np.ndarray, spacing: np.ndarray, dtype: Any, faces: bool) -> np.ndarray:
    """Squared distances within one map that has foreground."""
    if mask.ndim == 1:
        return _squared_on_line(mask, spacing[0], dtype, faces)
    short = _short_axis(~mask)
    if short is not None:
        return _squared_by_products(mask, spacing, dtype, faces, short)
    if mask.ndim == 2 and not faces:
        return _squared_from_nearest(mask, spacing, dtype)
    box = _box(mask)
    assert box is not None
    axis = int(np.argmin([hi - lo for lo, hi in box]))  # the fewer sources, the shorter the min-plus product
    first, last = box[axis]
    turned = np.moveaxis(mask, axis, 0)
    within = np.full((last - first, *turned.shape[1:]), np.inf, dtype)
    others = np.delete(spacing, axis)

    def fill_slice(i: int) -> None:
        if turned[first + i].any():
            within[i] = _squared(np.ascontiguousarray(turned[first + i]), others, dtype, faces)

    in_threads([partial(fill_slice, i) for i in range(last - first)], mask.size)
    across = _min_plus(within.reshape(last - first, -1), turned.shape[0], first, float(spacing[axis]), faces)
    return np.moveaxis(across.reshape(turned.shape), 0, axis)


def _squared_on_line(mask: np.ndarray, spacing: float, dtype: Any, faces: bool) -> np.ndarray:
    found = np.flatnonzero(mask)
    positions = np.arange(mask.size)
    after = np.searchsorted(found, positions).clip(max=found.size - 1)
    steps = np.minimum(abs(found[after] - positions), abs(positions - found[np.maximum(after - 1, 0)]))
    return ((np.maximum(steps - 0.5, 0) if faces else steps) * spacing).astype(dtype) ** 2


def _squared_from_nearest(mask: np.ndarray, spacing: np.ndarray, dtype: Any) -> np.ndarray:
    """By SciPy's feature transform, whose integer steps are squared here in less time than SciPy takes for it."""
    indices = nearest(mask, spacing)
    total = np.zeros(mask.shape, dtype)
    for axis, index in enumerate(indices):
        own = np.arange(mask.shape[axis], dtype=np.int32).reshape([-1 if a == axis else 1 for a in range(mask.ndim)])
        steps = np.subtract(index, own, out=index).astype(dtype)
        steps *= spacing[axis]
        steps *= steps
        total += steps
    return total


def _short_axis(unknown: np.ndarray) -> int | None:
    return next((axis for axis in range(unknown.ndim) if _runs_are_short(unknown, axis)), None)


def _runs_are_short(unknown: np.ndarray, axis: int) -> bool:
    """Whether every line has an end to its runs and none is of ``SHORT`` voxels, by doubling the length asked about."""
    if unknown.shape[axis] < SHORT:
        return not unknown.all(axis=axis).any()
    run, length = np.moveaxis(unknown, axis, 0), 1
    while length < SHORT:
        run = run[:-length] & run[length:]
        length *= 2
    return not run.any()


def _squared_by_products(mask: np.ndarray, spacing: np.ndarray, dtype: Any, faces: bool, first: int) -> np.ndarray:
    """A min-plus product along every axis, beginning with the ``first``."""
    squared = np.where(mask, 0, np.inf).astype(dtype)
    for axis in (first, *[a for a in range(mask.ndim) if a != first]):
        turned = np.moveaxis(squared, axis, 0)
        lines = np.ascontiguousarray(turned).reshape(len(turned), -1)
        found = _min_plus(lines, len(turned), 0, float(spacing[axis]), faces)
        squared = np.moveaxis(found.reshape(turned.shape), 0, axis)
    return squared


def _min_plus(sources: np.ndarray, size: int, first: int, spacing: float, faces: bool) -> np.ndarray:
    """(S, M) sources at positions ``first``... -> (size, M) ``min over j of sources[j] + rise(i - j)``."""
    result = np.empty((size, sources.shape[1]), sources.dtype)
    width = max(BLOCK // len(sources), 64)

    def fill_columns(start: int) -> None:
        columns = slice(start, start + width)
        block = np.ascontiguousarray(sources[:, columns])
        result[:, columns] = _min_plus_block(block, size, first, spacing, faces)

    in_threads([partial(fill_columns, m) for m in range(0, sources.shape[1], width)], result.size)
    return result


def _min_plus_block(sources: np.ndarray, size: int, first: int, spacing: float, faces: bool) -> np.ndarray:
    """All pairs (i, j) of one distance ``offset = |i - j|`` at a time, nearest first."""
    count = len(sources)
    best = np.full((size, sources.shape[1]), np.inf, sources.dtype)
    best[first : first + count] = sources
    raised = np.empty_like(sources)
    look_again = 2
    for offset in range(1, max(first + count, size - first)):
        rise = ((offset - 0.5 if faces else offset) * spacing) ** 2
        if offset == look_again:
            if rise >= best.max():
                break
            look_again += max(2, offset // 4)
        np.add(sources, sources.dtype.type(rise), out=raised)
        for shift in (offset, -offset):
            lo, hi = max(first + shift, 0), min(first + count + shift, size)
            if lo < hi:
                target = best[lo:hi]
                np.minimum(target, raised[lo - first - shift : hi - first - shift], out=target)
    return best
