"""Which rows are checked before any is trained: those that a goal of make needs and that are not finished."""

import subprocess
import sys
from pathlib import Path

import pytest
from toys import REPOSITORY

from boundary_loss import command, goals
from boundary_loss.command import Stop

PARTS = ("--part", "fold0_seed0", "--seed", "0", "--part", "fold1_seed0", "--seed", "0")
ROWS = ("--rows", "ce", "gdl", "--run", "toy/ce", "--lr", "1", "--run", "toy/gdl", "--run", "toy/named")


def due(*words: str) -> list[str]:
    return [run.folder.as_posix().removeprefix("toy/") for run in goals.to_check(goals.read(words))]


@pytest.mark.parametrize(
    ("asked", "of_rows", "of_parts"),
    [
        ("all", "ce gdl", "ce/fold0_seed0 gdl/fold0_seed0"),
        ("view", "ce gdl", "ce/fold0_seed0 gdl/fold0_seed0"),
        ("toy/val_dice.png", "ce gdl", "ce/fold0_seed0 gdl/fold0_seed0"),
        ("check-ledger toy/named", "ce gdl", "ce/fold0_seed0 gdl/fold0_seed0"),
        ("toy/gdl toy/named/val_dice.npy", "gdl named", "gdl/fold0_seed0 named/fold0_seed0"),
        ("./toy/gdl toy/ce", "ce gdl", "ce/fold0_seed0 gdl/fold0_seed0"),
        ("toy/gdl/fold1_seed0/pred toy/ce", "ce gdl", "ce/fold0_seed0 gdl/fold1_seed0"),
        ("toy/gdl", "", ""),
        ("data data/ISLES help", "", ""),
    ],
)
def test_a_goal_needs_runs(asked: str, of_rows: str, of_parts: str) -> None:
    assert due("--goals", *asked.split(), *ROWS) == of_rows.split()
    assert due("--goals", *asked.split(), *PARTS, *ROWS) == of_parts.split()


def test_the_locator_is_checked_before_the_rows_that_need_its_boxes() -> None:
    rows = ("--rows", "ce", "gdl", "--locator", "first", *ROWS[3:], "--run", "toy/first")
    words = ("--data", "D", "--boxes", "D_CROP")
    assert due("--goals", "toy/gdl", *rows) == ["gdl", "first"]
    assert due("--goals", "check-ledger", *rows) == ["first", "ce", "gdl"]
    assert due("--goals", "toy/first", *rows) == []  # one row alone, whose training checks it as early
    assert due("--goals", "help", *rows) == []
    folds = ("--part", "fold0", *words, "--part", "fold1", "--data", "D1", "--boxes", "D1_CROP")
    found = {run.folder.as_posix(): run.words for run in goals.read(("--goals", "all", *folds, *rows)).runs}
    assert found["toy/first/fold1"] == ("--data", "D1")
    assert found["toy/ce/fold1"] == ("--data", "D1", "--boxes", "D1_CROP", "--lr", "1")


def test_finished_runs_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("--goals", "all", "toy/named", *PARTS, *ROWS)
    for name, made_with in (("ce/fold0_seed0", ["--lr", "1", "--seed", "0"]), ("gdl/fold0_seed0", ["--seed", "9"])):
        (tmp_path / "toy" / name).mkdir(parents=True)
        command.record(tmp_path / "toy" / name, made_with)
    assert due(*words) == ["ce/fold1_seed0", "gdl/fold0_seed0", "named/fold0_seed0"]
    assert due(*words, "--anew")[0] == "ce/fold0_seed0"
    (tmp_path / "toy" / "ce" / "fold0_seed0" / "arguments.txt").write_text("'")
    assert due(*words)[0] == "ce/fold0_seed0"


def test_torch_is_not_imported_where_nothing_is_checked() -> None:
    program = "import sys; from boundary_loss.goals import main; main(); sys.exit('torch' in sys.modules)"
    words = [sys.executable, "-c", program, "--goals", "toy/gdl", *ROWS]
    subprocess.run(words, check=True, env={"PYTHONPATH": str(REPOSITORY / "src")})


def test_words_without_a_mark_are_refused() -> None:
    for words in ([], ["toy/gdl"]):
        with pytest.raises(Stop, match="begin with --goals"):
            goals.read(words)
