"""Centre lines of masks: thinned by scikit-image on the host, or softly, with a gradient, where the masks are."""

from collections.abc import Callable

import numpy as np
import torch
from scipy.ndimage import binary_dilation
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from boundary_loss.losses.target import zero_unless


@torch.compiler.disable  # NumPy
def thinned(masks: Tensor, tube: int = 0) -> Tensor:
    """(B, K, ...) bool masks -> their skeletons as float32, widened by ``tube`` voxels within the mask.

    2D masks are thinned after Zhang & Suen, 3D ones after Lee, by ``skimage.morphology.skeletonize``. Which of two
    middle voxels is taken depends on the direction: a mirrored mask may have its skeleton one voxel beside the mirrored
    one. Masks on a GPU go to the host and back, for which it waits.
    """
    from skimage.morphology import skeletonize

    host = masks.cpu().numpy()
    found = np.zeros(host.shape, np.float32)
    for place in np.ndindex(host.shape[:2]):
        mask = host[place]
        if mask.any():
            lines = skeletonize(mask) > 0
            found[place] = (binary_dilation(lines, iterations=tube) if tube else lines) & mask
    return torch.from_numpy(found).to(masks.device)


def soft_skeleton(values: Tensor, iterations: int, known: Tensor | None = None) -> Tensor:
    """(B, K, ...) in [0, 1] -> the same shape: what openings take away from the values and from their erosions.

    Shit et al., CVPR 2021, algorithm 1: S = relu(I − open I); then ``iterations`` times I = erode I,
    S = S + relu((1 − S) relu(I − open I)). An erosion is the least of a voxel and its neighbours across faces, an
    opening an erosion and the most of the 3 × 3 (× 3) voxels around. Objects thicker than twice the iterations keep
    nothing of their middle. Each iteration is computed again for the gradient, which saves two thirds of the memory.

    Args:
        known: (B, 1, ...) bool, the voxels that exist; the others are as beyond the image's end.
    """
    skeleton = _lost(values, known)
    for _ in range(iterations):
        if values.requires_grad:
            values, skeleton = checkpoint(
                _thinner, values, skeleton, known, use_reentrant=False, preserve_rng_state=False
            )
        else:
            values, skeleton = _thinner(values, skeleton, known)
    return skeleton


def _thinner(values: Tensor, skeleton: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
    values = eroded(values, known)
    lost = _lost(values, known)
    return values, skeleton + F.relu(lost - skeleton * lost)


def _lost(values: Tensor, known: Tensor | None) -> Tensor:
    opened = dilated(eroded(values, known))
    return F.relu(values - zero_unless(known, opened))


def eroded(values: Tensor, known: Tensor | None = None) -> Tensor:
    """The least of each voxel and its neighbours across faces that are known; 0 where a voxel is not."""
    filled = values if known is None else torch.where(known, values, 1)
    least = _of_three(filled, 2, torch.minimum)
    for axis in range(3, values.ndim):
        least = torch.minimum(least, _of_three(filled, axis, torch.minimum))
    return zero_unless(known, least)


def dilated(values: Tensor) -> Tensor:
    """The most of the 3 × 3 (× 3) voxels around each."""
    for axis in range(2, values.ndim):
        values = _of_three(values, axis, torch.maximum)
    return values


def _of_three(values: Tensor, axis: int, choose: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The least or the most of each voxel and its two neighbours along an axis.

    Of shifted views: torch's pooling is not vectorised on a CPU.
    """
    n = values.shape[axis]
    if n == 1:
        return values
    pairs = choose(values.narrow(axis, 0, n - 1), values.narrow(axis, 1, n - 1))
    middle = choose(pairs.narrow(axis, 0, n - 2), pairs.narrow(axis, 1, n - 2))
    return torch.cat([pairs.narrow(axis, 0, 1), middle, pairs.narrow(axis, n - 2, 1)], dim=axis)
