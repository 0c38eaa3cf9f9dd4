"""A smoother surface, and one of fewer triangles."""

import numpy as np

from boundary_loss.meshes.surface import Surface
from boundary_loss.volumes.packages import package

_SHRINK, _GROW = 0.5, 0.525
"""Taubin's lambda and mu: details shorter than the pass band, 1 / lambda - 1 / mu = 0.095, go; the volume stays."""


def smoothed(surface: Surface, passes: int) -> Surface:
    """Return the surface after so many passes of Taubin's filter (SIGGRAPH 1995), one in two of which shrinks it.

    Each vertex moves towards the mean of its neighbours, or away from it, so that the result does not depend on how
    the volume lay in space.
    """
    if not passes:
        return surface
    trimesh = package("trimesh", "'boundary-loss[mesh]'", "a smooth surface")
    smoothing = package("trimesh.smoothing", "'boundary-loss[mesh]'", "a smooth surface")
    mesh = trimesh.Trimesh(surface.vertices, surface.faces, process=False)
    smoothing.filter_taubin(mesh, lamb=_SHRINK, nu=_GROW, iterations=passes)
    return Surface(np.array(mesh.vertices), surface.faces)


def reduced(surface: Surface, faces: int) -> Surface:
    """Return the surface with at most so many triangles, as far as quadric errors allow (Garland and Heckbert 1997).

    Args:
        faces: 0 leaves it as it is. A surface that fewer triangles would tear open is left as it is, too.
    """
    if not faces or len(surface.faces) <= faces:
        return surface
    simplification = package("fast_simplification", "'boundary-loss[mesh]'", "a surface of fewer triangles")
    middle = surface.vertices.mean(axis=0)
    vertices, kept = simplification.simplify(
        surface.vertices - middle, surface.faces.astype(np.int32), target_count=faces
    )
    found = Surface(vertices.astype(np.float64) + middle, kept.astype(np.int64))
    return found if found.is_closed or not surface.is_closed else surface
