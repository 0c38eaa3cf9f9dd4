"""The page of all studies and archives."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from toyruns import write_runs
from toys import write_sliced

from boundary_loss import index
from boundary_loss.files import read_json, write_array, write_json
from boundary_loss.report import __main__ as report

Call = Callable[..., None]


def test_studies_with_their_best_numbers_and_archives(
    runs: list[Path], sliced: Path, tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    for run, dice in zip(runs, (0.5, 0.7, 0.6), strict=True):
        array = np.load(run / "val_3d_dsc.npy")
        array[:, :, 1] = dice
        write_array(run / "val_3d_dsc.npy", array)
    call(report.main, runs[0].parent, "--data", sliced, "--quiet")
    results = runs[0].parent.parent
    write_runs(results / "isles & co", write_sliced(tmp_path / "more"), {"gdl": 2}, phantom=False)
    (results / "empty").mkdir()
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives" / "b-isles.tar.gz").write_bytes(b"0" * 2_300_000)
    call(index.main, results, "--archives", tmp_path / "archives")
    assert capsys.readouterr().out.splitlines()[-1] == str(results / "index.html")
    text = (results / "index.html").read_text()
    table = text.split("<main>")[1].split("</main>")[0]
    assert '<a href="toy/report.html">toy</a> <span class="mark">synthetic data</span>' in table
    assert "<td>0.700 gdl_surface_steal</td>" in table and re.search(r"<td>\d+\.\d\d mm gdl", table)
    assert "isles &amp; co (no report yet)" in table and "empty" not in table
    assert '<a href="../archives/b-isles.tar.gz">b-isles.tar.gz</a></th><td data-value="2300000">2.3 MB</td>' in table
    assert "commit 012345678; network UNet(width=8); epochs 6, 4, 8" in table
    assert str(tmp_path) not in text
    before = (results / "index.html").read_bytes()
    call(index.main, results, "--archives", tmp_path / "archives", "--quiet")
    assert (results / "index.html").read_bytes() == before


def test_links_with_odd_names_lead_somewhere(runs: list[Path], call: Call) -> None:
    folder = runs[0].parent.rename(runs[0].parent.with_name("a 100% #1 <study>"))
    call(report.main, folder, "--quiet", "--metrics", "val_3d_dsc")
    call(index.main, folder.parent)
    text = (folder.parent / "index.html").read_text()
    assert '<a href="a%20100%25%20%231%20%3Cstudy%3E/report.html">a 100% #1 &lt;study&gt;</a>' in text


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("gdl/run.json", "", "run.json is not valid JSON"),
        ("gdl/run.json", "[]", "run.json holds a list"),
        ("gdl/rows.json", None, "rows.json is missing"),
        ("report.csv", "run,metric,when,mean\ngdl,val_3d_dsc,best,x\n", "report.csv has the mean"),
        ("report.csv", "run,metric,when,mean\ngdl,val_3d_dsc,best,nan\n", "report.csv has the mean"),
        ("report.csv", "run,metric\ngdl,val_3d_dsc\n", "report.csv has no column when, mean"),
        ("report.csv", "run\0,", ""),
    ],
)
def test_a_study_that_cannot_be_read_is_named_and_hides_no_other(
    runs: list[Path], tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str], name: str, content: str | None,
    why: str,
) -> None:  # fmt: skip
    results = runs[0].parent.parent
    write_runs(results / "other", write_sliced(tmp_path / "more"), {"gdl": 2})
    spoilt = results / "other" / name
    spoilt.unlink(missing_ok=True)
    if content is not None:
        spoilt.write_text(content)
    call(index.main, results)
    table = (results / "index.html").read_text().split("<main>")[1].split("</main>")[0]
    assert "toy (no report yet)" in table and "gdl_surface_steal" in table
    if why:
        assert "cannot be read: " in table and why in table and str(tmp_path) not in table
        assert f"warning: {results / 'other'} is not listed: " in capsys.readouterr().err


def test_nothing_yet_and_nowhere(tmp_path: Path, call: Call) -> None:
    (tmp_path / "results").mkdir()
    call(index.main, tmp_path / "results", "--archives", tmp_path / "archives")
    text = (tmp_path / "results" / "index.html").read_text()
    assert "No finished run yet" in text and "None yet" in text
    with pytest.raises(FileNotFoundError, match="no results at"):
        call(index.main, tmp_path / "elsewhere")


def test_a_run_of_another_name_than_its_folder_is_no_obstacle(runs: list[Path], call: Call) -> None:
    about = read_json(runs[0] / "run.json")
    write_json(runs[0] / "run.json", about | {"study": "<script>", "network": "<b>"})
    call(index.main, runs[0].parent.parent)
    text = (runs[0].parent.parent / "index.html").read_text().split("<main>")[1].split('<script type="application')[0]
    assert "<b>" not in text and "<script>" not in text
