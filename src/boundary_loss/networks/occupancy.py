"""OSS-Net (Reich et al., BMVC 2021) and O-Net (Mescheder et al., CVPR 2019): the class at any point of a volume."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from boundary_loss.networks.blocks import check_positive
from boundary_loss.networks.occupancy_decoder import BLOCKS, CELLS, Decoder, PatchEncoder
from boundary_loss.networks.occupancy_encoder import Encoded, Encoder, Grid
from boundary_loss.networks.pade import PadeUnit
from boundary_loss.networks.patches import PatchView
from boundary_loss.networks.precision import autocast_dtype
from boundary_loss.shapes import Logits


@dataclass(frozen=True)
class Configuration:
    patches: str
    """``none``, ``7`` or ``7+14``."""
    encoder: str
    """``plain`` or ``skip``."""
    aux: bool


CONFIGURATIONS = {
    "onet": Configuration("none", "plain", False),
    "oss_a": Configuration("7", "plain", False),
    "oss_b": Configuration("7+14", "plain", False),
    "oss_c": Configuration("7", "skip", True),
    "oss_d": Configuration("7+14", "skip", True),
}
"""The rows of the paper's tables."""

GRIDS: dict[int, Grid] = {4: (8, 8, 5), 5: (8, 8, 8)}
"""Cells of a latent by levels: what is left of 256 x 256 x 160 voxels (BraTS) and of 512³ (LiTS)."""


class Code(NamedTuple):
    """What :meth:`OSSNet.at` needs of volumes, made once for any number of points."""

    latents: Tensor
    """(B, L, G)."""
    aux: Tensor | None
    """(B, K, ...) logits of the auxiliary head, coarse maps of the whole volumes."""
    patches: PatchView | None


