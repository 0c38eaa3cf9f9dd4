"""How far apart two surfaces lie."""

import numpy as np

from boundary_loss.meshes.surface import Surface
from boundary_loss.metrics.nearest import nearest, nearest_weights


def signed_distances(surface: Surface, other: Surface) -> np.ndarray:
    """(V,) mm from each vertex to the other surface, negative within it; infinite if the other has no triangles."""
    if not len(other.faces):
        return np.full(len(surface.vertices), np.inf)
    lengths, numbers = nearest(surface.vertices, other.vertices[other.faces])
    corners = other.faces[numbers]
    triangles = other.vertices[corners]
    weights = nearest_weights(surface.vertices, triangles)
    offsets = surface.vertices - np.einsum("vc,vci->vi", weights, triangles)
    normals = np.einsum("vc,vci->vi", weights, other.normals[corners])
    return np.where(np.einsum("vi,vi->v", offsets, normals) >= 0, 1, -1) * lengths
