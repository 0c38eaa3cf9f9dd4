"""Autocast where a tensor is; the meta device, on which memory is counted, has none."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def autocast_dtype(x: Tensor) -> torch.dtype | None:
    """Return the type that autocast computes products in where ``x`` is, or None if it is off."""
    kind = x.device.type
    if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
        return None
    return torch.get_autocast_dtype(kind)


def full_precision(x: Tensor) -> AbstractContextManager[None]:
    """Suspend autocast where ``x`` is."""
    return nullcontext() if autocast_dtype(x) is None else torch.autocast(x.device.type, enabled=False)
