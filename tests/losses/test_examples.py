"""The examples in the docstrings run."""

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("module", ["region", "boundary", "hausdorff", "regression", "fused", "balance"])
def test_docstrings(module):
    result = doctest.testmod(import_module(f"boundary_loss.losses.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
