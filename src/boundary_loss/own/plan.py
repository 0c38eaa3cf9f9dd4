"""From sizes and voxel sizes to 2D or 3D, and to settings that fit: what a study's rows need to know of the data.

The rules are few, so that they can be said. Sizes are those of the headers; nothing depends on the machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

import numpy as np

from boundary_loss.volumes import in_words

FEWEST_PLANES = 12
"""Planes that a volume must have for 3D: fewer say little about the axis across them."""
THICK, THICK_PLANES = 3.0, 32
"""With voxels this many times as thick as wide it takes more planes."""
WHOLE_VOXELS = 1 << 18
"""Padded volumes up to this size are shown whole, several at a time."""
PATCH_VOXELS = 1 << 20
"""Of a patch, at most: with ``VNet(kernel=3,width=16)`` a batch of two takes about 10 GiB."""
MULTIPLE = 16
"""Of the sides of what a VNet of five levels is shown; one of four levels takes half of it."""
SLICES_BYTES = 4 << 30
"""That slices of all cases may take in memory, beside rows of volumes."""
SMALL_PLANE = 1 << 14
"""Planes up to this size are shown 32 at a time to a narrow network."""
CASES_SEEN = {"whole": 3200, "patch": 20000}
"""How often cases are shown in a training, in all; the number of epochs follows from it."""
EPOCHS = {"whole": (20, 200), "patch": (100, 500)}
"""The fewest epochs and the most."""


@dataclass(frozen=True)
class Sizes:
    """Shapes (X, Y, Z) and voxel sizes in mm of the training cases."""

    shapes: Sequence[tuple[int, int, int]]
    spacings: Sequence[tuple[float, float, float]]

    @property
    def shape(self) -> tuple[int, int, int]:
        """The median size along each axis."""
        x, y, z = (int(size) for size in np.median(self.shapes, axis=0))
        return x, y, z

    @property
    def largest(self) -> tuple[int, int, int]:
        x, y, z = (int(size) for size in np.max(self.shapes, axis=0))
        return x, y, z

    @property
    def spacing(self) -> tuple[float, float, float]:
        """The median voxel size along each axis."""
        x, y, z = (float(size) for size in np.median(self.spacings, axis=0))
        return x, y, z


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What rows of volumes and of slices are shown, and why."""

    dim: int
    """2 or 3: the rows that are trained unless RUNS says otherwise."""
    why: str
    sample: str
    """Of 3D rows: ``whole``, or ``patch(x,y,z,object=0.33)``."""
    network: str
    """Of 3D rows."""
    batch_size: int
    """Of 3D rows."""
    fit: str
    """Of 3D rows: what their sides are padded to."""
    network_2d: str
    batch_size_2d: int
    epochs: int
    slices_fit: bool
    """Whether rows of slices, which are all kept in memory, go with those of volumes."""


def plan_of(sizes: Sizes, dim: int | None = None, channels: int = 1) -> Plan:
    """Return the plan for volumes of these sizes; ``dim`` overrides the choice between 2D and 3D."""
    chosen, why = choose_dim(sizes)
    if dim is not None and dim != chosen:
        chosen, why = dim, f"as asked, though {why}"
    small = prod(sizes.largest[:2]) <= SMALL_PLANE
    return Plan(
        dim=chosen,
        why=why,
        **shown_of(sizes),
        network_2d="UNet(width=8)" if small else "UNet(width=32)",
        batch_size_2d=32 if small else 8,
        slices_fit=sum(map(prod, sizes.shapes)) * (4 * channels + 1) <= SLICES_BYTES,
        epochs=epochs_of(len(sizes.shapes), "whole" if prod(padded(sizes.largest)) <= WHOLE_VOXELS else "patch"),
    )


def epochs_of(count: int, shown: str) -> int:
    """Return the number of epochs for so many cases with labels, four fifths of which are trained on."""
    fewest, most = EPOCHS[shown]
    return min(max(round(CASES_SEEN[shown] / max(0.8 * count, 1)), fewest), most)


def choose_dim(sizes: Sizes) -> tuple[int, str]:
    """Return 2 or 3 and the reason, as ``35 planes, voxels 1 times as thick as wide``."""
    planes = sizes.shape[2]
    if planes == 1:
        return 2, "each case is one plane"
    x, y, z = sizes.spacing
    thick = z / max(x, y)
    enough = THICK_PLANES if thick > THICK else FEWEST_PLANES
    reason = f"{planes} planes of voxels {in_words(sizes.spacing)} mm"
    if planes < enough:
        return 2, f"{reason}; 3D takes {enough} planes" + (" of voxels so thick" if thick > THICK else "")
    return 3, reason


def shown_of(sizes: Sizes) -> dict[str, Any]:
    """Return what 3D rows are shown: sample, fit, network and batch size.

    Small volumes are shown whole to a narrow network of four levels. Of larger ones patches are shown, two at a time,
    which are as large as the median volume along its short sides.
    """
    if prod(padded(sizes.largest)) <= WHOLE_VOXELS:
        network = "VNet(kernel=3,width=4,levels=1-2-2-2,norm=instance)"
        return {"sample": "whole", "fit": f"pad({MULTIPLE // 2})", "network": network, "batch_size": 2}
    patch = ",".join(map(str, patch_of(sizes.shape)))
    network = "VNet(kernel=3,width=16,norm=instance)"
    return {"sample": f"patch({patch},object=0.33)", "fit": "none", "network": network, "batch_size": 2}


def padded(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a shape with its sides rounded up to what the network takes."""
    return tuple(MULTIPLE * ceil(size / MULTIPLE) for size in shape)


def patch_of(shape: Sequence[int], voxels: int = PATCH_VOXELS) -> tuple[int, ...]:
    """Return the largest patch of at most so many voxels: the longest side is shortened, step by step."""
    patch = list(padded(shape))
    while prod(patch) > voxels:
        patch[int(np.argmax(patch))] -= MULTIPLE
    return tuple(patch)


def as_make(plan: Plan, *, classes: Sequence[str], channels: Sequence[str], held_out: int) -> str:
    """Return the variables of make that say all this."""
    return "".join(
        f"{name} := {value}\n"
        for name, value in {
            "DIM": plan.dim,
            "CHANNEL": channels[0],
            "HELD_OUT": held_out,
            "FOREGROUND": ",".join(map(str, range(1, len(classes)))),
            "CLASSES": ",".join(map(str, range(len(classes)))),
            "EPOCHS": plan.epochs,
            "SAMPLE_3D": plan.sample,
            "FIT_3D": plan.fit,
            "NET_3D": plan.network,
            "BS_3D": plan.batch_size,
            "BESIDE_3D": "2d_ce_dice" if plan.slices_fit else "",
            "NET_2D": plan.network_2d,
            "BS_2D": plan.batch_size_2d,
        }.items()
    )
