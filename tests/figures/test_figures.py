"""plot, boxplot and hist: what is drawn, from the command line to the lines in the figure."""

import csv
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image
from toyruns import write_row, write_runs
from toys import REPOSITORY, write_sliced

from boundary_loss import boxplot, hist, plot
from boundary_loss.figures import drawing
from boundary_loss.figures.drawing import DARK, LIGHT, legend_below, new_figure, save, to_png
from boundary_loss.files import write_array
from boundary_loss.folders.run import RunFolder
from boundary_loss.plot import Curves
from boundary_loss.statistics.comparison import Comparison, find_runs

Call = Callable[..., None]
DRAWING = ("plot", "boxplot", "hist", "report.__main__", "view", "gif", "archive.__main__")


def shown(runs: list[Path], name: str, **options: object) -> Comparison:
    return Comparison.of(name, find_runs(runs), **options)  # type: ignore[arg-type]


def texts(figure: Figure) -> str:
    legends = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return "\n".join([text.get_text() for text in figure.texts] + legends)


def test_drawing_imports_no_torch() -> None:
    code = f"import sys, importlib\nfor m in {DRAWING}: importlib.import_module('boundary_loss.' + m)\n"
    code += "assert 'torch' not in sys.modules and 'matplotlib.pyplot' not in sys.modules, 'too much was imported'"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(REPOSITORY / "src")})


def test_curves_are_the_means_over_rows_from_epoch_0_to_the_last(runs: list[Path]) -> None:
    figure = plot.draw(shown(runs, "val_3d_dsc"))
    (axes,) = figure.axes
    curves = [line for line in axes.lines if len(line.get_xdata()) > 1]
    for path, line in zip(runs, curves, strict=True):
        means = RunFolder(path).array("val_3d_dsc")[:, :, 1].mean(axis=1)
        np.testing.assert_allclose(line.get_ydata(), means, rtol=1e-6)
        assert list(line.get_xdata()) == list(range(len(means)))
    assert axes.get_xlim() == (0, 7)  # the longest run has 8 epochs
    assert len({line.get_color() for line in curves}) == 3


def test_a_mark_stands_at_each_runs_best_epoch(runs: list[Path]) -> None:
    figure = plot.draw(shown(runs, "val_dice"))
    marks = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
    assert [int(line.get_xdata()[0]) for line in marks] == [4, 6, 2]
    assert len({line.get_marker() for line in marks}) == 3


def test_epochs_that_were_not_measured_are_left_out(runs: list[Path]) -> None:
    dice = np.load(runs[0] / "val_dice.npy")
    dice[[1, 3]] = np.nan
    write_array(runs[0] / "val_dice.npy", dice)
    figure = plot.draw(shown(runs[:1], "val_dice"), Curves(smooth=3, spread="sem"))
    assert list(figure.axes[0].lines[0].get_xdata()) == [0, 2, 4, 5]


def test_a_run_of_one_epoch_is_a_point(tmp_path: Path, sliced: Path) -> None:
    runs = write_runs(tmp_path / "results", sliced, {"gdl": 1})
    (runs[0] / "best_epoch.txt").unlink()
    figure = plot.draw(shown(runs, "val_dice"), Curves(spread="sd"))
    assert figure.axes[0].lines[0].get_marker() == "."


def test_losses_have_a_panel_each_and_classes_a_line_style(runs: list[Path], tmp_path: Path) -> None:
    assert len(plot.draw(shown(runs, "tra_loss")).axes) == 3
    sliced = write_sliced(tmp_path / "four", num_classes=4)
    four = write_runs(tmp_path / "heart", sliced, {"ce": 3, "diceloss": 2})
    figure = plot.draw(shown(four, "val_3d_hd95"))
    assert len(figure.axes) == 1
    assert len({str(line._unscaled_dash_pattern) for line in figure.axes[0].lines}) == 3
    assert {"lesion", "core", "rim"} <= set(texts(figure).splitlines())


def test_title_names_study_metric_unit_and_set(runs: list[Path]) -> None:
    for figure in (
        plot.draw(shown(runs, "val_3d_hd95")),
        boxplot.draw(shown(runs, "val_3d_hd95")),
        hist.draw(shown(runs, "val_3d_hd95")),
    ):
        text = texts(figure)
        assert "toy: validation HD95 per volume, pooled (mm)" in text
        assert "2 volumes of the validation set" in text
        assert "SYNTHETIC DATA" in text


