"""A small training, undisturbed: what every disturbed one must end as."""

from pathlib import Path

import pytest
from trainings import DROPPER, train_here


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "run"
    assert train_here(folder, data, *DROPPER).status == 0
    return folder
