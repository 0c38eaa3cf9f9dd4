"""Where to look in a new case, by the locator that found the boxes of the training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from boundary_loss.data.frame import Box, Shape
from boundary_loss.data.locator import locate, placed
from boundary_loss.predict.inference import Predictor
from boundary_loss.preparation.shown import Preparation, prepare_new


@dataclass(frozen=True, kw_only=True)
class Locator:
    """A network that sees whole volumes, and the size of the boxes that it places in them."""

    predictor: Predictor
    modalities: tuple[str, ...]
    preparation: Preparation
    size: Shape
    least: float = 10
    """The sum of a plane's probabilities from which on it holds the object, as for the boxes of the training."""

    def __call__(self, arrays: Sequence[np.ndarray]) -> tuple[Box, bool]:
        """The box of a case, given its modalities (X, Y, Z) as in the files; and whether anything was found.

        Where nothing was found the box lies in the volume's centre.
        """
        assert self.predictor.view is not None
        images = prepare_new(arrays, self.modalities, self.preparation)
        source = images.shape[1:]
        extent = locate(self.predictor.logits, torch.from_numpy(images), self.predictor.view.frame(source), self.least)
        return placed(extent, self.size, source), extent is not None
