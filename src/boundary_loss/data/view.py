"""Reads what a ledger says a network is shown of a case, and how its outputs are put together: fit, sample, infer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from boundary_loss.call_syntax import bind_named, parse_call
from boundary_loss.data.fit import STEPS, Fit
from boundary_loss.data.frame import Box, Frame, Shape
from boundary_loss.data.patches import Patch
from boundary_loss.data.points import Points
from boundary_loss.data.ways import WAYS, Coarse, Way, read_bytes
from boundary_loss.encoding import probs2class
from boundary_loss.inference.decision import ARGMAX, decide
from boundary_loss.inference.windows import sliding_windows
from boundary_loss.shapes import Labels, Probs


@dataclass(frozen=True)
class Planes:
    """``slices``: a 2D network on slices, or on the planes of whole volumes."""


@dataclass(frozen=True)
class Whole:
    """``whole``: all that the fit shows of a case, at once."""

    each: ClassVar[int] = 1


Sample = Planes | Whole | Patch | Points
SAMPLES: dict[str, Callable[..., Sample]] = {"slices": Planes, "whole": Whole, "patch": Patch, "points": Points}


@dataclass(frozen=True)
class Windows:
    """``windows(overlap=0.5, memory=2GiB)``: overlapping patches, averaged with Gaussian weights.

    Args:
        overlap: of neighbours, as a share of the patch.
        memory: what their averages may take on the device; they are kept on the host if they need more.
    """

    overlap: float = 0.5
    memory: str = "2GiB"

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < 1:
            raise ValueError(f"windows: overlap={self.overlap:g} must be at least 0 and below 1")
        _ = self.bytes

    @property
    def bytes(self) -> int:
        """Return the memory in bytes."""
        return read_bytes(self.memory)


INFERENCE: dict[str, Callable[..., Windows | Way]] = {"windows": Windows, **WAYS}


@dataclass(frozen=True, kw_only=True)
class View:
    """What a network is shown of a case; stored with the weights, so that new cases are shown in the same way."""

    fit: Fit
    sample: Sample
    inference: Windows | Way | None
    """How patches become the whole, or a network of space is asked for all voxels; None if it sees all at once."""

    @classmethod
    def parse(cls, fit: Sequence[str], sample: str, infer: str) -> "View":
        """Return the View of ``["reduce(4,4,2)"], "patch(112,112,80)", "windows(overlap=0.5)"``.

        Without ``infer``, the default inference of the sample.

        Raises:
            ValueError: an unknown or ill-formed word, or an inference that does not fit the sample.
        """
        shown = parse_sample(sample)
        if not infer:
            own = Windows() if isinstance(shown, Patch) else Coarse() if isinstance(shown, Points) else None
            return cls(fit=Fit.parse(fit), sample=shown, inference=own)
        inference = parse_inference(infer)
        if isinstance(shown, Points) is isinstance(inference, Windows):
            raise ValueError(
                f"INFER={infer} does not go with SAMPLE={sample}: dense, prior and coarse go with points, windows with "
                "patches"
            )
        return cls(fit=Fit.parse(fit), sample=shown, inference=inference)

    @property
    def way(self) -> Way | None:
        """Return how an occupancy network is evaluated at all voxels; None for other networks."""
        return None if isinstance(self.inference, Windows) else self.inference

    @property
    def of_volumes(self) -> bool:
        """Return True if the network is 3D and is shown whole volumes, or parts of them."""
        return not isinstance(self.sample, Planes)

    @property
    def of_points(self) -> bool:
        """Return True if the network is shown a whole volume and evaluated at points of it."""
        return isinstance(self.sample, Points)

    def frame(self, source: Sequence[int], box: Box | None = None) -> Frame:
        """Return the frame of a case of this shape: the steps of the fit, then the box."""
        frame = self.fit(source)
        return frame if box is None else frame.cut(box)

    def shape(self, frame: Frame) -> Shape:
        """Return the shape of a sample of a case."""
        return tuple(map(min, self.sample.shape, frame.shape)) if isinstance(self.sample, Patch) else frame.shape

    def outputs(
        self, call: Callable[[Tensor], dict[str, Tensor]], image: Tensor, *, batch_size: int, device: torch.device
    ) -> dict[str, Tensor]:
        """Return the network's outputs by name, (1, K, *shape) float32 each, on all that is shown of a case.

        Args:
            call: takes (B, C, X, Y, Z) on the device.
            image: (1, C, *shape), there or on the host.
            batch_size: windows a call.
        """
        if not (isinstance(self.sample, Patch) and isinstance(self.inference, Windows)):
            return call(image.to(device))
        patch = tuple(map(min, self.sample.shape, image.shape[2:]))
        found = sliding_windows(
            call, image[0], patch, overlap=self.inference.overlap, batch_size=batch_size, device=device,
            memory=self.inference.bytes,
        )  # fmt: skip
        return {name: output.to(device).unsqueeze(0) for name, output in found.items()}

    @cached_property
    def words(self) -> dict[str, Any]:
        """Return the words with all of their numbers, which :meth:`parse` reads: equal views give equal texts."""
        return {
            "fit": [_written(_name_in(STEPS, step), step) for step in self.fit.steps],
            "sample": _written(_name_in(SAMPLES, self.sample), self.sample),
            "infer": _written(_name_in(INFERENCE, self.inference), self.inference) if self.inference else "",
        }


def parse_sample(text: str) -> Sample:
    """Return the Patch of ``patch(112,112,80)``; ValueError if unknown, ill-formed or out of range."""
    if parse_call(text)[0] == "points":  # the band of points may be a word
        return Points.parse(text)
    return bind_named(text, SAMPLES, "sample")[1]()


def parse_inference(text: str) -> Windows | Way:
    """Return the Windows of ``windows(overlap=0.25)``; ValueError if unknown, ill-formed or out of range."""
    return bind_named(text, INFERENCE, "infer", unknown="inference")[1]()


def _name_in(known: Mapping[str, object], setting: object) -> str:
    """Return the name of a setting's type."""
    return next(name for name, kind in known.items() if kind is type(setting))


