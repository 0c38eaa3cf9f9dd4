"""The report over several sets: what it claims, what it refuses to, what is missing, and its files."""

import csv
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from boundary_loss.contest.claims import claims
from boundary_loss.contest.costs import COLUMNS, read_costs
from boundary_loss.contest.page import page
from boundary_loss.contest.reading import cannot_be_concluded, may_be_written, undecided
from boundary_loss.contest.result import collect
from boundary_loss.contest.section import BEGIN, END, rewritten
from boundary_loss.contest.sets import METRICS, read_set
from boundary_loss.contest.tables import csv_of, latex, mark, markdown, set_rows, standing_rows
from boundary_loss.files import write_json, write_text
from boundary_loss.statistics.paired import holm

ALIKE = dict.fromkeys(("ce_dice", "a", "b"), 0.7)


def test_a_large_difference_is_found_and_said_with_its_set(write_set) -> None:
    sets = [write_set("one", {"ce_dice": 0.7, "good": 0.85, "bad": 0.5}), write_set("two", ALIKE, draw=1)]
    result = collect(sets, "ce_dice", "last")
    said = may_be_written(result)
    assert len(said) == 4 and all(text.startswith("one: ") for text in said)  # two rows in Dice and in HD95
    assert re.fullmatch(
        r"one: good is better than ce_dice in Dice by 0\.1\d\d \[0\.\d+, 0\.\d+\], 20 patients, 3 seeds, p .*\.",
        said[0],
    )
    assert result.claims.record("good").won == 2 and result.claims.record("bad").lost == 2
    assert mark(result, "one", "val_3d_dsc", "good") == "†" and mark(result, "one", "val_3d_hd95", "bad") == "‡"
    assert len(undecided(result)) == 4 and all("nothing can be concluded" in text for text in undecided(result))


def test_without_any_difference_hardly_anything_is_claimed(write_set) -> None:
    false = 0
    for draw in range(20):
        sets = [write_set(f"set{i}", ALIKE, draw=100 * draw + i, spread=0.02) for i in range(3)]
        false += bool(claims(sets, "ce_dice").shown)
    assert false <= 2  # each at a chance of 0.05 at most


def test_holm_counts_every_set(write_set) -> None:
    sets = [write_set("one", {"ce_dice": 0.7, "a": 0.72}, draw=3), write_set("two", ALIKE, draw=4)]
    together, alone = claims(sets, "ce_dice"), claims(sets[:1], "ce_dice")
    every = [difference for _, difference in together.all]
    assert together.family == len(every) == 2 * 1 + 2 * 2
    np.testing.assert_allclose([d.p_holm for d in every], holm([d.p for d in every]))
    for before, after in zip(alone.by_set["one"], together.by_set["one"], strict=True):
        assert before.p == after.p and before.p_holm <= after.p_holm


def test_one_seed_speaks_of_networks_alone(write_set) -> None:
    result = collect([write_set("one", {"ce_dice": 0.7, "a": 0.9}, seeds=1)], "ce_dice", "last")
    assert result.claims.record("a").won == 0 and result.claims.record("a").undecided == 2
    assert "one: The network of a is better than that of ce_dice in Dice" in may_be_written(result)[0]
    assert cannot_be_concluded(result)[0].startswith("Anything about losses")
    assert "†" not in markdown(result).split("### What may be written")[0].split("patients;")[1].split("\n\n", 1)[1]


def test_what_is_not_finished_is_said(write_set, tmp_path: Path) -> None:
    found = write_set("one", ALIKE)
    shutil.rmtree(tmp_path / "one" / "a" / "seed1")
    (tmp_path / "one" / "b" / "seed2").rename(tmp_path / "one" / "b" / "seed2_tmp")
    (tmp_path / "one" / "b" / "seed0" / "val_3d_nsd.npy").unlink()
    found = read_set(tmp_path / "one", found.asked)
    assert found.missing == (
        "one: a is not trained with seed 1.",
        "one: b is trained but not measured with seed 0.",
        "one: b is still in training with seed 2.",
    )
    result = collect([found], "ce_dice", "last")
    assert [result.means["one", row, "val_3d_dsc"].seeds for row in ("ce_dice", "a", "b")] == [3, 2, 1]
    assert result.notes[:3] == found.missing and result.seeds == (1, 3)
    assert "fewer than three seeds" in cannot_be_concluded(result)[0]


def test_a_set_without_runs_or_without_the_base_is_only_noted(write_set, tmp_path: Path) -> None:
    found = write_set("one", {"ce_dice": 0.7, "a": 0.8})
    empty = read_set(tmp_path / "two", found.asked)
    result = collect([found, empty], "ce_dice", "last")
    assert [each.name for each in result.sets] == ["one"] and len(empty.missing) == 2
    shutil.rmtree(tmp_path / "one" / "ce_dice")
    result = collect([read_set(tmp_path / "one", found.asked)], "ce_dice", "last")
    assert result.claims.all == [] and result.rows == ("a",)
    assert "–" in markdown(result) or "a" in markdown(result)
    with pytest.raises(FileNotFoundError, match="no finished run of one"):
        collect([empty], "ce_dice", "last")


