"""A phantom of WMH 2017: white-matter lesions in FLAIR and T1 from three sites.

Lesions lie around the ventricles and deep in the white matter, bright in FLAIR and darker in T1. Bright grey
matter, flow artefacts, the septum and lacunes look like them and are not. Some patients carry other pathology, label 2.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.ndimage import distance_transform_edt

from boundary_loss.phantom.archive import Archive
from boundary_loss.phantom.grid import Field, Grid, mix, scanner_affine, soft
from boundary_loss.phantom.head import Head, draw_head, paint


@dataclass(frozen=True, kw_only=True)
class Site:
    """How one hospital's scanner sees: matrix relative to ``--size``, contrast and grain."""

    folder: str
    first_id: int
    matrix: tuple[float, float]
    field_of_view_mm: tuple[float, float]
    scale: float
    contrast: float
    grain: float


SITES = {
    "Utrecht.zip": Site(
        folder="Utrecht", first_id=0, matrix=(0.94, 0.94), field_of_view_mm=(230, 230), scale=1.0, contrast=1.0, grain=5
    ),
    "Singapore.zip": Site(
        folder="Singapore",
        first_id=50,
        matrix=(0.91, 1.0),
        field_of_view_mm=(232, 256),
        scale=3.1,
        contrast=0.85,
        grain=6,
    ),
    "Amsterdam_GE3T.zip": Site(
        folder="GE3T", first_id=100, matrix=(0.82, 1.0), field_of_view_mm=(196, 250), scale=0.6, contrast=1.1, grain=7
    ),
}
ARCHIVES = tuple(SITES)
OTHER = 2
"""The label of other pathology."""


