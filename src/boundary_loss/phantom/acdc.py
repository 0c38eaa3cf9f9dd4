"""A phantom of ACDC 2017: short-axis cine MR of the heart, two frames a patient, three structures.

Right ventricle (1), myocardium (2) and left cavity (3), at the end of diastole and of systole. Papillary muscles are
dark inside the cavity and belong to it; stomach, aorta and fat are as bright as blood; the slices beyond base and
apex lack structures or have none.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from boundary_loss.phantom.archive import Archive
from boundary_loss.phantom.grid import Field, Grid, mix, scanner_affine, soft

ARCHIVES = ("acdc.zip",)
RIGHT, MUSCLE, LEFT = 1, 2, 3
DTYPES = (np.uint8, np.int16, np.float32)


@dataclass(frozen=True)
class Heart:
    """One patient's anatomy in mm; lists are per slice."""

    centre: np.ndarray
    shift: np.ndarray
    level: np.ndarray
    radius_mm: float
    wall_mm: float
    right_mm: float
    angle: float
    papillary: np.ndarray
    organs: np.ndarray


def write(archives: dict[str, Archive], rng: Generator, *, cases: int, size: int) -> Iterator[None]:
    """Fill the archive, yielding after every patient."""
    archive = archives[ARCHIVES[0]]
    for number in range(1, cases + 1):
        patient = f"patient{number:03d}"
        folder = f"training/{patient}"
        systole = int(rng.integers(8, 14))
        frames, affine = draw_patient(rng, size)
        for frame, (image, labels) in zip((1, systole), frames):
            stem = f"{folder}/{patient}_frame{frame:02d}"
            archive.add_volume(f"{stem}.nii.gz", image, affine, blank_sform=True)
            archive.add_volume(f"{stem}_gt.nii.gz", labels, affine, blank_sform=True)
        tiny = np.zeros((2, 2, 1, 3), np.int16)
        archive.add_volume(f"{folder}/{patient}_4d.nii.gz", tiny, affine)
        archive.add(f"{folder}/Info.cfg", f"ED: 1\nES: {systole}\nGroup: PHANTOM\nNbFrame: 30\n".encode())
        yield


def draw_patient(rng: Generator, size: int) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """``[(image, labels) at diastole, at systole]``, each (X, Y, Z), and the affine."""
    in_plane = rng.uniform(1.2, 1.8) * max(1.0, 128 / size)
    spacing = (in_plane, in_plane, 10.0)
    nx, ny = round(size * rng.uniform(0.85, 1.0)), round(size * rng.uniform(0.95, 1.1))
    grid = Grid((nx, ny, int(rng.integers(6, 13))), spacing)
    heart = _draw_heart(grid, rng)
    dtype = DTYPES[rng.integers(len(DTYPES))]
    body = grid.noise(rng, 9), grid.noise(rng, 35), 0.30 * grid.noise(rng, 160) + grid.axis(1) / 600
    frames = [_frame(grid, heart, squeeze, body, rng, dtype) for squeeze in (0.0, rng.uniform(0.5, 1.0))]
    return frames, scanner_affine(rng, spacing)


def _draw_heart(grid: Grid, rng: Generator) -> Heart:
    num_slices = grid.shape[2]
    above, below = rng.choice([0, 1]), rng.choice([0, 1])  # slices beyond base and apex
    level = (np.arange(num_slices) - above + 0.5) / (num_slices - above - below)
    return Heart(
        centre=rng.uniform(-10, 10, 2),
        shift=rng.normal(0, 1.2, (num_slices, 2)),  # each slice is another breath-hold
        level=level,
        radius_mm=rng.uniform(21, 29),
        wall_mm=rng.uniform(7, 11),
        right_mm=rng.uniform(20, 28),
        angle=rng.uniform(-0.4, 0.4),
        papillary=np.array([rng.uniform(0.3, 1.2), rng.uniform(1.9, 2.8)]),
        organs=rng.random(8),
    )


