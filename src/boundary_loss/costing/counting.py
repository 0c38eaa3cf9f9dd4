"""The bytes that a training step keeps, counted on tensors of the meta device, which have a shape and no memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from boundary_loss.networks import LOGITS, build_network, outputs

STATES = {"adam": 2, "sgd": 1, "lookahead": 3}
"""Tensors as large as the weights that each optimiser keeps."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a network is shown in a training step: ``batch`` samples of ``channels`` and ``shape``, asked at points."""

    network: str
    channels: int
    num_classes: int
    batch: int
    shape: tuple[int, ...]
    points: int = 0
    """Of a network of space, a sample; 0 for the others."""
    optimiser: str = "adam"

    def inputs(self, device: torch.device | str) -> tuple[Tensor, ...]:
        """The images, and the points where there are any: drawn, but on the meta device."""
        images = torch.randn(self.batch, self.channels, *self.shape, device=device)
        if not self.points:
            return (images,)
        return images, torch.rand(self.batch, self.points, 3, device=device) * (min(self.shape) - 1)


@dataclass(frozen=True)
class Counted:
    """Bytes, in float32."""

    kept: int
    """By the network and the softmax, from the forward pass for the backward pass."""
    held: int
    """That, with the batch, the weights, their gradients and the optimiser's state: a step needs more at its peak."""


def count(step: Step) -> Counted:
    """Count what a step keeps, whatever its size, by the hooks of autograd. The losses' own memory is not counted.

    Raises:
        ValueError: the network is not of this package, and may need true tensors.
    """
    if ":" in step.network.partition("(")[0]:
        raise ValueError(f"what {step.network} keeps is counted for networks of this package alone")
    with torch.device("meta"):
        net = build_network(step.network, step.channels, step.num_classes)
    inputs = step.inputs("meta")
    kept: dict[int, Tensor] = {}  # tensors that share memory count once; held, so that no address comes twice

    def keep(tensor: Tensor) -> Tensor:
        kept.setdefault(_place(tensor), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        answers = [outputs(net(*inputs))[LOGITS].softmax(1)]
    assert answers[0].requires_grad
    weights = {_place(weight): _bytes(weight) for weight in net.parameters()}
    given = {_place(tensor): _bytes(tensor) for tensor in inputs}
    own = sum(_bytes(tensor) for place, tensor in kept.items() if place not in weights | given)
    return Counted(own, own + sum(given.values()) + (2 + STATES[step.optimiser]) * sum(weights.values()))


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _bytes(tensor: Tensor) -> int:
    return tensor.untyped_storage().nbytes()


def by(shape: Sequence[int]) -> str:
    """Return ``96x144x224``."""
    return "x".join(map(str, shape))
