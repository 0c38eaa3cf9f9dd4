"""The examples in the docstrings and in docs/losses.md run."""

import doctest
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from boundary_loss.losses import LOSSES


@pytest.mark.parametrize("module", ["region", "boundary", "hausdorff", "regression", "fused", "balance"])
def test_docstrings(module):
    result = doctest.testmod(import_module(f"boundary_loss.losses.{module}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_the_page_on_losses():
    page = (Path(__file__).parents[2] / "docs" / "losses.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 3
    subprocess.run([sys.executable, "-W", "error", "-c", "\n".join(blocks)], check=True, env=environment())


def test_the_page_names_every_loss_of_the_ledger():
    page = (Path(__file__).parents[2] / "docs" / "losses.md").read_text(encoding="utf-8")
    assert not [name for name in LOSSES if not re.search(rf"`{name}[`(]", page)]


def environment():
    return dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
