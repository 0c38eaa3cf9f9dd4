"""Where a run computes."""

import ctypes
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch

from boundary_loss.command import Stop
from boundary_loss.owncode import lacks_memory


def pick_device(name: str) -> torch.device:
    """``auto`` takes the GPU where there is one; anything else is a torch device name, checked."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"DEVICE={name} is unknown; use auto, cpu, cuda or cuda:0") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"DEVICE={name} or GPUS is given, but torch {torch.__version__} finds no GPU; use DEVICE=cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"DEVICE={name}, but torch sees {torch.cuda.device_count()} GPUs, numbered from 0")
    return device


def describe(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def keep_freed_memory() -> None:
    """Have the C library keep up to 256 MB of what a step frees, for the next step, which needs as much again.

    Pages returned to the system fault again on reuse; for some losses that is half the step. Without glibc nothing
    changes.
    """
    trim_threshold, mmap_threshold = -1, -3  # of glibc's malloc.h
    with suppress(AttributeError, OSError, TypeError):
        set_option = ctypes.CDLL(None).mallopt
        set_option(trim_threshold, 256 << 20)
        set_option(mmap_threshold, 32 << 20)  # the most that every glibc takes


def return_freed_memory() -> None:
    """Have the C library return what is free to the system, so that what is needed next is seen to be taken.

    A call that finds room in the heap takes nothing by the system's count. Without glibc nothing changes.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def share_processors(trainings: int) -> None:
    """Leave the other trainings their part of the cores; OMP_NUM_THREADS, where it is set, has the last word."""
    if trainings > 1 and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() // trainings))


@contextmanager
def memory_explained(batch_size: int, *, of_volumes: bool = False) -> Iterator[None]:
    """Where the memory runs out within, stop and say what would need less."""
    try:
        yield
    except RuntimeError as error:  # torch.OutOfMemoryError is one; the CPU's allocator and cuBLAS raise it plainly
        if not lacks_memory(error):
            raise
        gpu = isinstance(error, torch.OutOfMemoryError) or "ALLOC_FAILED" in str(error)
        found = re.search(r"tried to allocate ([\d.]+ \w+)", str(error), re.IGNORECASE)
        asked = f", tried to allocate {found[1]}" if found else ""
        needs_less = [f"BS={batch_size // 2} (now {batch_size})"] if batch_size > 1 else ["a smaller NET"]
        needs_less += ["a smaller SAMPLE='patch(...)'", "NET='...(recompute=true)'"] if of_volumes else []
        needs_less += ["AMP=bf16"] if gpu else []
        raise Stop(
            f"out of {'GPU ' if gpu else ''}memory{asked}; what was saved before is kept. "
            f"{' or '.join(needs_less)} needs less; as that changes the result, it begins anew, with FRESH=1"
        ) from None
