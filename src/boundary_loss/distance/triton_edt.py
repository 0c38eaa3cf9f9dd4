"""Exact Euclidean distances on CUDA: every map of a batch in one launch an axis, nothing leaves the device.

The last axis is a scan along lines. Each further axis is a min-plus product with parabolas, by all pairs: regular,
free of branches, and at the sizes of medical images bound by arithmetic that the device has in plenty. A tile of
``ROWS`` queries times ``COLUMNS`` neighbouring lines stays in registers while the sources stream past.

The scan reads the label images themselves and compares each voxel with its map's class, so the maps of all classes come
from one launch and no mask of any is ever stored. Where only distances up to a limit are asked for, the sources of a
query end there.

Squared distances are float32: exact at unit spacing below 2^24. In the mode SIGNED, the distance to the nearest
voxel of the *other* kind, one array serves both kinds: the squared distance is stored negative on True voxels, so a
source counts with its distance for queries of its own kind and with 0 for the other kind. That cannot serve ignored
voxels as well: lines of both kinds pass through them, each with a distance of its own.
"""

import math
from functools import cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from boundary_loss.distance.layout import SpacingTable
from boundary_loss.distance.maps import Maps
from boundary_loss.distance.minplus import reach_of

ROWS = 32  # queries of one tile
COLUMNS = 64  # neighbouring lines of one tile
SCAN_ELEMENTS = 4096  # of one tile of the scan


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
def _steps_to(mask, i, inside, axis: tl.constexpr):
    """Steps to the nearest True of the same line; inf where the line has none."""
    before = tl.associative_scan(tl.where(mask & inside, i, float("-inf")), axis, _larger)
    after = tl.associative_scan(tl.where(mask & inside, i, float("inf")), axis, _smaller, reverse=True)
    return tl.minimum(i - before, after - i)


