"""Exact Euclidean distances on CUDA: all maps of a batch in a few launches for each axis, all on the device.

The last axis is a scan along lines. Each further axis is a min-plus product with parabolas: ``min over j of f[j] +
(spacing (i - j))^2`` for each query i. A tile of ``ROWS`` queries times ``COLUMNS`` neighbouring lines stays in
registers while the sources j stream past. Most sources can be skipped: the nearest one moves forward with the query,
since two parabolas of one width cross once (the matrix of pairs is totally monotone; Aggarwal et al., Algorithmica
1987). So the nearest sources of a few rows, the knots, are found among all, and the queries between two knots look only
at the sources between the nearest of both. At a size of 256 that leaves about one pair in eight.

The scan reads the label images themselves and compares each voxel with its map's class, so the maps of all classes come
from one launch and no mask of any is ever stored. Where only distances up to a limit are asked for, the sources of a
query end there.

Squared distances are float32: exact at unit spacing below 2^24. In the mode SIGNED, the distance to the nearest
voxel of the *other* kind, one array serves both kinds: the squared distance is stored negative on True voxels, so a
source counts with its distance for queries of its own kind and with 0 for the other kind. That cannot serve ignored
voxels as well: lines of both kinds pass through them, each with a distance of its own.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from boundary_loss.distance.layout import SpacingTable
from boundary_loss.distance.maps import Maps
from boundary_loss.distance.minplus import reach_of

ROWS = 32
"""Queries of one tile."""
COLUMNS = 32
"""Neighbouring lines of one tile."""
KNOTS = 8
"""Rows of a line whose nearest sources bound those of the rows between; a power of two, 2 at least."""
SCAN_ELEMENTS = 512
"""Voxels of one tile of the scan."""
SCAN_WARPS = 2
"""Warps, of 32 threads, that share a tile of the scan."""
WARPS = 4
"""Warps that share a tile of the products."""
FEW = 64
"""Sources that are all looked at, for fewer the search at the knots takes longer than it saves."""


@triton.jit
def _larger(a, b):
    return tl.maximum(a, b)


@triton.jit
def _smaller(a, b):
    return tl.minimum(a, b)


@triton.jit
def _length(steps, spacing, FACES: tl.constexpr):
    if FACES:
        steps = tl.maximum(steps - 0.5, 0.0)
    return steps * spacing


@triton.jit
def _is_true(labels, place, there, own_class, ignored, INVERTED: tl.constexpr, HAS_IGNORED: tl.constexpr):
    """Return whether the label is the map's class; if INVERTED, whether it is neither that nor ``ignored``."""
    label = tl.load(labels + place, mask=there, other=0).to(tl.int32)
    kind = label == own_class
    if INVERTED:
        kind = kind == 0
        if HAS_IGNORED:
            kind = kind & (label != ignored)
    return kind


@triton.jit
def _millimetres(squared, negative, within, absent, SIGNED: tl.constexpr, FINITE: tl.constexpr):
    """Return the root; if SIGNED, plus ``within`` and negative on True voxels; if FINITE, ``absent`` for infinity."""
    found = tl.sqrt_rn(squared)
    if SIGNED:
        nowhere = found == float("inf")
        signed = tl.where(negative, within - found, found)
        if FINITE:
            signed = tl.where(nowhere, tl.where(negative, 0.0 - absent, absent), signed)  # no -0
        found = signed
    return found


