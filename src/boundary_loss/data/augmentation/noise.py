"""Normal noise that is a function of its place and its stream: the same, to rounding, on every device.

``native/augment.c`` makes the same numbers.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

_A, _B = 1664525, 1013904223


def normal(shape: Sequence[int], streams: Tensor) -> Tensor:
    """Independent standard normal numbers, at most 5.8 from 0.

    Pair n of a slice is the hash pcg3d of n and the slice's stream (Jarzynski & Olano, Journal of Computer Graphics
    Techniques 9(3), 2020), turned normal by Box & Muller (1958). A modality of N voxels has ceil(N / 2) pairs: one
    number of each for its first voxels, then the other of each for the rest.

    Args:
        shape: (B, C, ...).
        streams: (B, 2) int32.

    Returns:
        ``shape`` float32, on the device of ``streams``.
    """
    B, C, voxels = shape[0], shape[1], math.prod(shape[2:])
    half = (voxels + 1) // 2
    first, second = _hashed(torch.arange(C * half, dtype=torch.int32, device=streams.device), streams)
    u = ((first >> 9) & 0x7FFFFF).float().add_(0.5).mul_(2**-23)  # 23 bits and a half, exactly
    radius = u.log_().mul_(-2).sqrt_()
    angle = second.float().mul_(2 * math.pi * 2**-32)
    pairs = torch.stack([angle.cos().mul_(radius), angle.sin_().mul_(radius)], dim=1)  # (B, 2, C * half)
    return pairs.view(B, 2, C, half).transpose(1, 2).reshape(B, C, 2 * half)[:, :, :voxels].reshape(*shape)


def _hashed(numbers: Tensor, streams: Tensor) -> tuple[Tensor, Tensor]:
    """Two 32-bit hashes of (N,) numbers in each of (B, 2) streams: (B, N) int32, whose products wrap as C's do."""
    x = (numbers * _A + _B).repeat(len(streams), 1)
    y, z = ((streams * _A + _B)[:, axis, None] for axis in (0, 1))
    x += y * z
    y = y + z * x
    z = z + x * y
    x, y, z = (v ^ ((v >> 16) & 0xFFFF) for v in (x, y, z))
    x += y * z
    y += z * x
    return x, y
