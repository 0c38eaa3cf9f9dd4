"""TRACK=tensorboard: what a viewer sees, also of a run that was killed on the way."""

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from trainings import DROPPER, same_run, train_here

from boundary_loss.folders.pictures import read_png
from boundary_loss.folders.sliced import SlicedFolder

Arrange = Callable[..., None]


def test_a_missing_package_is_named(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    stopped = train_here(tmp_path / "run", data, *DROPPER, "--track", "tensorboard")
    assert stopped.status == 2
    assert stopped.err == "error: TRACK=tensorboard needs a package: python -m pip install tensorboard\n"


def test_an_unknown_tracker(data: Path, tmp_path: Path) -> None:
    stopped = train_here(tmp_path / "run", data, *DROPPER, "--track", "abacus")
    assert stopped.status == 2 and "invalid choice: 'abacus' (choose from 'tensorboard')" in stopped.err


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the package's own dependencies
def test_every_epoch_is_there_once_and_the_picture_is_the_prediction(
    finished: Path, data: Path, tmp_path: Path, at: Arrange
) -> None:
    """Begun untracked, killed, gone on with tracked, killed again after the epoch was logged and before the next."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

    def killed() -> None:
        raise SystemExit(9)

    at("writing */checkpoint.pt", killed, nth=2)
    assert train_here(tmp_path / "run", data, *DROPPER).status == 9
    at("writing */checkpoint.pt", killed, nth=2)
    assert train_here(tmp_path / "run", data, *DROPPER, "--track", "tensorboard").status == 9
    assert train_here(tmp_path / "run", data, *DROPPER, "--track", "tensorboard").status == 0

    logs = tmp_path / "run" / "tensorboard"
    assert len(list(logs.iterdir())) == 1
    events = accumulator.EventAccumulator(str(logs), {"scalars": 0, "images": 0}).Reload()
    lines = list(csv.DictReader((tmp_path / "run" / "metrics.csv").read_text().splitlines()))
    for column, title in [("tra_loss", "loss/tra"), ("val_dice_volume", "dice_volume/val"), ("lr", "lr")]:
        points, expected = events.Scalars(title), [float(line[column]) for line in lines]
        assert [point.step for point in points] == [0, 1, 2]
        np.testing.assert_allclose([point.value for point in points], expected, atol=1e-6)
    (stem,) = events.Tags()["images"]
    assert [picture.step for picture in events.Images(stem)] == [0, 1, 2]
    (tmp_path / "shown.png").write_bytes(events.Images(stem)[2].encoded_image_string)
    _, truth, predicted = np.split(read_png(tmp_path / "shown.png")[..., 0], 3, axis=1)
    np.testing.assert_array_equal(truth // 255, SlicedFolder.open(data).labels("val", stem))
    np.testing.assert_array_equal(predicted // 255, read_png(tmp_path / "run" / "iter002" / "val" / f"{stem}.png"))
    for path in logs.iterdir():
        path.unlink()
    logs.rmdir()
    same_run(finished, tmp_path / "run")
