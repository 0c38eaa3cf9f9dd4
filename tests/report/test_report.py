"""The table's numbers, the words around them, and the page."""

import base64
import csv
import html
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from toyruns import LENGTHS, write_row

from boundary_loss.files import read_json, write_array, write_json
from boundary_loss.folders.run import RunFolder
from boundary_loss.metric_definitions import METRICS
from boundary_loss.report import __main__ as report
from boundary_loss.report import comparisons
from boundary_loss.report.definitions import CHOICE_OF_EPOCH, DEFINITIONS
from boundary_loss.report.findings import differences, sentences
from boundary_loss.report.html import tidy
from boundary_loss.report.latex import escape, to_latex
from boundary_loss.report.page import page
from boundary_loss.report.rebuild import again
from boundary_loss.report.seen import Unavailable
from boundary_loss.report.table import Scores, collect, to_csv, to_text
from boundary_loss.statistics.claims import OF_NETWORKS, compare
from boundary_loss.statistics.comparison import find_runs

Call = Callable[..., None]


def set_dice(run: Path, values: list[float]) -> None:
    """Dice per volume of the lesion at every epoch."""
    array = np.load(run / "val_3d_dsc.npy")
    array[:, :, 1] = values
    write_array(run / "val_3d_dsc.npy", array)


def scores_of(runs: list[Path], *metrics: str) -> Scores:
    return collect(find_runs(runs), metrics)


def page_of(scores: Scores, why: str = "none") -> str:
    return page(scores, compare(scores.comparisons), Unavailable(why))


def test_scores_are_mean_and_sample_deviation_over_cases(runs: list[Path]) -> None:
    scores = scores_of(runs)
    array = RunFolder(runs[1]).array("val_dice").astype(float)
    for when, epoch in (("best", 6), ("last", 7)):
        score = scores.get("gdl_surface_steal", "val_dice", "lesion", when)
        assert score is not None
        assert (score.epochs, score.n, score.seeds) == ((epoch,), 8, 1)
        assert score.mean == pytest.approx(array[epoch, :, 1].mean())
        assert score.sd == pytest.approx(array[epoch, :, 1].std(ddof=1))


def test_cases_that_were_not_measured_are_left_out_and_counted(runs: list[Path]) -> None:
    array = np.load(runs[0] / "val_3d_dsc.npy")
    array[4, 0, 1] = np.nan
    write_array(runs[0] / "val_3d_dsc.npy", array)
    score = scores_of(runs).get("gdl", "val_3d_dsc", "lesion", "best")
    assert score is not None
    assert (score.n, score.of) == (1, 2)
    assert np.isnan(score.sd)
    assert score.text == f"{array[4, 1, 1]:.3f} (n = 1)"


def test_the_best_mean_is_marked_by_the_metrics_direction(runs: list[Path]) -> None:
    for run, value in zip(runs, (0.5, 0.7, 0.6)):
        set_dice(run, [value, value])
        distances = np.load(run / "val_3d_hd95.npy")
        distances[:, :, 1] = 10 * value
        write_array(run / "val_3d_hd95.npy", distances)
    scores = scores_of(runs, "val_3d_dsc", "val_3d_hd95")
    assert [score.run for score in scores.best("val_3d_dsc", "lesion", "best")] == ["gdl_surface_steal"]
    assert [score.run for score in scores.best("val_3d_hd95", "lesion", "last")] == ["gdl"]
    assert sentences(scores) == [
        "Dice over volumes: best mean gdl_surface_steal for lesion (0.700).",
        "HD95 over volumes (mm): best mean gdl for lesion (5.00).",
    ]
    table = to_text(scores)
    assert table.count("*") == 5  # two metrics, best and last epoch, and the explanation
    assert "0.700 ± 0.000 *" in table and "5.00 ± 0.00 *" in table


def test_equal_as_printed_is_a_tie(runs: list[Path]) -> None:
    for run, value in zip(runs, (0.70001, 0.7, 0.6)):
        set_dice(run, [value, value])
    assert sentences(scores_of(runs, "val_3d_dsc")) == [
        "Dice over volumes: best mean gdl and gdl_surface_steal for lesion (0.700)."
    ]


