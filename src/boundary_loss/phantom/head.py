"""A brain of formulas: tissue shares on a grid, shared by the stroke and the white-matter phantom."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from boundary_loss.phantom.grid import Field, Grid, soft


@dataclass(frozen=True)
class Head:
    """Shares between 0 and 1 of each voxel, all (X, Y, Z).

    ``white + grey + fluid`` is ``brain``; ``ventricle_mm`` and ``brain_mm`` are depths (negative outside).
    """

    grid: Grid
    brain: Field
    white: Field
    grey: Field
    fluid: Field
    ventricle: Field
    skull: Field
    scalp: Field
    brain_mm: Field
    ventricle_mm: Field

    @property
    def parenchyma(self) -> Field:
        """Where a lesion may lie: brain that is not fluid."""
        return (self.brain_mm > 2) & (self.fluid < 0.5)


def draw_head(grid: Grid, rng: Generator, height_mm: Field, *, ventricles: float = 1.0) -> Head:
    """A head cut at ``height_mm`` (1, 1, Z) above its widest level; ``ventricles`` scales their width."""
    a, b = rng.uniform(62, 70), rng.uniform(78, 87)
    rise = np.where(height_mm > 0, height_mm / rng.uniform(78, 86), height_mm / 60)
    shrink = np.sqrt(np.clip(1 - rise**2, 0.05, 1))
    x0, y0 = rng.uniform(-4, 4, 2)
    tilt = rng.uniform(-0.12, 0.12)
    wobble = 1.5 * grid.noise(rng, 40)
    brain_mm = grid.ellipse(x0, y0, a * shrink, b * shrink, tilt) + wobble
    skull_mm = grid.ellipse(x0, y0, a * shrink + 9, b * shrink + 9, tilt) + wobble
    scalp_mm = grid.ellipse(x0, y0, a * shrink + 14, b * shrink + 14, tilt) + wobble

    x, y = grid.x - x0, grid.y - y0
    x, y = x * np.cos(tilt) + y * np.sin(tilt), y * np.cos(tilt) - x * np.sin(tilt)
    ventricle_mm = _ventricles(x, y, height_mm, ventricles) + 0.6 * grid.noise(rng, 12)
    fissure_mm = 1.0 - np.abs(x + 1.5 * grid.noise(rng, 25)) + 1.2 * (np.abs(y) > 38) - 4.0 * (np.abs(y) < 30)
    sulci_mm = 2.4 * grid.noise(rng, 6.5) - 2.6 - 0.22 * np.maximum(brain_mm - 7, 0)
    ganglia_mm = np.maximum(*(_ganglion(x, y, side, height_mm) for side in (-1, 1))) + grid.noise(rng, 8)
    ribbon_mm = 5 + 2.5 * grid.noise(rng, 11) - np.maximum(brain_mm, 0)

    brain = soft(brain_mm)
    ventricle = soft(ventricle_mm, 1.5)
    fluid = brain * np.clip(ventricle + soft(sulci_mm, 1.5) + 0.8 * soft(fissure_mm), 0, 1)
    grey_share = np.clip(soft(ribbon_mm, 2.5) + soft(ganglia_mm, 2.5) + 0.6 * soft(sulci_mm + 3, 2), 0, 1)
    grey = (brain - fluid) * grey_share
    skull = soft(skull_mm - 1.5) * (1 - soft(skull_mm - 6))
    scalp = soft(scalp_mm) * (1 - soft(skull_mm))
    return Head(grid, brain, brain - fluid - grey, grey, fluid, brain * ventricle, skull, scalp, brain_mm, ventricle_mm)


def _ventricles(x: Field, y: Field, height_mm: Field, width: float) -> Field:
    # two horns that part from the midline towards front and back
    size = np.sqrt(np.clip(1 - ((height_mm - 14) / 28) ** 2, 0, 1))
    centre = 5 + 15 * (y / 38) ** 2
    half_width = width * 6.5 * size * np.sqrt(np.clip(1 - (y / (38 * size + 1e-3)) ** 2, 0, 1))
    beyond = np.maximum(np.abs(y) - 38 * size, 0)
    return half_width - np.abs(np.abs(x) - centre) - 1.0 - beyond


def _ganglion(x: Field, y: Field, side: int, height_mm: Field) -> Field:
    size = np.sqrt(np.clip(1 - ((height_mm - 4) / 18) ** 2, 0.01, 1))
    return (1 - np.hypot((x - side * 25) / (9 * size), (y - 4) / (17 * size))) * 9 * size


def paint(head: Head, *, white: float, grey: float, fluid: float) -> Field:
    """A noiseless image of the brain's tissues."""
    return head.white * white + head.grey * grey + head.fluid * fluid


def largest(field: Field, allowed: Field, counts: np.ndarray) -> Field:
    """In each slice, the mask of the ``counts[z]`` allowed voxels with the highest values of ``field``."""
    mask = np.zeros(field.shape, bool)
    for z, count in enumerate(counts):
        inside = np.flatnonzero(allowed[:, :, z])
        if count > 0 and len(inside):
            best = inside[np.argsort(-field[:, :, z].ravel()[inside], kind="stable")[: int(count)]]
            flat = np.zeros(field.shape[:2], bool).ravel()
            flat[best] = True
            mask[:, :, z] = flat.reshape(field.shape[:2])
    return mask
