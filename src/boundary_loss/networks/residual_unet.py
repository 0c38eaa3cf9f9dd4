"""ResidualUNet: the FusionNet of Quan, Hildebrand & Jeong 2016; skips are averaged, not concatenated."""

from torch import Tensor, nn
from torch.nn import functional as F

from boundary_loss.networks.blocks import at_multiple, check_positive, initialise


class ResidualUNet(nn.Module):
    """Residual blocks, four poolings, transposed convolutions.

    Args:
        in_channels: modalities C.
        num_classes: K.
        width: channels at full size; doubled at each of the four poolings.
    """

    def __init__(self, in_channels: int, num_classes: int, width: int = 32) -> None:
        super().__init__()
        check_positive("ResidualUNet", in_channels=in_channels, num_classes=num_classes, width=width)
        channels = [width * 2**level for level in range(5)]
        self.down = nn.ModuleList(_Block(cin, cout) for cin, cout in zip([in_channels, *channels], channels))
        self.up = nn.ModuleList(_up(cin, cout) for cin, cout in zip(channels[:0:-1], channels[-2::-1]))
        self.refine = nn.ModuleList(_Block(cout, cout) for cout in channels[-2::-1])
        self.out = nn.Conv2d(width, num_classes, 3, padding=1)
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, X, Y) -> (B, K, X, Y) logits."""
        return at_multiple(self._forward, image, 16, dims=2, normed=self)

    def _forward(self, image: Tensor) -> Tensor:
        x = self.down[0](image)
        skips = []  # features of size 1, 1/2, 1/4, 1/8
        for block in list(self.down)[1:]:
            skips.append(x)
            x = block(F.max_pool2d(x, 2))
        for up, refine, skip in zip(self.up, self.refine, reversed(skips)):
            x = refine((up(x) + skip) / 2)
        return self.out(x)


def _conv(cin: int, cout: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1), nn.BatchNorm2d(cout), nn.LeakyReLU(0.2))


def _up(cin: int, cout: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(cin, cout, 3, stride=2, padding=1, output_padding=1),
        nn.BatchNorm2d(cout),
        nn.LeakyReLU(0.2),
    )


class _Block(nn.Module):
    """Convolution; three more around which the input is added; convolution."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.first = _conv(cin, cout)
        # The last of the three ends at its norm: the sum is what the next convolution sees.
        self.three = nn.Sequential(
            _conv(cout, cout),
            _conv(cout, cout),
            nn.Conv2d(cout, cout, 3, padding=1),
            nn.BatchNorm2d(cout),
        )
        self.last = _conv(cout, cout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.last(x + self.three(x))
