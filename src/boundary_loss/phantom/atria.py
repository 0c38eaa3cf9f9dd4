"""A phantom of the left atrium challenge of 2018: late gadolinium MRI, a bright atrium with its pulmonary veins.

What makes it hard is what makes the patients hard: the other chambers and the aorta hold the same bright blood, and
only a thin wall lies between; veins leave the label at an arbitrary length; the wall has scars that are brighter still.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.random import Generator

from boundary_loss.phantom.archive import Archive
from boundary_loss.phantom.grid import Field, Grid, mix, scanner_affine, soft

ARCHIVES = ("train.zip", "validate.zip", "test.zip")
FULL_SIZE, VOXEL_MM, DEPTH = 640, 0.625, 88
SMALLER = 576 / FULL_SIZE
"""Side of half of the scans, relative to the others'."""
HELD_OUT = 5
"""One case in so many is in the archive for validation; of fewer cases, the last."""
ATRIUM = 255
"""Its label in the files."""
Kind = Literal["usual", "edge", "empty"]
Point = tuple[float, float, float]
_KINDS: dict[int, Kind] = {1: "edge", 2: "empty"}
_LETTERS = list("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")


def write(archives: dict[str, Archive], rng: Generator, *, cases: int, size: int) -> Iterator[None]:
    """Fill the archives, yielding after every case; a fifth as many testing cases, without label.

    A side of the volume cuts the second case's atrium; the third case has none.
    """
    every = min(HELD_OUT, cases)
    folders = ["validate" if number % every == every - 1 else "train" for number in range(cases)]
    for number, folder in enumerate(folders + ["test"] * max(1, cases // 5)):
        patient = "".join(rng.choice(_LETTERS, 20))
        labelled = number < cases
        kind = _KINDS.get(number, "usual") if labelled else "usual"
        image, label, affine = draw_case(rng, size if number % 2 else round(SMALLER * size), size, kind)
        place = f"{folder}/{patient}"
        archives[f"{folder}.zip"].add_volume(f"{place}/lgemri.nrrd", image, affine)
        if labelled:
            archives[f"{folder}.zip"].add_volume(f"{place}/laendo.nrrd", label, affine)
        yield


def draw_case(rng: Generator, side: int, size: int, kind: Kind = "usual") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image and label (0, 255), both uint8 of (side, side, depth), and the affine.

    Args:
        side: voxels along x and y.
        size: what stands for the 640 of the challenge: voxels are 0.625 mm times 640 / size, their number along z is
            88 times size / 640.
        kind: ``edge`` moves the patient until a side of the volume cuts the atrium, ``empty`` leaves the atrium out.
    """
    spacing = VOXEL_MM * FULL_SIZE / size
    grid = Grid((side, side, max(8, round(DEPTH * size / FULL_SIZE))), (spacing,) * 3)
    middle = 0.5 * side * spacing - rng.uniform(20, 25) if kind == "edge" else rng.uniform(-12, 12)
    atrium = _atrium(grid, rng, (middle, rng.uniform(-12, 12), rng.uniform(-3, 3)))
    if kind == "empty":
        atrium = np.full(grid.shape, -50, np.float32)
    image = _scan(grid, _thorax(grid, middle, atrium, rng), rng)
    return image, np.where(atrium > 0, ATRIUM, 0).astype(np.uint8), scanner_affine(rng, grid.spacing_mm)


def _atrium(grid: Grid, rng: Generator, centre: Point) -> Field:
    """Depth in mm inside the body of the atrium, its appendage and four veins."""
    x, y, z = centre
    a, b, c = rng.uniform(30, 38), rng.uniform(21, 27), rng.uniform(17, 21)
    depth = _ellipsoid(grid, centre, (a, b, c))
    for side in (-1, 1):
        for level in (-1, 1):
            start = (x + 0.6 * side * a, y + 0.3 * b, z + 0.45 * level * c)
            reach = rng.uniform(24, 36)
            end = (start[0] + side * reach, start[1] + rng.uniform(2, 12), start[2] + level * rng.uniform(0, 5))
            depth = np.maximum(depth, _tube(grid, start, end, rng.uniform(5, 7.5)))
    appendage = (x + 0.8 * a, y - 0.8 * b, z + rng.uniform(-4, 4))
    depth = np.maximum(depth, _ellipsoid(grid, appendage, (11, 8, 8)))
    return depth + 0.9 * grid.noise(rng, 14)


def _thorax(grid: Grid, middle: float, atrium: Field, rng: Generator) -> Field:
    """A noiseless image, about 0 to 255: body, lungs, heart muscle, blood, the wall's scars; middle along x in mm."""
    image = 55 * soft(grid.ellipse(middle, 0, 168, 118), 6) + 10 * grid.noise(rng, 10)
    for side in (-1, 1):
        image = mix(image, soft(grid.ellipse(middle + 95 * side, 0, 58, 85), 4), 12)
    image = mix(image, soft(grid.ellipse(middle, -25, 72, 68), 4), 62)
    blood = rng.uniform(105, 150)
    wall = np.minimum(np.maximum(atrium + 3, 0), 3) / 3  # 1 inside, 0 from 3 mm outside
    for centre, half in _CHAMBERS:
        x, y, z = (place + rng.uniform(-4, 4) for place in centre)
        depth = _ellipsoid(grid, (middle + x, y, z), half)
        image = mix(image, soft(depth, 2) * (1 - wall), blood * rng.uniform(0.9, 1.1))
    image = mix(image, soft(atrium, 2), blood)
    scars = soft(1.5 - np.abs(atrium + 1), 1) * soft(2 * (grid.noise(rng, 12) - 0.8))
    return image + 80 * scars


_CHAMBERS: Sequence[tuple[Point, Point]] = (
    ((-55, -30, 0), (24, 30, 34)),  # right atrium
    ((35, -68, -6), (34, 30, 30)),  # left ventricle
    ((-15, -75, 0), (30, 22, 32)),  # right ventricle
    ((-12, -42, 22), (14, 14, 30)),  # ascending aorta
    ((18, 52, 0), (11, 11, 300)),  # descending aorta
)
"""Centres, seen from the middle of the chest, and half axes, in mm."""


def _scan(grid: Grid, image: Field, rng: Generator) -> np.ndarray:
    """Blur, the coil's shading, Rician noise; rounded to the files' uint8."""
    shading = sum(np.cos(grid.axis(i).astype(np.float32) / 70 + rng.uniform(0, 2 * np.pi)) for i in range(3))
    image = grid.blur(image, 0.7) * (1 + 0.08 * shading)
    real = image + 9 * rng.standard_normal(grid.shape, np.float32)
    imaginary = 9 * rng.standard_normal(grid.shape, np.float32)
    return np.clip(np.round(np.hypot(real, imaginary)), 0, 255).astype(np.uint8)


def _ellipsoid(grid: Grid, centre: Point, half: Point) -> Field:
    """About the depth in mm inside an ellipsoid of half axes along the grid's (negative outside)."""
    steps = [((grid.axis(i) - centre[i]) / half[i]).astype(np.float32) for i in range(3)]
    return (1 - np.sqrt(steps[0] ** 2 + steps[1] ** 2 + steps[2] ** 2)) * np.float32(min(half))


def _tube(grid: Grid, start: Point, end: Point, radius_mm: float) -> Field:
    """Depth in mm inside a tube with round ends (negative outside)."""
    steps = [(grid.axis(i) - start[i]).astype(np.float32) for i in range(3)]
    way = np.subtract(end, start).astype(np.float32)
    along = sum(step * part for step, part in zip(steps, way)) / np.float32(way @ way)
    along = np.clip(along, 0, 1)
    away = sum((step - along * part) ** 2 for step, part in zip(steps, way))
    return np.float32(radius_mm) - np.sqrt(away)
