"""A row's seeds and folds as one: which cases, which epochs, which spread."""

from pathlib import Path

import numpy as np
import pytest
from toyruns import write_row

from boundary_loss.folders.run import RunFolder, parts_in
from boundary_loss.statistics.comparison import Comparison, find_runs, group, runs_in
from boundary_loss.statistics.values import Measured, Pooled, epoch_words

DICE = "val_3d_dsc"


def pooled(*runs: Path) -> Measured:
    (measured,) = Comparison.of(DICE, find_runs(runs)).runs
    return measured


@pytest.mark.parametrize(
    ("path", "row", "part", "fold", "seed"),
    [
        ("results/isles/gdl", "gdl", "", "", ""),
        ("results/isles/gdl_tmp", "gdl", "", "", ""),
        ("results/isles/gdl/seed0", "gdl", "seed0", "", "seed0"),
        ("results/isles/gdl/seed10_tmp", "gdl", "seed10", "", "seed10"),
        ("results/isles/gdl/fold1", "gdl", "fold1", "fold1", ""),
        ("results/isles/gdl/fold1_seed2", "gdl", "fold1_seed2", "fold1", "seed2"),
        ("results/isles/seedling", "seedling", "", "", ""),
        ("results/isles/fold1seed2", "fold1seed2", "", "", ""),
        ("results/isles/_seed2", "_seed2", "", "", ""),
    ],
)
def test_a_run_knows_its_row_and_part(path: str, row: str, part: str, fold: str, seed: str) -> None:
    run = RunFolder(Path(path))
    assert (run.row, run.part, run.fold, run.seed) == (row, part, fold, seed)
    assert run.name == (f"{row}/{part}" if part else row)
    assert run.home == Path("results/isles")


def test_cases_are_averaged_over_seeds(tmp_path: Path) -> None:
    low, high = np.array([[0.2, 0.4], [0.1, 0.9]]), np.array([[0.4, 0.8], [0.3, 0.1]])
    runs = [write_row(tmp_path, "gdl/seed0", low, best=0), write_row(tmp_path, "gdl/seed1", high, best=1)]
    found = pooled(*runs)
    assert isinstance(found, Pooled) and found.label == "gdl" and found.num_seeds == 2
    np.testing.assert_allclose(found.values[:, :, 0], (low + high) / 2, atol=1e-6)
    assert (found.epochs("best"), found.epochs("last"), found.best, found.last) == ((0, 1), (1, 1), None, 1)
    np.testing.assert_allclose(found.at("best")[:, 0], (low[0] + high[1]) / 2, atol=1e-6)  # each at its own best epoch
    np.testing.assert_allclose(found.seed_means_at("best")[:, 0], [0.3, 0.2], atol=1e-6)
    np.testing.assert_allclose(found.seed_means[:, 1, 0], [0.5, 0.2], atol=1e-6)


def test_cases_are_joined_over_folds_and_each_seed_has_all(tmp_path: Path) -> None:
    runs = [
        write_row(tmp_path, f"gdl/fold{fold}_seed{seed}", np.array([0.1 * fold + 0.01 * seed] * (2 + fold)),
                  volumes=[f"f{fold}_{i}" for i in range(2 + fold)])
        for fold in (0, 1) for seed in (0, 1)
    ]  # fmt: skip
    found = pooled(*runs)
    assert found.cases == ("f0_0", "f0_1", "f1_0", "f1_1", "f1_2") and found.seed_names == ("seed0", "seed1")
    np.testing.assert_allclose(found.at("last")[:, 0], [0.005, 0.005, 0.105, 0.105, 0.105], atol=1e-6)
    np.testing.assert_allclose(found.seed_means_at("last")[:, 0], [0.06, 0.07], atol=1e-6)
    assert found.runs == tuple(find_runs([runs[0], runs[2], runs[1], runs[3]]))


def test_seeds_with_their_cases_in_another_order(tmp_path: Path) -> None:
    first = write_row(tmp_path, "gdl/seed0", np.array([0.1, 0.3]), volumes=["a", "b"])
    second = write_row(tmp_path, "gdl/seed1", np.array([0.5, 0.3]), volumes=["b", "a"])
    np.testing.assert_allclose(pooled(first, second).at("last")[:, 0], [0.2, 0.4], atol=1e-6)


def test_a_seed_that_is_shorter_ends_the_mean_curve(tmp_path: Path) -> None:
    runs = [
        write_row(tmp_path, "gdl/seed0", np.full((3, 2), 0.4)),
        write_row(tmp_path, "gdl/seed1", np.full((2, 2), 0.6)),
    ]
    found = pooled(*runs)
    np.testing.assert_allclose(found.means[:, 0], [0.5, 0.5, np.nan], atol=1e-6)
    assert found.num_epochs == 3 and found.epochs("last") == (2, 1)
    with pytest.raises(ValueError, match="seed1 has epochs 0 to 1, not 2"):
        found.at(2)


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    other = [write_row(tmp_path, "a/seed0", np.zeros(2)), write_row(tmp_path, "a/seed1", np.zeros(3))]
    with pytest.raises(ValueError, match="validated on other cases or classes"):
        pooled(*other)
    holes = [write_row(tmp_path, f"b/{part}", np.zeros(2)) for part in ("fold0_seed0", "fold1_seed0", "fold0_seed1")]
    with pytest.raises(ValueError, match="b: seed1 lacks fold1"):
        pooled(*holes)


def test_runs_of_a_folder_are_grouped_by_row(tmp_path: Path) -> None:
    home = tmp_path / "toy"
    for name in ("gdl/seed10", "gdl/seed2", "gdl/seed3_tmp", "gdl_20261121-101500/seed0", "ce"):
        write_row(home, name, np.zeros(2))
    found = runs_in(home)
    assert found == [home / "ce", home / "gdl/seed2", home / "gdl/seed10"]
    assert {label: [run.part for run in own] for label, own in group(find_runs(found)).items()} == {
        "ce": [""],
        "gdl": ["seed2", "seed10"],
    }
    assert list(group(find_runs([home / "gdl/seed2"]))) == ["gdl/seed2"]
    assert parts_in(home / "ce") == []
    with pytest.raises(FileNotFoundError, match="it holds the runs seed2, seed10: name one"):
        RunFolder.find(home / "gdl")


def test_rows_of_two_studies_are_told_apart(tmp_path: Path) -> None:
    runs = [write_row(tmp_path / study, f"gdl/seed{i}", np.zeros(2)) for study in ("isles", "wmh") for i in (0, 1)]
    assert list(group(find_runs(runs))) == ["isles/gdl", "wmh/gdl"]


def test_epochs_in_words() -> None:
    assert [epoch_words(epochs) for epochs in ((), (3,), (3, 3), (8, 2))] == [
        "no epoch",
        "epoch 3",
        "epoch 3",
        "epochs 2–8",
    ]
