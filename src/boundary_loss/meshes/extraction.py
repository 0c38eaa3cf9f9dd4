"""From voxels to a surface: marching cubes in the volume's own grid, then its affine.

The triangles are those of Lewiner et al. (J. Graphics Tools 2003), as scikit-image has them: no holes, whatever the
voxels. A volume is surrounded by background, so that an object at its edge is closed there.
"""

import numpy as np
from scipy.ndimage import find_objects, generate_binary_structure, label
from skimage.measure import marching_cubes

from boundary_loss.meshes.surface import Surface

_LEVEL = -1 / 1024
"""Just below the middle, so that voxels of an object that touch at an edge are one piece; at 0 itself four triangles
could meet at one edge."""


def mask_surface(mask: np.ndarray, affine: np.ndarray) -> Surface | None:
    """Return the surface half way between the voxels of a mask and the others; None if it has no voxel.

    The steps of the voxels remain: the area of a ball of cubic voxels is 9 % too large, its volume is right.

    Args:
        mask: (X, Y, Z) bool.
        affine: (4, 4), voxel indices to mm; a mirrored one leaves normals that point outward.
    """
    box = _box_of(mask)
    if box is None:
        return None
    return _surface(mask[box].astype(np.float32) - 0.5, [part.start for part in box], affine)


def probability_surface(probs: np.ndarray, k: int, mask: np.ndarray, affine: np.ndarray) -> Surface | None:
    """Return the surface on which a class is as probable as the most probable other; None if the mask is empty.

    It lies between voxels where the probabilities say, so that a ball has no steps.

    Args:
        probs: (K, X, Y, Z).
        k: the class.
        mask: (X, Y, Z) bool, its voxels among the labels. Pieces of the class that hold none of them are left out, as
            ``--largest`` left them out there.
    """
    lead = probs[k] - np.delete(probs, k, axis=0).max(axis=0)
    pieces, count = label(lead > 0, generate_binary_structure(3, 3))
    stays = np.zeros(count + 1, bool)
    stays[pieces[mask]] = True
    stays[0] = False
    kept = stays[pieces]
    lead = np.where((lead > 0) & ~kept, -lead, lead)
    box = _box_of(kept)
    if box is None:
        return None
    around = tuple(slice(max(part.start - 1, 0), part.stop + 1) for part in box)
    return _surface(lead[around].astype(np.float32), [part.start for part in around], affine)


def _box_of(mask: np.ndarray) -> tuple[slice, ...] | None:
    return next(iter(find_objects(mask.astype(np.uint8, copy=False))), None)


def _surface(field: np.ndarray, origin: list[int], affine: np.ndarray) -> Surface:
    """Where the field (X, Y, Z), positive inside, is 0; its first voxel is the volume's voxel ``origin``."""
    around = np.pad(field, 1, constant_values=min(-0.5, float(field.min())))
    vertices, faces, _, _ = marching_cubes(around, _LEVEL, gradient_direction="ascent", allow_degenerate=False)
    placed = (vertices.astype(np.float64) + origin - 1) @ affine[:3, :3].T + affine[:3, 3]
    mirrored = np.linalg.det(affine[:3, :3]) < 0
    return Surface(placed, faces[:, :: -1 if mirrored else 1].astype(np.int64))
