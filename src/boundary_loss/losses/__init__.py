"""The losses: one idea a file, all of them ``torch.nn.Module`` for 2D and 3D. See ``docs/losses.md``."""

from boundary_loss.losses.boundary import BoundaryLoss, SurfaceLoss
from boundary_loss.losses.hausdorff import HausdorffErosionLoss, HausdorffLoss, HDLoss
from boundary_loss.losses.region import CrossEntropy, DiceLoss, FocalLoss, GeneralizedDice, TverskyLoss
from boundary_loss.losses.table import LOSSES, build

__all__ = [
    "LOSSES",
    "BoundaryLoss",
    "CrossEntropy",
    "DiceLoss",
    "FocalLoss",
    "GeneralizedDice",
    "HDLoss",
    "HausdorffErosionLoss",
    "HausdorffLoss",
    "SurfaceLoss",
    "TverskyLoss",
    "build",
]
