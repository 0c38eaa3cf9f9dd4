"""Losses, exact distance maps and metrics for segmentations whose boundary matters.

The names below are loaded on first use, so that ``import boundary_loss.plot`` costs no torch and
``from boundary_loss import BoundaryLoss`` no matplotlib.
"""

from importlib import import_module

__version__ = "0.1.0"

TYPE_CHECKING = False  # not from typing, which a file may hide: a command explains that once this module is loaded
if TYPE_CHECKING:
    from typing import Any

    from boundary_loss.distance import (
        dist_map_transform,
        euclidean_distance,
        one_hot2dist,
        signed_distance,
    )
    from boundary_loss.encoding import class2one_hot, probs2class, probs2one_hot
    from boundary_loss.losses import (
        BoundaryDoULoss,
        BoundaryLoss,
        CbDiceLoss,
        ClDiceLoss,
        CrossEntropy,
        DiceLoss,
        DistanceHeadLoss,
        FocalLoss,
        FromLabels,
        FusedDiceCEBoundary,
        FusedDiceCELoss,
        FusedDiceLoss,
        FusedGeneralizedDiceBoundary,
        GeneralizedDice,
        GeneralizedDiceLoss,
        GeneralizedSurfaceLoss,
        HausdorffDTLoss,
        HausdorffErosionLoss,
        HausdorffLoss,
        HDLoss,
        OneSidedHausdorffLoss,
        RegionWiseLoss,
        SDF_loss,
        SDFLoss,
        SDFProductLoss,
        SkeletonRecallLoss,
        SurfaceDiceLoss,
        SurfaceLoss,
        TverskyLoss,
    )
    from boundary_loss.metrics import measure, surface_distances
    from boundary_loss.schedule import parse_schedule

_HOME = {
    "distance": ["dist_map_transform", "euclidean_distance", "one_hot2dist", "signed_distance"],
    "encoding": ["class2one_hot", "probs2class", "probs2one_hot"],
    "losses": ["BoundaryDoULoss", "BoundaryLoss", "CbDiceLoss", "ClDiceLoss", "CrossEntropy", "DiceLoss",
               "DistanceHeadLoss", "FocalLoss", "FromLabels", "FusedDiceCEBoundary", "FusedDiceCELoss",
               "FusedDiceLoss", "FusedGeneralizedDiceBoundary", "GeneralizedDice", "GeneralizedDiceLoss",
               "GeneralizedSurfaceLoss", "HausdorffDTLoss", "HausdorffErosionLoss", "HausdorffLoss", "HDLoss",
               "OneSidedHausdorffLoss", "RegionWiseLoss", "SDF_loss", "SDFLoss", "SDFProductLoss",
               "SkeletonRecallLoss", "SurfaceDiceLoss", "SurfaceLoss", "TverskyLoss"],
    "metrics": ["measure", "surface_distances"],
    "schedule": ["parse_schedule"],
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "BoundaryDoULoss",
    "BoundaryLoss",
    "CbDiceLoss",
    "ClDiceLoss",
    "CrossEntropy",
    "DiceLoss",
    "DistanceHeadLoss",
    "FocalLoss",
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
    "SDFLoss",
    "SDFProductLoss",
    "SDF_loss",
    "SkeletonRecallLoss",
    "SurfaceDiceLoss",
    "SurfaceLoss",
    "TverskyLoss",
    "class2one_hot",
    "dist_map_transform",
    "euclidean_distance",
    "measure",
    "one_hot2dist",
    "parse_schedule",
    "probs2class",
    "probs2one_hot",
    "signed_distance",
    "surface_distances",
]


def __getattr__(name: str) -> "Any":
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'boundary_loss' has no attribute {name!r}")
    return getattr(import_module(f"boundary_loss.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
