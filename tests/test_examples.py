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
from boundary_loss.call_syntax import options_of
from boundary_loss.losses import LOSSES
from boundary_loss.networks import NETWORKS

MODULES = [
    module.name
    for module in pkgutil.walk_packages(boundary_loss.__path__, "boundary_loss.")
    if not module.name.endswith(("__main__", "native.kernels"))  # the latter is a plain C library, loaded by ctypes
]

NEEDED = {"integrations.monai": "monai", "integrations.nnunet.trainers.": "nnunetv2"}


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str) -> None:
    if "triton" in name:
        pytest.importorskip("triton")
    for module, package in NEEDED.items():
        if name.startswith(f"boundary_loss.{module}"):
            pytest.importorskip(package)
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def blocks_of(page: str) -> list[str]:
    """The Python of a page, a block an entry."""
    return re.findall(r"```python\n(.*?)```", (REPOSITORY / page).read_text(encoding="utf-8"), re.DOTALL)


def execute(code: str, warnings: str = "error") -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-W", warnings, "-c", code], check=True, env=environment)


@pytest.mark.parametrize(
    ("page", "needs"),
    [
        ("README.md", "torch"),
        ("docs/losses.md", "torch"),
        ("docs/surface_metrics.md", "torch"),
        ("docs/monai.md", "monai"),
    ],
)
def test_pages(page: str, needs: str) -> None:
    pytest.importorskip(needs)
    blocks = blocks_of(page)
    assert blocks
    execute("\n".join(blocks))


@pytest.mark.parametrize(("block", "needs"), [(0, "lightning"), (1, "torchmetrics")])
def test_each_framework_has_an_example(block: int, needs: str) -> None:
    code = blocks_of("docs/frameworks.md")[block]
    assert re.search(rf"^(?:import|from) {needs}\b", code, re.MULTILINE)
    pytest.importorskip(needs)
    execute(code, warnings="default")  # Lightning's own, of what torch deprecates


def test_the_calls_in_the_table_of_other_names_run() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    table = text.partition("| Elsewhere | Here |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| .+ \| `(.+?)`.*\|$", table, re.MULTILINE)
    assert len(rows) == 13
    given = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    images = "from boundary_loss import *\nspacing = (0.9, 1.2)\nmask = prediction = truth = labels[0].numpy() == 1"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    code = "\n".join([given, images, *rows])
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env=environment)


def test_the_page_on_losses_names_every_loss_of_the_ledger() -> None:
    page = (REPOSITORY / "docs" / "losses.md").read_text(encoding="utf-8")
    assert not [name for name in LOSSES if not re.search(rf"`{name}[`(]", page)]


def test_the_page_on_networks_names_every_network_and_option_with_its_default() -> None:
    page = (REPOSITORY / "docs" / "networks.md").read_text(encoding="utf-8")
    for name, network in NETWORKS.items():
        assert re.search(rf"`{name}`", page), name
        for option, parameter in options_of(network, ("in_channels", "num_classes")).items():
            default = parameter.default
            shown = "" if default is None else f"{default:g}" if isinstance(default, float) else str(default).lower()
            assert re.search(rf"[` ]{option}={shown}", page), (name, option)


def test_the_page_on_variables_names_every_one_that_can_be_set() -> None:
    page = (REPOSITORY / "docs" / "variables.md").read_text(encoding="utf-8")
    rules = (REPOSITORY / "src" / "pipeline.mk").read_text(encoding="utf-8")
    settable = re.search(r"^settable := ((?:.*\\\n)*.*)$", rules, re.MULTILINE)
    assert settable is not None
    names = settable[1].replace("\\", " ").split()
    assert len(names) > 40
    assert not [name for name in names if not re.search(rf"[` ]{name}[=`]", page)]


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        *sorted(f"docs/{p.name}" for p in (REPOSITORY / "docs").glob("*.md")),
    ],
)
def test_linked_files_exist(page: str) -> None:
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (REPOSITORY / page).parent.joinpath(link).exists(), link


def test_the_page_on_contributing_names_files_and_tables_that_exist() -> None:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    files = re.findall(r"`([\w./-]+/[\w./-]*|[\w.-]+\.(?:md|make|yaml|toml))`", text)
    roots = (REPOSITORY, REPOSITORY / "src", REPOSITORY / "src" / "boundary_loss")
    named = [file for file in files if "NAME" not in file]
    assert len(named) > 15
    assert not [file for file in named if not any((root / file).exists() for root in roots)]
    of_metrics = {"COUNTED", "OF_BORDERS", "OF_LESIONS", "NEEDS", "_OF_EVERY_STUDY"}
    tables = of_metrics | {"LOSSES", "HEADS", "NETWORKS", "STUDIES", "_SEEDED"}
    code = "\n".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "src").rglob("*.py"))
    assert not [table for table in tables if f"`{table}`" not in text or not re.search(rf"^{table}\b.* = ", code, re.M)]
