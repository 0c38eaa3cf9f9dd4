"""The boundary loss of a ledger: with the map that the pipeline makes for it."""

from collections.abc import Sequence
from typing import Literal

from boundary_loss.losses.base import Activation, Reduction, one_of
from boundary_loss.losses.boundary import BoundaryLoss


class LedgerBoundaryLoss(BoundaryLoss):
    """:class:`BoundaryLoss`, and which distance maps it reads: ``boundary(map=3d,convention=interface)``.

    Args:
        map: "own" is right under every augmentation: made once, of the sample's slice or whole case; if the
            augmentation deforms, made in each step, of what is shown. "2d" (of the slice) and "3d" (of the volume)
            are made once and refuse deformations; "step" is always made in each step.
        convention, absent, normalise: as in :func:`boundary_loss.signed_distance`; "none" does not normalise.
    """

    def __init__(
        self,
        *,
        shift: Literal["none", "optimum"] = "none",
        map: Literal["own", "2d", "3d", "step"] = "own",
        convention: str = "paper",
        absent: str = "zero",
        normalise: str = "none",
        idc: Sequence[int] | None = None,
        classes: Sequence[int] | None = None,
        activation: Activation | None = None,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(
            shift=shift,
            idc=idc,
            classes=classes,
            activation=activation,
            ignore_index=ignore_index,
            reduction=reduction,
        )
        self.map = one_of("map", map, ("own", "2d", "3d", "step"))
        self.distance_options = {
            "convention": convention,
            "absent": absent,
            "normalise": None if normalise == "none" else normalise,
        }
        """Keywords for :func:`boundary_loss.signed_distance` that make these maps."""