def test_real_data_have_no_banner(tmp_path: Path, sliced: Path) -> None:
    runs = write_runs(tmp_path / "real", sliced, {"gdl": 2}, phantom=False)
    assert "SYNTHETIC" not in texts(plot.draw(shown(runs, "val_dice")))
    runs = write_runs(tmp_path / "debug", sliced, {"gdl": 2}, phantom=False, debug=True)
    assert "DEBUG RUN" in texts(plot.draw(shown(runs, "val_dice")))


def test_what_was_never_measured_is_refused(runs: list[Path]) -> None:
    for draw in (plot.draw, boxplot.draw, hist.draw):
        with pytest.raises(ValueError, match="nothing was measured for val_3d_hd95"):
            draw(shown(runs, "val_3d_hd95", columns=["background"]))


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_same_content_same_bytes(runs: list[Path], theme: object) -> None:
    for draw in (plot.draw, boxplot.draw, hist.draw):
        first, second = (to_png(draw(shown(runs, "val_dice"), theme=theme), dpi=40) for _ in range(2))
        assert first == second


def test_box_plot_shows_every_case_at_the_best_epoch(runs: list[Path]) -> None:
    figure = boxplot.draw(shown(runs, "val_dice"))
    points = [np.asarray(dots.get_offsets())[:, 1] for dots in figure.axes[0].collections]
    for path, best, values in zip(runs, (4, 6, 2), points, strict=True):
        np.testing.assert_allclose(values, np.load(path / "val_dice.npy")[best, :, 1])
    assert "gdl (epoch 4, n = 8)" in texts(figure)


def test_box_plot_of_one_epoch_leaves_nan_out(runs: list[Path]) -> None:
    dice = np.load(runs[0] / "val_dice.npy")
    dice[1, :3] = np.nan
    write_array(runs[0] / "val_dice.npy", dice)
    assert "gdl (epoch 1, n = 5)" in texts(boxplot.draw(shown(runs, "val_dice"), epoch=1))
    with pytest.raises(ValueError, match="gdl_hausdorff_w has epochs 0 to 3, not 5"):
        boxplot.draw(shown(runs, "val_dice"), epoch=5)


def test_histogram_counts_every_row(runs: list[Path]) -> None:
    comparison = shown(runs, "val_dice")
    edges = hist.bin_edges(comparison, 10, None)
    assert (edges[0], edges[-1], len(edges)) == (0, 1, 11)
    figure = hist.draw(comparison, bins=10)
    assert [stairs.get_data().values.sum() for stairs in figure.axes[0].patches] == [8, 8, 8]
    with pytest.raises(ValueError, match="at least 1 bin"):
        hist.draw(comparison, bins=0)


def test_the_legend_has_a_histograms_lines(runs: list[Path]) -> None:
    figure = hist.draw(shown(runs, "val_dice"))
    outlines = [(patch.get_edgecolor(), patch.get_linestyle()) for patch in figure.axes[0].patches]
    named = [(to_rgba(line.get_color()), line.get_linestyle()) for line in figure.legends[0].get_lines()]
    assert len({style for _, style in outlines}) == 3
    for (colour, style), (colour_named, style_named) in zip(outlines, named, strict=True):
        assert colour == colour_named and (style == "-") == (style_named == "-")


@pytest.mark.parametrize(("count", "across"), [(1, 1), (3, 3), (4, 2), (5, 3), (7, 3)])
def test_rows_of_a_legend_are_of_equal_length(count: int, across: int) -> None:
    figure = new_figure()
    legend_below(figure, [Line2D([], [], label="gdl_3d_surface_steal") for _ in range(count)])
    assert figure.legends[0]._ncols == across  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def thirty(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[Path]]:
    """Thirty rows, by the letters of their names; one of a single epoch, one with an epoch that was not measured."""
    place, rng = tmp_path_factory.mktemp("many"), np.random.default_rng(0)
    found: dict[int, list[Path]] = {}
    for letters in (10, 130):
        for i in range(30):
            values = np.sort(rng.random((1 if i == 2 else 4, 6)), axis=0)
            values[(i == 1) * 2 : (i == 1) * 3] = np.nan
            name = f"gdl_{i:02d}_" + "surface_steal_$x_$"[: letters - 7].ljust(letters - 7, "W")
            found.setdefault(letters, []).append(write_row(place / str(letters), name, values))
    return found


