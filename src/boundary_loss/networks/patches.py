"""Read small cubes of a volume around points from strided views: only the cubes that are asked for are copied."""

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE = 7
"""Entries of a patch along each axis."""


@dataclass(frozen=True)
class PatchView:
    """Every patch of volumes (B, C, X, Y, Z) as views; what takes memory is one padded copy of each scale."""

    scales: tuple[Tensor, ...]
    """Per scale (B, X, Y, Z, C, 7, 7, 7)."""

    @classmethod
    def of(cls, volume: Tensor, *, wide: bool = False) -> "PatchView":
        """View the 7³ voxels around each voxel and, if ``wide``, the 14³ around it averaged to 7³ as further channels.

        The patch of voxel x is x - 3 to x + 3; the wide one x - 7 to x + 6, in pairs. Outside are zeros.
        """
        near = _windows(F.pad(volume, (3,) * 6), SIDE)
        if not wide:
            return cls((near,))
        means = F.avg_pool3d(F.pad(volume, (7, 6) * 3), 2, stride=1)  # entry i is the mean of x = i - 7 and i - 6
        return cls((near, _windows(means, 2 * SIDE - 1)[..., ::2, ::2, ::2]))

    def at(self, item: int, points: Tensor) -> Tensor:
        """Patches (P, C, 7, 7, 7) of volume ``item`` around positions (P, 3) in voxels; wide ones are C more channels.

        Each position takes the patch of the nearest voxel of the volume: :meth:`between` has those between voxels.
        """
        return self._of_voxels(item, self._inside(points).round().long())

    def between(self, item: int, points: Tensor) -> Tensor:
        """The same, interpolated linearly from the voxels around each position, as if the volume were continuous.

        With patches of the nearest voxel, what is asked at a higher resolution than the volume's would be its blocks.
        """
        points = self._inside(points)
        low = points.floor()
        shares = points - low
        apart = shares.any(dim=0).tolist()  # the host waits once
        if not any(apart):
            return self._of_voxels(item, low.long())
        total: Tensor | None = None
        for corner in product(*((0, 1) if between else (0,) for between in apart)):
            step = torch.tensor(corner, device=points.device)
            weight = torch.where(step.bool(), shares, 1 - shares).prod(1)
            patches = self._of_voxels(item, self._inside(low + step).long())
            patches *= weight.to(patches.dtype)[:, None, None, None, None]
            total = patches if total is None else total.add_(patches)
        assert total is not None
        return total

    def _inside(self, points: Tensor) -> Tensor:
        """Positions moved into the volume."""
        last = torch.tensor(self.scales[0].shape[1:4], dtype=points.dtype, device=points.device) - 1
        return points.clamp(min=torch.zeros_like(last), max=last)

    def _of_voxels(self, item: int, voxels: Tensor) -> Tensor:
        x, y, z = voxels.T
        patches = [view[item][x, y, z] for view in self.scales]
        return patches[0] if len(patches) == 1 else torch.cat(patches, dim=1)


def _windows(padded: Tensor, side: int) -> Tensor:
    """(B, C, X + side - 1, ...) -> view (B, X, Y, Z, C, side, side, side)."""
    for axis in (2, 3, 4):
        padded = padded.unfold(axis, side, 1)
    return padded.movedim(1, 4)
