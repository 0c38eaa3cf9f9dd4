"""Decode the class at a point from its position, the voxels around it and the volume's latents (Reich et al. 2021).

The decoder is that of occupancy networks (Mescheder et al. 2019): residual blocks with conditional batch norms.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from boundary_loss.networks.pade import PadeUnit
from boundary_loss.networks.patches import SIDE
from boundary_loss.networks.precision import full_precision

CELLS = SIDE**3
BLOCKS = 5


class PatchEncoder(nn.Module):
    """Two 7³ convolutions on 7³ patches, C -> C/2 -> 1 channel, each with a unit: 343 features a patch.

    With padding, a 7³ convolution of a 7³ patch is a matrix of (343 cout) x (343 cin). As many multiplications as in
    the convolution, but one large product, where convolutions of so few channels use a small part of a processor.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // 2, 1)
        self.convs = nn.ModuleList(
            nn.Conv3d(cin, cout, SIDE, padding=SIDE // 2) for cin, cout in ((channels, hidden), (hidden, 1))
        )
        self.units = nn.ModuleList(PadeUnit() for _ in self.convs)

    def forward(self, patches: Tensor) -> Tensor:
        """(P, C, 7, 7, 7) -> (P, 343)."""
        x = patches.flatten(1)
        for conv, unit in zip(self.convs, self.units):
            x = unit(as_product(conv, x))
        return x


def as_product(conv: nn.Module, x: Tensor) -> Tensor:
    """Apply a padded 7³ convolution to flat patches, (P, 343 cin) -> (P, 343 cout)."""
    assert isinstance(conv, nn.Conv3d) and conv.bias is not None
    return F.linear(x, as_matrix(conv.weight), conv.bias.repeat_interleave(CELLS))


def as_matrix(weight: Tensor) -> Tensor:
    """Kernels (D, C, 7, 7, 7) of a padded convolution as its matrix on 7³ patches, (343 D, 343 C)."""
    ours = torch.arange(SIDE, device=weight.device)
    # shifts[o, i, k] = 1 where tap k of output o reads input i
    taps = ours[None, :, None] - ours[:, None, None] + SIDE // 2
    shifts = taps == ours
    for axis in (4, 3, 2):
        weight = torch.tensordot(weight, shifts.to(weight.dtype), dims=([axis], [2]))  # autocast changes its type
    return weight.permute(0, 6, 4, 2, 1, 7, 5, 3).reshape(CELLS * weight.shape[0], -1)


class Decoder(nn.Module):
    """Five residual blocks on [position, Fourier features, patch features, latent], then a linear layer.

    Args:
        outputs: logits a point.
        latent: size G of a latent vector.
        patch: features of the patch, 0 for none.
        width: features of each block.
        fourier: sines and cosines of random projections of the position (Tancik et al. 2020), an even number.
    """

    frequencies: Tensor

    def __init__(self, outputs: int, latent: int, *, patch: int, width: int, fourier: int) -> None:
        super().__init__()
        if fourier:
            self.register_buffer("frequencies", 4 * torch.randn(3, fourier // 2))
        sizes = [3 + fourier + patch + latent, *[width] * BLOCKS]
        self.fourier = fourier
        self.blocks = nn.ModuleList(_Block(cin, cout, latent) for cin, cout in pairwise(sizes))
        self.out = nn.Linear(width, outputs, bias=False)

    def forward(self, points: Tensor, patches: Tensor | None, latents: Tensor) -> Tensor:
        """Positions (B, P, 3) in voxels, patch features (B, P, F) or None, latents (B, L, G) -> (B, outputs, P).

        Of several latents the first is an input of the first block, the others modulate a block each; a single one
        does both.
        """
        places, shared = self._features(points), latents[:, 0]
        own = [shared] * BLOCKS if latents.shape[1] == 1 else list(latents[:, 1:].unbind(1))
        parts = [places, shared[:, None]] if patches is None else [places, patches, shared[:, None]]
        for block, latent in zip(self.blocks, own):
            parts = [block(parts, latent)]
        return self.out(parts[0]).transpose(1, 2)

    def _features(self, points: Tensor) -> Tensor:
        points = points.to(self.out.weight.dtype)
        if not self.fourier:
            return points
        with full_precision(points):
            angles = 2 * torch.pi * points @ self.frequencies
        return torch.cat([angles.cos(), angles.sin(), points], dim=-1)


class _Block(nn.Module):
    """Linear layer, norm, unit, linear layer, norm; the input is added, then a unit."""

    def __init__(self, cin: int, cout: int, latent: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(cin, cout), nn.Linear(cout, cout)
        self.norms = nn.ModuleList(ConditionalNorm(cout, latent) for _ in range(2))
        self.units = nn.ModuleList(PadeUnit() for _ in range(2))
        self.shortcut = nn.Identity() if cin == cout else nn.Linear(cin, cout)

    def forward(self, parts: list[Tensor], latent: Tensor) -> Tensor:
        """Inputs (B, P or 1, ...) that side by side are cin features, latent (B, G) -> (B, P, cout)."""
        x = self.units[0](self.norms[0](joined(self.first, parts), latent))
        x = self.norms[1](self.second(x), latent)
        return self.units[1](x + joined(self.shortcut, parts))


def joined(layer: nn.Module, parts: list[Tensor]) -> Tensor:
    """Apply a linear layer to ``parts`` side by side, without making that tensor.

    The latent, (B, 1, G), is the same at all points, so its share is computed once. Positions, the first of several
    parts, are computed in full precision: bfloat16 holds whole numbers up to 256 only.
    """
    if not isinstance(layer, nn.Linear):
        return parts[0]
    if len(parts) == 1:
        return layer(parts[0])
    places, *others = parts
    of_places, *weights = layer.weight.split([part.shape[-1] for part in parts], dim=1)
    with full_precision(places):
        total = F.linear(places, of_places, layer.bias)
    shares = [F.linear(part, weight) for part, weight in zip(others, weights)]
    for share in shares:
        total = total + share
    return total.to(shares[0].dtype)


class ConditionalNorm(nn.Module):
    """γ(latent) · (x - mean) / deviation + β(latent), with one mean and deviation of all points and features.

    The published layer is a batch norm of one channel. Starts with γ = 1 and β = 0 whatever the latent.
    """

    def __init__(self, features: int, latent: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Linear(latent, features), nn.Linear(latent, features)
        for layer, start in ((self.scale, 1.0), (self.shift, 0.0)):
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, start)
        self.norm = ScalarNorm()

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        """(B, P, F) and (B, G) -> (B, P, F)."""
        scale, shift = self.scale(latent), self.shift(latent)
        if isinstance(self.norm, ScalarNorm):
            mean, factor = self.norm.moments(x)
            scale = scale * factor
            shift = shift - scale * mean
        else:  # replaced by a norm that several processes share
            x = self.norm(x.reshape(-1, 1)).view_as(x)
        return torch.addcmul(shift[:, None].to(x.dtype), x, scale[:, None].to(x.dtype))


class ScalarNorm(nn.BatchNorm1d):
    """A batch norm of one channel that gives its statistics: a layer after it is folded with it into one product.

    A BatchNorm, so that what exchanges those for norms over several processes finds it; it is called with (N, 1) then.
    """

    def __init__(self) -> None:
        super().__init__(1, affine=False)

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and 1 / deviation: of all values of ``x`` in training, else the running ones."""
        assert self.running_mean is not None and self.running_var is not None
        if not self.training:
            return self.running_mean, (self.running_var + self.eps).rsqrt()
        mean, variance = _plain_moments(x) if torch.compiler.is_compiling() else _Moments.apply(x)
        self._track(mean.detach(), variance.detach(), x.numel())
        return mean, (variance + self.eps).rsqrt()

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics, as torch.nn.BatchNorm1d does."""
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        unbiased = variance * (count / max(count - 1, 1))
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)


def _plain_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (biased) of all values, in float32 or float64."""
    variance, mean = torch.var_mean(x if x.dtype == torch.float64 else x.float(), correction=0)
    return mean, variance


class _Moments(torch.autograd.Function):
    """The same; autograd keeps the input alone, and no copy of it in float32."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, variance = _plain_moments(x)
        ctx.save_for_backward(x, mean)
        return mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        x, mean = ctx.saved_tensors
        of_mean, of_variance = gradients
        slope = 2 * of_variance / x.numel()
        return torch.addcmul((of_mean / x.numel() - slope * mean).to(x.dtype), x, slope.to(x.dtype))
