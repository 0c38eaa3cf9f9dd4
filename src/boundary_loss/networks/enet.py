"""ENet: Paszke, Chaurasia, Kim & Culurciello 2016, with the encoder's features concatenated in the decoder."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from boundary_loss.networks.blocks import at_multiple, check_positive, conv_norm_prelu, initialise


class ENet(nn.Module):
    """A light network: bottlenecks on an eighth of the image's sides, plain, dilated and asymmetric in turn.

    Three heads read the decoder at 1/4, 1/2 and full size. ``forward`` is the full one; :meth:`deep` returns all
    three for deep supervision. ``heads=1`` leaves out the others' 1298 parameters a class (at 16 kernels), as
    distributed training needs, where every parameter must have a gradient.

    Args:
        in_channels: modalities C, any number.
        num_classes: K.
        kernels: channels at half size; 4 and 8 times as many at a quarter and an eighth.
        factor: by how much a bottleneck narrows.
        heads: 1 or 3.
    """

    def __init__(self, in_channels: int, num_classes: int, kernels: int = 16, factor: int = 4, heads: int = 3) -> None:
        super().__init__()
        check_positive("ENet", in_channels=in_channels, num_classes=num_classes, factor=factor)
        if kernels < max(2, factor):
            raise ValueError(f"ENet: kernels must be at least 2 and the factor {factor}, got {kernels}")
        if heads not in (1, 3):
            raise ValueError(f"ENet: heads must be 1 or 3, got {heads}")
        n, f = kernels, factor
        self.initial = _Initial(in_channels, n)
        self.down1 = _Down(n, 4 * n, f)
        self.stage1 = nn.Sequential(*(_Bottleneck(4 * n, 4 * n, f, "plain", drop=0.01) for _ in range(4)))
        self.down2 = _Down(4 * n, 8 * n, f)
        self.stage2 = nn.Sequential(*_round(8 * n, f), _Bottleneck(8 * n, 8 * n, f, 16))
        # Max-unpooling puts values back where down2 found its maxima, so it takes as many channels as down2 did.
        self.stage3 = nn.Sequential(*_round(8 * n, f), _Bottleneck(8 * n, 4 * n, f, "plain"))
        self.up2 = nn.Sequential(_Up(8 * n, 4 * n, f), nn.PReLU())
        self.stage4 = nn.Sequential(_Bottleneck(4 * n, 4 * n, f, "plain"), _Bottleneck(4 * n, n, f, "plain"))
        self.up1 = nn.Sequential(_Up(2 * n, n, f), nn.PReLU())
        self.stage5 = nn.Sequential(_Bottleneck(n, n, f, "plain"), _Bottleneck(n, n, f, "plain"))
        self.up0 = nn.Sequential(conv_norm_prelu(n, n), conv_norm_prelu(n, n))
        self.out = nn.Conv2d(n, num_classes, 1)
        if heads == 3:
            self.out_quarter = nn.Conv2d(8 * n, num_classes, 3, padding=1)
            self.out_half = nn.Conv2d(n, num_classes, 3, padding=1)
        self.heads = heads
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, X, Y) -> (B, K, X, Y) logits."""
        return at_multiple(lambda padded: self.out(self._features(padded)[2]), image, 8, dims=2, normed=self)

    def deep(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits at 1/4, 1/2 and full size, (B, K, X/4, Y/4), (B, K, X/2, Y/2), (B, K, X, Y); X, Y multiples of 8."""
        if self.heads != 3:
            raise ValueError("ENet was made with heads=1; deep supervision needs heads=3")
        if image.shape[-1] % 8 or image.shape[-2] % 8:
            raise ValueError(f"deep supervision needs sides that are multiples of 8, got {tuple(image.shape[2:])}")
        quarter, half, full = self._features(image)
        return self.out_quarter(quarter), self.out_half(half), self.out(full)

    def _features(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        half = self.initial(image)  # (B, n, X/2, Y/2)
        x, corners1 = self.down1(half)
        quarter = self.stage1(x)  # (B, 4n, X/4, Y/4)
        x, corners2 = self.down2(quarter)
        x = self.stage3(self.stage2(x))  # (B, 4n, X/8, Y/8)
        at_quarter = torch.cat([unpool(x, corners2), quarter], dim=1)  # (B, 8n, X/4, Y/4)
        x = self.stage4(self.up2(at_quarter))  # (B, n, X/4, Y/4)
        at_half = self.stage5(self.up1(torch.cat([unpool(x, corners1), half], dim=1)))  # (B, n, X/2, Y/2)
        full = self.up0(F.interpolate(at_half, scale_factor=2, mode="nearest"))  # (B, n, X, Y)
        return at_quarter, at_half, full


def pool(x: Tensor) -> tuple[Tensor, Tensor]:
    """Maxima of 2x2 windows and the corner (0..3, row by row) that each was found in; (B, C, X, Y) -> halves."""
    values, places = F.max_pool2d(x, 2, return_indices=True)
    size_y = x.shape[-1]
    rows, columns = places // size_y, places % size_y
    return values, rows % 2 * 2 + columns % 2


def unpool(x: Tensor, corners: Tensor) -> Tensor:
    """Put each value in its corner of a 2x2 window, zeros elsewhere; (B, C, X, Y) -> (B, C, 2X, 2Y).

    The same as ``max_unpool2d``, which PyTorch refuses in deterministic mode.
    """
    windows = torch.stack([torch.where(corners == corner, x, 0) for corner in range(4)], dim=2)
    return F.pixel_shuffle(windows.flatten(1, 2), 2)


class _Initial(nn.Module):
    """All channels but one from a convolution, the last from pooling the mean of the input's channels."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(cin, cout - 1, 3, stride=2, padding=1)
        self.norm = nn.Sequential(nn.BatchNorm2d(cout), nn.PReLU())

    def forward(self, image: Tensor) -> Tensor:
        pooled = F.max_pool2d(image.mean(dim=1, keepdim=True), 2)
        return self.norm(torch.cat([self.conv(image), pooled], dim=1))


def _round(channels: int, factor: int) -> list[nn.Module]:
    """The first seven bottlenecks of stages 2 and 3."""
    kinds: tuple[int | str, ...] = ("plain", 2, "asymmetric", 4, "plain", 8, "asymmetric")
    return [_Bottleneck(channels, channels, factor, kind) for kind in kinds]


class _Bottleneck(nn.Module):
    """Narrow, convolve, widen, add the input; ``kind`` is plain, asymmetric or a dilation."""

    def __init__(self, cin: int, cout: int, factor: int, kind: int | str, drop: float = 0.1) -> None:
        super().__init__()
        inner = max(1, cin // factor)
        self.branch = nn.Sequential(
            conv_norm_prelu(cin, inner, 1), _middle(inner, kind), conv_norm_prelu(inner, cout, 1), nn.Dropout(drop)
        )
        same = cin == cout
        self.skip = nn.Identity() if same else nn.Sequential(nn.Conv2d(cin, cout, 1), nn.BatchNorm2d(cout))
        self.prelu = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.prelu(self.skip(x) + self.branch(x))


def _middle(channels: int, kind: int | str) -> nn.Module:
    if kind == "plain":
        return conv_norm_prelu(channels, channels)
    if kind == "asymmetric":  # 5x5 as 5x1 and 1x5
        convs = [nn.Conv2d(channels, channels, k, padding=p) for k, p in (((5, 1), (2, 0)), ((1, 5), (0, 2)))]
        return nn.Sequential(*(layer for conv in convs for layer in (conv, nn.BatchNorm2d(channels), nn.PReLU())))
    dilation = int(kind)
    return nn.Sequential(  # the plain convolution first fills the gaps that the dilated one would skip
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation),
        nn.BatchNorm2d(channels),
        nn.PReLU(),
    )


class _Down(nn.Module):
    """Halve: strided convolutions beside max-pooling, whose missing channels are zeros."""

    def __init__(self, cin: int, cout: int, factor: int) -> None:
        super().__init__()
        inner = max(1, cin // factor)
        self.branch = nn.Sequential(
            nn.Conv2d(cin, inner, 2, stride=2),
            nn.BatchNorm2d(inner),
            nn.PReLU(),
            conv_norm_prelu(inner, inner),
            conv_norm_prelu(inner, cout, 1),
            nn.Dropout(0.01),
        )
        self.prelu = nn.PReLU()
        self.missing = cout - cin

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        pooled, corners = pool(x)
        widened = F.pad(pooled, (0, 0, 0, 0, 0, self.missing))
        return self.prelu(widened + self.branch(x)), corners


class _Up(nn.Module):
    """Refine what unpooling and the skip brought together; (B, cin, X, Y) -> (B, cout, X, Y)."""

    def __init__(self, cin: int, cout: int, factor: int) -> None:
        super().__init__()
        inner = max(1, cin // factor)
        self.branch = nn.Sequential(
            conv_norm_prelu(cin, inner),
            conv_norm_prelu(inner, inner),
            conv_norm_prelu(inner, cout, 1),
            nn.Dropout(0.01),
        )
        self.prelu = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.prelu(self.branch(x))
