"""Which runs, columns, epochs and numbers are compared."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from toyruns import write_runs
from toys import write_sliced

from boundary_loss.files import read_json, write_array, write_json
from boundary_loss.folders.run import RunFolder
from boundary_loss.metric_definitions import METRICS
from boundary_loss.statistics import comparison
from boundary_loss.statistics.comparison import Comparison, find_runs, moving_mean, runs_in
from boundary_loss.statistics.values import nanmean, nanstd

floats = st.floats(-100, 100) | st.just(np.nan)


@given(arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(1, 3)), elements=floats), st.integers(1, 6))
def test_moving_mean_is_the_mean_of_what_was_measured_around(values: np.ndarray, width: int) -> None:
    smooth = moving_mean(values, width)
    for i, c in np.ndindex(values.shape):
        window = values[max(i - width // 2, 0) : i + (width - 1) // 2 + 1, c]
        measured = window[np.isfinite(window)]
        if np.isnan(values[i, c]):
            assert np.isnan(smooth[i, c])
        else:
            assert smooth[i, c] == pytest.approx(sum(measured) / len(measured))


def test_width_one_changes_nothing_and_zero_is_refused() -> None:
    values = np.array([1.0, np.nan, 3.0])
    np.testing.assert_array_equal(moving_mean(values, 1), values)
    with pytest.raises(ValueError, match="at least 1 epoch"):
        moving_mean(values, 0)


def test_standard_deviation_is_of_a_sample_and_leaves_out_nan() -> None:
    values = np.array([[1.0, 3.0, np.nan], [2.0, np.nan, np.nan], [np.nan] * 3])
    np.testing.assert_allclose(nanmean(values, axis=1), [2, 2, np.nan])
    np.testing.assert_allclose(nanstd(values, axis=1), [np.sqrt(2), np.nan, np.nan])


def test_default_columns_are_the_foreground_and_all_losses(runs: list[Path]) -> None:
    found = find_runs(runs)
    assert Comparison.of("val_dice", found).columns == ("lesion",)
    losses = Comparison.of("tra_loss", found)
    assert losses.columns == ("gdl", "boundary", "hausdorff")
    assert [measured.columns for measured in losses.runs] == [("gdl",), ("gdl", "boundary"), ("gdl", "hausdorff")]


def test_columns_by_number_and_by_name(tmp_path: Path) -> None:
    sliced = write_sliced(tmp_path / "data", num_classes=4)
    (run,) = find_runs(write_runs(tmp_path / "results", sliced, {"ce": 3}))
    shown = Comparison.of("val_dice", [run], columns=["3", "core"])
    assert shown.columns == ("rim", "core")
    np.testing.assert_array_equal(shown.runs[0].values, run.array("val_dice")[:, :, [3, 2]])
    with pytest.raises(ValueError, match=r"no column '4'; it has 0 background, 1 lesion, 2 core, 3 rim"):
        Comparison.of("val_dice", [run], columns=["4"])


def test_best_and_last_epoch_of_an_interrupted_run(runs: list[Path]) -> None:
    run = RunFolder(runs[0])
    dice = run.array("val_3d_dsc")
    dice[-2:] = np.nan  # epochs 4 and 5: 4 is the best
    write_array(run.path / "val_3d_dsc.npy", dice)
    (measured,) = Comparison.of("val_3d_dsc", [run]).runs
    assert (measured.best, measured.last, measured.num_epochs) == (4, 3, 6)
    assert np.isnan(measured.means[4]).all()
    (run.path / "best_epoch.txt").unlink()
    assert measured.best is None
    interrupted = run.path.rename(run.path.with_name("gdl_tmp"))
    assert find_runs([runs[0]]) == [RunFolder(interrupted)]
    assert RunFolder(interrupted).name == "gdl"


def test_a_wrong_array_is_named_with_both_shapes(runs: list[Path]) -> None:
    write_array(runs[0] / "val_dice.npy", np.zeros((6, 3, 2), np.float32))
    with pytest.raises(ValueError, match=r"gdl/val_dice.npy has shape \(6, 3, 2\), expected \(epochs, 8, 2\)"):
        Comparison.of("val_dice", find_runs(runs))
    (runs[0] / "val_dice.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"gdl/val_dice.npy is missing"):
        Comparison.of("val_dice", find_runs(runs))


def test_labels_must_be_as_many_as_runs(runs: list[Path]) -> None:
    with pytest.raises(ValueError, match="2 names were given for 3 runs"):
        Comparison.of("val_dice", find_runs(runs), labels=["a", "b"])


def test_runs_of_one_name_are_told_apart_by_their_folder(tmp_path: Path, sliced: Path) -> None:
    paths = [write_runs(tmp_path / study, sliced, {"gdl": 2})[0] for study in ("isles", "wmh")]
    assert comparison.names_of(find_runs(paths)) == ["isles/gdl", "wmh/gdl"]


def test_runs_in_a_folder_leave_out_what_is_unfinished_or_set_aside(runs: list[Path]) -> None:
    folder = runs[0].parent
    runs[1].rename(folder / "gdl_surface_steal_tmp")
    runs[2].rename(folder / "gdl_hausdorff_w_20261121-101500-2")
    (folder / "view").mkdir()
    assert runs_in(folder) == [runs[0]]
    with pytest.raises(FileNotFoundError, match="no results at"):
        runs_in(folder / "none")


def test_phantom_and_debug_are_said(runs: list[Path]) -> None:
    assert [text.split()[0] for text in comparison.warnings_of(find_runs(runs))] == ["SYNTHETIC"]
    about = read_json(runs[2] / "run.json")
    write_json(runs[2] / "run.json", about | {"debug": True})
    assert [text.split()[0] for text in comparison.warnings_of(find_runs(runs))] == ["SYNTHETIC", "DEBUG"]


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_labels(name: str) -> None:
    label = comparison.axis_label(name)
    assert label[0].isupper()
    assert ("lower is better" in label) == METRICS[name].lower_is_better
    assert comparison.short_label(name) and "validation" not in comparison.short_label(name)


def test_what_is_counted(runs: list[Path]) -> None:
    found = find_runs(runs)
    assert Comparison.of("val_3d_dsc", found).counted == "2 volumes of the validation set"
    assert Comparison.of("tra_dice", found).counted == "12 slices of the training set"
    assert Comparison.of("tra_loss", found).counted == "3 batches of the training set"


def test_items_that_are_volumes_are_called_so(runs: list[Path]) -> None:
    for run in runs:
        rows = read_json(run / "rows.json")
        write_json(run / "rows.json", rows | {"items": "volumes", "slices": rows["val"]})
    shown = Comparison.of("val_dice", find_runs(runs))
    assert shown.counted == "8 volumes of the validation set"
    assert shown.metric.label == "validation Dice per volume"
