"""The surface of a mask, cell by cell.

A cell is the box between the centres of 2 x 2 x 2 neighbouring voxels (of 2 x 2 pixels), its corners. Its code says
which of them the mask holds: the first corner, (0, 0, 0), is the highest bit, and the last axis runs fastest. Where it
holds some and not all, a surface runs half way between the two kinds: the polygons of marching cubes (Lorensen and
Cline, SIGGRAPH 1987), or the segments of marching squares. If the held corners of a face lie across, each is cut off.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Corner = tuple[int, ...]
Element = list[Corner]
"""Places half way between two corners, in twice their coordinates."""

_DRAWN = (
    "014021400031300b12101411b35122202110200042411sk10030b041ab0141b01111200s22k0130411i153a0023b3b4n10ad9Fd012114b3b"
    "32043a1113i103000220114s1010bk410ba12d39bn30F711111422s012k1120220d5319bnF41d022dbFn3319370004120d4710"
)
"""How VTK's discrete marching cubes cuts each polygon of four or more places into triangles: the number of the way, in
the order of the codes, written down from what it makes of the 254 cells. Distances are measured from the middles of
triangles, so that another way gives other numbers."""
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"


class Table(NamedTuple):
    """The elements (triangles, or segments in 2D) of cells of every code, one after the other."""

    corners: NDArray[np.int64]
    """(E, D, D): of each element D places, in twice the coordinates of the cell's corners."""
    first: NDArray[np.int64]
    """(codes + 1,) where the elements of each code begin."""


def cell_codes(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the codes of all cells of a 2D or 3D mask amid background: one cell more along each axis."""
    codes = np.pad(mask, 1).view(np.uint8)
    for axis in reversed(range(mask.ndim)):  # neighbours along the axis become one number, of twice as many bits
        before, after = (codes[(slice(None),) * axis + (part,)] for part in (slice(None, -1), slice(1, None)))
        codes = before << 2 ** (mask.ndim - 1 - axis) | after
    return codes


def mixed(codes: NDArray[np.uint8], axes: int) -> NDArray[np.bool_]:
    """Return where a surface runs: some of the corners are held, and some are not."""
    return codes - np.uint8(1) < 2**2**axes - 2  # of 0 it is the largest number


@cache
def elements(axes: int) -> Table:
    """Return the elements of cells of 2 or 3 axes."""
    digits = iter(_DRAWN)
    found = []
    for code in range(2**2**axes):
        held = _held(code, axes)
        found.append(_cuts(next(_rings(2)), held) if axes == 2 else list(_triangles(held, digits)))
    corners = [element for of_code in found for element in of_code]
    return Table(np.array(corners), np.cumsum([0, *map(len, found)]))


def element_sizes(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the areas of triangles (E, 3, 3), or the lengths of segments (E, 2, 2)."""
    sides = corners[:, 1:] - corners[:, :1]
    if sides.shape[1] == 1:
        return np.linalg.norm(sides[:, 0], axis=-1)
    return np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=-1) / 2


def _held(code: int, axes: int) -> set[Corner]:
    corners = list(product((0, 1), repeat=axes))
    return {corner for place, corner in enumerate(reversed(corners)) if code >> place & 1}


def _rings(axes: int) -> Iterator[list[Corner]]:
    """The corners of each face, one after the other around it; in 2D the cell is its only face."""
    around = [(0, 0), (0, 1), (1, 1), (1, 0)]
    if axes == 2:
        yield [*around]
        return
    for axis, side in product(range(3), (0, 1)):
        yield [(*corner[:axis], side, *corner[axis:]) for corner in around]


def _cuts(ring: Sequence[Corner], held: set[Corner]) -> list[Element]:
    """The segments that cut each run of held corners off."""
    steps = list(zip(ring, [*ring[1:], ring[0]]))
    begin = [i for i, (a, b) in enumerate(steps) if a not in held and b in held]
    end = [i for i, (a, b) in enumerate(steps) if a in held and b not in held]
    if begin and end[0] < begin[0]:
        end = end[1:] + end[:1]
    return [[_between(*steps[i]), _between(*steps[j])] for i, j in zip(begin, end)]


def _between(a: Corner, b: Corner) -> Corner:
    return tuple(x + y for x, y in zip(a, b))


def _polygons(held: set[Corner]) -> Iterator[Element]:
    """Closed rows of places, each from its smallest one towards the smaller of that one's neighbours."""
    beside: dict[Corner, list[Corner]] = defaultdict(list)
    for ring in _rings(3):
        for a, b in _cuts(ring, held):
            beside[a].append(b)
            beside[b].append(a)
    while beside:
        place = min(beside)
        polygon, ahead = [place], min(beside.pop(place))
        while ahead in beside:
            polygon.append(ahead)
            ahead = next((place for place in beside.pop(ahead) if place in beside), polygon[0])
        yield polygon


def _triangles(held: set[Corner], digits: Iterator[str]) -> Iterator[Element]:
    for polygon in _polygons(held):
        ways = _triangulations(0, len(polygon) - 1)
        way = ways[_DIGITS.index(next(digits))] if len(ways) > 1 else ways[0]
        yield from ([polygon[place] for place in triangle] for triangle in way)


@cache
def _triangulations(first: int, last: int) -> list[tuple[Corner, ...]]:
    """All ways to cut the polygon of the places from the first to the last into triangles."""
    if last - first < 2:
        return [()]
    return [
        (*one, (first, middle, last), *other)
        for middle in range(first + 1, last)
        for one in _triangulations(first, middle)
        for other in _triangulations(middle, last)
    ]
