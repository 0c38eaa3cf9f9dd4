"""Every example in a docstring, in the README and in docs/ runs."""

import doctest
import importlib
import os
import pkgutil
import re
import subprocess
import sys

import pytest
from toys import REPOSITORY

import boundary_loss
from boundary_loss.losses import LOSSES

MODULES = [
    module.name
    for module in pkgutil.walk_packages(boundary_loss.__path__, "boundary_loss.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str) -> None:
    if "triton" in name:
        pytest.importorskip("triton")
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("page", ["README.md", "docs/losses.md"])
def test_pages(page: str) -> None:
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-W", "error", "-c", "\n".join(blocks)], check=True, env=environment)


def test_the_page_on_losses_names_every_loss_of_the_ledger() -> None:
    page = (REPOSITORY / "docs" / "losses.md").read_text(encoding="utf-8")
    assert not [name for name in LOSSES if not re.search(rf"`{name}[`(]", page)]


def test_readme_links_and_files_exist() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (REPOSITORY / link).exists(), link
