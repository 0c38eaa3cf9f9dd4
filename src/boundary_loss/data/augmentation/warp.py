"""Geometry of a slice in millimetres: where each voxel of the altered slice comes from.

Axis letters: B slices, X Y pixels, G H control points along X and Y (see :mod:`boundary_loss.shapes`).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from boundary_loss.shapes import Labels


def source_mm(size: tuple[int, int], spacings: Tensor, angles: Tensor, factors: Tensor) -> Tensor:
    """Where each pixel comes from when a slice is turned and enlarged about its centre.

    Args:
        size: X, Y.
        spacings: (B, 2) mm.
        angles: (B,) radians.
        factors: (B,) above 1 enlarges.

    Returns:
        (B, 2, X, Y) mm from the centre.
    """
    x, y = (positions_mm(n, spacings[:, axis]) for axis, n in enumerate(size))  # (B, X), (B, Y)
    x, y = x[:, :, None], y[:, None, :]
    cos, sin = (torch.cos(angles) / factors)[:, None, None], (torch.sin(angles) / factors)[:, None, None]
    return torch.stack([cos * x + sin * y, cos * y - sin * x], dim=1)


def positions_mm(n: int, spacing: Tensor) -> Tensor:
    """(B, n) mm of the pixels' centres from the slice's centre, along an axis of spacing (B,)."""
    return (torch.arange(n, device=spacing.device, dtype=spacing.dtype) - (n - 1) / 2) * spacing[:, None]


def spline_displacement(control: Tensor, size: tuple[int, int], spacings: Tensor, apart_mm: float) -> Tensor:
    """Cubic B-spline displacement (B, 2, X, Y) mm of control points (B, 2, G, H) mm that are ``apart_mm`` apart."""
    along_x, along_y = (
        _spline_weights(n, points, spacings[:, axis] / apart_mm)
        for axis, (n, points) in enumerate(zip(size, control.shape[2:], strict=True))
    )
    return torch.einsum("bxg,bcgh,byh->bcxy", along_x, control, along_y)


def _spline_weights(n: int, points: int, step: Tensor) -> Tensor:
    """(B, n, points): how much each control point moves each pixel; ``step`` (B,) pixels in control distances."""
    at = torch.arange(n, device=step.device, dtype=step.dtype) * step[:, None] + 1  # the first point is before pixel 0
    far = (at[:, :, None] - torch.arange(points, device=step.device, dtype=step.dtype)).abs()
    near, rim = 2 / 3 - far**2 + far**3 / 2, (2 - far).clamp(min=0) ** 3 / 6
    return torch.where(far < 1, near, rim)


def sampling_grid(source: Tensor, spacings: Tensor) -> Tensor:
    """(B, 2, X, Y) mm from the centre -> (B, X, Y, 2) as ``grid_sample`` reads it: the last axis first, in [-1, 1]."""
    return torch.stack(
        [source[:, axis] / (spacings[:, axis, None, None] * source.shape[2 + axis] / 2) for axis in (1, 0)], dim=-1
    )


def warp_images(images: Tensor, grid: Tensor) -> Tensor:
    """Bilinear; what comes from outside is the least value of its image and modality. (B, C, X, Y)."""
    least = images.amin(dim=(2, 3), keepdim=True)
    return F.grid_sample(images - least, grid, mode="bilinear", padding_mode="zeros", align_corners=False) + least


def warp_labels(labels: Labels, grid: Tensor) -> Labels:
    """The nearest pixel's label; what comes from outside is background. (B, X, Y) uint8."""
    found = F.grid_sample(labels.unsqueeze(1).float(), grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return found.squeeze(1).to(labels.dtype)
