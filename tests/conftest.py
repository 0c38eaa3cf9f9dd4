"""Fixtures that several test files share."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from moments import once
from standins import Done, run_make, write_checkout
from toyruns import write_runs
from toys import write_sliced

from boundary_loss.events import heard_by

# What a test trains in its own process and what it trains in another are the same bits only with as many threads;
# and the suite's processes share the cores
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)

# The same examples on every machine and in every run: a failure is of the code, and repeats
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")


@pytest.fixture
def sliced(tmp_path: Path) -> Path:
    """A sliced folder of a few tiny volumes: two modalities, background and lesion, some slices empty."""
    return write_sliced(tmp_path / "data" / "TOY")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, once for a file whose tests only read it."""
    return write_sliced(tmp_path_factory.mktemp("data") / "TOY")


@pytest.fixture
def runs(tmp_path: Path, sliced: Path) -> list[Path]:
    """Three runs of unequal lengths on the sliced folder, as training and evaluation leave them."""
    return write_runs(tmp_path / "results" / "toy", sliced)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run a command's ``main`` with these words as its command line."""

    def run(main: Callable[[], object], *words: object) -> None:
        monkeypatch.setattr(sys, "argv", ["command", *map(str, words)])
        main()

    return run


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The makefiles alone, in a folder with a name that asks for quotes."""
    return write_checkout(tmp_path / "my (new) checkout")


@pytest.fixture
def make(checkout: Path) -> Callable[..., Done]:
    """Run make for one row of a study; how it ended, and the words of each command."""

    def run(*words: str, study: str = "isles", **environment: str) -> Done:
        return run_make(checkout, ("RUNS=gdl", *words), study=study, environment=environment)

    return run


@pytest.fixture
def at() -> Iterator[Callable[..., None]]:
    """``at("writing */val/*.png", action, nth=3)``: the third time that this moment is reached, do ``action``."""
    with ExitStack() as listening:
        yield lambda moment, action, nth=1: listening.enter_context(heard_by(once(moment, action, nth)))