def test_one_run_alone_is_the_best_of_nothing(runs: list[Path]) -> None:
    scores = scores_of(runs[:1])
    assert sentences(scores) == []
    assert differences(scores.runs) == []
    assert compare(scores.comparisons).differences == ()
    assert "a difference is shown" not in page_of(scores)


def test_csv_has_a_line_a_run_metric_class_and_epoch(runs: list[Path]) -> None:
    scores = scores_of(runs, "val_3d_dsc", "val_dice")
    lines = list(csv.DictReader(to_csv(scores).splitlines()))
    assert len(lines) == 3 * 2 * 2
    assert lines[0]["run"] == "gdl" and lines[0]["when"] == "best" and lines[0]["epoch"] == "4"
    assert float(lines[0]["mean"]) == pytest.approx(scores.all[0].mean, rel=1e-5)


def test_differences_that_make_a_comparison_unfair_are_said(runs: list[Path]) -> None:
    for run in runs:  # the runs differ in length
        about = read_json(run / "run.json")
        write_json(run / "run.json", about | {"epochs": 5})
    assert differences(find_runs(runs)) == []
    about = read_json(runs[2] / "run.json")
    write_json(
        runs[2] / "run.json", about | {"seed": 1, "device": "cuda", "network": "ENet", "data_checksum": "f" * 64}
    )
    assert differences(find_runs(runs)) == [
        "The runs differ in network (UNet(width=8): gdl, gdl_surface_steal; ENet: gdl_hausdorff_w).",
        f"The runs differ in data (checksum) ({about['data_checksum'][:12]}: gdl, gdl_surface_steal; "
        "ffffffffffff: gdl_hausdorff_w).",
    ]


