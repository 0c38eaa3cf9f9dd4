"""Lesions as connected components: how many there are, are found, and are false.

The definition of the WMH challenge (Kuijf et al., IEEE TMI 2019): voxels that touch at a face, an edge or a corner
belong to one lesion (26 neighbours in a volume, 8 in a slice); a lesion is found if any of its voxels is predicted, and
a predicted lesion is right if any of its voxels is in the ground truth.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import generate_binary_structure, label

from boundary_loss.metrics.borders import bounding_box
from boundary_loss.metrics.reading import as_counted, as_mask

if TYPE_CHECKING:
    from torch import Tensor

Mask = Union[ArrayLike, "Tensor"]


@dataclass(frozen=True)
class LesionCounts:
    """Lesions of a prediction beside those of its ground truth."""

    true: int
    found: int
    """Of the true ones, those that any predicted voxel touches."""
    predicted: int
    right: int
    """Of the predicted ones, those that touch the ground truth."""

    @property
    def recall(self) -> float:
        """found / true; 1 where there are neither true nor predicted lesions, 0 where there are predicted ones only."""
        return self.found / self.true if self.true else float(not self.predicted)

    @property
    def precision(self) -> float:
        """right / predicted; 1 where there are neither, 0 where there are true ones only."""
        return self.right / self.predicted if self.predicted else float(not self.true)

    @property
    def f1(self) -> float:
        """Harmonic mean of recall and precision; 0 where both are 0."""
        both = self.recall + self.precision
        return 2 * self.recall * self.precision / both if both else 0.0

    @property
    def difference(self) -> int:
        """|predicted − true|."""
        return abs(self.predicted - self.true)


class Lesions:
    """The numbered lesions of a mask, kept to be compared with many others.

    Args:
        mask: (...) bool, or zeros and ones.
        touching: ``corner`` (26 neighbours in a volume) or ``face`` (6).
    """

    def __init__(self, mask: Mask, touching: str = "corner") -> None:
        self.mask = as_mask(mask)
        if touching not in ("corner", "face"):
            raise ValueError(f"touching='{touching}' is not understood; known: corner, face")
        self.touching = touching
        self.box = bounding_box(self.mask)

    @cached_property
    def numbered(self) -> NDArray[np.int32]:
        """The mask's box with 1, 2, ... in its lesions."""
        if self.box is None:
            return np.zeros((0,) * self.mask.ndim, np.int32)
        axes = self.mask.ndim
        neighbours = generate_binary_structure(axes, axes if self.touching == "corner" else 1)
        return label(self.mask[self.box], neighbours)[0]

    @cached_property
    def count(self) -> int:
        return int(self.numbered.max(initial=0))

    def touched_by(self, mask: NDArray[np.bool_]) -> int:
        """How many of the lesions share a voxel with a mask of the same image."""
        if self.box is None:
            return 0
        return int(np.count_nonzero(np.bincount(self.numbered[mask[self.box]], minlength=1)[1:]))

    def compare(self, pred: "Lesions") -> LesionCounts:
        """This ground truth's lesions beside those of a prediction."""
        return LesionCounts(self.count, self.touched_by(pred.mask), pred.count, pred.touched_by(self.mask))


def lesion_counts(pred: Mask, gt: Mask, touching: str = "corner", *, mask: Mask | None = None) -> LesionCounts:
    """Lesions of two masks; ``.recall``, ``.precision``, ``.f1``, ``.true``, ``.found``, ``.predicted``, ``.right``.

    Args:
        pred: bool, or zeros and ones, of one image with 1 to 3 axes. An array or a tensor of any type.
        gt: of the same shape.
        touching: ``corner``: voxels that touch at a face, edge or corner are one lesion; ``face``: at a face only.
        mask: bool, of the same shape, True where a voxel counts; the others belong to no lesion.

    Raises:
        ValueError: shapes differ, or are those of a batch; other values in a mask, an unknown way of touching.

    >>> import numpy as np
    >>> pred, gt = np.zeros((2, 3, 8), bool)
    >>> gt[0, :2] = gt[2, 5:] = pred[1, 2] = pred[2, 6] = True
    >>> lesion_counts(pred, gt)
    LesionCounts(true=2, found=1, predicted=2, right=1)
    """
    if np.shape(pred) != np.shape(gt):
        raise ValueError(f"prediction of shape {np.shape(pred)} and ground truth of shape {np.shape(gt)} do not match")
    if np.ndim(pred) > 3:
        raise ValueError(
            f"lesions are counted in one image of 1 to 3 axes, got {np.shape(pred)}; take one item at a time"
        )
    voxels = [as_mask(pred, "pred"), as_mask(gt, "gt")]
    if mask is not None:
        voxels = [as_counted(mask, np.shape(gt)) & of for of in voxels]
    of_pred, of_gt = (Lesions(of, touching) for of in voxels)
    return of_gt.compare(of_pred)
