"""What the files of a run folder say is checked where it is read; errors name the file and the remedy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boundary_loss import command
from boundary_loss.files import read_json, write_json, write_text
from boundary_loss.folders.run import RunFolder
from boundary_loss.metric_definitions import metric
from boundary_loss.settings import declared
from boundary_loss.statistics.comparison import runs_in


def use(run: RunFolder) -> None:
    assert run.best_epoch >= 0
    assert run.record.study
    run.row_names("tra_dice"), run.column_names("val_loss")
    assert run.counted["val_3d_hd95"].touched >= 0
    command.recorded(run.path)


@pytest.mark.parametrize("content", ["", " ", "{'", "['", "12'"])
@pytest.mark.parametrize("name", ["rows.json", "run.json", "best_epoch.txt", "evaluation.json", "arguments.txt"])
def test_an_empty_or_cut_file_is_named_with_the_remedy(runs: list[Path], name: str, content: str) -> None:
    write_text(runs[0] / name, content)
    with pytest.raises(ValueError, match=rf"{name} .*(remove|delete|move) "):
        use(RunFolder.find(runs[0]))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("rows.json", {"val": ["../../x_00_0000"]}, "slash"),
        ("rows.json", {"val": ["x"]}, "not a slice's name"),
        ("rows.json", {"val": ["x_00_0000", "x_00_0000"]}, "lists x_00_0000 twice"),
        ("rows.json", {"classes": None}, "does not say 'classes'"),
        ("rows.json", {"losses": None, "train": None}, "does not say"),
        ("rows.json", {"classes": ["a", 3]}, "int, not text"),
        ("rows.json", {"items": "voxels"}, "expected one of slices, volumes, points"),
        ("rows.json", {"items": "volumes"}, "does not say 'slices'"),
        ("rows.json", {"patients": ["one"]}, "other numbers of patients"),
        ("run.json", {"study": "../x"}, "slash"),
        ("run.json", {"commit": "x; reboot"}, "expected a commit"),
        ("run.json", {"data_checksum": "x\nreboot"}, "printed"),
        ("run.json", {"data_source": {"archives": [{"name": "x\ny"}]}}, "does not say 'algorithm'"),
        ("run.json", {"arguments": "rm"}, "expected a list"),
        ("run.json", {"epochs": -1}, "whole number"),
        ("evaluation.json", {"val_3d_hd95": {"touched": 1}}, "does not say 'of'"),
        ("evaluation.json", {"val_3d_hd95": [1]}, "expected an object"),
    ],
)
def test_what_it_says_is_checked(runs: list[Path], name: str, change: dict[str, Any], message: str) -> None:
    content = read_json(runs[0] / name) | change
    write_json(runs[0] / name, {key: value for key, value in content.items() if value is not None})
    with pytest.raises(ValueError, match=message) as raised:
        use(RunFolder.find(runs[0]))
    assert f"{runs[0] / name}" in str(raised.value)


@pytest.mark.parametrize("name", ["gdl", "gdl/seed0"])
def test_a_finished_run_without_its_names_is_not_passed_over(
    runs: list[Path], name: str, call: Callable[..., None]
) -> None:
    home = runs[0].parent
    if "/" in name:
        aside = runs[0].rename(home / "aside")
        (home / "gdl").mkdir()
        aside.rename(home / name)
    (home / name / "rows.json").unlink()
    with pytest.raises(FileNotFoundError, match=rf"{name}/rows\.json is missing; restore it"):
        runs_in(home)
    with pytest.raises(FileNotFoundError, match=rf"{name}/rows\.json is missing"):
        RunFolder.find(home / name)


def test_every_setting_of_a_training_is_checked_by_its_type(runs: list[Path]) -> None:
    about = read_json(runs[0] / "run.json")
    for setting in declared():
        write_json(runs[0] / "run.json", about | {setting.key: {"not": "a setting"}})
        with pytest.raises(ValueError, match=rf"run\.json: '{setting.key}' is .*, expected .*; restore it"):
            use(RunFolder.find(runs[0]))


def test_an_entry_of_a_later_version_is_kept_but_not_nested_without_end(runs: list[Path]) -> None:
    about, nested = read_json(runs[0] / "run.json"), {}
    write_json(runs[0] / "run.json", about | {"of_the_future": {"a": [1]}})
    assert RunFolder.find(runs[0]).record.recorded["of_the_future"] == {"a": [1]}
    for _ in range(20):
        nested = {"a": nested}
    write_json(runs[0] / "run.json", about | {"of_the_future": nested})
    with pytest.raises(ValueError, match="'of_the_future' is nested deeper than 8 levels; restore it"):
        use(RunFolder.find(runs[0]))


@pytest.mark.parametrize(("items", "label"), [("volumes", "Dice per volume"), ("points", "Dice on sampled points")])
def test_items_that_are_no_slices(runs: list[Path], items: str, label: str) -> None:
    """The arrays have a row a case, and the planes on the disk are named apart."""
    planes = RunFolder.find(runs[0]).names["val"]
    before = read_json(runs[0] / "rows.json")
    write_json(runs[0] / "rows.json", before | {"val": before["volumes"], "items": items, "slices": planes})
    run = RunFolder.find(runs[0])
    assert run.slices == planes and run.row_names("val_dice") == before["volumes"] and run.items == items
    found = run.metric("val_dice")
    assert found.label == f"validation {label}" and found.noun == "volumes" and "slice" not in found.definition
    assert run.metric("val_3d_dsc") == metric("val_3d_dsc") and run.row_names("val_hausdorff") == planes


def test_slices_are_the_items_of_a_run_that_does_not_say_it(runs: list[Path]) -> None:
    run = RunFolder.find(runs[0])
    assert run.slices == run.names["val"] and run.metric("val_dice") == metric("val_dice")
    assert run.metric("val_dice").noun == "slices"
