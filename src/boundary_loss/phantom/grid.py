"""The canvas of a phantom: voxel positions in mm, and the few brushes that all phantoms share."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.ndimage import gaussian_filter

Field = np.ndarray  # (X, Y, Z) or broadcastable to it


@dataclass(frozen=True)
class Grid:
    """Voxels of ``shape`` (X, Y, Z) and ``spacing_mm``; positions are measured from the centre."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]

    def axis(self, i: int) -> Field:
        """Positions along axis ``i`` in mm, shaped to broadcast."""
        along = (np.arange(self.shape[i]) - (self.shape[i] - 1) / 2) * self.spacing_mm[i]
        return along.reshape([-1 if j == i else 1 for j in range(3)])

    @property
    def x(self) -> Field:
        return self.axis(0)

    @property
    def y(self) -> Field:
        return self.axis(1)

    def blur(self, field: Field, sigma_mm: float) -> Field:
        """Gaussian blur within each slice, as a scanner's in-plane resolution."""
        sigma = (sigma_mm / self.spacing_mm[0], sigma_mm / self.spacing_mm[1], 0)
        return gaussian_filter(np.asarray(field, np.float32), sigma, truncate=3)

    def noise(self, rng: Generator, size_mm: float) -> Field:
        """Smooth noise, mean 0 and deviation 1, with bumps of about ``size_mm`` in all three directions."""
        field = rng.standard_normal(self.shape, np.float32)
        sigma = [0.5 * size_mm / spacing for spacing in self.spacing_mm]
        field = gaussian_filter(field, sigma, mode="wrap", truncate=3)
        return (field - field.mean()) / max(float(field.std()), 1e-6)

    def distance(self, x_mm: Field | float, y_mm: Field | float) -> Field:
        """In-plane distance to a point, in mm."""
        return np.hypot(self.x - x_mm, self.y - y_mm)

    def ellipse(self, x_mm: float, y_mm: float, a_mm: Field | float, b_mm: Field | float, tilt: float = 0) -> Field:
        """About the depth in mm inside an ellipse of half axes a and b (negative outside), turned by ``tilt``."""
        x, y = self.x - x_mm, self.y - y_mm
        u, v = x * np.cos(tilt) + y * np.sin(tilt), y * np.cos(tilt) - x * np.sin(tilt)
        a, b = np.maximum(a_mm, 1e-3), np.maximum(b_mm, 1e-3)
        return (1 - np.hypot(u / a, v / b)) * np.minimum(a, b)


def soft(depth_mm: Field, width_mm: float = 1.0) -> Field:
    """From depth to a share between 0 (outside) and 1 (inside): partial volume instead of stairs."""
    return 1 / (1 + np.exp(-np.clip(np.asarray(depth_mm) / (0.5 * width_mm), -30, 30)))


def mix(base: Field, share: Field, value: Field | float) -> Field:
    """Paint ``value`` over ``base`` where ``share`` is 1."""
    return base + share * (value - base)


def scanner_affine(rng: Generator, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """(4, 4) voxel to mm: a slightly turned, flipped and shifted frame, as scanners produce."""
    a, b, c = rng.uniform(-0.12, 0.12, 3)
    turn_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    turn_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn_z @ turn_y @ turn_x @ np.diag([-1.0, -1.0, 1.0]) @ np.diag(spacing_mm)
    affine[:3, 3] = rng.uniform(-120, 120, 3)
    return affine