def _written(name: str, setting: object) -> str:
    """Return a call with all of its numbers, ``patch(112,112,80,0.3,1)``; a band of None is ``sobel``."""
    values = [part for value in vars(setting).values() for part in (value if isinstance(value, tuple) else (value,))]
    words = [value if isinstance(value, str) else "sobel" if value is None else f"{value:.12g}" for value in values]
    return f"{name}({','.join(words)})" if words else name


def classes_in_source(probs: Probs, frame: Frame, decision: str = ARGMAX) -> Labels:
    """Return the class of each voxel of the source, (*source) uint8, by probabilities (K, *shape) in the frame.

    Outside the frame it is background. If the frame interpolates, probabilities are resampled and then compared, one
    class at a time, so that at most three volumes of the source are in memory.
    """
    if decision != ARGMAX:
        return decide(probs_in_source(probs, frame), decision)
    if frame.is_crop:
        return frame.to_source_grid(probs2class(probs.unsqueeze(0), dtype=torch.uint8)[0], 0)
    best = frame.to_source_grid(probs[0], 1, outside=1)
    classes = torch.zeros(best.shape, dtype=torch.uint8, device=probs.device)
    for k in range(1, len(probs)):
        here = frame.to_source_grid(probs[k], 1)
        classes[here > best] = k
        best = torch.maximum(best, here)
    return classes


def probs_in_source(probs: Probs, frame: Frame) -> Probs:
    """Return probabilities (K, *shape) of the frame in the grid of its source, (K, *source); outside it background."""
    return frame.to_source_grid(probs, 1, (1.0, *[0.0] * (len(probs) - 1)))
