"""Errors of code that a ledger names, a user's own networks and losses: one message with the place in that code."""

import re
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What torch on either device, cuDNN and cuBLAS say where memory runs out
_NO_MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory|ALLOC_FAILED")


def lacks_memory(error: BaseException) -> bool:
    """True if the error says that the memory of the host or of a GPU ran out."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(_NO_MEMORY.search(str(error))))


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn any exception within into a ValueError: ``what``, then the exception and where it was raised.

    The exception itself is the cause; commands print its traceback with --debug. Lack of memory passes.
    """
    try:
        yield
    except (Exception, SystemExit) as error:  # a script that was imported may leave
        if lacks_memory(error):
            raise
        raise ValueError(f"{what}: {described(error)}") from error


def described(error: BaseException) -> str:
    """``TypeError: the message (nets.py, line 12)``: the first line, and the last place outside of libraries."""
    said = str(error).strip().partition("\n")[0]
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _is_library(Path(frame.filename))]
    if isinstance(error, SyntaxError) and error.filename:  # in a file that was to be imported
        return f"SyntaxError: {error.msg} ({Path(error.filename).name}, line {error.lineno})"
    place = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return f"{type(error).__name__}{': ' if said else ''}{said}{place}"


def _is_library(file: Path) -> bool:
    folders = (Path(__file__).parent, Path(sysconfig.get_path("stdlib")))
    installed = {"site-packages", "dist-packages"} & set(file.parts)
    return bool(installed) or any(folder in file.parents for folder in folders) or str(file).startswith("<")
