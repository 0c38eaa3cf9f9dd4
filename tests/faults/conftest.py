"""A small training, undisturbed: what every disturbed one must end as."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from trainings import DROPPER, train_here


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "run"
    assert train_here(folder, data, *DROPPER).status == 0
    return folder


@pytest.fixture
def at_call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``at_call(module, "name", 3, action)``: the third call of that function does ``action`` first."""

    def arrange(place: Any, name: str, number: int, action: Callable[[], None]) -> None:
        original, calls = getattr(place, name), []

        def disturbed(*arguments: Any, **options: Any) -> Any:
            calls.append(0)
            if len(calls) == number:
                action()
            return original(*arguments, **options)

        monkeypatch.setattr(place, name, disturbed)

    return arrange