def write(archives: dict[str, Archive], rng: Generator, *, cases: int, size: int) -> Iterator[None]:
    """Fill the three sites' archives in turn, yielding after every case."""
    apart = max(50, -(-cases // len(SITES)))  # each site's own range of numbers, as in the challenge
    for number in range(cases):
        archive, site = list(SITES.items())[number % len(SITES)]
        patient = site.first_id // 50 * apart + number // len(SITES)
        _write_case(archives[archive], f"{site.folder}/{patient}", site, rng, size)
        yield


def _write_case(archive: Archive, folder: str, site: Site, rng: Generator, size: int) -> None:
    flair, t1, labels, affine = draw_case(rng, site, size)
    tiny = np.zeros((2, 2, 2), np.float32)
    for name, array in {
        "pre/FLAIR": flair,
        "pre/T1": t1,
        "pre/3DT1": tiny,
        "orig/FLAIR": tiny,
        "orig/T1": tiny,
        "wmh": labels,
    }.items():
        archive.add_volume(f"{folder}/{name}.nii.gz", array, affine)


def draw_case(rng: Generator, site: Site, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """FLAIR (float32), T1 (uint16), labels (float32: 0, 1, 2), all (X, Y, Z), and the affine."""
    nx, ny = (round(size * part) for part in site.matrix)
    spacing = (site.field_of_view_mm[0] / nx, site.field_of_view_mm[1] / ny, 3.0)
    grid = Grid((nx, ny, int(rng.integers(20, 31))), spacing)
    height = grid.axis(2) + rng.uniform(14, 22)
    head = draw_head(grid, rng, height, ventricles=rng.uniform(0.8, 2.0))
    lesion_mm = _lesions(head, rng, load=float(np.exp(rng.normal(0, 0.6))))
    other = _infarct(head, rng) if rng.random() < 0.3 else None

    labels = ((lesion_mm > 0) & head.parenchyma).astype(np.float32)
    if other is not None:
        labels[(other > 0) & head.parenchyma & (labels == 0)] = OTHER
    lesion = soft(lesion_mm, 1.6) * head.brain * (1 - head.fluid)
    flair, t1 = _flair(head, lesion, other, site, rng), _t1(head, lesion, other, site, rng)
    return flair, t1, labels, scanner_affine(rng, spacing)


def _lesions(head: Head, rng: Generator, load: float) -> Field:
    """Depth in mm inside white-matter lesions: bands and caps at the ventricles, spots deep in the white matter."""
    grid = head.grid
    size = np.clip(load, 0.4, 2.5)
    fluid = head.ventricle > 0.4
    away = distance_transform_edt(~fluid, sampling=grid.spacing_mm) if fluid.any() else np.full(grid.shape, 99.0)
    caps = 0.09 * np.maximum(np.abs(grid.y) - 14, 0)  # thicker at the ends of the horns
    band = np.where(fluid, -1.0, size * (1.8 + caps) + 2.6 * grid.noise(rng, 12) - 1.5 - away)
    spots: Field = np.full(grid.shape, -20.0)
    candidates = np.argwhere((head.white > 0.85) & (away > 5) & (head.brain_mm > 9))
    for x, y, z in candidates[rng.integers(0, len(candidates), rng.poisson(14 * size))]:
        radius = np.exp(rng.normal(np.log(2.7), 0.4))
        stretch = rng.uniform(0.7, 1.4)
        from_centre = np.sqrt(
            (stretch * (grid.x - grid.x[x])) ** 2
            + ((grid.y - grid.y[:, y]) / stretch) ** 2
            + (grid.axis(2) - grid.axis(2)[:, :, z]) ** 2
        )
        spots = np.maximum(spots, radius - from_centre)
    spots = spots + 0.7 * grid.noise(rng, 4)
    spots = np.where(head.white > 0.4, spots, -1.0)
    return np.maximum(band, spots)


def _infarct(head: Head, rng: Generator) -> Field:
    """Depth in mm inside an old cortical infarct."""
    grid = head.grid
    side = rng.choice([-1, 1])
    x, y = side * rng.uniform(38, 52), rng.uniform(-35, 35)
    middle = rng.uniform(-0.2, 0.2) * grid.shape[2] * grid.spacing_mm[2]
    away = np.sqrt(grid.distance(x, y) ** 2 + (0.8 * (grid.axis(2) - middle)) ** 2)
    return rng.uniform(10, 17) + 3 * grid.noise(rng, 10) - away


def _flair(head: Head, lesion: Field, other: Field | None, site: Site, rng: Generator) -> np.ndarray:
    grid = head.grid
    image = paint(head, white=92, grey=116, fluid=22)
    image = image + site.contrast * lesion * (62 + 16 * grid.noise(rng, 10))
    image = image + 34 * head.ventricle * soft(1.5 * (grid.noise(rng, 7) - 1.3), 0.6)  # pulsating fluid
    image = image + 50 * soft(2.0 * (grid.noise(rng, 5) - 2.1), 0.6) * head.grey  # bright cortex
    image = image - 60 * _lacunes(head, rng)
    if other is not None:
        rim = soft(other, 2) * (1 - soft(other - 5, 3))
        image = mix(image, soft(other - 4, 3) * head.brain, 30) + 45 * rim * head.brain
    return _scan(head, image, site, rng).astype(np.float32)


def _t1(head: Head, lesion: Field, other: Field | None, site: Site, rng: Generator) -> np.ndarray:
    grid = head.grid
    image = paint(head, white=150, grey=108, fluid=38)
    image = image - site.contrast * lesion * (32 + 8 * grid.noise(rng, 10))
    if other is not None:
        image = mix(image, 0.9 * soft(other, 3) * head.brain, 48)
    return np.round(3 * _scan(head, image, site, rng)).astype(np.uint16)


def _lacunes(head: Head, rng: Generator) -> Field:
    return soft(2.0 * (head.grid.noise(rng, 4) - 3.0), 0.6) * head.white


def _scan(head: Head, image: Field, site: Site, rng: Generator) -> Field:
    """Blur, bias field, texture and Rician noise; nothing outside the brain, as after skull stripping."""
    grid = head.grid
    image = grid.blur(image, 0.7) * np.exp(0.12 * grid.noise(rng, 110)) + 0.8 * site.grain * grid.noise(rng, 3)
    real = image + site.grain * rng.standard_normal(grid.shape)
    imaginary = site.grain * rng.standard_normal(grid.shape)
    return site.scale * np.hypot(real, imaginary) * (head.brain_mm > -2)