@triton.jit
def _scan_lines(
    labels, classes, num_classes, ignored, squared, lines, size, lines_a_map, spacing, spacings,
    within, absent, absents,
    INVERTED: tl.constexpr, HAS_IGNORED: tl.constexpr,
    PER_MAP: tl.constexpr, FACES: tl.constexpr, SIGNED: tl.constexpr,
    ROOT: tl.constexpr, FINITE: tl.constexpr, ABSENTS: tl.constexpr,
    LINES: tl.constexpr, SIZE: tl.constexpr,
):  # fmt: skip
    """Scan the last axis: (B lines, size) labels -> (B K lines, size) squared distances within the line.

    Negative on True voxels in mode SIGNED.
    """
    line = tl.program_id(0).to(tl.int64) * LINES + tl.arange(0, LINES)
    position = tl.arange(0, SIZE)[None, :]
    there = (line < lines)[:, None] & (position < size)
    n = line // lines_a_map
    own_class = tl.load(classes + n % num_classes, mask=line < lines, other=0)[:, None]
    image_line = (n // num_classes) * lines_a_map + line % lines_a_map
    place = image_line[:, None] * size + position
    kind = _is_true(labels, place, there, own_class, ignored, INVERTED, HAS_IGNORED)
    i = tl.broadcast_to(position.to(tl.float32), (LINES, SIZE))
    if SIGNED:  # distances to the voxels just before and just after a run of one kind
        inner = there & (position > 0)
        begins = inner & (kind != _is_true(labels, place - 1, inner, own_class, ignored, INVERTED, HAS_IGNORED))
        inner = there & (position < size - 1)
        ends = inner & (kind != _is_true(labels, place + 1, inner, own_class, ignored, INVERTED, HAS_IGNORED))
        before = tl.associative_scan(tl.where(begins, i, float("-inf")), 1, _larger) - 1
        after = tl.associative_scan(tl.where(ends, i, float("inf")), 1, _smaller, reverse=True) + 1
    else:
        before = tl.associative_scan(tl.where(kind & there, i, float("-inf")), 1, _larger)
        after = tl.associative_scan(tl.where(kind & there, i, float("inf")), 1, _smaller, reverse=True)
    if PER_MAP:
        spacing = tl.load(spacings + n, mask=line < lines, other=1.0)[:, None]
    length = _length(tl.minimum(i - before, after - i), spacing, FACES)
    result = length * length
    if ROOT:
        if ABSENTS:
            absent = tl.load(absents + n, mask=line < lines, other=0.0)[:, None]
        result = _millimetres(result, kind, within, absent, SIGNED, FINITE)
    elif SIGNED:
        result = tl.where(kind, -result, result)
    tl.store(squared + line[:, None] * size + position, result, mask=there)


@triton.jit
def _cost(length, sign, source, SIGNED: tl.constexpr):
    """Return the squared distance by way of a source; if SIGNED, of one whose sign is ``sign`` or 0."""
    if SIGNED:  # rounded as where queries of both kinds are mixed
        rise = length * length
        cost = tl.fma(sign, source, rise)
    else:
        cost = tl.fma(length, length, source)
    return cost


@triton.jit
def _counted(source, sign):
    """Return the squared distances as queries of one kind see them: 0 for sources of the other kind."""
    return tl.where(source * sign > 0, source, 0.0)


@triton.jit
def _nearest_to_knots(
    stream, there, ends, size, inner, stride, sign, spacing,
    FACES: tl.constexpr, SIGNED: tl.constexpr, KNOTS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Store the first and the last of the sources that are nearest to each knot, over the tile's columns.

    Knot 0 is row 0, each further one the last row of a stretch of ``stride`` rows, from the second stretch on.
    ``ends`` becomes (2, KNOTS): first and last; size and -1 where no column has a source.
    """
    knot = tl.arange(0, KNOTS)
    own_row = tl.where(knot == 0, 0, tl.minimum((knot + 1) * stride - 1, size - 1))
    # the pair i = j first: this load also gives each thread neighbouring columns, which share a length
    own = tl.load(stream[None, :] + own_row[:, None].to(tl.int64) * inner, mask=there[None, :], other=0.0)
    if SIGNED:
        own = _counted(own, sign)
    best = tl.abs(own)
    nearest = own_row[:, None] + tl.full((KNOTS, COLUMNS), 0, tl.int32)
    row = own_row.to(tl.float32)[:, None]
    for j in tl.range(0, size, loop_unroll_factor=4):
        source = tl.load(stream, mask=there, other=0.0)[None, :]
        stream += inner
        if SIGNED:
            source = _counted(source, sign)
        cost = _cost(_length(tl.abs(row - j), spacing, FACES), sign, source, SIGNED)
        nearest = tl.where(cost < best, j, nearest)
        best = tl.minimum(best, cost)
    found = there[None, :] & (best < float("inf"))
    tl.store(ends + knot, tl.reduce(tl.where(found, nearest, size), 1, _smaller))
    tl.store(ends + KNOTS + knot, tl.reduce(tl.where(found, nearest, -1), 1, _larger))


@triton.jit
def _kinds(stream, there, size, inner, CHUNK: tl.constexpr, COLUMNS: tl.constexpr):
    """Return whether the tile's columns have True voxels, and whether they have others."""
    row = tl.arange(0, CHUNK)[:, None]
    least = tl.full((CHUNK, COLUMNS), 0.0, tl.float32)
    most = tl.full((CHUNK, COLUMNS), 0.0, tl.float32)
    for start in range(0, size, CHUNK):
        inside = there[None, :] & (start + row < size)
        source = tl.load(stream[None, :] + (start + row).to(tl.int64) * inner, mask=inside, other=0.0)
        least = tl.minimum(least, source)
        most = tl.maximum(most, source)
    some_true = tl.reduce(tl.reduce(least, 1, _smaller), 0, _smaller) < 0
    some_false = tl.reduce(tl.reduce(most, 1, _larger), 0, _larger) > 0
    return some_true, some_false


@triton.jit
def _min_plus(
    sources, result, ends, size, inner, row_tiles, column_tiles, tiles_a_knot, outer_a_map, spacing, spacings, reach,
    within, absent, absents,
    BOUNDED: tl.constexpr, LIMITED: tl.constexpr,
    PER_MAP: tl.constexpr, FACES: tl.constexpr, SIGNED: tl.constexpr,
    ROOT: tl.constexpr, FINITE: tl.constexpr, ABSENTS: tl.constexpr,
    KNOTS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Compute min over j of sources[j] + (spacing * (i - j))^2 along the middle axis of (outer, size, inner).

    A program has a tile of columns from their first row to their last, so that what it reads again lies in the cache of
    its multiprocessor. BOUNDED: of the j between the nearest sources of the knots around a tile of rows, which go
    through ``ends`` (programs, 2 kinds, 2, KNOTS). LIMITED: of those within ``reach`` of the rows.
    """
    program = tl.program_id(0)
    outer = program // column_tiles
    column = (program % column_tiles) * COLUMNS + tl.arange(0, COLUMNS)
    block = outer.to(tl.int64) * size * inner
    n = outer // outer_a_map
    if PER_MAP:
        spacing = tl.load(spacings + n)
    known = column < inner
    ends += program.to(tl.int64) * 4 * KNOTS
    of_false = ends + 2 * KNOTS
    line = sources + block + column
    if SIGNED:
        any_true, any_false = _kinds(line, known, size, inner, ROWS, COLUMNS)
    if BOUNDED:
        stride = tiles_a_knot * ROWS
        if SIGNED:  # each kind of query has its own sources; a kind that the columns lack is skipped
            if any_true:
                _nearest_to_knots(line, known, ends, size, inner, stride, -1.0, spacing, FACES, SIGNED, KNOTS, COLUMNS)
            if any_false:
                _nearest_to_knots(
                    line, known, of_false, size, inner, stride, 1.0, spacing, FACES, SIGNED, KNOTS, COLUMNS
                )
        else:
            _nearest_to_knots(line, known, ends, size, inner, stride, 1.0, spacing, FACES, SIGNED, KNOTS, COLUMNS)
        tl.debug_barrier()  # threads read what others have stored
    for row_tile in range(0, row_tiles):
        row = row_tile * ROWS + tl.arange(0, ROWS)
        there = (row < size)[:, None] & known[None, :]
        place = block + row[:, None].to(tl.int64) * inner + column[None, :]
        own = tl.load(sources + place, mask=there, other=0.0)
        best = tl.abs(own)  # the pair i = j; this load also gives each thread neighbouring columns, which share a rise
        i = row.to(tl.float32)[:, None]
        negative = own < 0
        if SIGNED:
            some_true, some_false = any_true, any_false
            if any_true & any_false:
                some_true = tl.reduce(tl.reduce(own, 1, _smaller), 0, _smaller) < 0
                some_false = tl.reduce(tl.reduce(own, 1, _larger), 0, _larger) > 0
        first, last = 0, size
        if BOUNDED:
            stretch = row_tile // tiles_a_knot
            before, after = tl.maximum(stretch - 1, 0), tl.maximum(stretch, 1)
            if SIGNED:
                first, last = size, -1
                if some_true:
                    first = tl.minimum(first, tl.load(ends + before))
                    last = tl.maximum(last, tl.load(ends + KNOTS + after))
                if some_false:
                    first = tl.minimum(first, tl.load(of_false + before))
                    last = tl.maximum(last, tl.load(of_false + KNOTS + after))
            else:
                first, last = tl.load(ends + before), tl.load(ends + KNOTS + after)
            last += 1
        if LIMITED:
            first = tl.maximum(first, row_tile * ROWS - reach)
            last = tl.minimum(last, row_tile * ROWS + ROWS + reach)
        first = tl.maximum(first, 0)
        last = tl.minimum(last, size)
        stream = line + first.to(tl.int64) * inner
        if SIGNED:
            if some_true & some_false:
                sign = tl.where(negative, -1.0, 1.0)
                for j in range(first, last):
                    source = tl.load(stream, mask=known, other=0.0)[None, :]
                    stream += inner
                    length = _length(tl.abs(i - j), spacing, FACES)
                    rise = length * length
                    # a source of the other kind has the other sign: it counts as at distance 0
                    best = tl.minimum(best, tl.maximum(tl.fma(sign, source, rise), rise))
            else:
                only = tl.where(some_true, -1.0, 1.0)
                for j in range(first, last):
                    source = _counted(tl.load(stream, mask=known, other=0.0), only)[None, :]
                    stream += inner
                    best = tl.minimum(best, _cost(_length(tl.abs(i - j), spacing, FACES), only, source, SIGNED))
        else:
            for j in range(first, last):
                source = tl.load(stream, mask=known, other=0.0)[None, :]
                stream += inner
                best = tl.minimum(best, _cost(_length(tl.abs(i - j), spacing, FACES), 1.0, source, SIGNED))
        if ROOT:
            if ABSENTS:
                absent = tl.load(absents + n)
            best = _millimetres(best, negative, within, absent, SIGNED, FINITE)
        elif SIGNED:
            best = tl.where(negative, -best, best)
        tl.store(result + place, best, mask=there)


def distances(
    maps: Maps,
    spacing: SpacingTable,
    *,
    faces: bool,
    signed: bool,
    limit: float = math.inf,
    inside: float = 0.0,
    nowhere: float | np.ndarray = math.inf,
) -> Tensor:
    """Return the distance to the nearest True voxel; if ``signed``, to the other kind, negative on True voxels.

    Args:
        maps: N masks (...) of labels on a CUDA device.
        spacing: (D,) or (N, D), mm.
        faces: measure to the nearest point of the voxels' boxes instead of to their centres.
        limit: mm; longer distances may be overestimated.
        inside: mm added on True voxels where ``signed``.
        nowhere: value, or (N,), of a ``signed`` map without True voxels; a map without others gets minus this.

    Returns:
        (N, ...) float32 mm; without ``nowhere`` inf throughout a map that has no such voxel, -inf where it has no
        other.
    """
    labels = maps.labels.contiguous()
    with torch.cuda.device_of(labels):  # Triton launches on the current device
        work = _Work.of(maps, labels.device, spacing, nowhere)
        settings = {"PER_MAP": spacing.ndim == 2, "FACES": faces, "SIGNED": signed}
        final = {"FINITE": not _is_infinite(nowhere), "ABSENTS": isinstance(nowhere, np.ndarray)}
        found = _scan(maps, labels, work, inside, settings, final)
        for axis in range(found.ndim - 2, 0, -1):  # last to first
            found = _across(found, axis, work, inside, limit, settings, final)
    return found


@dataclass(frozen=True)
class _Work:
    """The arguments of the kernels besides the labels."""

    spacing: SpacingTable
    rows: list[Tensor]
    """(N,) spacings for each axis; not read where one spacing serves all maps."""
    absent: float
    absents: Tensor
    """(N,); not read where one number serves all maps."""

    @staticmethod
    def of(maps: Maps, device: torch.device, spacing: SpacingTable, nowhere: float | np.ndarray) -> "_Work":
        unread = maps.labels.view(torch.uint8) if maps.labels.dtype == torch.bool else maps.labels
        rows, absents = [unread] * spacing.shape[-1], unread
        if spacing.ndim == 2:
            rows = list(torch.as_tensor(spacing.T.copy(), dtype=torch.float32).to(device, non_blocking=True))
        if isinstance(nowhere, np.ndarray):
            absents = torch.as_tensor(nowhere, dtype=torch.float32).to(device, non_blocking=True)
        return _Work(spacing, rows, 0.0 if isinstance(nowhere, np.ndarray) else nowhere, absents)


def _is_infinite(nowhere: float | np.ndarray) -> bool:
    return isinstance(nowhere, float) and math.isinf(nowhere)


def _scan(
    maps: Maps, labels: Tensor, work: _Work, inside: float, settings: dict[str, bool], final: dict[str, bool]
) -> Tensor:
    """Scan the last axis of the labels."""
    found = torch.empty(maps.shape, dtype=torch.float32, device=labels.device)
    size = found.shape[-1]
    lines = found.numel() // size
    padded = triton.next_power_of_2(size)
    at_once = max(1, SCAN_ELEMENTS // padded)
    if labels.dtype == torch.bool:
        labels = labels.view(torch.uint8)
    classes = _on_device(maps.classes, labels.device)
    ignored = -1 if maps.ignored is None else maps.ignored
    _scan_lines[(triton.cdiv(lines, at_once),)](
        labels, classes, len(maps.classes), ignored, found, lines, size, lines // len(found),
        float(work.spacing.flat[-1]), work.rows[-1], inside, work.absent, work.absents,
        INVERTED=maps.inverted, HAS_IGNORED=maps.ignored is not None,
        **settings, ROOT=found.ndim == 2, **final, LINES=at_once, SIZE=padded, num_warps=SCAN_WARPS,
    )  # fmt: skip
    return found


@cache
def _on_device(classes: tuple[int, ...], device: torch.device) -> Tensor:
    """Copy to the device once and keep it, because the host waits for the copy."""
    return torch.tensor(classes, dtype=torch.int32, device=device)


def _across(
    found: Tensor,
    axis: int,
    work: _Work,
    inside: float,
    limit: float,
    settings: dict[str, bool],
    final: dict[str, bool],
) -> Tensor:
    """Apply the min-plus product along one axis."""
    outer, size = found.shape[:axis].numel(), found.shape[axis]
    inner = found.shape[axis + 1 :].numel()
    row_tiles, column_tiles = triton.cdiv(size, ROWS), triton.cdiv(inner, COLUMNS)
    reach = reach_of(limit, work.spacing[..., axis - 1], size)
    tiles_a_knot = triton.cdiv(row_tiles, KNOTS)
    place = size, inner
    step = outer // len(found), float(work.spacing.flat[axis - 1]), work.rows[axis - 1]
    bounded = min(size, 2 * reach + ROWS) > FEW
    programs = outer * column_tiles
    ends = torch.empty(4 * KNOTS * programs if bounded else 1, dtype=torch.int32, device=found.device)
    result = torch.empty_like(found)
    _min_plus[(programs,)](
        found, result, ends, *place, row_tiles, column_tiles, tiles_a_knot, *step, reach,
        inside, work.absent, work.absents,
        BOUNDED=bounded, LIMITED=reach < size - 1, **settings, ROOT=axis == 1, **final,
        KNOTS=KNOTS, ROWS=ROWS, COLUMNS=COLUMNS, num_warps=WARPS,
    )  # fmt: skip
    return result
