"""VNet: Milletari, Navab & Ahmadi, 3DV 2016, as published for left atria, and as Ma et al. (MIDL 2020) have it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import gcd
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from boundary_loss.networks.attention import ATTENTION
from boundary_loss.networks.blocks import at_multiple, check_positive, initialise
from boundary_loss.networks.recompute import recomputed

Norm = Literal["none", "batch", "instance", "group"]
Attention = Literal["none", "serial", "parallel"]
Blocks = Literal["residual", "plain"]
Branch = Literal["none", "shared", "distance"]
STEEPNESS = 1500.0
"""Of the step from a distance to a probability."""
_WORDS = {"norm": Norm, "attention": Attention, "blocks": Blocks, "branch": Branch}


class VNet(nn.Module):
    """Encoder whose levels halve the volume and double the channels, decoder that joins the encoder's features.

    The defaults are the network published for left atria (https://github.com/bragancas/VNet_PyTorch-Atriaseg2018):
    neither norm nor dropout, a PReLU after every layer, the output included, and 10 759 546 parameters. Two classes
    need one logit x, as there, and become (0, x), whose softmax is (1 - σ(x), σ(x)).

    ``VNet(kernel=3,width=16,norm=batch,dropout=0.5,blocks=plain)`` is that of Ma et al., "How Distance Transform Maps
    Boost Segmentation CNNs", MIDL 2020.

    Args:
        in_channels: modalities C.
        num_classes: K.
        layers: convolutions of the two levels after the first; one more at the levels below. 2 is what the published
            table names "increased filters", of 16.2 million parameters.
        kernel: side of the convolutions, odd.
        width: channels at full size.
        levels: convolutions of each level of the encoder, as 1-2-3-3-3, instead of ``layers``; the decoder has as many
            at each size. The number of levels is free.
        norm: between convolution and activation; groups are 16, or as many of 16 as divide the channels.
        dropout: probability that a channel is dropped at the deepest level and before the output.
        attention: gates after the convolutions of each level of the encoder; ``serial`` as published for atria,
            ``parallel`` as BAM, see :mod:`boundary_loss.networks.attention`.
        reduction: by how much the gates narrow.
        dilation: of the spatial gates, 3 or 4 in the published table.
        encoder_dilation: of the encoder's convolutions.
        blocks: ``residual`` adds its input to each block and concatenates the encoder's features to the decoder's, with
            PReLUs; ``plain`` adds nothing, sums encoder's and decoder's features, has ReLUs and a linear output.
        branch: ``shared`` reads the last half of the outputs, those of a distance head, from the features before the
            last dropout: the published reconstruction branch, which shares the decoder's weights. ``distance`` has
            a distance head f alone, off which the logits are read, 0 and −1500 tanh f (Xue et al., AAAI 2020, eq. 3).
        recompute: keep only what lies between levels for the backward pass, and compute the levels once more there.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        layers: int = 1,
        kernel: int = 5,
        width: int = 8,
        levels: str = "",
        norm: Norm = "none",
        dropout: float = 0.0,
        attention: Attention = "none",
        reduction: int = 4,
        dilation: int = 4,
        encoder_dilation: int = 1,
        blocks: Blocks = "residual",
        branch: Branch = "none",
        recompute: bool = False,
    ) -> None:
        super().__init__()
        check_positive("VNet", in_channels=in_channels, num_classes=num_classes, layers=layers, kernel=kernel)
        check_positive("VNet", width=width, reduction=reduction, dilation=dilation, encoder_dilation=encoder_dilation)
        _check_words(norm=norm, attention=attention, blocks=blocks, branch=branch)
        if kernel % 2 == 0:
            raise ValueError(f"VNet: the kernel must be odd, got {kernel}")
        if not 0 <= dropout < 1:
            raise ValueError(f"VNet: the dropout must be at least 0 and below 1, got {dropout:g}")
        if branch != "none" and num_classes % 2:
            raise ValueError(f"VNet: branch={branch} is the second half of the outputs, which need an even number")
        encoder, decoder = _convolutions(layers, levels, blocks)
        layer = _Layers(kernel, norm, plain=blocks == "plain")
        gates = partial(ATTENTION[attention], reduction=reduction, dilation=dilation) if attention != "none" else None
        widths = [width * 2**level for level in range(len(encoder))]
        self.down = nn.ModuleList([_Block(layer, in_channels, width, encoder[0], encoder_dilation, gates, first=True)])
        for (cin, cout), count in zip(pairwise(widths), encoder[1:]):
            block = _Block(layer, cout, cout, count, encoder_dilation, gates)
            self.down.append(nn.Sequential(layer.halve(cin, cout), block))
        self.up = nn.ModuleList()
        below = widths[-1]
        for skip, count in reversed(list(zip(widths, decoder))):
            self.up.append(_Up(layer, below, skip, count))
            below = skip if layer.plain else 2 * skip
        self.dropout = nn.Dropout3d(dropout)
        halves = branch != "none"
        self.out = layer.end(below, num_classes // 2 if halves else 1 if num_classes == 2 else num_classes)
        self.head = layer.end(below, num_classes // 2) if branch == "shared" else None
        self.branch, self.num_classes, self.recompute = branch, num_classes, recompute
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, X, Y, Z) -> (B, K, X, Y, Z) logits of equal size."""
        return at_multiple(self._forward, image, 2 ** len(self.up), 3, normed=self)

    def _forward(self, image: Tensor) -> Tensor:
        x, skips = image, []  # features of size 1, 1/2, ..., of width, 2 width, ... channels
        for level in self.down:
            x = self._features(level, x)
            skips.append(x)
        x = self.dropout(skips.pop())
        for level in self.up:
            x = self._features(level, x, skips.pop())
        return self._outputs(x)

    def _features(self, level: nn.Module, *inputs: Tensor) -> Tensor:
        return recomputed(level, *inputs) if self.recompute else level(*inputs)

    def _outputs(self, features: Tensor) -> Tensor:
        outputs = self.out(self.dropout(features))
        if self.branch == "distance":
            logits = -STEEPNESS * outputs[:, 1:].tanh()
            return torch.cat([torch.zeros_like(outputs[:, :1]), logits, outputs], dim=1)
        if self.head is not None:
            return torch.cat([outputs, self.head(features)], dim=1)
        if self.num_classes == 2:
            return torch.cat([torch.zeros_like(outputs), outputs], dim=1)
        return outputs


@dataclass(frozen=True)
class _Layers:
    """The layers of a network: each a convolution, a norm and an activation; (B, cin, ...) -> (B, cout, ...)."""

    kernel: int
    norm: Norm
    plain: bool

    def convolve(self, cin: int, cout: int, dilation: int) -> nn.Sequential:
        """Keep the size."""
        padding = dilation * (self.kernel // 2)
        return self._followed(nn.Conv3d(cin, cout, self.kernel, padding=padding, dilation=dilation))

    def halve(self, cin: int, cout: int) -> nn.Sequential:
        return self._followed(nn.Conv3d(cin, cout, 2, stride=2))

    def double(self, cin: int, cout: int) -> nn.Sequential:
        return self._followed(nn.ConvTranspose3d(cin, cout, 2, stride=2))

    def end(self, cin: int, cout: int) -> nn.Sequential:
        """The output: no norm, and no ReLU, after which no logit would be negative."""
        conv = nn.Conv3d(cin, cout, 1)
        return nn.Sequential(conv) if self.plain else nn.Sequential(conv, nn.PReLU(cout))

    def activation(self, channels: int) -> nn.Module:
        return nn.ReLU(inplace=True) if self.plain else nn.PReLU(channels)

    def _followed(self, conv: nn.Conv3d | nn.ConvTranspose3d) -> nn.Sequential:
        norms = [] if self.norm == "none" else [_NORMS[self.norm](conv.out_channels)]
        return nn.Sequential(conv, *norms, self.activation(conv.out_channels))


_NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm3d,
    "instance": nn.InstanceNorm3d,
    "group": lambda channels: nn.GroupNorm(gcd(16, channels), channels),
}


class _Block(nn.Module):
    """Convolutions, then gates; residual, the input is added, and an activation follows.

    The first level has the modalities as its input: their mean is added to every channel, and nothing follows.
    """

    def __init__(
        self,
        layer: _Layers,
        cin: int,
        channels: int,
        count: int,
        dilation: int = 1,
        gates: Callable[[int], nn.Module] | None = None,
        first: bool = False,
    ) -> None:
        super().__init__()
        sizes = [cin, *[channels] * count]
        self.convs = nn.Sequential(*(layer.convolve(a, b, dilation) for a, b in pairwise(sizes)))
        self.gates = gates(channels) if gates is not None else nn.Identity()
        self.residual, self.first = not layer.plain, first
        self.end = layer.activation(channels) if self.residual and not self.first else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        features = self.gates(self.convs(x))
        if not self.residual:
            return features
        return self.end(features + (x.mean(dim=1, keepdim=True) if self.first else x))


class _Up(nn.Module):
    """Double the size and refine it with the encoder's features of that size."""

    def __init__(self, layer: _Layers, below: int, skip: int, count: int) -> None:
        super().__init__()
        channels = skip if layer.plain else 2 * skip
        self.enlarge, self.plain = layer.double(below, skip), layer.plain
        self.block = _Block(layer, channels, channels, count)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        enlarged = self.enlarge(x)
        return self.block(enlarged + skip if self.plain else torch.cat([enlarged, skip], dim=1))


def _convolutions(layers: int, levels: str, blocks: Blocks) -> tuple[list[int], list[int]]:
    """How many convolutions the levels of the encoder have, from full size down, and those of the decoder."""
    if not levels:
        n = layers
        if blocks == "plain":
            return [n, n + 1, n + 2, n + 2, n + 2], [n, n + 1, n + 2, n + 2]
        return [1, n, n, n + 1, n + 1], [n, n, n + 1, n + 1]
    if layers != 1:
        raise ValueError(f"VNet: levels={levels} says what layers={layers} would say; give one of them")
    counts = [int(count) for count in levels.split("-") if count.isdecimal() and int(count)]
    if len(counts) != levels.count("-") + 1 or len(counts) < 2:
        raise ValueError(f"VNet: levels={levels} are not counts of convolutions, as 1-2-3-3-3")
    return counts, counts[:-1]


def _check_words(**chosen: str) -> None:
    for option, word in chosen.items():
        known = get_args(_WORDS[option])
        if word not in known:
            raise ValueError(f"VNet: {option}={word} is unknown; known: {', '.join(known)}")
