"""Surfaces as files that viewers and printers read."""

import numpy as np

from boundary_loss.meshes.surface import Surface

_PLY = """ply
format binary_little_endian 1.0
comment mm, RAS
element vertex {vertices}
property float x
property float y
property float z
element face {faces}
property list uchar int vertex_indices
end_header
"""


def encode_ply(surface: Surface) -> bytes:
    """Return a binary PLY file: float32 coordinates in mm."""
    header = _PLY.format(vertices=len(surface.vertices), faces=len(surface.faces))
    triangles = np.zeros(len(surface.faces), dtype=[("count", "u1"), ("corners", "<i4", 3)])
    triangles["count"], triangles["corners"] = 3, surface.faces
    return header.encode("ascii") + surface.vertices.astype("<f4").tobytes() + triangles.tobytes()


def encode_obj(surface: Surface) -> bytes:
    """Return a Wavefront OBJ file, which is text: coordinates in mm to a ten-thousandth, corners counted from 1."""
    vertices = [f"v {x:.4f} {y:.4f} {z:.4f}\n" for x, y, z in surface.vertices.tolist()]
    faces = [f"f {a} {b} {c}\n" for a, b, c in (surface.faces + 1).tolist()]
    return "".join(["# mm, RAS\n", *vertices, *faces]).encode("ascii")


ENCODERS = {".ply": encode_ply, ".obj": encode_obj}
