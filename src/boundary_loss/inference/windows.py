"""A network on a volume larger than its patch: overlapping windows, averaged with Gaussian weights.

The weighted average runs along (West, CACM 1979): a window moves it by its share of the weight so far. So one volume
for each output and one of weights are all that is held, no division follows, and a constant stays that constant.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from boundary_loss.inference.outputs import Answer, Network, as_answered, by_name

_SIGMA = 0.125
"""Of the Gaussian, in sides of the patch, as nnU-Net (Isensee et al., Nature Methods 2021) and MONAI have it."""
_LEAST = 1e-3
"""Weight of the patch's corners, where the Gaussian is below it, as MONAI has it."""


@torch.no_grad()
def sliding_windows(
    call: Network[Answer],
    image: Tensor,
    patch: Sequence[int],
    *,
    overlap: float = 0.5,
    batch_size: int = 1,
    device: torch.device | str | None = None,
    memory: float = math.inf,
) -> Answer:
    """The network's outputs on a whole volume, equal to MONAI's ``sliding_window_inference(mode="gaussian")``.

    A volume that is smaller than the patch is extended by zeros, evenly at both ends, and the outputs are cut to it.

    Args:
        call: takes (B, C, *patch) on ``device`` and gives (B, K, *patch) of any floating type, or such by name.
        image: (C, X, Y, Z), also on the host; any number of axes of space.
        patch: the shape of a window.
        overlap: of neighbouring windows, as a share of the patch; the last of a row overlaps more.
        batch_size: windows a call.
        device: where the network is; that of the image if not given.
        memory: bytes that the averages and weights may take there, see :func:`bytes_held`; they are kept on the host
            where they need more. 0 keeps them there always.

    Returns:
        (K, X, Y, Z) float32, or such by name, on the device where the averages were kept.

    Raises:
        ValueError: a patch, overlap or batch size that is out of range; or an output of another shape than its window.
    """
    grid = WindowGrid(tuple(image.shape[1:]), tuple(patch), overlap)
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1")
    device = torch.device(device or image.device)
    image = F.pad(image, grid.padding) if any(grid.padding) else image  # which would copy it all the same
    averages = None
    for origins in grid.batches(batch_size):
        windows = torch.stack([_window(image, origin, grid.patch) for origin in origins]).to(device)
        outputs = by_name(call(windows), len(origins), grid.patch)
        if averages is None:
            needed = bytes_held(grid.padded, sum(output.shape[1] for output in outputs.values()))
            averages = _Averages(grid, device if needed <= memory else torch.device("cpu"))
        for item, origin in enumerate(origins):
            averages.add({name: output[item] for name, output in outputs.items()}, origin)
    assert averages is not None  # there is no volume without a window
    answer: Answer = as_answered({name: grid.without_padding(mean) for name, mean in averages.means.items()})
    return answer


def bytes_held(shape: Sequence[int], num_channels: int) -> int:
    """Bytes of the averages of so many channels, of all outputs together, and of the weights: float32 each.

    The image, and a batch of windows with what the network makes of them, come on top.
    """
    return 4 * math.prod(shape) * (num_channels + 1)


@dataclass(frozen=True)
class WindowGrid:
    """Where the windows lie in a volume."""

    shape: tuple[int, ...]
    """Of the volume."""
    patch: tuple[int, ...]
    overlap: float = 0.5

    def __post_init__(self) -> None:
        if len(self.patch) != len(self.shape) or min(self.patch, default=0) < 1 or min(self.shape) < 1:
            raise ValueError(f"windows of {self.patch} do not fit a volume of shape {self.shape}: one number an axis")
        if not 0 <= self.overlap < 1:
            raise ValueError(f"overlap={self.overlap} must be at least 0 and below 1")

    @property
    def padded(self) -> tuple[int, ...]:
        """The volume's shape, at least a patch."""
        return tuple(map(max, self.shape, self.patch))

    @property
    def padding(self) -> list[int]:
        """Voxels before and after each axis, the last axis first, as torch's ``pad`` takes them."""
        missing = [size - own for size, own in zip(self.padded, self.shape)]
        return [part for more in reversed(missing) for part in (more // 2, more - more // 2)]

    def without_padding(self, volume: Tensor) -> Tensor:
        """(K, *padded) -> (K, *shape), contiguous."""
        for axis, (size, own) in enumerate(zip(self.padded, self.shape), 1):
            volume = volume.narrow(axis, (size - own) // 2, own)
        return volume.contiguous()

    @property
    def origins(self) -> Iterator[tuple[int, ...]]:
        """First voxel of each window in the padded volume."""
        return product(*map(self._along, self.padded, self.patch))

    def _along(self, size: int, side: int) -> list[int]:
        step = max(1, int(side * (1 - self.overlap)))
        return [min(first, size - side) for first in range(0, size - side + step, step)]

    def batches(self, batch_size: int) -> Iterator[list[tuple[int, ...]]]:
        """The origins, so many at a time."""
        origins = list(self.origins)
        return (origins[first : first + batch_size] for first in range(0, len(origins), batch_size))


@dataclass
class _Averages:
    """Weighted averages of all windows so far."""

    grid: WindowGrid
    device: torch.device
    means: dict[str, Tensor] = field(default_factory=dict)
    """(K, *padded) float32 by name; zeros where no window has been."""

    def __post_init__(self) -> None:
        self.weight = gaussian_weight(self.grid.patch).to(self.device)
        self.total = torch.zeros(self.grid.padded, device=self.device)

    def add(self, outputs: dict[str, Tensor], origin: Sequence[int]) -> None:
        """Let the window at ``origin`` take part, (K, *patch) by name."""
        share = self.weight / _window(self.total, origin, self.grid.patch).add_(self.weight)
        for name, output in outputs.items():
            if name not in self.means:
                self.means[name] = torch.zeros(len(output), *self.grid.padded, device=self.device)
            mean = _window(self.means[name], origin, self.grid.patch)
            mean.lerp_(output.to(mean), share)


def gaussian_weight(patch: Sequence[int]) -> Tensor:
    """Return a Gaussian about the middle of the patch, (*patch) float32; no weight is below 0.001."""
    weight = torch.ones(())
    for side in patch:
        steps = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
        weight = weight.unsqueeze(-1) * torch.exp(-(steps**2) / (2 * (_SIGMA * side) ** 2))
    return weight.clamp_min(max(float(weight.min()), _LEAST)).float()


def _window(volume: Tensor, origin: Sequence[int], patch: Sequence[int]) -> Tensor:
    """A view of the last axes."""
    for axis, (first, side) in enumerate(zip(origin, patch), -len(patch)):
        volume = volume.narrow(axis, first, side)
    return volume
