"""What Reich et al. (OSS-Net, BMVC 2021) measured, on unknown hardware; second-hand, from a review of the paper.

Memory of a training step and of inference with 2^14 points at a time, or dense for U-Nets, in GB (10^9 bytes). Times
are read off a plot.
"""

from dataclasses import dataclass

BRATS, LITS = (256 * 256 * 160) ** (1 / 3), 512.0
"""Side of a cube of as many voxels."""


@dataclass(frozen=True)
class Mark:
    """A published number: of our row, at this side, ``training`` or ``inference``."""

    row: str
    side: float
    of: str
    value: float


def _marks(side: float, training: dict[str, float], inference: dict[str, float]) -> list[Mark]:
    return [
        Mark(row, side, of, value)
        for of, column in (("training", training), ("inference", inference))
        for row, value in column.items()
    ]


_ROWS = ("unet2d", "onet", "oss_a", "oss_b", "oss_c", "oss_d")


def _of_all(side: float, training: tuple[float, ...], inference: tuple[float, ...]) -> list[Mark]:
    return _marks(side, dict(zip(_ROWS, training, strict=True)), dict(zip(_ROWS, inference, strict=True)))


GIGABYTES = (
    *_of_all(BRATS, (1.16, 2.35, 2.58, 2.76, 2.59, 2.76), (0.46, 0.29, 0.39, 0.48, 0.39, 0.48)),
    *_of_all(LITS, (4.29, 5.07, 5.18, 5.21, 5.19, 5.22), (1.20, 1.47, 1.50, 1.53, 1.51, 1.53)),
    *_marks(BRATS, {"unet3d": 14.41}, {"unet3d": 3.57}),
)
SECONDS = (Mark("oss_c", BRATS, "prior", 2.6), Mark("oss_c", BRATS, "dense", 5.4))