def _frame(
    grid: Grid, heart: Heart, squeeze: float, body: tuple[Field, Field, Field], rng: Generator, dtype: type
) -> tuple[np.ndarray, np.ndarray]:
    """Image and labels at one moment; ``squeeze`` runs from 0 (diastole) to 1."""
    level = np.clip(heart.level, 0, 1).reshape(1, 1, -1)
    dx, dy = (heart.shift[:, i].reshape(1, 1, -1) for i in range(2))
    x, y = grid.x - heart.centre[0] - dx, grid.y - heart.centre[1] - dy
    away, around = np.hypot(x, y), np.arctan2(y, x) + heart.angle

    taper = np.sqrt(1 - (0.93 * level) ** 2.4)
    bumps = 0.05 * np.sin(2 * around + 1) + 0.04 * np.sin(3 * around + 5 * level)
    cavity = heart.radius_mm * taper * (1 - 0.42 * squeeze) * (1 + bumps)
    wall = heart.wall_mm * (1 + 0.5 * squeeze) * (1 + 0.15 * np.cos(around + 2)) * (0.75 + 0.25 * taper)
    left_mm = cavity - away
    muscle_mm = cavity + wall - away

    right_taper = np.sqrt(np.clip(1 - (1.12 * level) ** 2, 0, 1))
    reach = heart.right_mm * right_taper * (1 - 0.3 * squeeze)
    u, v = x * np.cos(heart.angle) - y * np.sin(heart.angle), y * np.cos(heart.angle) + x * np.sin(heart.angle)
    centre = -(cavity + 0.55 * wall + 0.35 * reach)
    long = 1.45 * heart.right_mm * right_taper
    crescent = (1 - np.hypot((u - centre) / (0.9 * reach + 1e-3), v / (long + 1e-3))) * (0.9 * reach)
    right_mm = np.minimum(crescent, -1.0 - muscle_mm + 1.0)
    right_mm = np.where(reach > 5, right_mm, -50.0)

    there = ((heart.level >= 0) & (heart.level <= 1)).reshape(1, 1, -1)
    above = (heart.level < 0).reshape(1, 1, -1)  # over the valve plane only the right ventricle is left
    left_mm, muscle_mm = np.where(there, left_mm, -50.0), np.where(there, muscle_mm, -50.0)
    right_mm = np.where(there | above, right_mm, -50.0)

    labels = np.zeros(grid.shape, np.uint8)
    labels[right_mm > 0] = RIGHT
    labels[muscle_mm > 0] = MUSCLE
    labels[left_mm > 0] = LEFT
    image = _paint(grid, heart, body, (left_mm, muscle_mm, right_mm), (x, y, cavity))
    return _scan(grid, image, body[2], rng, dtype), labels


def _paint(
    grid: Grid, heart: Heart, body: tuple[Field, Field, Field], depths: tuple[Field, ...], place: tuple[Field, ...]
) -> Field:
    left_mm, muscle_mm, right_mm = depths
    x, y, cavity = place
    fine, coarse, _ = body
    level = np.clip(heart.level, 0, 1).reshape(1, 1, -1)
    organs = heart.organs

    image = np.full(grid.shape, 26.0, np.float32) + 10 * np.maximum(fine, 0)  # lungs with vessels
    image = mix(image, soft(4 * (fine - 2.2), 2), 130)
    chest = grid.ellipse(0, 0, 0.47 * grid.shape[0] * grid.spacing_mm[0], 110 + 20 * organs[0])
    image = mix(image, 1 - soft(chest - 6 + 3 * coarse, 5), 165 + 25 * coarse)  # wall: muscle and fat
    image = mix(image, soft(x * 0.5 + y - 55 - 12 * organs[1] + 5 * coarse, 5), 105 + 8 * fine)  # liver
    image = mix(image, soft(8 + 5 * organs[2] - np.hypot(x - 55, y - 48 - 10 * organs[3]), 3), 205)  # stomach
    image = mix(image, soft(9 + 3 * organs[4] - np.hypot(x - 62, y + 25 - 20 * organs[5]), 2), 190)  # aorta
    fat = soft(muscle_mm + 7 + 3 * coarse, 3) * soft(4 * (coarse + 0.3 * fine), 2)
    image = mix(image, np.maximum(fat, soft(right_mm + 5 + 2 * coarse, 3) * 0.8), 150)

    image = mix(image, soft(right_mm + 2.5, 2), 85)  # thin wall of the right ventricle
    trabeculae = soft(3 * (fine - 1.0), 2) * soft(4 - right_mm, 3)
    image = mix(image, soft(right_mm, 1.8), 178 - 70 * trabeculae + 8 * coarse)
    image = mix(image, soft(muscle_mm, 1.8), 82 + 6 * fine + 5 * coarse)
    image = mix(image, soft(left_mm, 1.8), 195 - 35 * level + 8 * coarse)
    for angle in heart.papillary:
        px, py = 0.62 * cavity * np.cos(angle - heart.angle), 0.62 * cavity * np.sin(angle - heart.angle)
        thick = 3.4 * (level > 0.25) * (level < 0.8)
        image = mix(image, soft(thick - np.hypot(x - px, y - py), 1.5) * soft(left_mm) * (thick > 0), 92)
    return image


def _scan(grid: Grid, image: Field, bias: Field, rng: Generator, dtype: type) -> np.ndarray:
    """Blur, coil sensitivity and Rician noise, in the file's dtype."""
    image = grid.blur(image, 1.1) * np.exp(np.clip(bias, -0.6, 0.6))
    grain = 9.0
    image = np.hypot(image + grain * rng.standard_normal(grid.shape), grain * rng.standard_normal(grid.shape))
    if dtype is np.uint8:
        return np.clip(np.round(0.75 * image), 0, 255).astype(np.uint8)
    return np.round(2 * image).astype(dtype)
