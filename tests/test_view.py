"""Outlines, the grid of slices, and the animation over epochs."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.collections import LineCollection
from PIL import Image
from toyruns import write_runs
from toys import write_sliced

from boundary_loss import gif, view
from boundary_loss.figures.contrast import windows
from boundary_loss.figures.drawing import new_figure
from boundary_loss.figures.overlays import Look, edges, read_row
from boundary_loss.figures.selection import pick_slices, predicted_stems
from boundary_loss.files import read_json, write_json
from boundary_loss.folders.pictures import write_png
from boundary_loss.folders.run import RunFolder
from boundary_loss.folders.sliced import SlicedFolder

Call = Callable[..., None]
masks = arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 8)))


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "has_display", lambda: False)


@given(masks)
def test_outline_has_one_unit_for_each_side_between_in_and_out(mask: np.ndarray) -> None:
    padded = np.pad(mask, 1).astype(int)
    sides = np.abs(np.diff(padded, axis=0)).sum() + np.abs(np.diff(padded, axis=1)).sum()
    found = edges(mask)
    assert np.abs(found[:, 1] - found[:, 0]).sum() == sides


@given(masks)
def test_outline_of_the_transposed_mask_is_transposed(mask: np.ndarray) -> None:
    def segments(array: np.ndarray) -> set[tuple[float, ...]]:
        return {tuple(segment.ravel()) for segment in array}

    assert segments(edges(mask.T)) == segments(edges(mask)[:, :, ::-1])


def test_outline_of_a_single_pixel_is_its_square() -> None:
    mask = np.zeros((3, 5), bool)
    mask[2, 4] = True  # row 2, column 4, at the border
    corners = {tuple(point) for segment in edges(mask) for point in segment}
    assert corners == {(3.5, 1.5), (4.5, 1.5), (3.5, 2.5), (4.5, 2.5)}
    assert edges(np.zeros((3, 5), bool)).shape == (0, 2, 2)


def test_grid_has_a_row_a_slice_and_a_column_a_run(runs: list[Path], sliced: Path) -> None:
    data, found = SlicedFolder.open(sliced), [RunFolder(path) for path in runs]
    figure = new_figure()
    view.fill(figure, data, found, ["case_4_00_0000", "case_5_00_0001"], None, Look(modality="mtt"))
    assert len(figure.axes) == 8
    assert [axes.get_title() for axes in figure.axes[:4]] == ["ground truth", *(path.name for path in runs)]
    assert figure.axes[0].get_aspect() == pytest.approx(0.8 / 1.2)  # dx / dy: rows are X
    prediction = figure.axes[1].images[0].get_array()
    image = data.image("val", "case_4_00_0000")[data.modalities.index("mtt")]
    np.testing.assert_array_equal(prediction, windows(data, "case_4")["mtt"].grey(image))
    outlines = [line for line in figure.axes[0].collections if isinstance(line, LineCollection)]
    assert len(outlines[0].get_segments()) == len(edges(data.labels("val", "case_4_00_0000") == 1))


def test_many_runs_go_on_below_and_long_names_stay_over_their_panels(tmp_path: Path) -> None:
    sliced = write_sliced(tmp_path / "TOY", num_classes=4)
    names = [f"gdl_{i}_surface_steal_penalised_for_false_negatives_of_small_objects" for i in range(9)]
    found = [RunFolder(path) for path in write_runs(tmp_path / "toy", sliced, dict.fromkeys(names, 2))]
    figure = new_figure()
    view.fill(figure, SlicedFolder.open(sliced), found, ["case_4_00_0000"], None, Look(modality="mtt"))
    figure.draw_without_rendering()
    assert len(figure.axes) == 10 and figure.get_figwidth() < 12
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_crop_cuts_all_sides_alike(runs: list[Path], sliced: Path) -> None:
    data = SlicedFolder.open(sliced)
    row = read_row(data, [RunFolder(runs[0])], "case_4_00_0000", 2, Look(modality="ct", crop=3))
    assert row.picture.shape == row.truth.shape == row.predictions[0].shape == (14, 18)
    with pytest.raises(ValueError, match="--crop 10 leaves nothing of a slice of 20 x 24"):
        read_row(data, [], "case_4_00_0000", None, Look(modality="ct", crop=10))


def test_view_writes_pictures_where_asked(runs: list[Path], sliced: Path, call: Call, tmp_path: Path) -> None:
    out = tmp_path / "pages"
    call(view.main, "--data", sliced, "--runs", *runs, "--num", "2", "--save", out / "two")
    (page,) = (out / "two").glob("*.png")
    with Image.open(page) as picture:
        assert picture.size[0] > 800
    call(view.main, "--data", sliced, "--runs", runs[0], "--num", "8", "--pick", "any", "--save", out, "--filled",
         "--epoch", "1", "--modality", "ct")  # fmt: skip
    assert sorted(path.name for path in out.glob("*.png")) == [
        "case_4_00_0000+5_ct_epoch1.png",
        "case_5_00_0002+1_ct_epoch1.png",
    ]


def content(page: Path) -> dict[str, Any]:
    """What a page's scripts show."""
    return json.loads(page.read_text().split('id="data">')[1].split("</script>")[0])


