"""A row is one run or a folder of seeds and folds: never both."""

from pathlib import Path

import pytest
from trainings import ROW, train_here

from boundary_loss import command
from boundary_loss.command import Stop
from boundary_loss.files import read_json, write_json
from boundary_loss.training.folder import is_done

SETTINGS = ["--data", "data/TOY-fold2", "--losses", "gdl:1", "--seed", "3"]


def made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    command.record(folder, SETTINGS)
    return folder


@pytest.mark.parametrize(("part", "kept"), [("seed0", "seed3"), ("fold1", "fold2"), ("fold0_seed1", "fold2_seed3")])
def test_a_plain_run_does_not_take_in_seeds(tmp_path: Path, part: str, kept: str) -> None:
    row = made(tmp_path / "toy" / "gdl")
    with pytest.raises(Stop) as stopped:
        is_done(row / part, SETTINGS, fresh=False)
    aside = row.with_name("gdl.run")
    assert f"cannot hold {part} as well" in str(stopped.value) and "RD=another/folder" in str(stopped.value)
    assert f"mv {row} {aside}; mkdir {row}; mv {aside} {row / kept}\n" in str(stopped.value)
    assert sorted(path.name for path in row.iterdir()) == ["arguments.txt"]


def test_other_folders_of_a_run_are_no_parts(tmp_path: Path) -> None:
    row = made(tmp_path / "toy" / "gdl")
    made(row / "pred")
    assert is_done(row, SETTINGS, fresh=False)


@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_of_seeds_does_not_become_a_run(tmp_path: Path, fresh: bool) -> None:
    row = made(tmp_path / "toy" / "gdl" / "seed0").parent
    made(row / "seed1_tmp")
    with pytest.raises(Stop, match=r"gdl holds seed0, seed1_tmp and cannot be a run of its own"):
        is_done(row, SETTINGS, fresh=fresh)
    assert is_done(row / "seed0", SETTINGS, fresh=False)
    assert not is_done(row / "seed5", SETTINGS, fresh=False)


def test_predicted_volumes_inside_a_run_are_no_run(tmp_path: Path) -> None:
    run = made(tmp_path / "toy" / "gdl")
    for name in ("pred", "pred_TESTING"):
        made(run / name)
    assert is_done(run, SETTINGS, fresh=False)


def test_a_run_that_goes_on_with_other_threads_says_and_records_it(data: Path, tmp_path: Path) -> None:
    """A sum's rounding depends on how many threads share it."""
    run, about = tmp_path / "run", tmp_path / "run" / "run.json"
    assert train_here(run, data, *ROW, "--epochs", "1").status == 0
    begun = read_json(about)
    assert begun["num_threads"] == 1 and "other_arithmetic" not in begun
    assert train_here(run, data, *ROW, "--epochs", "2").out.count("note:") == 0
    write_json(about, begun | {"num_threads": 4, "versions": begun["versions"] | {"torch": "1.0"}})
    said = train_here(run, data, *ROW, "--epochs", "3").out
    changed = f"4 threads (now 1), torch 1.0 (now {begun['versions']['torch']})"
    assert f"run  note: begun with {changed}; the result is the same to rounding" in said
    assert train_here(run, data, *ROW, "--epochs", "4").out.count("note:") == 0
    assert read_json(about)["num_threads"] == 1 and read_json(about)["other_arithmetic"] == [changed]
