"""The pictures of surfaces on the page: which, in what order, how many; and that they need no other file."""

import base64
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boundary_loss.files import read_json, write_json
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.run import RunFolder
from boundary_loss.report import __main__ as report
from boundary_loss.report import surfaces, surfaces_section
from boundary_loss.report.gallery_cases import ranking
from boundary_loss.report.rebuild import again
from boundary_loss.statistics.comparison import find_runs, group

Call = Callable[..., None]


def write_meshes(run: Path, *, epoch: int | None = None, side: int = 24) -> None:
    """What `mesh` leaves of a run, of its best epoch unless another is given; of noise, which no format makes small."""
    own = RunFolder(run)
    (run / "mesh").mkdir()
    write_json(run / "mesh" / "surfaces.json", {"run": own.name, "epoch": own.best_epoch if epoch is None else epoch})
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    for volume in own.names["volumes"]:
        Image.fromarray(noise).save(run / "mesh" / f"{volume}.png")


def built(runs: list[Path], sliced: Path, **options: int) -> surfaces.Surfaces:
    found = find_runs(runs)
    return surfaces.build(group(found), [(PreparedFolder.open(sliced), dict(enumerate(found)))], **options)


def test_the_worst_case_comes_first_with_the_runs_that_have_meshes(runs: list[Path], sliced: Path) -> None:
    for run in runs[:2]:
        write_meshes(run)
    found = built(runs, sliced)
    ordered = ranking(RunFolder(runs[0]))
    assert {case["name"] for case in found.cases} == {volume for volume, _ in ordered}
    first = found.cases[0]
    assert (first["name"], first["word"]) == (ordered[0][0], "worst")
    assert [picture["run"] for picture in first["pictures"]] == ["gdl", "gdl_surface_steal"]
    assert first["pictures"][0]["dice"] == pytest.approx(ordered[0][1])
    assert not found.notes


def test_meshes_of_another_epoch_are_named_and_not_shown(runs: list[Path], sliced: Path) -> None:
    write_meshes(runs[0], epoch=0)
    found = built(runs, sliced)
    assert not found.cases
    (note,) = found.notes
    assert note.startswith("The surfaces of gdl are of epoch 0, not of the best, 4") and "FRESH=1" in note


def test_what_does_not_fit_is_named(runs: list[Path], sliced: Path) -> None:
    write_meshes(runs[0], side=64)
    size = len(built(runs, sliced).cases[0]["pictures"][0]["image"])
    found = built(runs, sliced, room=size + 10)
    assert [case["word"] for case in found.cases] == ["worst"]
    (note,) = found.notes
    assert note.startswith("Left out, as they would make the page too large: case_")


def test_a_spoilt_record_is_refused_by_name(runs: list[Path], sliced: Path) -> None:
    write_meshes(runs[0])
    (runs[0] / "mesh" / "surfaces.json").write_text('{"run": "gdl", "epoch": "four"}')
    with pytest.raises(ValueError, match=r"surfaces.json: 'epoch' is 'four'"):
        built(runs, sliced)


def test_the_page_holds_the_pictures_and_can_be_made_again_without_them(
    runs: list[Path], sliced: Path, call: Call
) -> None:
    folder = runs[0].parent
    call(report.main, folder, "--data", sliced, "--quiet")
    plain = (folder / "report.html").read_text()
    assert 'id="surfaces"' not in plain
    write_meshes(runs[0])
    call(report.main, folder, "--data", sliced, "--quiet")
    text = (folder / "report.html").read_text()
    assert '<section id="surfaces"' in text and 'href="#surfaces"' in text
    assert text.count("data:image/jpeg;base64,") == plain.count("data:image/jpeg;base64,") + 2
    (runs[0] / "mesh").rename(runs[0] / "gone")
    assert again(folder) == text


def test_a_report_kept_by_an_earlier_version_has_no_surfaces(runs: list[Path], sliced: Path, call: Call) -> None:
    folder = runs[0].parent
    call(report.main, folder, "--data", sliced, "--quiet")
    kept = read_json(folder / "report_data.json")
    del kept["surfaces"]
    write_json(folder / "report_data.json", kept)
    assert again(folder) == (folder / "report.html").read_text()


def test_names_cannot_become_html() -> None:
    picture = {"run": "<b>gdl", "dice": None, "image": 'data:image/jpeg;base64,"><script>'}
    text = surfaces_section.html(surfaces.Surfaces([{"name": "a&b", "word": "", "pictures": [picture]}]))
    assert "<script>" not in text and "<b>" not in text and "a&amp;b" in text


def test_pictures_become_jpeg_of_equal_size(runs: list[Path], sliced: Path) -> None:
    write_meshes(runs[0], side=40)
    image = built(runs, sliced).cases[0]["pictures"][0]["image"]
    with Image.open(io.BytesIO(base64.b64decode(image.partition(",")[2]))) as opened:
        assert opened.format == "JPEG" and opened.size == (40, 40)
