"""What a borrower imports needs no more than it says."""

import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
from toys import REPOSITORY

import boundary_loss

BORROWED = "boundary_loss.losses, boundary_loss.distance, boundary_loss.metrics, boundary_loss.encoding"
DRAWN = (
    "boundary_loss.plot, boundary_loss.boxplot, boundary_loss.hist, boundary_loss.report.__main__, "
    "boundary_loss.archive, boundary_loss.statistics.claims, boundary_loss.published"
)


@pytest.mark.parametrize(
    ("wanted", "absent"),
    [
        (BORROWED, ("nibabel", "skimage", "matplotlib", "PIL", "tqdm")),
        (DRAWN, ("torch", "nibabel", "skimage", "scipy")),
        ("boundary_loss.unpack, boundary_loss.evaluate.__main__", ("torch", "skimage", "matplotlib")),
    ],
)
def test_imports_stay_light(wanted: str, absent: tuple[str, ...]) -> None:
    blocked = "; ".join(f"sys.modules['{name}'] = None" for name in absent)
    code = f"import sys; sys.path.insert(0, 'src'); {blocked}; import {wanted}"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


def test_the_import_changes_nothing_in_a_program() -> None:
    """Neither its answers to signals nor its hooks, also where it is called as a command of ours is."""
    code = """
import signal, sys
sys.path.insert(0, "src")
sys.orig_argv[1:] = ["-m", "boundary_loss.train"]
before = [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT), sys.excepthook, *sys.meta_path]
import boundary_loss
from boundary_loss import loading, train
assert before == [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT), sys.excepthook, *sys.meta_path]
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


def test_the_public_names_are_there() -> None:
    for name in boundary_loss.__all__:
        assert callable(getattr(boundary_loss, name))
    assert set(boundary_loss.__all__) == set(dir(boundary_loss))
    with pytest.raises(AttributeError, match="BundaryLoss"):
        _ = boundary_loss.BundaryLoss


DOORS = ("boundary_loss", *BORROWED.split(", "))


def public() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every public function and class, by its full name."""
    for door in (*DOORS, "boundary_loss.networks"):
        module = import_module(door)
        for name in getattr(module, "__all__", ()):
            if callable(getattr(module, name)):
                yield f"{door}.{name}", getattr(module, name)


@pytest.mark.parametrize(("name", "made"), [pytest.param(*each, id=each[0]) for each in public()])
def test_help_shows_every_keyword_with_its_type_and_default(name: str, made: Callable[..., Any]) -> None:
    for parameter in inspect.signature(made).parameters.values():
        hidden = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        assert not hidden or name == "boundary_loss.losses.build", f"{parameter} hides keywords"  # of the loss named
        assert parameter.annotation is not parameter.empty, f"{parameter} has no type"
        needless = parameter.kind is not parameter.KEYWORD_ONLY or parameter.default is not parameter.empty
        assert needless, f"the keyword {parameter} has no default"
    assert made.__doc__


@pytest.mark.parametrize("name", boundary_loss.__all__)
def test_a_misspelt_keyword_is_no_argument(name: str) -> None:
    with pytest.raises(TypeError, match="idx"):
        inspect.signature(getattr(boundary_loss, name)).bind_partial(idx=[1])
