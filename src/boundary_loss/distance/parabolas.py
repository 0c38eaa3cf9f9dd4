"""Exact squared distances by min-plus products with parabolas, in NumPy.

Squared Euclidean distances are separable: with ``f`` the squared distance within each slice across an axis,
the squared distance in the volume is ``min over j of f[j] + (spacing * (i - j))^2`` along that axis, a min-plus
product with parabolas (Saito & Toriwaki, Pattern Recognition 1994). The offsets ``|i - j|`` are taken nearest first,
until the parabola exceeds the largest distance found, or the longest that is asked for.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch

BLOCK = 1 << 17  # elements of one min-plus block: the working set then stays in the core's own cache
SMALL = 1 << 15  # fewer voxels take less time than starting threads


def in_threads(jobs: Iterable[Callable[[], Any]], size: int) -> None:
    """Run the jobs; large ones in parallel, in as many threads as torch uses."""
    jobs = list(jobs)
    workers = min(torch.get_num_threads(), len(jobs))
    if workers < 2 or size < SMALL:
        for job in jobs:
            job()
        return
    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(job) for job in jobs]:
            done.result()


def on_line(mask: np.ndarray, spacing: float, dtype: Any, faces: bool) -> np.ndarray:
    """Return the squared distances within a line that has foreground."""
    found = np.flatnonzero(mask)
    positions = np.arange(mask.size)
    after = np.searchsorted(found, positions).clip(max=found.size - 1)
    steps = np.minimum(abs(found[after] - positions), abs(positions - found[np.maximum(after - 1, 0)]))
    return ((np.maximum(steps - 0.5, 0) if faces else steps) * spacing).astype(dtype) ** 2


def along_every_axis(
    mask: np.ndarray, spacing: np.ndarray, dtype: Any, faces: bool, first: int, limit: float
) -> np.ndarray:
    """Apply a min-plus product along every axis, beginning with the ``first``."""
    squared = np.where(mask, 0, np.inf).astype(dtype)
    for axis in (first, *[a for a in range(mask.ndim) if a != first]):
        turned = np.moveaxis(squared, axis, 0)
        lines = np.ascontiguousarray(turned).reshape(len(turned), -1)
        found = min_plus(lines, len(turned), 0, float(spacing[axis]), faces, limit)
        squared = np.moveaxis(found.reshape(turned.shape), 0, axis)
    return squared


def min_plus(sources: np.ndarray, size: int, first: int, spacing: float, faces: bool, limit: float) -> np.ndarray:
    """Return (size, M) ``min over j of sources[j] + rise(i - j)`` of (S, M) sources at positions ``first``, ...

    Args:
        limit: mm; longer distances may be overestimated.
    """
    result = np.empty((size, sources.shape[1]), sources.dtype)
    width = max(BLOCK // len(sources), 64)

    def fill_columns(start: int) -> None:
        columns = slice(start, start + width)
        block = np.ascontiguousarray(sources[:, columns])
        result[:, columns] = _min_plus_block(block, size, first, spacing, faces, limit)

    in_threads([partial(fill_columns, m) for m in range(0, sources.shape[1], width)], result.size)
    return result


def _min_plus_block(
    sources: np.ndarray, size: int, first: int, spacing: float, faces: bool, limit: float
) -> np.ndarray:
    """Take all pairs (i, j) of one ``offset = |i - j|`` at a time, nearest first."""
    count = len(sources)
    best = np.full((size, sources.shape[1]), np.inf, sources.dtype)
    best[first : first + count] = sources
    raised = np.empty_like(sources)
    look_again = 2
    for offset in range(1, max(first + count, size - first)):
        rise = ((offset - 0.5 if faces else offset) * spacing) ** 2
        if rise > limit * limit:
            break
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
