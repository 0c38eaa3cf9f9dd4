"""Steps and inference, run on this machine: seconds, and the most memory that they took."""

import gc
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from boundary_loss.costing.counting import Step
from boundary_loss.inference.field import coarse, dense, prior
from boundary_loss.inference.slices import slice_by_slice
from boundary_loss.inference.windows import sliding_windows
from boundary_loss.networks import LOGITS, build_network, outputs
from boundary_loss.owncode import lacks_memory
from boundary_loss.training.devices import return_freed_memory

_WINDOW = 128
"""Side of the windows of a row that is not trained on patches."""
_LONG = 10.0
"""Seconds beside which what a first call does besides is little."""


@dataclass(frozen=True)
class Measured:
    """``seconds`` of one call; ``peak`` bytes above what was held before, None if it is not seen."""

    seconds: float
    peak: int | None


def measured(call: Callable[[], object], device: torch.device) -> Measured | None:
    """Run and measure, once more if it was so short that a first call is no measure; None if memory is too little."""
    try:
        found = measured_once(call, device)
        return found if found.seconds > _LONG else measured_once(call, device)
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        return None
    finally:
        _settled(device)


def measured_once(call: Callable[[], object], device: torch.device) -> Measured:
    """Run and measure once, of a process that holds no more than it needs."""
    _settled(device)
    before = _mark(device)
    start = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return Measured(time.perf_counter() - start, _peak(before, device))


def _settled(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
    else:
        return_freed_memory()


def _mark(device: torch.device) -> int | None:
    """Set the high-water mark to what is held now, and return that; None if this system has none."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    mark = Path("/proc/self/clear_refs")
    if not mark.exists():
        return None
    mark.write_text("5")
    return _resident("VmRSS")


def _peak(before: int | None, device: torch.device) -> int | None:
    if before is None:
        return None
    highest = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _resident("VmHWM")
    return max(highest - before, 0)


def _resident(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024 * int(found[1])


def training_step(step: Step, device: torch.device) -> Callable[[], None]:
    """A step as a function that makes all it needs: cross-entropy stands for the losses, Adam for the optimiser."""

    def run() -> None:
        torch.manual_seed(0)
        net = build_network(step.network, step.channels, step.num_classes).to(device)
        optimiser = torch.optim.Adam(net.parameters(), lr=1e-4)
        logits = outputs(net(*step.inputs(device)))[LOGITS].float()
        target = torch.zeros(logits.shape[0], *logits.shape[2:], dtype=torch.int64, device=device)
        F.cross_entropy(logits, target).backward()
        optimiser.step()

    return run


def inference_ways(
    step: Step, net: nn.Module, image: Tensor, patch: tuple[int, ...] | None
) -> Mapping[str, Callable[[], object]]:
    """How the network can answer for a whole volume (C, X, Y, Z), by the name of the way.

    Args:
        net: in evaluation mode, where the image is.
        patch: the windows' shape, if the row is trained on patches.
    """

    def call(images: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            return {LOGITS: outputs(net(images))[LOGITS]}

    if step.points:
        ways: dict[str, Callable[..., object]] = {"dense": dense, "prior": prior, "coarse": coarse}
        return {name: partial(way, net, image) for name, way in ways.items()}
    if len(step.shape) == 2:
        return {"slices": lambda: slice_by_slice(call, image, batch_size=step.batch)}
    window = tuple(min(side, most) for side, most in zip(image.shape[1:], patch or 3 * (_WINDOW,)))
    return {"whole": lambda: call(image[None]), "windows": lambda: sliding_windows(call, image, window)}
