"""Measures the gradient of each term of a loss, and proposes the weight that makes two gradients equally long."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def gradient_norms(terms: Mapping[str, Tensor], outputs: Tensor | Sequence[Tensor]) -> dict[str, float]:
    """Return the Euclidean norm of each term's gradient with respect to the network's outputs.

    Gradients, and not values, show which of two losses determines the training.

    Args:
        terms: unweighted scalar losses, all computed from ``outputs``.
        outputs: the logits (B, K, ...), or any tensor that the terms depend on; several where the network has several.

    Returns:
        The norms, by name; 0 for a term that does not depend on the outputs. The graph is kept for ``backward``.

    >>> logits = torch.tensor([3.0, 4.0], requires_grad=True)
    >>> gradient_norms({"square": (logits**2).sum(), "mean": logits.mean()}, logits)
    {'square': 10.0, 'mean': 0.7071067690849304}
    """
    return dict(zip(terms, norms_on_device(list(terms.values()), outputs).tolist(), strict=True))


def norms_on_device(terms: Sequence[Tensor], outputs: Tensor | Sequence[Tensor]) -> Tensor:
    """Return the same norms, (T,) float32 on the terms' device, so that the host does not wait."""
    sources = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    norms = []
    for term in terms:
        found: Sequence[Tensor | None] = ()
        if term.requires_grad:
            found = torch.autograd.grad(term, sources, retain_graph=True, allow_unused=True)
        parts = [gradient.detach().float().norm() for gradient in found if gradient is not None]
        norms.append(torch.stack(parts).norm() if parts else torch.zeros((), device=term.device))
    return torch.stack(norms)


def propose_weight(norms: Mapping[str, float], term: str, beside: str, *, share: float = 1.0) -> float:
    """Return the weight at which the gradient of ``term`` is ``share`` times as long as that of ``beside`` at weight 1.

    NaN if the term has no gradient at all.

    >>> propose_weight({"gdl": 0.2, "boundary": 4.0}, "boundary", beside="gdl")
    0.05
    """
    for name in (term, beside):
        if name not in norms:
            raise ValueError(f"no gradient norm of '{name}'; there are {', '.join(norms)}")
    return share * norms[beside] / norms[term] if norms[term] > 0 else math.nan
