"""Axis letters and array types, said once.

Letters used in comments, docstrings and einsum strings everywhere:

    B  items of a batch (slices, patches, volumes)
    C  input channels (modalities)
    K  classes, background first
    X Y (Z)  voxel axes in the order of the array, whatever the scanner calls them; ``...`` = any number of them
    E  epochs;  N  slices;  P  volumes (a patient, or a patient's frame)
"""

from torch import Tensor

from boundary_loss.labels import IGNORED as IGNORED

Logits = Tensor  # (B, K, ...) float, unbounded
Probs = Tensor  # (B, K, ...) float in [0, 1], summing to 1 over K
OneHot = Tensor  # (B, K, ...) 0 or 1, exactly one 1 a voxel (none where the voxel is ignored)
Labels = Tensor  # (B, ...) integer classes
DistMaps = Tensor  # (B, K, ...) float, mm, negative inside the class
Scalar = Tensor  # ()
