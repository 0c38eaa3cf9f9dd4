"""An approximate distance that is differentiable with respect to the mask.

The idea is the convolutional distance transform (Karam, Sugano & Pham, "Fast Convolutional Distance Transform",
IEEE Signal Processing Letters 2019): a soft minimum with weights ``exp(-cost / h)`` over a small window, in a cascade
that carries distances outwards. Four things differ from the published cascade, each for accuracy:

- the costs that a stage has reached seed the next one (not a count of stages, which grows square fronts);
- the weights are formed relative to the smallest cost, so nothing underflows at any distance or ``h``;
- the stage's value is the *weighted mean* of the costs, ``sum w c / sum w``, and not ``-h log sum w``, which is too
  small by ``h log n`` where n routes tie (a flat edge at 1 reads 0.79 with h = 0.35);
- steps are in mm along 2 or 3 axes, of any spacing.

What remains is the error of paths made of window steps (the chamfer error; Borgefors, CVGIP 1986): at equal spacing
at most 9 % in 2D and 14 % in 3D for ``kernel_size=3``, 3 % and 6 % for 5, more the more the spacings differ; and a
little softness. Always too long, never too short. For training targets, where no gradient flows
through the distance, use :func:`boundary_loss.distance.euclidean_distance`: it is exact and faster.
"""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from boundary_loss.distance.axes import dims_of_mask
from boundary_loss.distance.layout import Spacing, spacing_array


def approximate_distance(
    probs: Tensor,
    spacing_mm: Spacing = None,
    *,
    kernel_size: int = 5,
    h: float = 0.05,
    spatial_dims: int | None = None,
) -> Tensor:
    """Return the approximate distance to a soft mask, with gradients.

    ``d(x) = softmin over y of (1 - p(y)) * diagonal + |x - y|``: a voxel of probability 1 is a source, one of
    probability 0 is as far away as the image is long, and values between grade smoothly.

    Args:
        probs: (X, Y[, Z]) in [0, 1]; with ``spatial_dims``, (..., X, Y[, Z]).
        spacing_mm: mm between centres along each spatial axis; 1 if not given.
        kernel_size: side of the window, odd, 3 or more; the larger the more accurate and the slower.
        h: softness, in units of the smallest spacing; small is accurate, large spreads the gradient.
        spatial_dims: how many of the last axes are space; all of them if not given.

    Returns:
        (..., X, Y[, Z]) mm, in the type of ``probs`` and on its device; the diagonal where there is no foreground.

    Raises:
        ValueError: ``probs`` is no tensor or has too few axes; the window is even or too small; ``h`` is not positive.
    """
    if not isinstance(probs, Tensor):
        raise ValueError(f"probs must be a tensor, got {type(probs).__name__}; torch.as_tensor makes one of an array")
    if not probs.is_floating_point():
        raise ValueError(f"probs must be floating point, got {probs.dtype}; convert a mask with .float()")
    if kernel_size < 3 or kernel_size % 2 == 0:
        raise ValueError(f"kernel_size must be odd and at least 3, got {kernel_size}")
    if not h > 0:
        raise ValueError(f"h must be positive, got {h}")
    given = spacing_array(spacing_mm)
    if given is not None and given.ndim == 2:
        raise ValueError("the approximate distance takes one spacing for all items")
    dims = dims_of_mask(probs.shape, given, spatial_dims)
    spacing = [1.0] * dims if given is None else given.tolist()
    space = probs.shape[probs.ndim - dims :]
    if not probs.numel():
        return torch.zeros_like(probs)
    diagonal = math.hypot(*[size * step for size, step in zip(space, spacing)])
    steps = _steps(kernel_size // 2, spacing)
    reached = (1 - probs).reshape(-1, *space) * diagonal
    for _ in range(sum(space)):
        carried = torch.minimum(reached, _soft_minimum(reached, steps, h * min(spacing), diagonal))
        settled = bool((reached - carried).max() <= 1e-6 * diagonal)
        reached = carried
        if settled:
            break
    return reached.reshape(probs.shape)


def _steps(radius: int, spacing: list[float]) -> list[tuple[tuple[int, ...], float]]:
    """Return the window's steps, without multiples of shorter ones, and their lengths in mm."""
    offsets = itertools.product(range(-radius, radius + 1), repeat=len(spacing))
    primitive = [offset for offset in offsets if math.gcd(*offset) == 1]
    return [(offset, math.hypot(*[o * s for o, s in zip(offset, spacing)])) for offset in primitive]


def _soft_minimum(
    reached: Tensor, steps: list[tuple[tuple[int, ...], float]], softness: float, diagonal: float
) -> Tensor:
    """Return the mean of the costs of coming from each neighbour, weighted by exp(-cost / softness)."""
    radius = max(max(offset) for offset, _ in steps)
    space = reached.shape[1:]
    padded = F.pad(reached, [radius, radius] * len(space), value=2 * diagonal)

    def coming_from(offset: tuple[int, ...], length: float) -> Tensor:
        window = [slice(radius + o, radius + o + size) for o, size in zip(offset, space)]
        return padded[(slice(None), *window)] + length

    with torch.no_grad():
        least = torch.full_like(reached, math.inf)
        for step in steps:
            torch.minimum(least, coming_from(*step), out=least)
    total, weight = torch.zeros_like(reached), torch.zeros_like(reached)
    for step in steps:
        cost = coming_from(*step)
        share = torch.exp((least - cost) / softness)
        total = total + share * cost
        weight = weight + share
    return total / weight
