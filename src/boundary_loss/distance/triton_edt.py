"""Exact Euclidean distances on CUDA: every map of a batch in one launch an axis, nothing leaves the device.

The last axis is a scan along lines. Each further axis is a min-plus product with parabolas, by all pairs: regular,
free of branches, and at the sizes of medical images bound by arithmetic that the device has in plenty. A tile of
``ROWS`` queries times ``COLUMNS`` neighbouring lines stays in registers while the sources stream past.

Squared distances are float32: exact at unit spacing below 2^24. In the mode ``across``, the distance to the nearest
voxel of the *other* kind, one array serves both kinds: the squared distance is stored negative on True voxels, so a
source counts with its distance for queries of its own kind and with 0 for the other kind.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from boundary_loss.distance.layout import SpacingTable

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
    masks, squared, lines, size, lines_a_map, spacing, spacings,
    PER_MAP: tl.constexpr, FACES: tl.constexpr, ACROSS: tl.constexpr, ROOT: tl.constexpr,
    LINES: tl.constexpr, SIZE: tl.constexpr,
):  # fmt: skip
    """Last axis: (lines, size) bool -> squared distance within the line, negative on True voxels in mode ACROSS."""
    line = tl.program_id(0).to(tl.int64) * LINES + tl.arange(0, LINES)
    position = tl.arange(0, SIZE)
    inside = (line < lines)[:, None] & (position < size)[None, :]
    place = line[:, None] * size + position[None, :]
    kind = tl.load(masks + place, mask=inside, other=0) != 0
    i = tl.broadcast_to(position[None, :].to(tl.float32), (LINES, SIZE))
    if PER_MAP:
        spacing = tl.load(spacings + line // lines_a_map, mask=line < lines, other=1.0)[:, None]
    steps = _steps_to(kind, i, inside, 1)
    if ACROSS:
        steps = tl.where(kind, _steps_to(kind == 0, i, inside, 1), steps)
    length = _length(steps, spacing, FACES)
    result = length * length
    if ROOT:
        result = tl.sqrt_rn(result)
    elif ACROSS:
        result = tl.where(kind, -result, result)
    tl.store(squared + place, result, mask=inside)


@triton.jit
def _min_plus(
    sources, result, size, inner, row_tiles, column_tiles, outer_a_map, spacing, spacings,
    PER_MAP: tl.constexpr, FACES: tl.constexpr, ACROSS: tl.constexpr, ROOT: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """(outer, size, inner): result[i] = min over j of sources[j] + (spacing * (i - j))^2 along the middle axis."""
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
    for j in range(size):
        source = tl.load(stream, mask=column < inner, other=0.0)[None, :]
        stream += inner
        length = _length(tl.abs(i - j), spacing, FACES)
        if ACROSS:  # a source of the other kind has the other sign: it counts as at distance 0
            rise = length * length
            best = tl.minimum(best, tl.maximum(tl.fma(sign, source, rise), rise))
        else:
            best = tl.minimum(best, tl.fma(length, length, source))
    if ROOT:
        best = tl.sqrt_rn(best)
    elif ACROSS:
        best = sign * best
    tl.store(result + place, best, mask=inside)


def distances(masks: Tensor, spacing: SpacingTable, *, faces: bool, across: bool) -> Tensor:
    """Distance to the nearest True voxel, or ``across``, to the nearest voxel of the other kind.

    Args:
        masks: (N, ...) bool on a CUDA device.
        spacing: (D,) or (N, D), mm.
        faces: measure to the nearest point of the voxels' boxes instead of to their centres.

    Returns:
        (N, ...) float32 mm; inf throughout a map that has no such voxel.
    """
    masks = masks.contiguous()
    found = torch.empty(masks.shape, dtype=torch.float32, device=masks.device)
    if not masks.numel():
        return found
    per_map = spacing.ndim == 2
    table = torch.as_tensor(spacing.T.copy(), dtype=torch.float32)  # (D, N): one row of spacings an axis
    rows = list(table.to(masks.device)) if per_map else [found] * len(table)  # not read where one spacing serves all
    modes = {"PER_MAP": per_map, "FACES": faces, "ACROSS": across}
    with torch.cuda.device_of(masks):  # Triton launches on the current device
        return _launch(masks, found, spacing, rows, modes)


def _launch(masks: Tensor, found: Tensor, spacing: SpacingTable, rows: list[Tensor], modes: dict[str, bool]) -> Tensor:
    """The scan, then one min-plus product an axis, last to first."""
    size = masks.shape[-1]
    lines = masks.numel() // size
    padded = triton.next_power_of_2(size)
    at_once = max(1, SCAN_ELEMENTS // padded)
    _scan_lines[(triton.cdiv(lines, at_once),)](
        masks.view(torch.uint8), found, lines, size, lines // len(masks), float(spacing.flat[-1]), rows[-1],
        **modes, ROOT=masks.ndim == 2, LINES=at_once, SIZE=padded,
    )  # fmt: skip
    for axis in range(masks.ndim - 2, 0, -1):
        outer, size = masks.shape[:axis].numel(), masks.shape[axis]
        inner = masks.shape[axis + 1 :].numel()
        row_tiles, column_tiles = triton.cdiv(size, ROWS), triton.cdiv(inner, COLUMNS)
        result = torch.empty_like(found)
        _min_plus[(outer * row_tiles * column_tiles,)](
            found, result, size, inner, row_tiles, column_tiles, outer // len(masks),
            float(spacing.flat[axis - 1]), rows[axis - 1],
            **modes, ROOT=axis == 1, ROWS=ROWS, COLUMNS=COLUMNS,
        )  # fmt: skip
        found = result
    return found
