"""SKIP_NAN=1: a training step whose loss or gradient is not finite leaves the network as it was."""

import torch
from torch import Tensor, nn


def is_finite(total: Tensor, net: nn.Module, *, scaled: bool) -> bool:
    """Whether the loss and the gradient of every weight are; the host waits for the answer.

    ``scaled``: the gradients are float16's, whose scaler finds the infinite ones and leaves the step out by itself.
    """
    if scaled:
        return bool(torch.isfinite(total.detach()))
    gradients = [weight.grad for weight in net.parameters() if weight.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    return bool(torch.isfinite(total.detach()) & torch.isfinite(norm))


def remember(net: nn.Module) -> list[Tensor]:
    """What a forward pass changes in a network that trains: above all the running statistics of its norms."""
    return [buffer.clone() for buffer in net.buffers()]


def recall(net: nn.Module, before: list[Tensor]) -> None:
    """Undo a forward pass."""
    for buffer, old in zip(net.buffers(), before, strict=True):
        buffer.copy_(old)
