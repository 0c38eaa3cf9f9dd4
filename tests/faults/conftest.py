"""A small training, undisturbed: what every disturbed one must end as."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from moments import once
from trainings import DROPPER, train_here

from boundary_loss.events import heard_by


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "run"
    assert train_here(folder, data, *DROPPER).status == 0
    return folder


@pytest.fixture
def at() -> Iterator[Callable[..., None]]:
    """``at("writing */val/*.png", action, nth=3)``: the third time that this moment is reached, do ``action``."""
    with ExitStack() as listening:
        yield lambda moment, action, nth=1: listening.enter_context(heard_by(once(moment, action, nth)))
