"""UNet: Ronneberger et al., MICCAI 2015, with strided convolutions, a residual bridge and nearest upsampling."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from boundary_loss.networks.blocks import CONV, NORM, at_multiple, check_positive, conv_norm_prelu, initialise


class UNet(nn.Module):
    """Encoder of four levels, decoder with the encoder's features concatenated.

    Args:
        in_channels: modalities C.
        num_classes: K.
        width: channels at full size; 2, 4 and 8 times as many at each halving.
    """

    dims = 2

    def __init__(self, in_channels: int, num_classes: int, width: int = 64) -> None:
        super().__init__()
        check_positive(type(self).__name__, in_channels=in_channels, num_classes=num_classes, width=width)
        dims, w = self.dims, width
        self.level0 = _twice(in_channels, w, dims)
        self.level1 = _twice(w, 2 * w, dims, stride=2)
        self.level2 = _twice(2 * w, 4 * w, dims, stride=2)
        self.bridge = nn.Sequential(
            conv_norm_prelu(4 * w, 8 * w, dims=dims, stride=2, bias=False),
            _Residual(8 * w, dims),
            conv_norm_prelu(8 * w, 8 * w, dims=dims, bias=False),
        )
        self.up2 = _Up(8 * w, 4 * w, dims)
        self.up1 = _Up(4 * w, 2 * w, dims)
        self.up0 = _Up(2 * w, w, dims)
        self.out = CONV[dims](w, num_classes, 1)
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, ...) -> (B, K, ...) logits of equal size."""
        return at_multiple(self._forward, image, 8, self.dims, normed=self)

    def _forward(self, image: Tensor) -> Tensor:
        full = self.level0(image)  # (B, w, X, Y)
        half = self.level1(full)  # (B, 2w, X/2, Y/2)
        quarter = self.level2(half)  # (B, 4w, X/4, Y/4)
        eighth = self.bridge(quarter)  # (B, 8w, X/8, Y/8)
        return self.out(self.up0(self.up1(self.up2(eighth, quarter), half), full))


class UNet3D(UNet):
    """UNet for volumes, (B, C, X, Y, Z) -> (B, K, X, Y, Z)."""

    dims = 3


def _twice(cin: int, cout: int, dims: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        conv_norm_prelu(cin, cout, dims=dims, stride=stride, bias=False),
        conv_norm_prelu(cout, cout, dims=dims, bias=False),
    )


class _Residual(nn.Module):
    """x + norm(conv(block(x))), then leaky ReLU 0.2 (He et al. 2016)."""

    def __init__(self, channels: int, dims: int) -> None:
        super().__init__()
        # The norm cancels the second bias; it is there because the published network's parameters count it.
        self.branch = nn.Sequential(
            conv_norm_prelu(channels, channels, dims=dims, bias=False),
            CONV[dims](channels, channels, 3, padding=1),
            NORM[dims](channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x + self.branch(x), 0.2)


class _Up(nn.Module):
    """Double the size, refine, join the encoder's features of that size, refine."""

    def __init__(self, deep: int, skip: int, dims: int) -> None:
        super().__init__()
        self.refine = _twice(deep, deep, dims)
        self.join = _twice(deep + skip, skip, dims)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        enlarged = self.refine(F.interpolate(x, scale_factor=2, mode="nearest"))
        return self.join(torch.cat([enlarged, skip], dim=1))
