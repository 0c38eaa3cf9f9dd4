"""Geometry of samples in millimetres: where each voxel of an altered slice or volume comes from.

Axis letters: B samples of D axes, X Y (Z) voxels, G... control points along them (see :mod:`boundary_loss.shapes`).
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from boundary_loss.shapes import Labels


def source_mm(size: Sequence[int], spacings: Tensor, linear: Tensor, shift: Tensor) -> Tensor:
    """Where each voxel comes from when a sample is turned and enlarged about its centre, and moved.

    Args:
        size: X, Y[, Z].
        spacings: (B, D) mm.
        linear: (B, D, D), from the voxel's place to where it comes from, both mm from the centre.
        shift: (B, D) mm, added to that.

    Returns:
        (B, D, X, Y[, Z]) mm from the centre.
    """
    dims = len(size)
    positions = [
        positions_mm(n, spacings[:, axis]).view(-1, *[n if other == axis else 1 for other in range(dims)])
        for axis, n in enumerate(size)
    ]
    found = []
    for i in range(dims):
        place = _number(linear[:, i, 0], dims) * positions[0]
        for j in range(1, dims):
            place = place + _number(linear[:, i, j], dims) * positions[j]
        found.append(place + _number(shift[:, i], dims))
    return torch.stack(found, dim=1)


def _number(of_samples: Tensor, dims: int) -> Tensor:
    """(B,) -> (B, 1, 1[, 1])."""
    return of_samples.view(-1, *[1] * dims)


def positions_mm(n: int, spacing: Tensor) -> Tensor:
    """(B, n) mm of the voxels' centres from the sample's centre, along an axis of spacing (B,)."""
    return (torch.arange(n, device=spacing.device, dtype=spacing.dtype) - (n - 1) / 2) * spacing[:, None]


def spline_displacement(control: Tensor, size: Sequence[int], spacings: Tensor, apart_mm: float) -> Tensor:
    """Cubic B-spline displacement (B, D, X, Y[, Z]) mm of control points (B, D, G...) mm, ``apart_mm`` apart."""
    weights = [
        _spline_weights(n, points, spacings[:, axis] / apart_mm)
        for axis, (n, points) in enumerate(zip(size, control.shape[2:], strict=True))
    ]
    if len(size) == 2:
        return torch.einsum("bxg,bcgh,byh->bcxy", weights[0], control, weights[1])
    return torch.einsum("bxg,bcghi,byh,bzi->bcxyz", weights[0], control, *weights[1:])


def _spline_weights(n: int, points: int, step: Tensor) -> Tensor:
    """(B, n, points): how much each control point moves each voxel; ``step`` (B,) voxels in control distances."""
    at = torch.arange(n, device=step.device, dtype=step.dtype) * step[:, None] + 1  # the first point is before voxel 0
    far = (at[:, :, None] - torch.arange(points, device=step.device, dtype=step.dtype)).abs()
    near, rim = 2 / 3 - far**2 + far**3 / 2, (2 - far).clamp(min=0) ** 3 / 6
    return torch.where(far < 1, near, rim)


def sampling_grid(source: Tensor, spacings: Tensor) -> Tensor:
    """(B, D, ...) mm from the centre -> (B, ..., D) as ``grid_sample`` reads it: the last axis first, in [-1, 1]."""
    dims = source.shape[1]
    return torch.stack(
        [source[:, axis] / (_number(spacings[:, axis], dims) * source.shape[2 + axis] / 2) for axis in range(dims)][
            ::-1
        ],
        dim=-1,
    )


def warp_images(images: Tensor, grid: Tensor) -> Tensor:
    """Linear; what comes from outside is the least value of its image and modality. (B, C, X, Y[, Z])."""
    least = images.amin(dim=tuple(range(2, images.ndim)), keepdim=True)
    return F.grid_sample(images - least, grid, mode="bilinear", padding_mode="zeros", align_corners=False) + least


def warp_labels(labels: Labels, grid: Tensor) -> Labels:
    """The nearest voxel's label; what comes from outside is background. (B, X, Y[, Z]) uint8."""
    found = F.grid_sample(labels.unsqueeze(1).float(), grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return found.squeeze(1).to(labels.dtype)
