"""Every example in the docstrings of the distance package is run."""

import doctest
import importlib
import pkgutil

import pytest

from boundary_loss import distance

MODULES = [f"boundary_loss.distance.{info.name}" for info in pkgutil.iter_modules(distance.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    if name.endswith("triton_edt"):
        pytest.importorskip("triton")
    assert doctest.testmod(importlib.import_module(name)).failed == 0
