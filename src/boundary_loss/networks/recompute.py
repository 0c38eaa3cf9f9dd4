"""Compute parts of a network anew in the backward pass instead of keeping what they computed (Chen et al. 2016)."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def recomputed(part: nn.Module, *inputs: Tensor) -> Tensor:
    """Return ``part(*inputs)`` and keep only the inputs for the backward pass, which computes the rest once more.

    The gradients and the running statistics are the same bits as without: dropout draws the same, autocast is the
    same, and batch norms count the batch once.
    """
    if not (part.training and torch.is_grad_enabled()):
        return part(*inputs)
    if torch.compiler.is_compiling():  # the compiler updates statistics outside of what it computes twice
        return checkpoint(part, *inputs, use_reentrant=False)
    return checkpoint(part, *inputs, use_reentrant=False, context_fn=_contexts(part))


def _contexts(part: nn.Module) -> Callable[[], tuple[AbstractContextManager[Any], AbstractContextManager[Any]]]:
    """What the first computation and the second are done within."""
    return lambda: (nullcontext(), _statistics_kept(part))


@contextmanager
def _statistics_kept(part: nn.Module) -> Iterator[None]:
    """Let batch norms count what they see in copies of their running statistics, which are then dropped."""
    norms = [module for module in part.modules() if isinstance(module, _BatchNorm)]
    kept = {(norm, name): value for norm in norms for name, value in norm.named_buffers(recurse=False)}
    try:
        for (norm, name), value in kept.items():
            setattr(norm, name, value.clone())
        yield
    finally:
        for (norm, name), value in kept.items():
            setattr(norm, name, value)
