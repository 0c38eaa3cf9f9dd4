"""Attention of Park, Woo, Lee & Kweon, "BAM: Bottleneck Attention Module", BMVC 2018, for volumes.

A channel gate says which features count, one number a channel; a spatial gate says where, one number a voxel.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from boundary_loss.networks.blocks import is_alone


class ParallelAttention(nn.Module):
    """x + x · σ(channels + places), both gates of the same x: the paper's module.

    Args:
        channels: C.
        reduction: by how much both gates narrow, to C / reduction channels, at least one.
        dilation: voxels between the taps of the spatial gate's 3³ convolutions.
    """

    def __init__(self, channels: int, reduction: int = 4, dilation: int = 4) -> None:
        super().__init__()
        self.channels = _ChannelGate(channels, reduction)
        self.places = _SpatialGate(channels, reduction, dilation)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, X, Y, Z) -> (B, C, X, Y, Z)."""
        return x + x * torch.sigmoid(self.channels(x) + self.places(x))


class SerialAttention(ParallelAttention):
    """x + places(channels(x)), where a gate is u + u · σ(gate(u)): one gate after the other, of the same parameters.

    As it was published for the left atrium, https://github.com/bragancas/VNet_PyTorch-Atriaseg2018.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, X, Y, Z) -> (B, C, X, Y, Z)."""
        chosen = x + x * torch.sigmoid(self.channels(x))
        return x + chosen + chosen * torch.sigmoid(self.places(chosen))


class _ChannelGate(nn.Module):
    """Means over the voxels through a perceptron of one hidden layer; (B, C, X, Y, Z) -> (B, C, 1, 1, 1)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        narrow = max(1, channels // reduction)
        self.narrow = nn.Linear(channels, narrow)
        self.norm = nn.BatchNorm1d(narrow)
        self.widen = nn.Linear(narrow, channels)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.widen(F.relu(self._normal(self.narrow(x.mean((2, 3, 4))))))
        return gate[:, :, None, None, None]

    def _normal(self, features: Tensor) -> Tensor:
        """Batch norm; by the running statistics for a single item, one value a channel, which has no variance."""
        norm = self.norm
        if not self.training or len(features) > 1 or not is_alone(norm):
            return norm(features)
        return F.batch_norm(features, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)


class _SpatialGate(nn.Sequential):
    """Two dilated convolutions on few channels; (B, C, X, Y, Z) -> (B, 1, X, Y, Z)."""

    def __init__(self, channels: int, reduction: int, dilation: int) -> None:
        narrow = max(1, channels // reduction)
        super().__init__(
            *_conv_norm_relu(nn.Conv3d(channels, narrow, 1)),
            *_conv_norm_relu(nn.Conv3d(narrow, narrow, 3, padding=dilation, dilation=dilation)),
            *_conv_norm_relu(nn.Conv3d(narrow, narrow, 3, padding=dilation, dilation=dilation)),
            nn.Conv3d(narrow, 1, 1),
        )


def _conv_norm_relu(conv: nn.Conv3d) -> tuple[nn.Module, ...]:
    return conv, nn.BatchNorm3d(conv.out_channels), nn.ReLU()


ATTENTION: dict[str, type[ParallelAttention]] = {"serial": SerialAttention, "parallel": ParallelAttention}
"""By the word that asks for it in the name of a network."""
