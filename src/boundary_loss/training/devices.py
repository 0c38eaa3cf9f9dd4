"""Chooses the device of a run, and shares the machine's memory and cores."""

import ctypes
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch

from boundary_loss.command import Stop
from boundary_loss.owncode import lacks_memory


def pick_device(name: str) -> torch.device:
    """Return the device of this name, checked; ``auto`` is the GPU if there is one."""
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
    """Make the C library keep up to 256 MB of freed memory, because the next step needs as much again.

    Pages returned to the system fault again on reuse; for some losses that is half the step. Without glibc nothing
    changes.
    """
    trim_threshold, mmap_threshold = -1, -3  # of glibc's malloc.h
    with suppress(AttributeError, OSError, TypeError):
        set_option = ctypes.CDLL(None).mallopt
        set_option(trim_threshold, 256 << 20)
        set_option(mmap_threshold, 32 << 20)  # the most that every glibc takes


def return_freed_memory() -> None:
    """Make the C library return freed memory to the system, so that the next measurement counts what a call takes.

    A call that finds room in the heap would count as taking nothing. Without glibc nothing changes.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def share_processors(trainings: int) -> None:
    """Use this training's share of the cores, unless OMP_NUM_THREADS is set."""
    if trainings > 1 and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() // trainings))


@contextmanager
def memory_explained(batch_size: int, *, of_volumes: bool = False) -> Iterator[None]:
    """If memory runs out within this context, stop with a message that says what needs less."""
    try:
        yield
    except (
        RuntimeError
    ) as error:  # also the base of torch.OutOfMemoryError; the CPU's allocator and cuBLAS raise it itself
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
