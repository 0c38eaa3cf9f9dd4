"""The command as a user calls it, and every awkward place."""

import sys
from collections.abc import Callable

import pytest
from niftis import PLACES

from boundary_loss.predict import __main__ as predict


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> dict:
    return PLACES[request.param]


@pytest.fixture
def run_predict(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``python -m boundary_loss.predict`` in this process."""

    def call(*words: object) -> None:
        monkeypatch.setattr(sys, "argv", ["predict", *map(str, words)])
        predict.main()

    return call
