"""A phantom of LiTS 2017: livers and their tumours in CT, 512 x 512 voxels a slice where ``--size`` is 512.

Slices are 1 to 5 mm apart and 40 to 200; at smaller sizes fewer and farther apart in proportion. The spleen is as
bright as the liver and tumours as dark as its vessels are bright, so position and texture count. In the second case
the scan ends within the liver, in the third there is no tumour.
"""

from collections.abc import Iterator
from math import ceil

import numpy as np
from numpy.random import Generator

from boundary_loss.phantom.archive import Archive
from boundary_loss.phantom.grid import Field, Grid, mix, scanner_affine, soft

ARCHIVES = ("LiTS_Training.zip",)
FULL_SIZE = 512
FIRST = 4
"""The first patient's number: with 8 cases the names' order, 10 before 4, is not that of the numbers."""
LIVER, TUMOUR = 1, 2


def write(archives: dict[str, Archive], rng: Generator, *, cases: int, size: int) -> Iterator[None]:
    """Fill the archive, yielding after every case."""
    (archive,) = archives.values()
    for number in range(cases):
        image, labels, affine = draw_case(rng, size, cut=number == 1, tumours=number != 2)
        archive.add_volume(f"input/volume-{FIRST + number}.nii", image, affine)
        archive.add_volume(f"segmentation/segmentation-{FIRST + number}.nii", labels, affine)
        yield
    archive.add("__MACOSX/input/._volume-4.nii", b"\0\5\26\7")


def draw_case(
    rng: Generator, size: int, *, cut: bool = False, tumours: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One patient: HU int16 and labels uint8 (0, 1 liver, 2 tumour), both (X, Y, Z), and the affine.

    Args:
        size: voxels along a side of a slice.
        cut: whether the scan ends within the liver.
        tumours: whether there are any.
    """
    grid = _grid(rng, size)
    height = grid.shape[2] * grid.spacing_mm[2]
    middle = height / 2 if cut else rng.uniform(-0.1, 0.15) * height
    liver_mm = _liver(grid, rng, middle, height=min(190, 0.75 * height))
    labels = np.zeros(grid.shape, np.uint8)
    labels[liver_mm > 0] = LIVER
    lesion_mm = _tumours(grid, rng, liver_mm) if tumours and labels.any() else np.full(grid.shape, -99, np.float32)
    labels[(lesion_mm > 0) & (labels == LIVER)] = TUMOUR
    image = _image(grid, rng, liver_mm, lesion_mm, middle)
    return image, labels, scanner_affine(rng, grid.spacing_mm)


def _grid(rng: Generator, size: int) -> Grid:
    coarser = FULL_SIZE / size
    in_plane = rng.uniform(0.6, 0.9)
    slices = max(5, round(rng.uniform(40, 200) / coarser))
    apart = np.clip(rng.uniform(180, 300) / (slices * coarser), 1, 5)
    return Grid((size, size, slices), (in_plane * coarser, in_plane * coarser, float(apart * coarser)))


def _smooth(grid: Grid, rng: Generator, size_mm: float) -> Field:
    """Smooth noise as :meth:`Grid.noise` draws, from a coarse lattice: a scan has up to 50 million voxels."""
    steps = [size_mm / 2 / spacing for spacing in grid.spacing_mm]
    lattice = rng.standard_normal([ceil(side / step) + 2 for side, step in zip(grid.shape, steps)], np.float32)
    for axis, (side, step) in enumerate(zip(grid.shape, steps)):  # linear, one axis after the other
        place = np.arange(side) / step
        below = place.astype(int)
        share = (place - below).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(3)])
        lattice = (1 - share) * lattice.take(below, axis) + share * lattice.take(below + 1, axis)
    return 1.5 * lattice


def _ellipsoid(grid: Grid, centre: tuple[float, float, float], half: tuple[float, float, float]) -> Field:
    """About the depth in mm inside, negative outside; float32."""
    away = np.sqrt(sum(((grid.axis(i) - c) / h) ** 2 for i, (c, h) in enumerate(zip(centre, half))))
    return ((1 - away) * min(half)).astype(np.float32)


def _liver(grid: Grid, rng: Generator, middle: float, height: float) -> Field:
    """A right lobe, and a left one that is thinner and reaches across the midline."""
    right = _ellipsoid(grid, (rng.uniform(50, 62), 0, middle), (rng.uniform(68, 80), rng.uniform(72, 84), height / 2))
    left = _ellipsoid(grid, (-20, -38, middle + 0.1 * height), (72, 36, 0.3 * height))
    return np.maximum(right, left) + 5 * _smooth(grid, rng, 50)


def _tumours(grid: Grid, rng: Generator, liver_mm: Field) -> Field:
    """Depth in mm inside a few spheres of all sizes, their centres in the liver."""
    deep = np.argwhere(liver_mm > min(8, 0.5 * float(liver_mm.max())))
    depth = np.full(grid.shape, -99, np.float32)
    for place in deep[rng.integers(0, len(deep), rng.integers(1, 7))]:
        radius = float(np.exp(rng.normal(np.log(11), 0.5)))
        away = np.sqrt(sum((grid.axis(i) - grid.axis(i).flat[at]) ** 2 for i, at in enumerate(place)))
        depth = np.maximum(depth, (radius - away).astype(np.float32))
    return depth + 1.5 * _smooth(grid, rng, 12)


def _image(grid: Grid, rng: Generator, liver_mm: Field, lesion_mm: Field, middle: float) -> np.ndarray:
    """Hounsfield units: air, fat, muscle, a spine, lungs above, a spleen, the liver with vessels and tumours."""
    low = float(grid.axis(2).min())
    body = _ellipsoid(grid, (0, 0, middle), (168, 122, 1e4))
    image = mix(np.full(grid.shape, -1000, np.float32), soft(body, 2), -100.0)
    image = mix(image, soft(body - 18, 4), 45.0)
    top = soft(grid.axis(2) - (middle + 0.42 * (middle - low) + 40), 12)
    for side in (-1, 1):
        lung = _ellipsoid(grid, (70 * side, 0, middle), (58, 84, 1e4))
        image = mix(image, soft(lung, 3) * top * (liver_mm < 0), -800.0)
    image = mix(image, soft(_ellipsoid(grid, (0, 72, middle), (20, 22, 1e4)), 2), 320.0)
    image = mix(image, soft(_ellipsoid(grid, (-95, 30, middle), (30, 45, 60)), 2), 105.0)
    liver = soft(liver_mm, 2)
    image = mix(image, liver, rng.uniform(85, 115))
    image += 55 * liver * soft(3 * (_smooth(grid, rng, 14) - 2.4), 1)  # vessels
    image = mix(image, soft(lesion_mm, 2) * liver, rng.uniform(40, 65))
    image += 12 * rng.standard_normal(grid.shape, np.float32)
    return np.clip(np.round(image), -1024, 3071).astype(np.int16)