@pytest.mark.parametrize("letters", [10, 130])
@pytest.mark.parametrize("count", [7, 30])
@pytest.mark.parametrize("module", [plot, boxplot, hist])
def test_every_run_is_told_and_nothing_is_cut_off(
    thirty: dict[int, list[Path]], module: ModuleType, count: int, letters: int
) -> None:
    figure = module.draw(shown(thirty[letters][:count], "val_3d_dsc"))
    figure.draw_without_rendering()
    told = [
        (str(handle.get_color()), str(handle.get_marker()), str(handle._unscaled_dash_pattern))
        if isinstance(handle, Line2D)
        else handle.get_facecolor()
        for handle in figure.legends[0].legend_handles
    ]
    assert len(set(told)) == len(told)
    beside = [label.get_text().split("\n")[0] for label in figure.axes[0].get_yticklabels()]
    assert len(told) == count or len(set(beside)) == count
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    for part in (*figure.axes, *figure.legends, *figure.texts):
        box = part.get_tightbbox(renderer)
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
    axes, below = figure.axes[0].get_window_extent(), figure.legends[0].get_window_extent(renderer)
    assert min(axes.width, axes.height) / figure.dpi > 2 and axes.y0 > below.y1


def test_no_two_of_many_runs_look_alike() -> None:
    looks = {(LIGHT.colour(i), drawing.marker(i), str(drawing.dash(i))) for i in range(200)}
    assert len(looks) == 200
    assert len({(LIGHT.colour(i), str(drawing.dash(i))) for i in range(26)}) == 26  # in a line far from its mark


def test_many_runs_of_several_classes_have_a_panel_a_class(tmp_path: Path) -> None:
    sliced = write_sliced(tmp_path / "four", num_classes=4)
    runs = write_runs(tmp_path / "heart", sliced, dict.fromkeys("abcdefgh", 2))
    for module in (plot, boxplot, hist):
        figure = module.draw(shown(runs, "val_3d_dsc"))
        assert [axes.get_title(loc="left") for axes in figure.axes] == ["lesion", "core", "rim"]
    lying = boxplot.draw(shown(runs, "val_3d_dsc"), ylim=(0.25, 0.75)).axes[0]
    assert lying.get_xlim() == (0.25, 0.75)


def test_more_classes_than_line_styles_have_a_panel_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = write_runs(tmp_path / "heart", write_sliced(tmp_path / "four", num_classes=4), {"ce": 2})
    assert len(plot.draw(shown(runs, "val_3d_dsc")).axes) == 1
    monkeypatch.setattr(plot, "LINES", plot.LINES[:2])
    assert len(plot.draw(shown(runs, "val_3d_dsc")).axes) == 3