def test_settings_in_which_rows_differ_are_said(write_set, tmp_path: Path) -> None:
    found = write_set("one", {"ce_dice": 0.7, "a": 0.7})
    for seed in range(3):
        write_json(
            tmp_path / "one" / "a" / f"seed{seed}" / "run.json", {"study": "toy", "epochs": 1, "network": "ENet"}
        )
    result = collect([read_set(tmp_path / "one", found.asked)], "ce_dice", "last")
    assert any("one: The runs differ in network" in text for text in result.notes)


def test_a_spoilt_record_is_refused_by_name(write_set, tmp_path: Path) -> None:
    found = write_set("one", {"ce_dice": 0.7})
    (tmp_path / "one" / "ce_dice" / "seed0" / "run.json").write_text("[]")
    with pytest.raises(ValueError, match=r"seed0/run\.json"):
        collect([read_set(tmp_path / "one", found.asked)], "ce_dice", "last")


def test_tables_have_every_row_and_number(write_set) -> None:
    sets = [write_set("one", {"ce_dice": 0.7, "good": 0.9}), write_set("two", {"ce_dice": 0.7, "good": 0.9}, draw=1)]
    result = collect(sets, "ce_dice", "last")
    lines = list(csv.DictReader(io.StringIO(csv_of(result))))
    assert len(lines) == 2 * 2 * len(METRICS)
    (tested,) = [line for line in lines if (line["set"], line["row"], line["metric"]) == ("two", "good", "val_3d_hd95")]
    assert tested["better"] == "good" and float(tested["gain_over_base"]) == pytest.approx(2, abs=0.3)
    head, *rows = standing_rows(result)
    assert [row[0] for row in rows] == ["good", "ce_dice"] and all(len(row) == len(head) for row in rows)
    assert rows[0][-3:] == ["4", "0", "0"] and rows[1][-3:] == ["base", "", ""]
    assert set_rows(result, "one")[2][0] == "good" and set_rows(result, "one")[2][2].endswith("†")
    text, tex = markdown(result), latex(result)
    assert text.count("| good |") == 3 and "**" in text
    assert tex.count(r"\begin{tabular}") == 3 and r"ce\_dice" in tex and r"$^\dagger$" in tex and "†" not in tex


def test_the_page_is_one_file_with_all_sentences(write_set, tmp_path: Path) -> None:
    result = collect([write_set("one", {"ce_dice": 0.7, "good": 0.9, "alike": 0.7})], "ce_dice", "last")
    html = page(result, {"Gains": b"png"}, tmp_path)
    places = set(re.findall(r'(?:src|href)="([^"]{1,5})', html))
    assert places <= {"data:", "#stan", "#sets", "#sent", "#limi", "#cost", "#made"} and "data:" in places
    for text in (*may_be_written(result), *undecided(result)):
        assert html.count(text.replace("<", "&lt;")) >= 1
    assert "report.html" not in html  # there is none
    (tmp_path / "one" / "report.html").touch()
    assert 'href="one/report.html"' in page(result, {}, tmp_path)


def test_names_that_are_markup_stay_text(write_set, tmp_path: Path) -> None:
    result = collect([write_set("one", {"ce_dice": 0.7, "<b>row": 0.9})], "ce_dice", "last")
    assert "<b>row" not in page(result, {}, tmp_path)


def test_costs_are_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "step_cost.csv"
    assert read_costs(path) == {}
    line = ["ce_dice", "2x2x8x8", "5", "1.5", "1.4", "1.6", "1", "", "0.2", "cpu"]
    write_text(path, ",".join(COLUMNS) + "\n" + ",".join(line) + "\n")
    assert read_costs(path)["ce_dice"].milliseconds == 1.5 and np.isnan(read_costs(path)["ce_dice"].mebibytes)
    write_text(path, ",".join(COLUMNS) + "\n" + ",".join([*line[:3], "soon", *line[4:]]) + "\n")
    with pytest.raises(ValueError, match=r"step_cost\.csv.*soon.*contest\.make cost"):
        read_costs(path)
    write_text(path, "row\nce_dice\n")
    with pytest.raises(ValueError, match="no column batch"):
        read_costs(path)


def test_a_marked_section_is_replaced_and_nothing_else() -> None:
    before = f"# Title\n\n{BEGIN}\nold\n{END}\n\nafter\n"
    once = rewritten(before, "new\n", Path("page.md"))
    assert once == f"# Title\n\n{BEGIN}\n\nnew\n\n{END}\n\nafter\n" and rewritten(once, "new", Path("page.md")) == once
    for wrong in ("no marks", f"{END} {BEGIN}", f"{BEGIN}{BEGIN}{END}", f"{BEGIN} x"):
        with pytest.raises(ValueError, match=r"page\.md has not the two marks"):
            rewritten(wrong, "new", Path("page.md"))


def test_the_records_are_json_that_is_read_with_types(write_set, tmp_path: Path) -> None:
    found = write_set("one", {"ce_dice": 0.7})
    about = json.loads((tmp_path / "one" / "ce_dice" / "seed0" / "rows.json").read_text())
    write_json(tmp_path / "one" / "ce_dice" / "seed0" / "rows.json", about | {"volumes": ["../x"]})
    with pytest.raises(ValueError, match=r"seed0/rows\.json"):
        read_set(tmp_path / "one", found.asked)
