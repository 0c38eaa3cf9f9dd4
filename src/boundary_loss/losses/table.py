"""The losses that a ledger can name."""

import inspect
from collections.abc import Sequence
from typing import Any

from torch import nn

from boundary_loss.call_syntax import bind, import_named, options_of
from boundary_loss.losses.auxiliary import PREFIX, AuxiliaryLoss
from boundary_loss.losses.base import Loss, RegionLoss
from boundary_loss.losses.boundary_dou import BoundaryDoULoss
from boundary_loss.losses.centre_lines import CbDiceLoss, ClDiceLoss
from boundary_loss.losses.generalized_surface import GeneralizedSurfaceLoss
from boundary_loss.losses.hausdorff import HausdorffErosionLoss, HausdorffLoss, OneSidedHausdorffLoss
from boundary_loss.losses.head import HEADS, HeadLoss
from boundary_loss.losses.ledger_boundary import LedgerBoundaryLoss
from boundary_loss.losses.region import CrossEntropy, DiceLoss, FocalLoss, GeneralizedDice, TverskyLoss
from boundary_loss.losses.region_wise import RegionWiseLoss
from boundary_loss.losses.skeleton_recall import SkeletonRecallLoss
from boundary_loss.losses.surface_dice import SurfaceDiceLoss
from boundary_loss.owncode import explained

LOSSES: dict[str, type[Loss]] = {
    "ce": CrossEntropy,
    "focal": FocalLoss,
    "dice": DiceLoss,
    "diceloss": DiceLoss,
    "gdl": GeneralizedDice,
    "tversky": TverskyLoss,
    "boundary": LedgerBoundaryLoss,
    "surface": LedgerBoundaryLoss,
    "hausdorff": HausdorffLoss,
    "hausdorff_erosion": HausdorffErosionLoss,
    "hausdorff_one_sided": OneSidedHausdorffLoss,
    "generalized_surface": GeneralizedSurfaceLoss,
    "boundary_dou": BoundaryDoULoss,
    "surface_dice": SurfaceDiceLoss,
    "region_wise": RegionWiseLoss,
    "skeleton_recall": SkeletonRecallLoss,
    "cldice": ClDiceLoss,
    "cbdice": CbDiceLoss,
}
"""Of the probabilities; those of a distance head are :data:`boundary_loss.losses.head.HEADS`."""

SHARED = frozenset(inspect.signature(Loss).parameters)


def options(name: str) -> dict[str, inspect.Parameter]:
    """Return the options that a ledger may give to a loss, with their types and defaults.

    The options that all losses share (activation, reduction, ...) are set by the pipeline and not among them.
    """
    return options_of(find(name), SHARED)


def find(name: str) -> type[Loss] | type[HeadLoss]:
    """Return the class of a loss; for ``aux_NAME`` that of NAME, if it can be applied to an auxiliary output.

    Raises:
        ValueError: unknown name, with the known ones.
    """
    known: dict[str, type[Loss] | type[HeadLoss]] = {**LOSSES, **HEADS}
    if name.startswith(PREFIX):
        known = {
            f"{PREFIX}{own}": made for own, made in LOSSES.items() if issubclass(made, RegionLoss) and made.on_points
        }
    if name not in known:
        raise ValueError(f"unknown loss '{name}'; known: {', '.join(sorted(known))}")
    return known[name]


def build(name: str, *, classes: Sequence[int] | None = None, **given: Any) -> nn.Module:
    """Return the loss of that name with these options: ``build("gdl", classes=[0, 1], absent="penalise")``.

    ``aux_NAME`` is loss NAME of the network's output ``aux``, see :class:`AuxiliaryLoss`.

    Values may be text, as in a ledger; numbers are read from it. A loss of your own is named by its import path,
    ``mypackage.losses:MyLoss``: a module called as ``loss(probs, one_hot)``, made with the options, read as its
    annotations or defaults say, and with ``classes`` if it takes them.
    With ``target = "distance"`` it gets signed distance maps, as BoundaryLoss,
    with ``reads = NAME`` the network's output of that name instead of the probabilities, as HeadLoss, and with
    ``takes_spacing = True`` the keyword ``spacing_mm``, (B, D) mm, as HausdorffLoss. With ``takes_mask = True`` it gets
    the keyword ``mask``, (B, 1, ...) bool, True where a voxel counts, or None if all do; without, probabilities and
    one-hot labels are zero in ignored voxels.

    Raises:
        ValueError: unknown name or option, with the known ones; a value of the wrong type or out of range.
    """
    if ":" in name:
        return build_own(name, classes, given)
    make = bind(find(name), given, "loss", name=name, filled=SHARED)
    try:
        loss = make(classes=classes)
        return AuxiliaryLoss(loss) if name.startswith(PREFIX) and isinstance(loss, RegionLoss) else loss
    except ValueError as error:
        raise ValueError(f"loss '{name}': {error}") from None


def build_own(path: str, classes: Sequence[int] | None, given: dict[str, Any]) -> nn.Module:
    """Return a loss of the user's own, by import path."""
    made = import_named(path, "loss")
    make = bind(made, given, "loss", name=path, filled=("classes",))
    takes_classes = "classes" in inspect.signature(made).parameters
    with explained(f"loss '{path}' cannot be built"):
        loss = make(classes=classes) if takes_classes else make()
    if not isinstance(loss, nn.Module):
        raise ValueError(f"{path} made a {type(loss).__name__}, not a torch.nn.Module")
    return loss