SETTINGS = b"text.usetex: True\nfont.size: 40\nsavefig.bbox: tight\nbackend: nonsense\nno.such.key: 1\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [(SETTINGS, {"MPLCONFIGDIR": "/proc/none"}), (b"\xff\xfe: 1\n", {}), (SETTINGS, {"MPLBACKEND": "nonsense"})],
    ids=["settings", "no text", "backend"],
)
def test_a_users_settings_change_no_picture(
    runs: list[Path], call: Call, tmp_path: Path, content: bytes, words: dict[str, str]
) -> None:
    (tmp_path / "matplotlibrc").write_bytes(content)
    ours, theirs = (runs[0].parent / f"val_dice_{kind}.png" for kind in ("ours", "theirs"))
    options = ["--metric", "val_dice", "--runs", *map(str, runs)]
    call(plot.main, ours, *options)
    theirs_alone = {"PYTHONPATH": str(REPOSITORY / "src"), "MATPLOTLIBRC": str(tmp_path), **words}
    command = [sys.executable, "-m", "boundary_loss.plot", str(theirs), *options]
    done = subprocess.run(command, env={**os.environ, **theirs_alone}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    assert theirs.read_bytes() == ours.read_bytes()


def test_matplotlib_is_imported_in_one_place() -> None:
    importing = {
        path.name
        for path in (REPOSITORY / "src").rglob("*.py")
        if re.search(r"^\s*(from|import) matplotlib", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert importing == {"drawing.py"}


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("gdl_surface_steal", "gdl_surface_\nsteal"),
        ("abcdefghijklmnop", "abcdefghijklm\nnop"),
        ("short", "short"),
        ("", ""),
        ("left ventricle (LV)", "left ventricle\n(LV)"),
        ("a\x1bb", r"a\x1bb"),
    ],
)
def test_long_names_are_broken_where_they_can_be(name: str, lines: str) -> None:
    assert "\n".join(drawing.wrapped(name, 0.9)) == lines


def test_commands_write_their_picture(runs: list[Path], call: Call) -> None:
    results = runs[0].parent
    options = ["--study", "ISLES", "--ylim", "0", "1", "--legend-names", "a", "b", "c", "--columns", "lesion"]
    for module, name in ((plot, "val_dice.png"), (boxplot, "val_3d_dsc_boxplot.png"), (hist, "val_dice_hist.png")):
        call(module.main, results / name, "--runs", *runs, *options)
        with Image.open(results / name) as picture:
            assert picture.size[0] == 1440
    assert not list(results.glob(".*"))  # nothing half-written is left


def test_limits_far_from_the_curves_leave_an_empty_panel_and_no_warning(runs: list[Path]) -> None:
    figure = plot.draw(shown(runs, "val_3d_dsc"), Curves(ylim=(1000, 1001)))
    figure.draw_without_rendering()
    assert not any(line.get_visible() for line in figure.axes[0].lines if not line.get_clip_on())


def test_csv_beside_the_picture(runs: list[Path], call: Call) -> None:
    results = runs[0].parent
    call(plot.main, results / "curves.png", "--metric", "val_3d_dsc", "--runs", *runs, "--csv")
    lines = list(csv.DictReader((results / "curves.csv").read_text().splitlines()))
    assert len(lines) == 8
    assert lines[7]["gdl:lesion"] == ""  # shorter than the longest run
    mean = np.load(runs[1] / "val_3d_dsc.npy")[7, :, 1].mean()
    assert float(lines[7]["gdl_surface_steal:lesion"]) == pytest.approx(mean, rel=1e-5)


def test_a_name_without_metric_lists_the_known_ones(runs: list[Path], call: Call) -> None:
    with pytest.raises(ValueError, match=r"val_dise.png names no metric; .* val_dice"):
        call(plot.main, runs[0].parent / "val_dise.png", "--runs", *runs)
    with pytest.raises(ValueError, match=r"should end in .png"):
        call(plot.main, runs[0].parent / "val_dice.pdf", "--runs", *runs)
    with pytest.raises(ValueError, match=r"should end in .png"):
        save(new_figure(), Path("figure.svg"))
    with pytest.raises(FileNotFoundError, match="no run at"):
        call(plot.main, runs[0].parent / "val_dice.png", "--runs", "results/none")


def test_seeds_are_one_curve_with_a_band(tmp_path: Path) -> None:
    rise = np.linspace(0.1, 0.8, 5)[:, None] + np.zeros((1, 6))
    runs = [write_row(tmp_path / "toy", f"gdl/seed{i}", rise + 0.05 * i, best=4) for i in (0, 1, 2)]
    runs.append(write_row(tmp_path / "toy", "ce", rise))
    both = shown(runs, "val_3d_dsc")
    figure = plot.draw(both)
    (axes,) = figure.axes
    assert len(axes.collections) == 1  # a band for the row with seeds, none for the single run
    np.testing.assert_allclose(axes.lines[0].get_ydata(), rise[:, 0] + 0.05, atol=1e-6)
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((0.1, 0.9), abs=1e-6)  # the mean 0.15 to 0.85, 0.05 to each side
    assert "and 3 seeds" in texts(figure) and "standard deviation over seeds" in texts(figure)
    assert not plot.draw(both, Curves(spread="none")).axes[0].collections
    boxes = texts(boxplot.draw(both))
    assert "averaged over 3 seeds" in boxes and "gdl (epoch 4, n = 6)" in boxes


def test_bands_over_cases_and_over_seeds(tmp_path: Path) -> None:
    run = write_row(tmp_path / "toy", "ce", np.array([[0.1, 0.5], [0.2, 0.6]]))
    for spread, bands in (("auto", 0), ("seeds", 0), ("sd", 1), ("sem", 1)):
        assert len(plot.draw(shown([run], "val_3d_dsc"), Curves(spread=spread)).axes[0].collections) == bands  # type: ignore[arg-type]
