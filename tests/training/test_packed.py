"""An epoch's predictions in one file: the same run, whatever way they are kept, and killed at any moment."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from trainings import ROW, same_run, train, train_killed

from boundary_loss.files import write_json
from boundary_loss.folders.run import RunFolder
from boundary_loss.metric_definitions import TRAINING_ARRAYS
from boundary_loss.training.predictions import PackedWriter, PredictionWriter, keep_best

OPTIONS = [*ROW, "--epochs", "3", "--save_train"]
PACKED = [*OPTIONS, "--predictions", "packed"]


@pytest.fixture(scope="module")
def packed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "packed"
    train(folder, data, *PACKED)
    return folder


def test_it_is_the_run_that_keeps_pictures(packed: Path, data: Path, tmp_path: Path) -> None:
    train(tmp_path / "pictures", data, *OPTIONS)
    ours, theirs = RunFolder.find(packed), RunFolder.find(tmp_path / "pictures")
    for name in TRAINING_ARRAYS:
        np.testing.assert_array_equal(ours.array(name), theirs.array(name), err_msg=name)
    assert ours.epochs == theirs.epochs == [0, 1, 2]
    for epoch in (None, 0, 2):
        for a, b in zip(*(run.predictions(epoch, run.names["val"]) for run in (ours, theirs)), strict=True):
            np.testing.assert_array_equal(a, b)
    assert sorted(path.name for path in (packed / "iter001").iterdir()) == ["train.npz", "val.npz"]
    for path in (theirs.path / "best_epoch").rglob("*.png"):
        assert path.read_bytes() == (packed / path.relative_to(theirs.path)).read_bytes()


def test_killed_it_ends_the_same_to_the_byte(packed: Path, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "packed"
    moments = [
        ("writing */iter000_packed_tmp/val.npz", 1),  # one set of the first epoch is packed, one is not
        ("writing */best_epoch_tmp/*.png", 1),  # the first epoch is the best, being unpacked
        ("writing */best_epoch_tmp/*.png", 3),
        ("writing */tra_dice.npy", 2),  # the second epoch is complete, and does not count yet
    ]
    for moment, nth in moments:
        train_killed(folder, data, *PACKED, at=moment, nth=nth)
    train(folder, data, *PACKED)
    same_run(packed, folder)


def test_more_epochs_keep_the_packed_ones(packed: Path, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "packed"
    shutil.copytree(packed, folder)
    train(folder, data, *ROW, "--epochs", "4", "--save_train", "--predictions", "packed")
    assert RunFolder.find(folder).epochs == [0, 1, 2, 3]
    old, new = (RunFolder.find(run).predictions(1, ["case_4_00_0000"]) for run in (packed, folder))
    np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("left", ["packed", "packed and its pictures"])
def test_an_epoch_that_was_packed_but_did_not_count_goes_on(tmp_path: Path, left: str) -> None:
    """Its training part is kept, its validation is predicted again: as after a checkpoint in the middle."""
    shown = torch.arange(24, dtype=torch.uint8).reshape(2, 3, 4)
    for _ in range(2):
        with PackedWriter(tmp_path, 0) as writer:
            writer.write("train", ["case_1_00_0000", "case_1_00_0001"], shown)
            writer.write("val", ["case_2_00_0000"], shown[:1])
    expected = {path.name: path.read_bytes() for path in (tmp_path / "iter000").iterdir()}
    if left != "packed":  # killed before they were removed
        with pytest.raises(KeyboardInterrupt), PackedWriter(tmp_path, 1) as writer:
            writer.write("train", ["case_1_00_0000", "case_1_00_0001"], shown)
            writer.flush()
            raise KeyboardInterrupt
        (tmp_path / "iter001_tmp").rename(tmp_path / "iter000_tmp")
    with PackedWriter(tmp_path, 0, keep=True) as writer:
        writer.write("val", ["case_2_00_0000"], shown[:1])
    assert {path.name: path.read_bytes() for path in (tmp_path / "iter000").iterdir()} == expected
    assert [path.name for path in tmp_path.iterdir()] == ["iter000"]
    keep_best(tmp_path, 0)
    assert sorted(path.name for path in (tmp_path / "best_epoch").rglob("*.png"))[-1] == "case_2_00_0000.png"


@pytest.mark.parametrize("writing", [PredictionWriter, PackedWriter])
def test_whole_volumes_are_files_of_their_own_either_way(tmp_path: Path, writing: type[PredictionWriter]) -> None:
    """Begun again after it was complete, and kept as the best."""
    classes = (torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5) % 3).to(torch.uint8)
    for keep in (False, True):
        with writing(tmp_path, 0, keep=keep) as writer:
            writer.write("val", ["case_1", "case_2"], classes)
    keep_best(tmp_path, 0)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")) == [
        f"{folder}/val/case_{i}.npz" for folder in ("best_epoch", "iter000") for i in (1, 2)
    ]
    write_json(
        tmp_path / "rows.json",
        {
            "val": ["case_1", "case_2"],
            "classes": ["background", "a", "b"],
            "items": "volumes",
            "slices": [f"case_{i}_00_{z:04d}" for i in (1, 2) for z in range(5)],
        },
    )
    run = RunFolder.find(tmp_path)
    assert run.epochs == [0] and run.has_best_predictions
    for epoch in (None, 0):
        found = np.stack(run.predictions(epoch, run.slices)).reshape(2, 5, 3, 4)
        np.testing.assert_array_equal(found, classes.movedim(-1, 1))
