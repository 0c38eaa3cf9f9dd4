"""Our numbers beside the published ones: what may be compared, and what is said where it may not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from toyruns import write_row
from toys import REPOSITORY

from boundary_loss import published
from boundary_loss.files import read_json, write_json, write_text
from boundary_loss.published import Published, to_text
from boundary_loss.statistics.comparison import find_runs

FILE = """# A study
# Source paper: A. Author, A paper, 2020
# Note: read with care
# row  metric      class   mean  sd    patients convention source
gdl    val_3d_dsc  lesion  0.70  0.01  4        same       paper
ce     val_3d_dsc  lesion  0.60  -     4        inferred   paper
gdl    val_3d_hd95 lesion  9.0   -     4        differs    paper
"""


@pytest.fixture
def numbers(tmp_path: Path) -> Published:
    write_text(tmp_path / "toy.published", FILE)
    return Published.read(tmp_path / "toy.published")


def line(text: str, row: str) -> str:
    return next(found for found in text.splitlines() if found.startswith(row))


def test_agreement_and_difference(tmp_path: Path, numbers: Published) -> None:
    runs = [write_row(tmp_path, "gdl", np.full(4, 0.72)), write_row(tmp_path, "ce", np.full(4, 0.5))]
    text = to_text(numbers, find_runs(runs))
    assert "0.700 ± 0.010 [paper]  0.720" in line(text, "gdl")
    assert line(text, "gdl").endswith("agrees (within 0.035)")  # 5 % of 0.70, more than twice 0.01
    assert line(text, "ce").endswith("lower by 0.100, if their convention is ours")
    assert "[paper] A. Author, A paper, 2020" in text and "note: read with care" in text
    assert "not measured here: make metrics" in text  # HD95


def test_the_spread_over_our_seeds_widens_the_tolerance(tmp_path: Path, numbers: Published) -> None:
    runs = [write_row(tmp_path, f"gdl/seed{i}", np.full(4, value)) for i, value in enumerate((0.6, 0.66))]
    assert line(to_text(numbers, find_runs(runs)), "gdl").endswith("agrees (within 0.085)")


@pytest.mark.parametrize(
    ("about", "cases", "says"),
    [
        ({"phantom": True}, 4, "not comparable: synthetic data"),
        ({"debug": True}, 4, "not comparable: debug run"),
        ({}, 3, "not comparable: 3 held-out patients, theirs 4"),
        (
            {"data_source": {"archives": [{"name": "a.zip", "algorithm": "md5", "checksum": "0", "trusted": True}]}},
            4,
            "not comparable: archives of unknown checksum (TRUST=1)",
        ),
    ],
)
def test_what_may_not_be_compared(tmp_path: Path, numbers: Published, about: dict, cases: int, says: str) -> None:
    run = write_row(tmp_path, "gdl", np.full(cases, 0.7))
    write_json(run / "run.json", read_json(run / "run.json") | about)
    text = to_text(numbers, find_runs([run]))
    assert line(text, "gdl").endswith(says)
    assert line(text, "ce").endswith("not trained here: RUNS=ce")


def test_another_convention_may_not_be_compared(tmp_path: Path, numbers: Published) -> None:
    run = write_row(tmp_path, "gdl", np.full(4, 9.0), metric="val_3d_hd95")
    assert "not comparable: another convention of the metric" in to_text(numbers, find_runs([run]))


def test_distances_in_voxels_are_compared_in_mm(tmp_path: Path) -> None:
    voxels = FILE.replace("differs ", "same    ").replace("9.0   - ", "9.0  1.0") + "# Voxel paper: 0.5\n"
    write_text(tmp_path / "toy.published", voxels)
    found = Published.read(tmp_path / "toy.published")
    assert [(one.mean, one.sd, one.voxels) for one in found.numbers if one.metric == "val_3d_hd95"] == [(4.5, 0.5, 9)]
    assert all(one.voxels is None for one in found.numbers if one.metric == "val_3d_dsc")
    run = write_row(tmp_path, "gdl", np.full(4, 5.6), metric="val_3d_hd95")
    distance = to_text(found, find_runs([run])).splitlines()[3]
    assert "4.50 ± 0.50 (9 voxels) [paper]  5.60" in distance and distance.endswith("higher by 1.10")


def test_networks_of_more_training_volumes_may_not_be_compared(tmp_path: Path) -> None:
    run = write_row(tmp_path, "gdl", np.full(4, 0.7))
    names = read_json(run / "rows.json")
    for trained, says in ((4, "agrees"), (5, "not comparable: trained on 4 volumes, theirs on 5")):
        write_json(run / "rows.json", names | {"train": [f"case_{i}_00_{z:04d}" for i in range(4) for z in range(2)]})
        write_text(tmp_path / "toy.published", FILE + f"# Trained paper: {trained}\n")
        assert says in line(to_text(Published.read(tmp_path / "toy.published"), find_runs([run])), "gdl")
    write_json(run / "rows.json", names | {"train": list("ABCDE"), "items": "volumes", "slices": names["val"]})
    assert "agrees" in line(to_text(Published.read(tmp_path / "toy.published"), find_runs([run])), "gdl")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("gdl val_3d_dsc lesion 0.7", "line 1: expected row, metric, class"),
        ("gdl val_3d_dsc lesion 0.7 - 4 alike paper", "unknown convention 'alike'; known: same, inferred, differs"),
        ("gdl dice lesion 0.7 - 4 same paper", "line 1: unknown metric 'dice'"),
        ("gdl val_3d_dsc lesion much - 4 same paper", "line 1: could not convert"),
        ("gdl val_3d_dsc lesion 0.7 - 4 same paper", "names no source 'paper'"),
        ("# Trained paper: 16", "names no source 'paper'"),
        ("# Voxel paper: 0", "line 1: expected a number above 0, got '0'"),
        ("# Trained paper: few", "line 1: expected a number above 0, got 'few'"),
    ],
)
def test_a_faulty_file_is_named(tmp_path: Path, text: str, says: str) -> None:
    write_text(tmp_path / "toy.published", text)
    with pytest.raises(ValueError, match=says):
        Published.read(tmp_path / "toy.published")
    with pytest.raises(FileNotFoundError, match="no published numbers at"):
        Published.read(tmp_path / "none.published")


@pytest.mark.parametrize("study", ["isles", "wmh", "acdc", "atria", "brats", "lits"])
def test_the_files_of_the_studies_are_read(
    study: str, tmp_path: Path, call: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    path = REPOSITORY / "lineage" / f"{study}.published"
    shared = ("lesion_rows.mk", "distance_rows.mk", "occupancy_rows.mk")
    ledger = (REPOSITORY / f"{study}.make").read_text() + "".join(
        (REPOSITORY / "src" / own).read_text() for own in shared
    )
    numbers = Published.read(path).numbers
    for found in numbers:
        assert f"\n{found.row}.losses" in ledger, found
    assert len({(found.row, found.metric, found.source) for found in numbers}) == len(numbers)
    run = write_row(tmp_path, "gdl", np.full(4, 0.7))
    call(published.main, path, "--runs", run)
    said = capsys.readouterr().out
    assert ("No published number" in said) == (study == "acdc")
