"""A trained network on all slices of a volume."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from boundary_loss.command import Stop
from boundary_loss.encoding import probs2class
from boundary_loss.networks import LOGITS, outputs
from boundary_loss.predict.largest import keep_largest
from boundary_loss.predict.restore import Prediction


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """Slices through the network, as validation does it."""

    net: nn.Module
    """In evaluation mode, on ``device``."""
    num_classes: int
    temperature: float
    """Of the softmax, as in training."""
    device: torch.device
    batch_size: int
    softmax: bool
    """Whether to keep the probabilities."""
    largest: bool = False
    """Whether the classes keep their largest piece alone; the probabilities stay as they are."""

    def __call__(self, images: np.ndarray) -> Prediction:
        """Images (C, X, Y, Z) float32 in [0, 1], as :func:`boundary_loss.preparation.shown.prepare_images` makes them.

        Raises:
            ValueError: the network's output has another shape, or is not finite.
            Stop: the device's memory does not hold a batch.
        """
        slices = torch.from_numpy(images).movedim(-1, 0)  # (Z, C, X, Y)
        classes = np.empty((*images.shape[1:3], len(slices)), np.uint8)
        kept = np.empty((self.num_classes, *classes.shape), np.float32) if self.softmax else None
        for first in range(0, len(slices), self.batch_size):
            batch = slices[first : first + self.batch_size]
            probs = self._probs(batch)
            here = slice(first, first + len(batch))
            classes[..., here] = probs2class(probs, dtype=torch.uint8).movedim(0, -1).cpu().numpy()
            if kept is not None:
                kept[..., here] = probs.movedim(0, -1).cpu().numpy()
        return Prediction(keep_largest(classes) if self.largest else classes, kept)

    @torch.inference_mode()
    def _probs(self, batch: torch.Tensor) -> torch.Tensor:
        """(B, C, X, Y) -> (B, K, X, Y) on the device."""
        try:
            logits = outputs(self.net(batch.to(self.device).contiguous()))[LOGITS].float()
        except torch.OutOfMemoryError:
            raise Stop(
                f"{self.device} has no memory for {len(batch)} slices at once; --batch_size 1 needs less"
            ) from None
        expected = (len(batch), self.num_classes, *batch.shape[2:])
        if tuple(logits.shape) != expected:
            raise ValueError(f"the network made {tuple(logits.shape)} of {tuple(batch.shape)}; expected {expected}")
        if not bool(torch.isfinite(logits).all()):
            raise ValueError("the network's output is not finite; its weights may be spoilt")
        return torch.softmax(logits / self.temperature, dim=1)
