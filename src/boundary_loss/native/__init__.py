"""The kernels in C that make distances and losses fast on a CPU.

``pip install`` and the makefiles compile them if there is a C compiler (:mod:`boundary_loss.native.build`). Without
one, NumPy, SciPy and PyTorch give the same numbers to rounding, more slowly. ``python -m boundary_loss.native`` prints
which of the two is in use.
"""

import ctypes
import sys
import warnings
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any, Literal

INTERFACE = 5
"""The number of the interface between the C files and their callers, also in parallel.c; each change raises it."""


REMEDY = "python -m boundary_loss.native.build compiles them"


@cache
def library() -> ctypes.CDLL | None:
    """The compiled kernels, or None if there are none that load; calls release the GIL.

    Of several, make's and pip's, the one compiled last that loads. If none does, one warning says why.
    """
    found = [path for path in map(_beside_this_file, EXTENSION_SUFFIXES) if path.is_file()]
    faults = []
    for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            return load(path)
        except (OSError, ValueError) as error:
            faults.append(str(error))
    if faults and not _is_worker():
        warnings.warn(
            f"the compiled kernels do not load, the slower way is taken ({faults[0]}); {REMEDY}", stacklevel=2
        )
    return None


def load(path: Path) -> ctypes.CDLL:
    """Load compiled kernels.

    Raises:
        OSError: they are of another kind of machine.
        ValueError: half-written, of another version, or not the kernels.
    """
    if not _is_whole(path):  # the loader would map what is missing, and its first use kill the process
        raise ValueError(f"{path.name} is cut short")
    loaded = ctypes.CDLL(str(path))
    try:
        interface = loaded.bl_interface()
    except AttributeError:
        raise ValueError(f"{path.name} holds other code") from None
    if interface != INTERFACE:
        raise ValueError(f"{path.name} is of another version")
    return loaded


def _is_whole(path: Path) -> bool:
    """False if a 64-bit ELF file ends before its section headers, which come last; other formats are not looked at."""
    with path.open("rb") as file:
        head = file.read(64)
    if head[:5] != b"\x7fELF\x02" or len(head) < 64:
        return True
    order: Literal["little", "big"] = "little" if head[5] == 1 else "big"
    start, size, count = (int.from_bytes(head[slice(*at)], order) for at in ((40, 48), (58, 60), (60, 62)))
    return path.stat().st_size >= start + size * count


def _is_worker() -> bool:
    """True in one of several processes, whose parent has given the warning."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def address(values: Any) -> ctypes.c_void_p:
    """Where the numbers of a contiguous array or tensor begin; null for None. The caller keeps them alive."""
    if values is None:
        return ctypes.c_void_p()
    return ctypes.c_void_p(values.data_ptr() if hasattr(values, "data_ptr") else values.ctypes.data)


def _beside_this_file(suffix: str) -> Path:
    return Path(__file__).with_name("kernels" + suffix)