@triton.jit
def _scan_lines(
    labels, classes, num_classes, ignored, squared, lines, size, lines_a_map, spacing, spacings,
    INVERTED: tl.constexpr, HAS_IGNORED: tl.constexpr,
    PER_MAP: tl.constexpr, FACES: tl.constexpr, SIGNED: tl.constexpr, ROOT: tl.constexpr,
    LINES: tl.constexpr, SIZE: tl.constexpr,
):  # fmt: skip
    """Last axis: (B lines, size) labels -> (B K lines, size) squared distance within the line.

    Negative on True voxels in mode SIGNED. A voxel is True where its label is the map's class; INVERTED where it is
    not, nor ``ignored`` if HAS_IGNORED.
    """
    line = tl.program_id(0).to(tl.int64) * LINES + tl.arange(0, LINES)
    position = tl.arange(0, SIZE)
    inside = (line < lines)[:, None] & (position < size)[None, :]
    place = line[:, None] * size + position[None, :]
    n = line // lines_a_map
    own_class = tl.load(classes + n % num_classes, mask=line < lines, other=0)
    image_line = (n // num_classes) * lines_a_map + line % lines_a_map
    label = tl.load(labels + image_line[:, None] * size + position[None, :], mask=inside, other=0).to(tl.int32)
    kind = label == own_class[:, None]
    if INVERTED:
        kind = kind == 0
        if HAS_IGNORED:
            kind = kind & (label != ignored)
    i = tl.broadcast_to(position[None, :].to(tl.float32), (LINES, SIZE))
    if PER_MAP:
        spacing = tl.load(spacings + line // lines_a_map, mask=line < lines, other=1.0)[:, None]
    steps = _steps_to(kind, i, inside, 1)
    if SIGNED:
        steps = tl.where(kind, _steps_to(kind == 0, i, inside, 1), steps)
    length = _length(steps, spacing, FACES)
    result = length * length
    if ROOT:
        result = tl.sqrt_rn(result)
    if SIGNED:
        result = tl.where(kind, -result, result)
    tl.store(squared + place, result, mask=inside)


@triton.jit
def _min_plus(
    sources, result, size, inner, row_tiles, column_tiles, outer_a_map, spacing, spacings, reach,
    LIMITED: tl.constexpr, PER_MAP: tl.constexpr, FACES: tl.constexpr, SIGNED: tl.constexpr, ROOT: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """(outer, size, inner): result[i] = min over j of sources[j] + (spacing * (i - j))^2 along the middle axis.

    LIMITED: of the j within ``reach`` of the tile's rows.
    """
    program = tl.program_id(0)
    column = (program % column_tiles) * COLUMNS + tl.arange(0, COLUMNS)
    row = (program // column_tiles % row_tiles) * ROWS + tl.arange(0, ROWS)
    outer = program // (column_tiles * row_tiles)
    block = outer.to(tl.int64) * size * inner
    if PER_MAP:
        spacing = tl.load(spacings + outer // outer_a_map)
    inside = (row < size)[:, None] & (column < inner)[None, :]
    place = block + row[:, None].to(tl.int64) * inner + column[None, :]
    own = tl.load(sources + place, mask=inside, other=0.0)
    sign = tl.where(own < 0, -1.0, 1.0)
    best = tl.abs(own)  # the pair i = j; this load also gives each thread neighbouring columns, which share a rise
    i = row.to(tl.float32)[:, None]
    stream = sources + block + column
    first, last = 0, size
    if LIMITED:
        tile = (program // column_tiles % row_tiles) * ROWS
        first, last = tl.maximum(tile - reach, 0), tl.minimum(tile + ROWS + reach, size)
        stream += first.to(tl.int64) * inner
    for j in range(first, last):
        source = tl.load(stream, mask=column < inner, other=0.0)[None, :]
        stream += inner
        length = _length(tl.abs(i - j), spacing, FACES)
        if SIGNED:  # a source of the other kind has the other sign: it counts as at distance 0
            rise = length * length
            best = tl.minimum(best, tl.maximum(tl.fma(sign, source, rise), rise))
        else:
            best = tl.minimum(best, tl.fma(length, length, source))
    if ROOT:
        best = tl.sqrt_rn(best)
    if SIGNED:
        best = sign * best
    tl.store(result + place, best, mask=inside)


def distances(maps: Maps, spacing: SpacingTable, *, faces: bool, signed: bool, limit: float = math.inf) -> Tensor:
    """Distance to the nearest True voxel, or ``signed``, to the nearest of the other kind and negative on True voxels.

    Args:
        maps: N masks (...) of labels on a CUDA device.
        spacing: (D,) or (N, D), mm.
        faces: measure to the nearest point of the voxels' boxes instead of to their centres.
        limit: mm; longer distances may come out longer than they are.

    Returns:
        (N, ...) float32 mm; inf throughout a map that has no such voxel, -inf where it has no other.
    """
    labels = maps.labels.contiguous()
    found = torch.empty(maps.shape, dtype=torch.float32, device=labels.device)
    per_map = spacing.ndim == 2
    table = torch.as_tensor(spacing.T.copy(), dtype=torch.float32)  # (D, N): one row of spacings an axis
    rows = [found] * len(table)  # not read where one spacing serves all
    if per_map:
        rows = list(table.to(labels.device, non_blocking=True))
    modes = {"PER_MAP": per_map, "FACES": faces, "SIGNED": signed}
    with torch.cuda.device_of(labels):  # Triton launches on the current device
        _scan(maps, labels, found, spacing, rows[-1], modes)
        return _across_axes(found, spacing, rows, limit, modes)


def _scan(
    maps: Maps, labels: Tensor, found: Tensor, spacing: SpacingTable, spacings: Tensor, modes: dict[str, bool]
) -> None:
    """The last axis, from the labels."""
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
        float(spacing.flat[-1]), spacings,
        INVERTED=maps.inverted, HAS_IGNORED=maps.ignored is not None,
        **modes, ROOT=found.ndim == 2, LINES=at_once, SIZE=padded,
    )  # fmt: skip


@cache
def _on_device(classes: tuple[int, ...], device: torch.device) -> Tensor:
    """Sent once and for all, for the host waits for it."""
    return torch.tensor(classes, dtype=torch.int32, device=device)


def _across_axes(
    found: Tensor, spacing: SpacingTable, rows: list[Tensor], limit: float, modes: dict[str, bool]
) -> Tensor:
    """One min-plus product for each further axis, last to first."""
    for axis in range(found.ndim - 2, 0, -1):
        outer, size = found.shape[:axis].numel(), found.shape[axis]
        inner = found.shape[axis + 1 :].numel()
        row_tiles, column_tiles = triton.cdiv(size, ROWS), triton.cdiv(inner, COLUMNS)
        reach = reach_of(limit, spacing[..., axis - 1], size)
        result = torch.empty_like(found)
        _min_plus[(outer * row_tiles * column_tiles,)](
            found, result, size, inner, row_tiles, column_tiles, outer // len(found),
            float(spacing.flat[axis - 1]), rows[axis - 1], reach, LIMITED=reach < size - 1,
            **modes, ROOT=axis == 1, ROWS=ROWS, COLUMNS=COLUMNS,
        )  # fmt: skip
        found = result
    return found
