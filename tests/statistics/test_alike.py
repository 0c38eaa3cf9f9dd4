"""Which settings of rows are compared, and what is said of those that differ."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toyruns import write_row

from boundary_loss.files import read_json, write_json
from boundary_loss.report.findings import differences
from boundary_loss.settings import declared
from boundary_loss.statistics.alike import BESIDE, STUDIED, unlike
from boundary_loss.statistics.comparison import find_runs, group


def row(folder: Path, label: str, **about: Any) -> Path:
    """A run that records these settings; ``volumes``: those that it was validated on."""
    volumes = about.pop("volumes", ["a", "b", "c"])
    run = write_row(folder, label, np.zeros(len(volumes)), volumes=volumes)
    write_json(run / "run.json", read_json(run / "run.json") | about)
    return run


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ({"learning_rate": 0.01}, {"learning_rate": 0.001}, "learning rate (0.01: a; 0.001: b)"),
        ({"compiled": False}, {"compiled": True}, "compilation (no: a; yes: b)"),
        ({"weights": None}, {"weights": "/home/me/results/best.pkl"}, "initial weights (none: a; …/best.pkl: b)"),
        ({"augment": []}, {"augment": ["flip(xy)", "rotate(15)"]}, "augmentation (none: a; flip(xy) rotate(15): b)"),
        ({"versions": {"torch": "2.12", "numpy": "2"}}, {"versions": {"torch": "2.13", "numpy": "2"}},
         "versions: torch (2.12: a; 2.13: b)"),
        ({"commit": "a" * 40}, {"commit": "b" * 40}, "code (commit) (aaaaaaaaaaaa: a; bbbbbbbbbbbb: b)"),
        ({"a_setting_of_the_future": 1}, {"a_setting_of_the_future": 2}, "a setting of the future (1: a; 2: b)"),
        ({"a_setting_of_the_future": 1}, {}, "a setting of the future (1: a; not recorded: b)"),
        ({}, {"volumes": ["a", "b", "d", "e"]},
         "validation cases (3 from a to c, 3 slices: a; 4 from a to e, 4 slices: b)"),
    ],
)  # fmt: skip
def test_whatever_is_recorded_is_compared(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any], says: str
) -> None:
    runs = find_runs([row(tmp_path, "a", **first), row(tmp_path, "b", **second)])
    assert differences(runs) == [f"The runs differ in {says}."]


LISTS = {"arguments", "data_arguments", "losses", "terms"}
ROWS = {f"num_{which}_{items}" for which in ("train", "val") for items in ("slices", "volumes")}
COUNTS = ROWS | {"num_parameters", "num_processes", "num_threads"}
SETTINGS = {setting.key: setting.field.type for setting in declared()}


def two_values(name: str) -> tuple[Any, Any]:
    """Two values that a record of this name may have."""
    if name == "data_source":
        return {"note": ["x"]}, {"note": ["y"]}
    if name == "boxes_kept":
        return {"mean": 0.9, "least": 0.8}, {"mean": 0.9, "least": 0.7}
    if name in LISTS:
        return ["x"], ["y"]
    if SETTINGS.get(name) is bool:
        return False, True
    return (1, 2) if name in COUNTS or SETTINGS.get(name) is int else ("x", "y")


@pytest.mark.parametrize("name", sorted(STUDIED | BESIDE))
def test_what_is_studied_or_beside_is_not(tmp_path: Path, name: str) -> None:
    first, second = two_values(name)
    assert differences(find_runs([row(tmp_path, "a", **{name: first}), row(tmp_path, "b", **{name: second})])) == []


def test_folds_have_their_own_data_and_seeds_their_number(tmp_path: Path) -> None:
    runs = [
        row(
            tmp_path,
            f"{name}/fold{fold}_seed{seed}",
            volumes=[f"f{fold}"],
            data_checksum=f"{fold}" * 64,
            seed=seed,
            boxes=f"data/CROP-fold{fold}",
            boxes_checksum=f"{fold}" * 64,
        )
        for name in "ab"
        for fold in (0, 1)
        for seed in (0, 1)
    ]
    assert differences(find_runs(runs)) == []


def test_runs_of_one_row_that_differ_are_named_and_touch_its_comparisons(tmp_path: Path) -> None:
    rates = {"a/seed0": 0.01, "a/seed1": 0.02, "b/seed0": 0.01, "b/seed1": 0.01, "c/seed0": 0.01, "c/seed1": 0.01}
    runs = find_runs([row(tmp_path, name, learning_rate=rate) for name, rate in rates.items()])
    assert differences(runs) == [
        "The runs differ in learning rate (0.01, 0.02: a; 0.01: b, c).",
        "The runs of a differ in learning rate (0.01: a/seed0; 0.02: a/seed1).",
    ]
    for found in unlike(group(runs)):
        assert found.touches("a", "b") and found.touches("c", "a") and not found.touches("b", "c")