def test_archives_of_unknown_checksum_are_told_wherever_one_looks(
    runs: list[Path], sliced: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "Checksums not verified: b&b.zip is none of the accepted archives (TRUST=1)"
    call(report.main, runs[0].parent, "--runs", *runs, "--data", sliced)
    assert "not verified" not in capsys.readouterr().out + (runs[0].parent / "report.html").read_text()
    archives = [{"name": n, "algorithm": "md5", "checksum": "0", "trusted": n != "a.zip"} for n in ("a.zip", "b&b.zip")]
    for run in runs:
        write_json(run / "run.json", read_json(run / "run.json") | {"data_source": {"archives": archives}})
    call(report.main, runs[0].parent, "--runs", *runs, "--data", sliced)
    page = (runs[0].parent / "report.html").read_text()
    assert f"note: {said}" in capsys.readouterr().out
    summary, _, made = page.partition('<section id="made"')
    for part in (summary, made):
        assert f'<div class="notice"><p>{said.replace("&", "&amp;")}' in part


def test_missing_metrics_are_said_and_the_rest_is_used(runs: list[Path]) -> None:
    (runs[1] / "val_3d_hd95.npy").unlink()
    for run in runs:
        (run / "val_boundary.npy").unlink()
    scores = scores_of(runs)
    assert scores.get("gdl_surface_steal", "val_3d_hd95", "lesion", "best") is None
    assert scores.get("gdl", "val_3d_hd95", "lesion", "best") is not None
    assert scores.missing[0].startswith("val_3d_hd95 is missing from gdl_surface_steal; make metrics")
    assert "val_boundary is missing from gdl, gdl_surface_steal, gdl_hausdorff_w" in scores.missing[1]
    assert "val_boundary is missing" in page_of(scores)
    assert "gdl_surface_steal" in to_text(scores)


def test_unknown_metric_and_no_metric_at_all(runs: list[Path]) -> None:
    with pytest.raises(ValueError, match=r"unknown metric 'dice'; sets: default, isles, .* arrays: tra_loss"):
        scores_of(runs, "dice")
    for path in runs[0].glob("val_*.npy"):
        path.unlink()
    with pytest.raises(ValueError, match="none of the runs has any of the metrics"):
        scores_of(runs[:1])


def test_every_metric_is_defined() -> None:
    assert DEFINITIONS.keys() == METRICS.keys()


class Page(HTMLParser):
    """The tags that are open, every address that a page refers to, and the scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.identifiers: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img", "br", "wbr"):
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]
        self.identifiers += [value or "" for name, value in attrs if name == "id"]

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_is_whole_and_needs_nothing_else(runs: list[Path], sliced: Path, call: Call) -> None:
    folder = runs[0].parent
    call(report.main, folder, "--data", sliced, "--quiet", "--metrics", "val_3d_dsc", "val_3d_hd95", "val_dice")
    text = (folder / "report.html").read_text()
    found = Page(text)
    assert found.open == [] and len(set(found.identifiers)) == len(found.identifiers)
    anchors = [address for address in found.addresses if address.startswith("#")]
    downloads = [address for address in found.addresses if not address.startswith("#")]
    assert {anchor[1:] for anchor in anchors} <= set(found.identifiers)
    assert len(downloads) == 4  # two tables as CSV, the sentences, all as LaTeX
    files = [base64.b64decode(address.split(";base64,")[1]).decode() for address in downloads]
    assert files[0] == (folder / "report.csv").read_text() and files[3] == (folder / "report.tex").read_text()
    assert not re.search(r"https?://|@import|url\(", text.replace("http://www.w3.org/2000/svg", ""))
    assert '<div class="banner" role="note">SYNTHETIC DATA' in text
    assert "gdl, best epoch: HD95 1 of 12: 1 one empty (40 mm)" in text
    for part in (
        "a difference of losses is shown in 0 of",
        "steal(0.01)",
        "UNet(width=8)",
        "0123456789ab",
        "torch 2.13.0",
    ):
        assert part in text
    content = json.loads(found.scripts[0])
    assert [run["name"] for run in content["runs"]] == sorted(LENGTHS)
    assert {metric["name"] for metric in content["metrics"]} >= {"val_3d_dsc", "val_dice", "tra_loss"}


def test_the_same_runs_and_data_give_the_same_bytes(runs: list[Path], sliced: Path, call: Call) -> None:
    folder, names = runs[0].parent, ("report.html", "report_data.json", "report.tex", "comparisons.csv")
    found = []
    for _ in range(2):
        call(report.main, folder, "--data", sliced, "--quiet")
        found.append({name: (folder / name).read_bytes() for name in names})
    assert found[0] == found[1]


def test_without_the_data_the_page_is_made_of_what_was_kept(runs: list[Path], sliced: Path, call: Call) -> None:
    folder = runs[0].parent
    call(report.main, folder, "--runs", *runs, "--data", sliced, "--quiet", "--baseline", "gdl")
    before = (folder / "report.html").read_text()
    sliced.rename(sliced.with_name("gone"))
    call(report.main, folder, "--runs", *runs, "--data", sliced, "--quiet", "--baseline", "gdl")
    assert (folder / "report.html").read_text() == before == again(folder)
    (runs[0] / "best_epoch.txt").write_text("3\n")  # of another epoch: what was kept is not of these runs
    call(report.main, folder, "--runs", *runs, "--data", sliced, "--quiet")
    assert "No pictures: no sliced data or whole volumes at" in (folder / "report.html").read_text()


def test_page_holds_no_path_of_the_machine(runs: list[Path], call: Call) -> None:
    call(report.main, runs[0].parent, "--data", "/home/someone/nowhere/TOY", "--quiet", "--metrics", "val_dice")
    text = (runs[0].parent / "report.html").read_text()
    assert "/home" not in text and "someone" not in text
    assert "…/TOY" in text  # of --data, and of the reason why there is no gallery


@pytest.mark.parametrize(
    ("word", "kept"),
    [
        ("/home/me/data/ISLES", "…/ISLES"),
        ("--data=/home/me/data/ISLES/", "--data=…/ISLES"),
        ("C:\\Users\\me\\ISLES", "…/ISLES"),
        ("data/ISLES", "data/ISLES"),
        ("boundary(map=3d):0.01@1", "boundary(map=3d):0.01@1"),
        ("1/2", "1/2"),
    ],
)
def test_tidy_shortens_absolute_paths_only(word: str, kept: str) -> None:
    assert tidy(word) == kept


def test_names_are_escaped(runs: list[Path]) -> None:
    about = read_json(runs[0] / "run.json")
    versions = {"torch": "</script><u>"}
    write_json(
        runs[0] / "run.json", about | {"network": "<script>alert(1)</script>", "study": "<b>", "versions": versions}
    )
    names = read_json(runs[0] / "rows.json")
    write_json(runs[0] / "rows.json", names | {"classes": ["background", "<script><u>"]})
    text = page_of(scores_of(runs[:1], "val_dice"), "<i>")
    assert not re.search("<script>alert|<b>|<i>|<u>", text)
    assert text.count("<script") == text.count("</script>") == 2


def test_show_writes_nothing_and_quiet_prints_no_table(
    runs: list[Path], call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = runs[0].parent
    call(report.main, folder, "--show")
    shown = capsys.readouterr().out
    assert "SYNTHETIC DATA" in shown and "note: The runs differ in number of epochs" in shown
    assert not (folder / "report.html").exists()
    call(report.main, folder, "--quiet", "--metrics", "val_dice")
    assert "±" not in capsys.readouterr().out
    assert (folder / "report.csv").exists()


def test_a_folder_without_runs_is_named(tmp_path: Path, call: Call) -> None:
    with pytest.raises(FileNotFoundError, match="no finished run in"):
        call(report.main, tmp_path)
    with pytest.raises(FileNotFoundError, match="no results at"):
        call(report.main, tmp_path / "none")


def test_an_interrupted_run_without_best_epoch_is_reported_at_its_last(runs: list[Path]) -> None:
    (runs[0] / "best_epoch.txt").unlink()
    scores = scores_of(runs, "val_3d_dsc")
    assert scores.get("gdl", "val_3d_dsc", "lesion", "best") is None
    assert scores.get("gdl", "val_3d_dsc", "lesion", "last") is not None
    assert "<td>–</td>" in page_of(scores)


@pytest.fixture
def seeds(tmp_path: Path) -> list[Path]:
    """Two rows of three seeds each on 12 cases; the second is clearly better."""
    base = np.random.default_rng(0).uniform(0.3, 0.6, 12)
    return [
        write_row(tmp_path / "toy", f"{row}/seed{seed}", base + gain + 0.01 * seed)
        for row, gain in (("gdl", 0.0), ("gdl_surface", 0.1))
        for seed in (0, 1, 2)
    ]


def test_spread_over_cases_and_over_seeds_are_two_numbers(seeds: list[Path]) -> None:
    scores = scores_of(seeds)
    assert scores.labels == ("gdl", "gdl_surface") and scores.rows["gdl_surface"][0].name == "gdl_surface/seed0"
    score = scores.get("gdl", "val_3d_dsc", "lesion", "last")
    assert score is not None
    assert (score.n, score.seeds, score.epochs) == (12, 3, (0, 0, 0))
    arrays = np.stack([np.load(run / "val_3d_dsc.npy")[0, :, 1] for run in seeds[:3]])
    assert score.sd == pytest.approx(arrays.mean(axis=0).std(ddof=1), rel=1e-4)
    assert score.sd_seeds == pytest.approx(0.01, rel=1e-4)
    assert score.text.endswith("± 0.010")
    assert "± standard deviation over seeds" in to_text(scores)
    (line, *_) = csv.DictReader(to_csv(scores).splitlines())
    assert (line["seeds"], line["epoch"], line["counted"]) == ("3", "0 0 0", "volumes") and float(
        line["standard_deviation_over_seeds"]
    ) > 0
    assert differences(scores.runs) == []  # both rows have the same seeds


def test_all_files_of_a_report_say_the_same(seeds: list[Path], call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    folder = seeds[0].parent.parent
    call(report.main, folder)
    sentence = "gdl_surface is better than gdl in Dice by 0.100 [0.077, 0.123], 12 patients, 3 seeds, p < 0.001."
    text = capsys.readouterr().out
    assert sentence in text and CHOICE_OF_EPOCH.split(",")[0] in text.replace("\n", " ")
    lines = list(csv.DictReader((folder / "comparisons.csv").read_text().splitlines()))
    assert [line["when"] for line in lines] == ["best", "last"]
    assert lines[0]["sentence"] == sentence and lines[0]["better"] == "gdl_surface"
    assert float(lines[0]["gain"]) == pytest.approx(0.1, abs=1e-5) and lines[0]["comparisons"] == "2"
    assert html.escape(sentence) in (folder / "report.html").read_text()
    said = (folder / "comparisons.txt").read_text()
    assert (
        said.startswith("gdl_surface and gdl\n  at each run's best epoch:\n    gdl_surface is better")
        and said.count(sentence) == 2
    )
    assert r"\textbf{0." in (folder / "report.tex").read_text()
    call(report.main, folder, "--show", "--test")
    assert "Paired comparisons" not in capsys.readouterr().out


def test_every_pair_has_a_sentence_also_where_nothing_can_be_concluded(tmp_path: Path) -> None:
    rng, runs = np.random.default_rng(0), []
    for row, gain in {"ce": 0.0, "gdl": 0.01, "dice": 0.2}.items():
        for seed in range(3):
            values = 0.5 + gain + rng.normal(0, 0.02) + rng.normal(0, 0.02, 12)
            runs.append(write_row(tmp_path, f"{row}/seed{seed}", values))
    statistics = compare(scores_of(runs, "val_3d_dsc").comparisons)
    said = comparisons.to_sentences(statistics)
    for pair in ("gdl and ce", "dice and ce", "dice and gdl"):
        assert f"{pair}\n" in said
    lines = [line.strip() for line in said.splitlines() if line.startswith("    ")]
    assert len(lines) == len(statistics.differences) == 6
    undecided = [line for line in lines if line.startswith("Between gdl and ce")]
    assert len(undecided) == 2
    assert all(
        re.search(r"With gain and spreads as seen, \d+ seeds a row would (not )?show it", line) for line in undecided
    )
    assert "Seeds needed: the smallest number" in said and comparisons.to_sentences(compare([])) == ""


def test_one_training_a_row_is_called_two_networks_in_every_file(seeds: list[Path], call: Call) -> None:
    folder = seeds[0].parent.parent
    call(report.main, folder, "--runs", seeds[0], seeds[3], "--quiet")
    (line, _) = csv.DictReader((folder / "comparisons.csv").read_text().splitlines())
    assert (line["speaks_of"], line["better"], line["better_networks"]) == ("networks", "", "gdl_surface/seed0")
    assert "these two networks; another seed may turn it (SEEDS='0 1 2')" in line["sentence"]
    page = (folder / "report.html").read_text()
    assert "†" not in page and page.count(html.escape(line["sentence"])) >= 2
    assert html.escape(OF_NETWORKS) in page.partition("<section")[0]
    assert "a difference of losses is shown in 0 of 1 comparison; one of networks only, in 1 more." in page


def test_latex_is_balanced_and_marks_the_best(seeds: list[Path], runs: list[Path]) -> None:
    scores = scores_of(seeds)
    text = to_latex(scores, compare(scores.comparisons))
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 3
    assert text.count(r"\textbf{") == text.count(r"$^\dagger$") == 2  # at the best and at the last epoch
    assert (
        r"gdl\_surface & gdl & Dice & lesion & best & losses & 12 & 0.100 & 0.077 to 0.123 & 1.00 & $<$ 0.001 \\"
        in text
    )
    for line in text.splitlines():
        assert line.count("{") == line.count("}") and not re.search(r"(?<!\\)[_#%](?!\s)", line), line
    assert text.isascii() and r"$\surd$(h\_seeds$^2$ + h\_patients$^2$)" in text
    alone = scores_of([seeds[0], seeds[3]])
    text = to_latex(alone, compare(alone.comparisons))
    assert "agger" not in text and "& networks & 12 &" in text and "not of their losses" in text
    several = scores_of(runs)
    assert to_latex(several, compare(several.comparisons)).startswith("% SYNTHETIC DATA")
    (alone,) = (scores_of(runs[:1], "val_dice"),)
    assert to_latex(alone, compare(alone.comparisons)).count(r"\begin{table}") == 2


def test_latex_escapes_what_is_special() -> None:
    assert escape("a_b & 5 % {x} ± < \\") == r"a\_b \& 5 \% \{x\} $\pm$ $<$ \textbackslash{}"
