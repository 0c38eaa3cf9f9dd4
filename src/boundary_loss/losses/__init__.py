"""The losses: one idea a file, all of them ``torch.nn.Module`` for 2D and 3D. See ``docs/losses.md``."""

from boundary_loss.losses.balance import gradient_norms, propose_weight
from boundary_loss.losses.boundary import BoundaryLoss, SurfaceLoss
from boundary_loss.losses.boundary_dou import BoundaryDoULoss
from boundary_loss.losses.centre_lines import CbDiceLoss, ClDiceLoss
from boundary_loss.losses.dropin import HausdorffDTLoss, HDLoss
from boundary_loss.losses.from_labels import FromLabels
from boundary_loss.losses.fused import FusedDiceCEBoundary, FusedDiceCELoss, FusedDiceLoss, FusedGeneralizedDiceBoundary
from boundary_loss.losses.generalized_surface import GeneralizedSurfaceLoss
from boundary_loss.losses.hausdorff import HausdorffErosionLoss, HausdorffLoss, OneSidedHausdorffLoss
from boundary_loss.losses.head import ForegroundHead, SDFHead, SDFProductHead
from boundary_loss.losses.region import (
    CrossEntropy,
    DiceLoss,
    FocalLoss,
    GeneralizedDice,
    GeneralizedDiceLoss,
    TverskyLoss,
)
from boundary_loss.losses.region_wise import RegionWiseLoss
from boundary_loss.losses.regression import DistanceHeadLoss, SDF_loss, SDFLoss, SDFProductLoss
from boundary_loss.losses.skeleton_recall import SkeletonRecallLoss
from boundary_loss.losses.surface_dice import SurfaceDiceLoss
from boundary_loss.losses.table import LOSSES, build

__all__ = [
    "LOSSES",
    "BoundaryDoULoss",
    "BoundaryLoss",
    "CbDiceLoss",
    "ClDiceLoss",
    "CrossEntropy",
    "DiceLoss",
    "DistanceHeadLoss",
    "FocalLoss",
    "ForegroundHead",
    "FromLabels",
    "FusedDiceCEBoundary",
    "FusedDiceCELoss",
    "FusedDiceLoss",
    "FusedGeneralizedDiceBoundary",
    "GeneralizedDice",
    "GeneralizedDiceLoss",
    "GeneralizedSurfaceLoss",
    "HDLoss",
    "HausdorffDTLoss",
    "HausdorffErosionLoss",
    "HausdorffLoss",
    "OneSidedHausdorffLoss",
    "RegionWiseLoss",
    "SDFHead",
    "SDFLoss",
    "SDFProductHead",
    "SDFProductLoss",
    "SDF_loss",
    "SkeletonRecallLoss",
    "SurfaceDiceLoss",
    "SurfaceLoss",
    "TverskyLoss",
    "build",
    "gradient_norms",
    "propose_weight",
]
