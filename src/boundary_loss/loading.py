"""What stops a command while its libraries load, in one message: too little memory, a module that hides Python's own.

Imports nothing but ``sys`` when it is imported: any other module may be the one that cannot be loaded.
"""

import sys
from typing import Any

_LEAST_FOR_TORCH = 450 << 20
"""Bytes of address space below which torch ends the process from within C++ while it loads (version 2.13: 584 MB)."""


def begin() -> None:
    """Until :func:`loaded`, end in one message where a library cannot load, and at once at a signal.

    Each command calls this before it imports anything: ``import boundary_loss`` alone changes nothing in a program.
    """
    sys.excepthook = _end
    sys.meta_path.insert(0, _Refuser())
    from boundary_loss import signals

    signals.end_at_once()


def loaded() -> None:
    """Everything is imported: what comes now is an error of another kind."""
    sys.excepthook = sys.__excepthook__
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Refuser)]


class _Refuser:
    """Finds no module, and stops where torch would end the process without a word."""

    def find_spec(self, name: str, *_: object) -> None:
        limit = _address_space() if name == "torch" else None
        if limit is not None and limit < _LEAST_FOR_TORCH:
            raise MemoryError


def _address_space() -> int | None:
    """Bytes that ``ulimit -v`` leaves to this process; None for no limit."""
    try:
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    except (ImportError, OSError, AttributeError):
        return None
    return None if soft == resource.RLIM_INFINITY else soft


def _end(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    message = _explained(error, trace)
    if message is None:
        sys.__excepthook__(kind, error, trace)
        return
    sys.stderr.write(f"error: {message}\n")
    sys.stderr.flush()
    import os

    os._exit(2)


def _explained(error: BaseException, trace: Any) -> str | None:
    """What can be done about it; None for an error of our own."""
    said = " ".join(str(error).split())
    hidden = _hidden(_importing(trace) if _is_absent(error) else _loaded() | _importing(trace))
    if hidden:
        name, path = hidden
        return f"{path} hides Python's own module {name}; rename it, or take its folder out of PYTHONPATH ({said})"
    full = ("failed to map segment", "annot allocate memory", "can't start new thread")
    if isinstance(error, MemoryError) or any(text in said for text in full):
        limit = _address_space()
        cause = "" if limit is None else f"; ulimit -v allows {limit >> 20} MB, and torch with its threads takes 1500"
        return f"too little memory to load the libraries{cause}"
    if isinstance(error, ImportError):
        return f"a library cannot be loaded: {said[:300]}; `make setup` installs the locked ones"
    if isinstance(error, OSError) and error.errno is not None:
        return f"{error.strerror}: {error.filename or 'while the libraries load'}"
    return None


def _is_absent(error: BaseException) -> bool:
    """True if a package that is not Python's own is not installed, which no other file can have caused."""
    package = (getattr(error, "name", None) or "").partition(".")[0]
    return (
        isinstance(error, ModuleNotFoundError)
        and package not in ("", *sys.stdlib_module_names)
        and package not in sys.modules
    )


def _loaded() -> dict[str, str | None]:
    """The files of the modules that are loaded, by name."""
    return {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}


def _importing(trace: Any) -> dict[str, str | None]:
    """The files of the modules that were running when the error was raised: they are not among those loaded."""
    found = {}
    while trace is not None:
        module = trace.tb_frame.f_globals
        found[module.get("__name__", "")] = module.get("__file__")
        trace = trace.tb_next
    return found


def _hidden(files: dict[str, str | None]) -> tuple[str, str] | None:
    """The first of these modules that has a name of Python's own but lies elsewhere, and its file."""
    import os

    own = os.path.realpath(os.__file__).rpartition("/")[0]
    for name in sorted(sys.stdlib_module_names & files.keys()):
        path = files[name]
        if path and not os.path.realpath(path).startswith(own) and "-packages/" not in path:  # setuptools replaces one
            return name, path
    return None
