"""Networks by name: ``build_network("UNet(width=8)", in_channels=5, num_classes=2)``."""

from inspect import signature

import torch
from torch import Tensor, nn

from boundary_loss.call_syntax import bind, import_named, parse_call
from boundary_loss.networks.dimwit import Dimwit, Dimwit3D
from boundary_loss.networks.distance_head import SUFFIX, WithDistanceHead
from boundary_loss.networks.enet import ENet
from boundary_loss.networks.occupancy import OSSNet
from boundary_loss.networks.outputs import LOGITS, outputs
from boundary_loss.networks.residual_unet import ResidualUNet
from boundary_loss.networks.unet import UNet, UNet3D
from boundary_loss.networks.vnet import VNet
from boundary_loss.owncode import described, lacks_memory

__all__ = [
    "LOGITS",
    "NETWORKS",
    "Dimwit",
    "Dimwit3D",
    "ENet",
    "OSSNet",
    "ResidualUNet",
    "UNet",
    "UNet3D",
    "VNet",
    "WithDistanceHead",
    "build_network",
    "outline_network",
    "outputs",
]

NETWORKS: dict[str, type[nn.Module]] = {
    network.__name__: network for network in (Dimwit, UNet, ENet, ResidualUNet, Dimwit3D, UNet3D, VNet, OSSNet)
}


def build_network(text: str, in_channels: int, num_classes: int) -> nn.Module:
    """The network that ``text`` names, with fresh weights.

    Args:
        text: ``UNet``, ``UNet(width=8)``, or one of your own by import path, ``mypackage.nets:TinyNet(width=4)``;
            it is called as ``TinyNet(in_channels, num_classes, width=4)``. After either, ``+distances`` asks for a
            distance head, see :class:`WithDistanceHead`.
        in_channels: modalities C.
        num_classes: K.

    Raises:
        ValueError: unknown network or option (the known ones are listed), a value of the wrong type, or an
            import path that leads nowhere.
    """
    if text.endswith(2 * SUFFIX):
        raise ValueError(f"network '{text:.80}' asks for a distance head more than once")
    if text.endswith(SUFFIX):
        return WithDistanceHead(build_network(text.removesuffix(SUFFIX), in_channels, 2 * num_classes), num_classes)
    name, options = parse_call(text)
    network = import_named(name, "network") if ":" in name else NETWORKS.get(name)
    if network is None:
        raise ValueError(
            f"unknown network '{name}'; known: {', '.join(NETWORKS)}, or your own as mypackage.module:Network"
        )
    make = bind(network, options, "network", name=name, filled=list(signature(network).parameters)[:2])
    try:
        built = make(in_channels, num_classes)
    except Exception as error:
        if lacks_memory(error) or (name in NETWORKS and isinstance(error, ValueError)):  # those name what is wrong
            raise
        raise ValueError(f"network '{text}' cannot be built: {described(error)}") from error
    if not isinstance(built, nn.Module):
        raise ValueError(f"{name} made a {type(built).__name__}, not a torch.nn.Module")
    return built


def outline_network(text: str, in_channels: int, num_classes: int) -> dict[str, Tensor] | None:
    """Return the names, shapes and dtypes of a network's state as tensors that take no memory, however large it is.

    Returns:
        None for a network that is not of this package: its code may need true tensors, and is not imported here.

    Raises:
        ValueError: as :func:`build_network`.
    """
    if ":" in text.partition("(")[0]:
        return None
    with torch.device("meta"):
        return build_network(text, in_channels, num_classes).state_dict()