class OSSNet(nn.Module):
    """An encoder of the halved volume, and a decoder that is asked at points.

    Args:
        in_channels: modalities C.
        num_classes: K. Two classes are one logit x, given as (0, x).
        config: the published network whose ``patches``, ``encoder`` and ``aux`` hold where they are not given.
        levels: halvings in the encoder, 4 (BraTS) or 5 (LiTS).
        patches: voxels around a point that the decoder sees: ``none``, ``7`` (7³) or ``7+14`` (also 14³, averaged).
        encoder: ``plain``, one latent from the last level, or ``skip``, six from all levels.
        aux: whether a head on the last level predicts a coarse map; with ``encoder=skip``.
        width: features of the decoder.
        channels: features of the deepest level; half as many at each level before, and 2 at least.
        fourier: sines and cosines of the position as further inputs, an even number.
        pade_rate: learning rate of the Padé units over that of the other weights; published are 0.01 and 0.0003.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        config: Literal["onet", "oss_a", "oss_b", "oss_c", "oss_d"] = "oss_c",
        levels: int = 4,
        patches: int | str | None = None,
        encoder: Literal["plain", "skip"] | None = None,
        aux: bool | None = None,
        width: int = 512,
        channels: int = 128,
        fourier: int = 0,
        pade_rate: float = PadeUnit.rate_share,
    ) -> None:
        super().__init__()
        check_positive("OSSNet", in_channels=in_channels, num_classes=num_classes, width=width, channels=channels // 2)
        if fourier < 0 or fourier % 2:
            raise ValueError(f"OSSNet: fourier must be even, 0 or more, got {fourier}")
        if not 0 < pade_rate < math.inf:
            raise ValueError(f"OSSNet: pade_rate must be above 0, got {pade_rate:g}")
        if levels not in GRIDS:
            raise ValueError(f"OSSNet: levels must be 4 or 5, got {levels}")
        chosen = _configured(config, patches, encoder, aux)
        self.levels, self.in_channels, self.patches = levels, in_channels, chosen.patches
        outputs = 1 if num_classes == 2 else num_classes
        grid = GRIDS[levels]
        skip = chosen.encoder == "skip"
        self.encoder = Encoder(
            in_channels, [max(2, channels >> level) for level in reversed(range(levels))], grid,
            latents=BLOCKS + 1 if skip else 1, skip=skip, aux=outputs if chosen.aux else 0,
        )  # fmt: skip
        seen = in_channels * {"none": 0, "7": 1, "7+14": 2}[self.patches]
        self.patch_encoder = PatchEncoder(seen) if seen else None
        self.decoder = Decoder(
            outputs, grid[0] * grid[1] * grid[2], patch=CELLS if seen else 0, width=width, fourier=fourier
        )
        self.bytes_per_point = 4 * max(2 * CELLS * seen, CELLS * (seen + 2 * max(seen // 2, 1)), CELLS + 5 * width)
        self.one_logit = num_classes == 2
        for module in self.modules():
            if isinstance(module, PadeUnit):
                module.rate_share = pade_rate

    def forward(self, volume: Tensor, points: Tensor) -> Logits | dict[str, Logits]:
        """(B, C, X, Y, Z) and positions (B, P, 3) in voxels -> logits (B, K, P).

        With an auxiliary head a dictionary: ``logits``, and ``aux`` (B, K, ...), a coarse map of the whole volumes.
        The padded copy that patches are read from is of one volume at a time, and not kept for backward. A position
        between voxels, which training has none of, sees the patch of the nearest; :meth:`at` interpolates.
        """
        _check(volume, points, self.in_channels)
        features = None
        if self.patch_encoder is not None:
            views = (self._view(item[None]) for item in volume)
            features = self._patch_features([view.at(0, places) for view, places in zip(views, points)])
        encoded = self._encoded(volume)
        logits = self._as_classes(self.decoder(points, features, encoded.latents))
        return logits if encoded.aux is None else {"logits": logits, "aux": encoded.aux}

    def encode(self, volume: Tensor) -> Code:
        """(B, C, X, Y, Z) -> what :meth:`at` needs of these volumes."""
        _check(volume, None, self.in_channels)
        return Code(*self._encoded(volume), None if self.patch_encoder is None else self._view(volume))

    def at(self, code: Code, points: Tensor) -> Logits:
        """Positions (B, P, 3) in voxels, between voxels too -> logits (B, K, P)."""
        features = None
        if code.patches is not None:
            features = self._patch_features([code.patches.between(item, places) for item, places in enumerate(points)])
        return self._as_classes(self.decoder(points, features, code.latents))

    def _view(self, volume: Tensor) -> PatchView:
        """Patches of the type that their first product is computed in: half of the memory under autocast."""
        volume = volume.to(autocast_dtype(volume) or volume.dtype)
        return PatchView.of(volume, wide=self.patches == "7+14")

    def _patch_features(self, patches: list[Tensor]) -> Tensor:
        """B times (P, C, 7, 7, 7) -> (B, P, 343)."""
        assert self.patch_encoder is not None
        together = patches[0] if len(patches) == 1 else torch.cat(patches)
        return self.patch_encoder(together).unflatten(0, (len(patches), len(patches[0])))

    def _encoded(self, volume: Tensor) -> Encoded:
        """Encode the volume at half its size, or the nearest larger one that can be halved ``levels`` times.

        What is left has at least two voxels a side, for the batch norm of a single small volume.
        """
        multiple = 2**self.levels
        sides = [max(2, -(-side // (2 * multiple))) * multiple for side in volume.shape[2:]]
        encoded = self.encoder(F.interpolate(volume, sides, mode="trilinear", align_corners=False))
        return Encoded(encoded.latents, None if encoded.aux is None else self._as_classes(encoded.aux))

    def _as_classes(self, x: Tensor) -> Logits:
        return torch.cat([torch.zeros_like(x), x], dim=1) if self.one_logit else x


def _configured(config: str, patches: int | str | None, encoder: str | None, aux: bool | None) -> Configuration:
    if config not in CONFIGURATIONS:
        raise ValueError(f"OSSNet: config must be one of {', '.join(CONFIGURATIONS)}, got {config}")
    named = CONFIGURATIONS[config]
    chosen = Configuration(
        named.patches if patches is None else str(patches),
        named.encoder if encoder is None else encoder,
        named.aux and encoder != "plain" if aux is None else aux,
    )
    if chosen.patches not in ("none", "7", "7+14"):
        raise ValueError(f"OSSNet: patches must be none, 7 or 7+14, got {patches}")
    if chosen.encoder not in ("plain", "skip"):
        raise ValueError(f"OSSNet: encoder must be plain or skip, got {encoder}")
    if chosen.aux and chosen.encoder == "plain":
        raise ValueError("OSSNet: aux needs encoder=skip")
    return chosen


def _check(volume: Tensor, points: Tensor | None, channels: int) -> None:
    if volume.ndim != 5 or volume.shape[1] != channels:
        raise ValueError(f"OSSNet takes volumes (B, {channels}, X, Y, Z), got shape {tuple(volume.shape)}")
    if points is not None and (points.ndim != 3 or points.shape[::2] != (len(volume), 3)):
        raise ValueError(f"OSSNet takes positions ({len(volume)}, P, 3), got shape {tuple(points.shape)}")
