"""Undoes training steps whose loss or gradient is not finite (SKIP_NAN=1)."""

import torch
from torch import Tensor, nn


def is_finite(total: Tensor, net: nn.Module, *, scaled: bool) -> bool:
    """Return True if the loss and the gradient of every weight are finite; the host waits for the answer.

    ``scaled``: gradients of float16 are not checked, because their scaler skips infinite ones by itself.
    """
    if scaled:
        return bool(torch.isfinite(total.detach()))
    gradients = [weight.grad for weight in net.parameters() if weight.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    return bool(torch.isfinite(total.detach()) & torch.isfinite(norm))


def remember(net: nn.Module) -> list[Tensor]:
    """Return a copy of what a forward pass changes in a network: above all the running statistics of its norms."""
    return [buffer.clone() for buffer in net.buffers()]


def recall(net: nn.Module, before: list[Tensor]) -> None:
    """Undo a forward pass."""
    for buffer, old in zip(net.buffers(), before, strict=True):
        buffer.copy_(old)
