"""A trained network on a volume: slice by slice, or whole and in overlapping patches, as validation does it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from boundary_loss.command import Stop
from boundary_loss.data import View
from boundary_loss.data.frame import Box, Frame
from boundary_loss.data.point_samples import ask_in_source, probabilities_in_source
from boundary_loss.data.view import classes_in_source, probs_in_source
from boundary_loss.data.ways import Way
from boundary_loss.encoding import probs2class
from boundary_loss.inference.decision import ARGMAX, decide
from boundary_loss.networks import LOGITS, outputs
from boundary_loss.predict.largest import keep_largest
from boundary_loss.predict.restore import Prediction


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """A network and what it is shown of a volume."""

    net: nn.Module
    """In evaluation mode, on ``device``."""
    num_classes: int
    temperature: float
    """Of the softmax, as in training."""
    device: torch.device
    batch_size: int
    """Slices at once, or patches."""
    softmax: bool
    """Whether to keep the probabilities."""
    decision: str = ARGMAX
    """How classes follow from the probabilities, see :mod:`boundary_loss.inference.decision`."""
    largest: bool = False
    """Whether the classes keep their largest piece alone; the probabilities stay as they are."""
    view: View | None = None
    """What of a whole volume is shown; None of a network of slices."""

    def __call__(self, images: np.ndarray, box: Box | None = None, grid: Frame | None = None) -> Prediction:
        """Images (C, X, Y, Z) float32, as :func:`boundary_loss.preparation.shown.prepare_new` makes them.

        Args:
            box: where to look in a whole volume; beyond it is background.
            grid: the voxels to ask a network of space at, instead of those of the images.

        Raises:
            ValueError: the network's output has another shape, or is not finite.
            Stop: the device's memory does not hold a batch.
        """
        if self.view is None:
            classes, kept = self._by_slices(images)
        else:
            classes, kept = self._whole(images, self.view.frame(images.shape[1:], box), grid)
        return Prediction(keep_largest(classes) if self.largest else classes, kept)

    @property
    def is_of_space(self) -> bool:
        """Whether the network answers at points."""
        return self.view is not None and self.view.of_points

    def _by_slices(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """(X, Y, Z) uint8 and, if they are kept, probabilities (K, X, Y, Z)."""
        slices = torch.from_numpy(images).movedim(-1, 0)  # (Z, C, X, Y)
        classes = np.empty((*images.shape[1:3], len(slices)), np.uint8)
        needs_probs = self.softmax or self.decision != ARGMAX
        kept = np.empty((self.num_classes, *classes.shape), np.float32) if needs_probs else None
        for first in range(0, len(slices), self.batch_size):
            batch = slices[first : first + self.batch_size]
            probs = self._probs(self._logits(batch)[LOGITS])
            here = slice(first, first + len(batch))
            if kept is None:
                classes[..., here] = probs2class(probs, dtype=torch.uint8).movedim(0, -1).cpu().numpy()
            else:
                kept[..., here] = probs.movedim(0, -1).cpu().numpy()
        if kept is not None:
            classes = decide(torch.from_numpy(kept), self.decision).numpy()
        return classes, kept if self.softmax else None

    def _whole(
        self, images: np.ndarray, frame: Frame, grid: Frame | None
    ) -> tuple[np.ndarray, np.ndarray | None]:  # fmt: skip
        """The same, of what the frame shows."""
        assert self.view is not None
        if self.view.way is not None:
            return self._at_points(frame.read(images, 1).to(self.device), frame, self.view.way, grid)
        probs = torch.softmax(self.logits(frame.read(images, 1)[None]), dim=1)[0]
        classes = classes_in_source(probs, frame, self.decision).cpu().numpy()
        return classes, probs_in_source(probs, frame).cpu().numpy() if self.softmax else None

    @torch.inference_mode()
    def _at_points(
        self, volume: Tensor, frame: Frame, way: Way, grid: Frame | None
    ) -> tuple[np.ndarray, np.ndarray | None]:  # fmt: skip
        """The same, of a network of space: asked its way, or at every voxel where the probabilities are kept."""
        net: Any = self.net
        try:
            if not self.softmax and self.decision == ARGMAX:
                return ask_in_source(net, volume, frame, way, grid).cpu().numpy(), None
            probs = probabilities_in_source(net, volume, frame, way, self.temperature, self.num_classes, grid)
        except torch.OutOfMemoryError:
            raise Stop(f"{self.device} has no memory for this; --infer 'coarse(memory=512MiB)' needs less") from None
        return decide(probs, self.decision).numpy(), probs.numpy() if self.softmax else None

    def logits(self, image: Tensor) -> Tensor:
        """(1, C, X, Y, Z) of what is shown of a volume -> (1, K, X, Y, Z) on the device, over the temperature.

        Errors as of a call.
        """
        assert self.view is not None
        found = self.view.outputs(self._logits, image, batch_size=self.batch_size, device=self.device)[LOGITS]
        return found / self.temperature

    def _probs(self, logits: Tensor) -> Tensor:
        return torch.softmax(logits / self.temperature, dim=1)

    @torch.inference_mode()
    def _logits(self, batch: Tensor) -> dict[str, Tensor]:
        """(B, C, ...) -> (B, K, ...) float32 on the device, alone among the network's outputs."""
        try:
            logits = outputs(self.net(batch.to(self.device).contiguous()))[LOGITS].float()
        except torch.OutOfMemoryError:
            what, less = ("slices", "--batch_size 1 needs less") if batch.ndim == 4 else self._of_volumes(len(batch))
            raise Stop(f"{self.device} has no memory for {len(batch)} {what} at once; {less}") from None
        expected = (len(batch), self.num_classes, *batch.shape[2:])
        if tuple(logits.shape) != expected:
            raise ValueError(f"the network made {tuple(logits.shape)} of {tuple(batch.shape)}; expected {expected}")
        if not bool(torch.isfinite(logits).all()):
            raise ValueError("the network's output is not finite; its weights may be spoilt")
        return {LOGITS: logits}

    def _of_volumes(self, count: int) -> tuple[str, str]:
        """What was too much, and what needs less."""
        return "volumes or patches", "--batch_size 1 needs less" if count > 1 else "--device cpu may have more"