def test_view_writes_the_gallery_as_a_page(
    runs: list[Path], sliced: Path, call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(view.webbrowser, "open", opened.append)
    call(view.main, "--data", sliced, "--runs", *runs)
    page = Path(capsys.readouterr().out.strip())
    assert page == runs[0].parent / "view" / "gallery.html" and opened == []  # no display here
    shown = content(page)["gallery"]
    assert shown["shown"] == [path.name for path in runs]
    assert sorted(case["name"] for case in shown["cases"]) == ["case_4", "case_5"]
    assert shown["leftOut"] == [] and shown["lossless"]
    monkeypatch.setattr(view, "has_display", lambda: True)
    call(view.main, "--data", sliced, "--runs", *runs, "--slices", "case_5_00_0002", "--epoch", "1", "--modality", "ct")
    shown = content(page)["gallery"]
    assert opened == [page.resolve().as_uri()]
    assert [(case["name"], case["start"]) for case in shown["cases"]] == [("case_5", 2)]
    assert (shown["epoch"], shown["modalities"][0]) == (1, "ct")


def test_view_needs_no_metrics(runs: list[Path], sliced: Path, call: Call) -> None:
    (runs[0] / "val_3d_dsc.npy").unlink()
    call(view.main, "--data", sliced, "--runs", runs[0])
    shown = content(runs[0].parent / "view" / "gallery.html")["gallery"]
    assert [case["name"] for case in shown["cases"]] == ["case_4", "case_5"]


def test_random_slices_are_the_same_for_the_same_seed_and_have_lesions(sliced: Path) -> None:
    data = SlicedFolder.open(sliced)
    stems = data.stems("val")
    drawn = [pick_slices(data, stems, 3, seed, "lesions") for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] == sorted(drawn[0])
    assert drawn[0] != drawn[2]
    assert all((data.labels("val", stem) > 0).any() for stem in drawn[0])
    assert len(pick_slices(data, stems, 50, 0, "any")) == len(stems)
    empty = [stem for stem in stems if not (data.labels("val", stem) > 0).any()]
    with pytest.raises(ValueError, match="has any foreground; --pick any"):
        pick_slices(data, empty, 1, 0, "lesions")
    with pytest.raises(ValueError, match="at least one slice"):
        pick_slices(data, stems, 0, 0, "any")


def test_wrong_slice_modality_epoch_and_data_are_named(
    runs: list[Path], sliced: Path, call: Call, tmp_path: Path
) -> None:
    words = ["--data", sliced, "--runs", *runs]
    with pytest.raises(ValueError, match=r"'case_4_00_0009' is not a validation slice .* close: case_4_00_000"):
        call(view.main, *words, "--slices", "case_4_00_0009")
    with pytest.raises(ValueError, match=r"unknown modality 'tmax'; .* has ct, mtt"):
        call(view.main, *words, "--modality", "tmax")
    with pytest.raises(FileNotFoundError, match="has predictions of epochs 0 to 5"):
        call(view.main, *words, "--epoch", "6")
    with pytest.raises(SystemExit):
        call(view.main, *words, "--epoch", "last")
    other = write_sliced(tmp_path / "other", num_classes=3)
    with pytest.raises(ValueError, match="was trained on the classes background, lesion, but"):
        call(view.main, "--data", other, "--runs", *runs)
    write_png(runs[0] / "best_epoch" / "val" / "case_4_00_0000.png", np.zeros((5, 6), np.uint8))
    with pytest.raises(ValueError, match=r"as \(5, 6\), the slice is \(20, 24\)"):
        call(view.main, *words, "--slices", "case_4_00_0000")


def test_only_slices_that_every_run_predicted_are_drawn(runs: list[Path]) -> None:
    names = read_json(runs[1] / "rows.json")
    write_json(runs[1] / "rows.json", names | {"val": names["val"][:2]})  # as a debug run
    assert predicted_stems([RunFolder(path) for path in runs]) == names["val"][:2]


def test_gif_has_a_frame_an_epoch(runs: list[Path], sliced: Path, call: Call) -> None:
    path = runs[0] / "case_4_00_0000.gif"
    call(gif.main, path, "--data", sliced, "--ms", "80")
    with Image.open(path) as animation:
        assert animation.n_frames == 6  # type: ignore[attr-defined]
        assert animation.info["duration"] == 80
        animation.seek(5)
        assert animation.info["duration"] == gif.LAST_FRAME_MS


def test_gif_of_four_classes_shows_their_colours(tmp_path: Path, call: Call) -> None:
    sliced = write_sliced(tmp_path / "data", num_classes=4, size=(24, 20))
    (run,) = write_runs(tmp_path / "results", sliced, {"ce": 2})
    call(gif.main, run / "case_5_00_0001.gif", "--data", sliced)
    with Image.open(run / "case_5_00_0001.gif") as animation:
        pixels = np.asarray(animation.convert("RGB")).astype(int)
    vivid = pixels[(pixels.max(axis=-1) - pixels.min(axis=-1)) > 100]
    assert len(np.unique(vivid // 64, axis=0)) >= 3


def test_gif_grows_for_long_names_and_many_classes(sliced: Path) -> None:
    row = read_row(SlicedFolder.open(sliced), [], "case_4_00_0000", None, Look(modality="ct"))
    row = replace(row, predictions=(row.truth,))
    heights = [
        gif.frame(row, ["W" * length], ["background", *("left ventricle",) * classes]).height
        for length, classes in ((5, 1), (150, 1), (5, 2), (5, 12))
    ]
    assert heights[0] < heights[1] and heights[0] < heights[2] < heights[3]


def test_gif_of_an_unknown_slice_or_name_is_refused(runs: list[Path], sliced: Path, call: Call) -> None:
    with pytest.raises(ValueError, match="close: case_5_00_0003"):
        call(gif.main, runs[0] / "case_5_00_0033.gif", "--data", sliced)
    with pytest.raises(ValueError, match=r"should be RUN/SLICE.gif"):
        call(gif.main, runs[0] / "case_5_00_0003.png", "--data", sliced)
    with pytest.raises(FileNotFoundError, match="no run at"):
        call(gif.main, runs[0].parent / "none" / "case_5_00_0003.gif", "--data", sliced)
    with pytest.raises(ValueError, match="20 ms at least"):
        call(gif.main, runs[0] / "case_5_00_0003.gif", "--data", sliced, "--ms", "5")
