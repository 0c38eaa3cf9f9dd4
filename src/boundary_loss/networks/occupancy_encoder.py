"""Encode a volume as a few latent vectors, for a network that answers at points: OSS-Net (Reich et al. 2021)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from boundary_loss.networks.pade import PadeUnit

Grid = tuple[int, int, int]

SLAB = 32
"""Planes that a block computes at a time where nothing is kept for backward."""


class Encoded(NamedTuple):
    latents: Tensor
    """(B, L, G) L vectors, each a map on a grid of G cells."""
    aux: Tensor | None
    """(B, A, X / 2^levels, ...) what the auxiliary head gives, if there is one."""


class Encoder(nn.Module):
    """Residual blocks that halve the volume, and a head that gives one latent vector or several.

    Args:
        in_channels: modalities C.
        channels: of each block.
        grid: cells of a latent along each axis; features of other sizes are max-pooled to it.
        latents: vectors L.
        skip: whether the head reads all blocks, or the last one alone.
        aux: channels A of the auxiliary head, 0 for none.
    """

    def __init__(
        self, in_channels: int, channels: list[int], grid: Grid, *, latents: int, skip: bool, aux: int
    ) -> None:
        super().__init__()
        self.grid = grid
        self.blocks = nn.ModuleList(_Block(cin, cout) for cin, cout in zip([in_channels, *channels], channels))
        self.sides = nn.ModuleList(_conv_norm_pade(width, width // 2, bias=False) for width in channels if skip)
        read = sum(width // 2 for width in channels) if skip else channels[-1]
        self.head = _conv_norm_pade(read, latents, bias=True)
        self.aux = nn.Conv3d(channels[-1], aux, 5, padding=2, bias=False) if aux else None

    def forward(self, volume: Tensor) -> Encoded:
        """(B, C, X, Y, Z), sides multiples of 2^levels."""
        features, x = [], volume
        for block in self.blocks:
            x = block(x)
            features.append(x)
        if self.sides:
            pooled = torch.cat([side(max_pooled(f, self.grid)) for side, f in zip(self.sides, features)], dim=1)
        else:
            pooled = max_pooled(x, self.grid)
        return Encoded(self.head(pooled).flatten(2), None if self.aux is None else self.aux(x))


class _Block(nn.Module):
    """Convolution, norm, unit, halving, convolution, norm; the input is added, then a unit.

    The shortcut halves before its 1³ convolution: both are linear, so the sum is the same, at an eighth of the work.
    """

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.first = _conv_norm_pade(cin, cout, kernel=3, bias=False)
        self.second = nn.Sequential(nn.Conv3d(cout, cout, 3, padding=1, bias=False), nn.BatchNorm3d(cout))
        self.shortcut = nn.Identity() if cin == cout else nn.Conv3d(cin, cout, 1, bias=False)
        self.unit = PadeUnit()

    def forward(self, x: Tensor) -> Tensor:
        return self.unit(self.second(self._first_halved(x)) + self.shortcut(halved(x)))

    def _first_halved(self, x: Tensor) -> Tensor:
        """The part at full size, slab by slab in inference: of a LiTS volume, 256³ x 8, it would take 1.1 GB."""
        if self.training or torch.is_grad_enabled() or x.shape[2] <= SLAB:
            return halved(self.first(x))
        slabs = []
        for start in range(0, x.shape[2], SLAB):
            lowest = max(start - 1, 0)  # the convolution reads a plane on either side
            planes = self.first(x[:, :, lowest : start + SLAB + 1])
            slabs.append(halved(planes[:, :, start - lowest : start - lowest + SLAB]))
        return torch.cat(slabs, dim=2)


def _conv_norm_pade(cin: int, cout: int, *, kernel: int = 5, bias: bool) -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(cin, cout, kernel, padding=kernel // 2, bias=bias), nn.BatchNorm3d(cout), PadeUnit())


def halved(x: Tensor) -> Tensor:
    """Means of 2x2x2 voxels, (B, C, X, Y, Z) -> (B, C, X/2, Y/2, Z/2).

    The same as ``avg_pool3d``, which keeps its input for backward and which PyTorch refuses in deterministic mode.
    """
    return x.unflatten(4, (-1, 2)).unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).mean((3, 5, 7))


def max_pooled(x: Tensor, grid: Grid) -> Tensor:
    """Maxima of the parts into which ``grid`` divides each axis, (B, C, X, Y, Z) -> (B, C, *grid).

    The same as ``adaptive_max_pool3d``, which PyTorch refuses in deterministic mode; where maxima tie, each has a
    share of the gradient. A side that is shorter than the grid's is repeated.
    """
    for axis, cells in enumerate(grid, start=2):
        size = x.shape[axis]
        if size == cells:
            continue
        if size % cells == 0:
            x = x.unflatten(axis, (cells, -1)).amax(axis + 1)
            continue
        starts = [cell * size // cells for cell in range(cells)]
        ends = [-(-(cell + 1) * size // cells) for cell in range(cells)]
        longest = max(end - start for start, end in zip(starts, ends))
        chosen = [min(start + step, end - 1) for start, end in zip(starts, ends) for step in range(longest)]
        parts = x.index_select(axis, torch.tensor(chosen, device=x.device))
        x = parts.unflatten(axis, (cells, longest)).amax(axis + 1)
    return x
