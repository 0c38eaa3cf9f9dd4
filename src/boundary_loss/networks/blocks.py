"""What the networks share: layers of any dimension, padding to a multiple, initial weights."""

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

CONV: dict[int, type[nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED: dict[int, type[nn.Module]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
NORM: dict[int, type[nn.Module]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_PER_IMAGE = (nn.InstanceNorm2d, nn.InstanceNorm3d, nn.GroupNorm)


def conv_norm_prelu(
    cin: int, cout: int, kernel: int = 3, *, dims: int = 2, stride: int = 1, bias: bool = True
) -> nn.Sequential:
    """Convolution (size kept at stride 1), batch norm, PReLU with one slope; (B, cin, ...) -> (B, cout, ...)."""
    return nn.Sequential(
        CONV[dims](cin, cout, kernel, stride=stride, padding=kernel // 2, bias=bias), NORM[dims](cout), nn.PReLU()
    )


def at_multiple(
    network: Callable[[Tensor], Tensor], image: Tensor, multiple: int, dims: int, *, normed: nn.Module | None = None
) -> Tensor:
    """Run ``network`` on the image padded with zeros to a multiple of ``multiple``, and crop its answer to fit.

    A single small image, as the last batch of an epoch may be, is padded to two multiples a side where a training
    batch norm at the deepest level would see one value a channel, which has no variance. So is every small image
    where an instance norm or a group norm would.

    Args:
        network: (B, C, ...) -> (B, K, ...) of equal size.
        image: (B, C, ...) of any size.
        multiple: what each side must be divisible by, from the network's poolings.
        dims: 2 or 3 spatial axes.
        normed: the module that ``network`` belongs to, if it has norms at the deepest level.
    """
    if image.ndim != dims + 2:
        axes = "B, C, X, Y" if dims == 2 else "B, C, X, Y, Z"
        raise ValueError(f"this network takes {dims}D images ({axes}), got shape {tuple(image.shape)}")
    sizes = image.shape[2:]
    missing = [-size % multiple for size in sizes]
    if normed is not None and max(sizes) <= multiple and _sees_one_value(normed, len(image)):
        missing = [2 * multiple - size for size in sizes]
    if not any(missing):
        return network(image)
    padding = [side for amount in reversed(missing) for side in (amount // 2, amount - amount // 2)]
    answer = network(F.pad(image, padding))
    for axis, (amount, size) in enumerate(zip(missing, sizes), start=2):
        answer = answer.narrow(axis, amount // 2, size)
    return answer


def _sees_one_value(network: nn.Module, images: int) -> bool:
    """True if a norm of the network would see one value a channel of a batch whose images are one voxel large."""
    if any(isinstance(module, _PER_IMAGE) for module in network.modules()):
        return True
    return network.training and images == 1 and is_alone(network)


def is_alone(network: nn.Module) -> bool:
    """True if batch norms see the values of this process only, not those of a batch shared by several."""
    if not (dist.is_available() and dist.is_initialized()):
        return True
    norms: list[Any] = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    return all(dist.get_world_size(norm.process_group) == 1 for norm in norms if hasattr(norm, "process_group"))


@torch.no_grad()
def initialise(network: nn.Module) -> None:
    """Xavier-normal convolutions (Glorot & Bengio 2010), batch norm weights ~ N(1, 0.02), biases zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            nn.init.xavier_normal_(module.weight)
        elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.normal_(module.weight, 1.0, 0.02)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def check_positive(network: str, **sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{network}: {name} must be at least 1, got {size}")
