"""Volumes in files: read what a challenge ships, write what we predict or invent.

formats.py         the door: a file's name decides which format it is read and written in
volume.py          voxels, and where they lie
geometry.py        what every format must say of where voxels lie
nifti_geometry.py  the one place that says which transform of a NIfTI header is believed
nifti.py           NIfTI in and out
nrrd_header.py     the text of an NRRD header, and where it says that voxels lie
nrrd.py            NRRD in and out
hdf5.py            HDF5 in and out
png.py             pictures of one plane in and out
packed.py          bytes of a file, compressed or not, read to the end and never beyond what the header promises
packages.py        packages that only some formats need
"""

from boundary_loss.volumes.formats import (
    READ,
    encode_volume,
    ending_of,
    read_channels,
    read_shape,
    read_volume,
    stem_of,
    write_volume,
    written_as,
)
from boundary_loss.volumes.geometry import UNIT_MM, Geometry, corners, in_words, orientation, same_sizes
from boundary_loss.volumes.hdf5 import Hdf5Geometry
from boundary_loss.volumes.nifti_geometry import PLACEMENT, NiftiGeometry
from boundary_loss.volumes.nrrd_header import NrrdGeometry
from boundary_loss.volumes.png import PngGeometry
from boundary_loss.volumes.volume import Volume

__all__ = [
    "PLACEMENT",
    "READ",
    "UNIT_MM",
    "Geometry",
    "Hdf5Geometry",
    "NiftiGeometry",
    "NrrdGeometry",
    "PngGeometry",
    "Volume",
    "corners",
    "encode_volume",
    "ending_of",
    "in_words",
    "orientation",
    "read_channels",
    "read_shape",
    "read_volume",
    "same_sizes",
    "stem_of",
    "write_volume",
    "written_as",
]
