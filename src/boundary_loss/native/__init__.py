"""The kernels in C that make distances and losses fast on a CPU, where they could be compiled.

``pip install`` and the makefiles compile them, where there is a C compiler (:mod:`boundary_loss.native.build`). Without
one, everything works by NumPy, SciPy and PyTorch, to rounding with the same numbers. ``python -m boundary_loss.native``
says which it is.
"""

import ctypes
import warnings
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

INTERFACE = 3
"""The number of the interface between the C files and their callers, also in parallel.c; each change raises it."""


REMEDY = "python -m boundary_loss.native.build compiles them"


@cache
def library() -> ctypes.CDLL | None:
    """The compiled kernels, or None where they are not to be had; a call of theirs lets other threads run."""
    found = [path for path in map(_beside_this_file, EXTENSION_SUFFIXES) if path.is_file()]
    if not found:
        return None
    path = max(found, key=lambda path: path.stat().st_mtime)  # make's or pip's, what was compiled last
    try:
        loaded = ctypes.CDLL(str(path))
    except OSError as error:  # compiled on another kind of machine
        warnings.warn(f"the compiled kernels do not load, the slower way is taken ({error}); {REMEDY}", stacklevel=2)
        return None
    if loaded.bl_interface() != INTERFACE:
        warnings.warn(f"{path.name} is of another version, the slower way is taken; {REMEDY}", stacklevel=2)
        return None
    return loaded


def address(values: Any) -> ctypes.c_void_p:
    """Where the numbers of a contiguous array or tensor begin; null for None. The caller keeps them alive."""
    if values is None:
        return ctypes.c_void_p()
    return ctypes.c_void_p(values.data_ptr() if hasattr(values, "data_ptr") else values.ctypes.data)


def _beside_this_file(suffix: str) -> Path:
    return Path(__file__).with_name("kernels" + suffix)
