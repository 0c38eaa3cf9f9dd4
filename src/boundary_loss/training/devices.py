"""Where a run computes."""

import torch


def pick_device(name: str) -> torch.device:
    """``auto`` takes the GPU where there is one; anything else is a torch device name, checked."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"DEVICE={name} is unknown; use auto, cpu, cuda or cuda:0") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"DEVICE={name}, but torch {torch.__version__} finds no GPU; use DEVICE=cpu")
    return device


def describe(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
