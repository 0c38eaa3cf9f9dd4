"""NIfTI volumes: read what a challenge ships, write what we predict or invent.

geometry.py   where the voxels lie: the one place that says which transform of a header is believed
packed.py     bytes of a file, compressed or not, read to the end and never beyond what the header promises
nifti.py      volumes in and out
"""

from boundary_loss.volumes.geometry import PLACEMENT, UNIT_MM, Geometry, in_words, orientation, same_sizes
from boundary_loss.volumes.nifti import Volume, encode_volume, read_volume, write_volume

__all__ = [
    "PLACEMENT",
    "UNIT_MM",
    "Geometry",
    "Volume",
    "encode_volume",
    "in_words",
    "orientation",
    "read_volume",
    "same_sizes",
    "write_volume",
]
