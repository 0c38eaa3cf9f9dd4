"""Where a run computes."""

import os

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
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"DEVICE={name}, but torch sees {torch.cuda.device_count()} GPUs, numbered from 0")
    return device


def describe(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def share_processors(trainings: int) -> None:
    """Leave the other trainings their part of the cores; OMP_NUM_THREADS, where it is set, has the last word."""
    if trainings > 1 and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() // trainings))
