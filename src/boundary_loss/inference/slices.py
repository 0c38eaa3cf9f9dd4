"""A network of two axes on a volume: one slice after the other along the last axis."""

import torch
from torch import Tensor

from boundary_loss.inference.outputs import Answer, Network, as_answered, by_name


@torch.no_grad()
def slice_by_slice(
    call: Network[Answer], image: Tensor, *, batch_size: int = 1, device: torch.device | str | None = None
) -> Answer:
    """The network's outputs on all slices of a volume.

    Args:
        call: takes (B, C, X, Y) on ``device`` and gives (B, K, X, Y) of any floating type, or such by name.
        image: (C, X, Y, Z), also on the host.
        batch_size: slices a call.
        device: where the network is; that of the image if not given.

    Returns:
        (K, X, Y, Z) float32, or such by name, on ``device``.

    Raises:
        ValueError: an image of another number of axes, no slices, or an output of another shape than its slices.
    """
    if image.ndim != 4 or not image.shape[-1]:
        raise ValueError(f"an image of shape {tuple(image.shape)} has no slices; expected (C, X, Y, Z)")
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1")
    device = torch.device(device or image.device)
    volumes: dict[str, Tensor] = {}
    for first in range(0, image.shape[-1], batch_size):
        slices = image[..., first : first + batch_size].to(device).movedim(-1, 0).contiguous()
        for name, output in by_name(call(slices), len(slices), slices.shape[2:]).items():
            if name not in volumes:
                volumes[name] = torch.empty(*output.shape[1:], image.shape[-1], device=device)
            volumes[name][..., first : first + len(slices)] = output.movedim(0, -1)
    answer: Answer = as_answered(volumes)
    return answer
