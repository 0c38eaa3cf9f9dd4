"""Centre lines of masks: thinned by scikit-image on the host, or softly, with a gradient, where the masks are."""

import numpy as np
import torch
from scipy.ndimage import binary_dilation
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from boundary_loss.losses.target import zero_unless

_POOLS = {1: F.max_pool2d, 2: F.max_pool2d, 3: F.max_pool3d}


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
    pool, negative = _POOLS[values.ndim - 2], -(values if known is None else torch.where(known, values, 1))
    least = None
    for axis in range(2, values.ndim):
        size = [3 if other == axis else 1 for other in range(2, values.ndim)]
        along = -pool(negative, size, stride=1, padding=[n // 2 for n in size])
        least = along if least is None else torch.minimum(least, along)
    assert least is not None
    return zero_unless(known, least)


def dilated(values: Tensor) -> Tensor:
    """The most of the 3 × 3 (× 3) voxels around each."""
    return _POOLS[values.ndim - 2](values, 3, stride=1, padding=1)
