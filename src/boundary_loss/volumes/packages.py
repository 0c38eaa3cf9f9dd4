"""Packages that only some formats need."""

from importlib import import_module
from types import ModuleType

from boundary_loss.command import Stop


def package(module: str, name: str, needed_for: str) -> ModuleType:
    """Import a module that not every installation has.

    Args:
        module: as Python names it.
        name: as pip names it.
        needed_for: what cannot be read or written without it.

    Raises:
        Stop: it is not installed; the command that installs it is told.
    """
    try:
        return import_module(module)
    except ImportError:
        raise Stop(f"{needed_for} needs a package: python -m pip install {name}") from None
