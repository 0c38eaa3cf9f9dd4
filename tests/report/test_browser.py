"""The page as a reader has it: opened in Chromium, sorted, toggled, read, zoomed. Skips where there is no Chromium."""

import base64
import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import chromium
import numpy as np
import pytest
from chromium import Chromium
from PIL import Image
from toyruns import write_runs
from toys import write_sliced

from boundary_loss import index, view
from boundary_loss.files import read_json, write_json
from boundary_loss.report import __main__ as report

pytestmark = pytest.mark.skipif(chromium.find() is None, reason="no Chromium here")

Call = Callable[..., None]
FIRST_SELECT = "document.querySelector('#gallery select')"


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with Chromium() as found:
        yield found


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with a report: three runs of two classes beside the background, in two modalities."""
    place = tmp_path_factory.mktemp("study")
    sliced = write_sliced(place / "TOY", num_classes=3)
    about = read_json(sliced / "slicing.json")
    write_json(sliced / "slicing.json", about | {"orientation": {"case_5": "PLS"}})
    runs = write_runs(place / "results" / "toy", sliced)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "sys.argv", ["report", str(runs[0].parent), "--runs", *map(str, runs), "--data", str(sliced), "--quiet"]
        )
        report.main()
    return runs[0].parent


@pytest.fixture
def page(browser: Chromium, study: Path) -> Iterator[Chromium]:
    """The report, freshly opened; at the end nothing has gone to the console or over a network."""
    browser.open(study / "report.html")
    browser.frame()
    yield browser
    assert browser.errors == []
    assert [url for url in browser.requests if not url.startswith(("file://", "data:"))] == []


def press(page: Chromium, text: str, within: str = "document") -> None:
    """Click the button with this text or name."""
    found = page.run(
        f"(() => {{ const all = [...{within}.querySelectorAll('button')];"
        f"const one = all.find((b) => b.textContent === {text!r} || b.getAttribute('aria-label') === {text!r});"
        "if (one) one.click(); return Boolean(one); })()"
    )
    assert found, f"no button {text!r}"


def set_range(page: Chromium, label: str, place: int) -> None:
    page.run(
        "(() => { const all = [...document.querySelectorAll('#gallery .slider')];"
        f"const input = all.find((each) => each.textContent.startsWith({label!r})).querySelector('input');"
        f"input.value = {place}; input.dispatchEvent(new Event('input')); }})()"
    )


def canvases(page: Chromium) -> list[str]:
    """The picture of each panel."""
    page.frame()
    return page.run("[...document.querySelectorAll('#gallery canvas[role=img]')].map((canvas) => canvas.toDataURL())")


def place_in(page: Chromium, selector: str, across: float, down: float) -> list[float]:
    """Scroll to an element; a place in it, in pixels of the window."""
    return page.run(
        f"(() => {{ const one = document.querySelector({selector!r}); one.scrollIntoView({{block: 'center'}});"
        "const box = one.getBoundingClientRect();"
        f"return [box.left + {across} * box.width, box.top + {down} * box.height]; }})()"
    )


def words(page: Chromium) -> list[str]:
    return page.run("[...document.querySelectorAll('#gallery .words')].map((p) => p.textContent)")


def test_everything_is_drawn(page: Chromium) -> None:
    assert page.run("document.querySelectorAll('#curves svg path.curve').length") >= 4 * 2 * 3  # metrics, classes, runs
    assert page.run("document.querySelectorAll('#cases svg rect.box').length") == 3
    assert page.run("document.querySelectorAll('#cases svg .pair').length") == 2
    page.wait("document.querySelectorAll('#gallery canvas[role=img]').length === 5")
    assert len(set(canvases(page)[:3])) == 3  # image, ground truth, the first run


def test_the_table_sorts(page: Chromium) -> None:
    column = (
        "[...document.querySelector('table.sortable').tBodies[0].rows].map((row) => Number(row.cells[2].dataset.value))"
    )
    heading = "document.querySelectorAll('table.sortable')[0].querySelectorAll('thead tr:last-child th')[2]"
    page.run(f"{heading}.querySelector('button').click()")
    values = page.run(column)
    assert values == sorted(values, reverse=True) and len(set(values)) == 3  # Dice: the best first
    assert page.run(f"{heading}.getAttribute('aria-sort')") == "descending"
    page.run(f"{heading}.querySelector('button').click()")
    assert page.run(column) == sorted(values)
    names = "[...document.querySelector('table.sortable').tBodies[0].rows].map((row) => row.cells[0].textContent)"
    page.run("document.querySelector('table.sortable thead tr:last-child th button').click()")
    assert page.run(names) == sorted(page.run(names))


def test_sliders_change_the_pictures(page: Chromium) -> None:
    before = canvases(page)
    set_range(page, "Slice", 1)
    after = canvases(page)
    assert before[0] != after[0]
    set_range(page, "Epoch", 0)
    early = canvases(page)
    assert early[:2] == after[:2] and early[2] != after[2]  # the same slice, other predictions
    assert words(page)[2].startswith("epoch 0 ·")
    set_range(page, "Epoch", 7)
    assert words(page)[2].startswith("epoch 5 ·") and words(page)[3].startswith("epoch 7 ·")  # gdl has six epochs
    assert page.run("[...document.querySelectorAll('#gallery input[type=checkbox]')][0].checked") is False


def test_the_picture_follows_case_image_and_map(page: Chromium) -> None:
    before = canvases(page)
    page.run(f"{FIRST_SELECT}.value = '1'; {FIRST_SELECT}.dispatchEvent(new Event('change'))")
    other = canvases(page)
    assert other[0] != before[0]
    second = "document.querySelectorAll('#gallery select')[1]"
    names = page.run(f"[...{second}.options].map((each) => each.value)")
    assert names == ["mtt", "ct", "map:lesion", "map:core"]
    seen = {other[0]}
    for name in names[1:]:
        page.run(f"{second}.value = '{name}'; {second}.dispatchEvent(new Event('change'))")
        seen.add(canvases(page)[0])
    assert len(seen) == 4
    assert "mm, negative inside" in page.run("document.querySelector('#gallery .legend').textContent")


def test_the_reader_sets_black_and_white(page: Chromium) -> None:
    def mean() -> float:
        """Of the image's grey levels."""
        text = canvases(page)[0].split(",")[1]
        with Image.open(io.BytesIO(base64.b64decode(text))) as picture:
            return float(np.asarray(picture.convert("L")).mean())

    start = mean()
    last = page.run(
        "Number([...document.querySelectorAll('#gallery .slider')].find((each) => "
        "each.textContent.startsWith('White')).querySelector('input').max)"
    )
    set_range(page, "White", 4)  # 40 %
    assert mean() > 1.3 * start
    set_range(page, "White", last)
    assert mean() < start  # what is brighter than white comes out
    set_range(page, "White", 10)
    set_range(page, "Black", 5)
    assert mean() < 0.9 * start
    set_range(page, "Black", 0)
    assert mean() == pytest.approx(start)
    choose(page, "Image", "distance map")
    assert "Black at" not in page.run("document.querySelector('#gallery .controls').textContent")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of 20 rows, some of long names."""
    place = tmp_path_factory.mktemp("many")
    sliced = write_sliced(place / "TOY", depth=2)
    names = [
        f"gdl_{i:02d}" + "_surface_steal_penalised_for_false_negatives_of_small_objects" * (i % 2) for i in range(20)
    ]
    runs = write_runs(place / "results" / "toy", sliced, dict.fromkeys(names, 2))
    with pytest.MonkeyPatch.context() as patch:
        words = ["--runs", *map(str, runs), "--data", str(sliced), "--quiet", "--metrics", "val_3d_dsc"]
        patch.setattr("sys.argv", ["report", str(runs[0].parent), *words])
        report.main()
    return runs[0].parent


def test_many_runs_differ_and_their_names_are_whole(browser: Chromium, many: Path) -> None:
    for width, phone in ((1280, False), (360, True)):
        browser.open(many / "report.html", width=width, phone=phone)
        browser.frame()
        assert browser.run("document.documentElement.scrollWidth") == width
        for name in ("#cases svg text.label", "#gallery figcaption strong", ".runs button span"):
            cut = browser.run(
                f"[...document.querySelectorAll({name!r})].filter((each) => {{"
                "const box = each.getBoundingClientRect();"
                "const within = (each.closest('svg') || each.parentElement).getBoundingClientRect();"
                "return box.right > within.right + 1 || box.left < within.left - 1; }).map((each) => each.textContent)"
            )
            assert cut == []
    looks = browser.run(
        "[...document.querySelector('#curves svg').querySelectorAll('path.curve')]"
        ".map((path) => path.style.stroke + path.getAttribute('stroke-dasharray'))"
    )
    assert len(set(looks)) == 20
    press(browser, "none", "document.querySelector('.runs')")
    assert browser.run("document.querySelectorAll('#curves svg path.curve').length") == 0
    press(browser, "all", "document.querySelector('.runs')")
    assert len(set(browser.run("[...document.querySelectorAll('.runs .key')].map((key) => key.outerHTML)"))) == 20
    assert browser.errors == []


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two rows, each trained with two seeds on two folds; slicing saved no maps."""
    place = tmp_path_factory.mktemp("parts")
    folds = [write_sliced(place / f"TOY{fold}", fold=fold, depth=2) for fold in (0, 1)]
    runs: list[Path] = []
    for fold, data in enumerate(folds):
        for which in ("train", "val"):
            shutil.rmtree(data / which / "3d_distmap")
        names = {f"{row}/fold{fold}_seed{seed}": 3 + 3 * seed for row in ("ce", "gdl") for seed in (0, 1)}
        runs += write_runs(place / "results" / "toy", data, names)
    with pytest.MonkeyPatch.context() as patch:
        words = ["--runs", *map(str, sorted(runs)), "--data", *map(str, folds), "--quiet", "--metrics", "val_3d_dsc"]
        patch.setattr("sys.argv", ["report", str(place / "results" / "toy"), *words])
        report.main()
    return place / "results" / "toy"


def choose(page: Chromium, label: str, text: str) -> None:
    """Choose an option of the gallery's select with this label."""
    page.run(
        "(() => { const all = [...document.querySelectorAll('#gallery label.control')];"
        f"const select = all.find((each) => each.textContent.startsWith({label!r})).querySelector('select');"
        f"select.value = [...select.options].find((each) => each.textContent.includes({text!r})).value;"
        "select.dispatchEvent(new Event('change')); })()"
    )


def test_the_reader_chooses_seed_and_fold(browser: Chromium, parts: Path) -> None:
    browser.open(parts / "report.html")
    browser.frame()

    def said() -> list[str]:
        return [" · ".join(text.split(" · ")[:2]) for text in words(browser)[2:]]

    assert said() == ["fold0_seed0 · epoch 1"] * 2
    first = canvases(browser)
    choose(browser, "Seed", "1")
    assert said() == ["fold0_seed1 · epoch 4"] * 2
    other = canvases(browser)
    assert other[:2] == first[:2] and other[2] != first[2]
    set_range(browser, "Epoch", 5)  # which seed 0 has not
    assert said() == ["fold0_seed1 · epoch 5"] * 2
    choose(browser, "Case", "fold1: worst")
    assert said() == ["fold1_seed1 · epoch 5"] * 2
    assert canvases(browser)[0] != other[0] and "not in this file" not in " ".join(words(browser))
    choose(browser, "Image", "distance map: lesion")
    assert "of each slice alone" in browser.run("document.querySelector('#gallery .legend').textContent")
    counted = browser.run("document.querySelector('#absent').textContent")
    assert "Of a row's seeds one is counted: seed0." in counted and "left out" not in counted
    splits = browser.run("[...document.querySelectorAll('summary')].map((each) => each.textContent).join('; ')")
    assert "fold 0 of 2" in splits and "fold 1 of 2" in splits
    browser.size(320, 700, phone=True)
    browser.frame()
    assert browser.run("document.documentElement.scrollWidth") == 320
    assert browser.errors == []


def test_the_counts_are_those_of_the_masks(page: Chromium, study: Path) -> None:
    shown = page.run("JSON.parse(document.getElementById('data').textContent).gallery.cases[0]")
    name = shown["slices"][shown["start"]]["name"]
    labels = np.asarray(Image.open(study.parent.parent / "TOY" / "val" / "gt" / f"{name}.png"))
    predicted = np.asarray(Image.open(study / "gdl" / "best_epoch" / "val" / f"{name}.png"))
    false = int(((predicted > 0) & (predicted != labels)).sum())
    missed = int(((labels > 0) & (predicted != labels)).sum())
    assert f"{int((predicted > 0).sum())} px, {false} false, {missed} missed" in words(page)[2]
    assert words(page)[1] == f"{int((labels > 0).sum())} px"


def image_pixels(page: Chromium, height: int, width: int) -> np.ndarray:
    """Grey levels of the first panel's image, which shows the whole of a plane, at the middle of each of its pixels."""
    press(page, "whole", "document.querySelector('#gallery')")
    text = canvases(page)[0].split(",")[1]
    drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("L"))
    rows, columns = (
        ((np.arange(n) + 0.5) * size / n).astype(int) for n, size in zip((height, width), drawn.shape, strict=True)
    )
    return drawn[np.ix_(rows, columns)]


def read_at(page: Chromium, across: float, down: float) -> str:
    """What the readout says of a place in the first panel."""
    page.mouse("mouseMoved", *place_in(page, "#gallery .panels canvas", across, down))
    return page.run("document.querySelector('#gallery > .readout').textContent")


@pytest.mark.parametrize(
    ("case", "axis", "planes"),
    [
        ("case_4", 0, ["as sliced", "along the rows", "along the columns"]),
        ("case_5", 1, ["axial", "coronal", "sagittal"]),  # the last slice is on top
    ],
)
def test_a_case_is_cut_along_its_other_directions(
    page: Chromium, study: Path, case: str, axis: int, planes: list[str]
) -> None:
    folder = study.parent.parent / "TOY" / "val" / "gt"
    labels = np.stack([np.asarray(Image.open(file)) for file in sorted(folder.glob(f"{case}_*.png"))])  # (Z, X, Y)
    at = int(np.argmax((labels > 0).sum(axis=(0, 2 - axis))))
    choose(page, "Case", case)
    grey = []
    for z in range(len(labels)):
        set_range(page, "Slice", z)
        grey.append(image_pixels(page, *labels.shape[1:]))
    shown = [text.split(" · ")[0] for text in words(page)]
    assert page.run("[...document.querySelectorAll('#gallery select')[2].options].map((o) => o.text)") == planes
    choose(page, "Plane", planes[1 + axis])
    set_range(page, ("Row", "Column")[axis], at)
    order = slice(None, None, -1) if case == "case_5" else slice(None)
    expected, image = (np.take(stack[order], at, axis=1 + axis) for stack in (labels, np.stack(grey)))
    assert np.array_equal(image_pixels(page, *expected.shape), image)
    assert words(page)[1] == f"{int((expected > 0).sum())} px"
    assert [text.split(" · ")[0] for text in words(page)][2:] == shown[2:]  # the same epochs
    names = ["background", "lesion", "core"]
    height, width = expected.shape
    for i in range(height):
        j = int(np.argmax(expected[i]))
        said = read_at(page, (j + 0.5) / width, (i + 0.5) / height)
        assert f"ground truth {names[expected[i, j]]} ·" in said
        assert said.startswith(f"{('column', 'row')[axis]} {j}, slice {np.arange(height)[order][i] + 1}")
    picture = np.divide(*page.run("(() => { const c = document.querySelector('#gallery canvas'); "
                                  "return [c.height, c.width]; })()"))  # fmt: skip
    assert picture == pytest.approx(height * 5 / (width * (1.2, 0.8)[axis]), rel=0.02)
    choose(page, "Image", "distance map: lesion")
    page.frame()
    assert " mm" in read_at(page, 0.4, 0.5)


def test_a_cross_leads_from_one_plane_to_the_others(page: Chromium) -> None:
    choose(page, "Case", "case_4")
    press(page, "whole", "document.querySelector('#gallery')")
    before = canvases(page)
    page.run("[...document.querySelectorAll('#gallery label.check')].find((c) => c.textContent === 'cross').click()")
    crossed = canvases(page)
    assert all(a != b for a, b in zip(before, crossed))
    across, down = place_in(page, "#gallery canvas", 0.26, 0.76)
    for kind in ("mousePressed", "mouseReleased"):
        page.mouse(kind, across, down, button="left", clickCount=1)
    assert all(a != b for a, b in zip(crossed, canvases(page)))
    for plane, size, share in (("Row", 20, 0.76), ("Column", 24, 0.26)):
        choose(page, "Plane", f"along the {plane.lower()}s")
        slider = f"[...document.querySelectorAll('#gallery .slider')].find((s) => s.textContent.startsWith('{plane}'))"
        assert int(page.run(f"{slider}.querySelector('input').value")) == int(share * size)


def test_a_slice_that_is_opened_is_shown_as_it_was_sliced(page: Chromium) -> None:
    choose(page, "Plane", "coronal")
    assert "Row" in page.run("document.querySelector('#gallery .controls').textContent")
    page.run("[...document.querySelectorAll('#cases .pair')].map((p) => p.dispatchEvent(new Event('click')))")
    assert "Row" in page.run("document.querySelector('#gallery .controls').textContent")  # of cases the plane stays
    opened = page.run(
        "(() => { const select = document.querySelector('#cases select');"
        "for (const option of select.options) { select.value = option.value; select.dispatchEvent(new Event('change'));"
        "const point = [...document.querySelectorAll('#cases circle.case')]"
        ".find((each) => /_00_0002$/.test(each.dataset.case));"
        "if (point) { point.dispatchEvent(new Event('click')); return point.dataset.case; } } })()"
    )
    assert opened is not None
    assert "Slice 3 of 4" in page.run("document.querySelector('#gallery .controls').textContent")


def test_zoom_by_button_key_and_wheel(page: Chromium) -> None:
    whole = canvases(page)
    press(page, "zoom in")
    near = canvases(page)
    assert near[0] != whole[0]
    page.run("document.querySelector('#gallery .panels').focus()")
    page.key("ArrowLeft")
    assert canvases(page)[0] != near[0]
    page.key("0")
    first = place_in(page, "#gallery canvas", 1 / 3, 1 / 3)
    start = canvases(page)
    page.mouse("mouseWheel", *first, deltaX=0, deltaY=-100, modifiers=2)
    assert canvases(page)[0] != start[0]
    page.mouse("mouseMoved", *first)
    assert "column" in page.run("document.querySelector('#gallery .readout').textContent")


def test_runs_are_toggled_everywhere(page: Chromium) -> None:
    curves = page.run("document.querySelectorAll('#curves svg path.curve').length")
    press(page, "gdl_surface_steal")
    assert page.run("document.querySelectorAll('#curves svg path.curve').length") < curves
    assert page.run("document.querySelectorAll('#cases svg rect.box').length") == 2
    assert page.run("[...document.querySelectorAll('#gallery .panel')].filter((p) => !p.hidden).length") == 4
    assert page.run("document.querySelectorAll('button.run')[1].getAttribute('aria-pressed')") == "false"


def test_an_epoch_is_read_with_pointer_and_keys(page: Chromium) -> None:
    page.run("document.querySelector('#curves svg').focus()")
    page.key("ArrowRight")
    page.key("ArrowRight")
    assert page.run("document.querySelector('#curves .readout .when').textContent") == "epoch 1"
    assert page.run("document.querySelectorAll('#curves .readout')[1].querySelector('.when').textContent") == "epoch 1"
    page.mouse("mouseMoved", *place_in(page, "#curves svg", 0.96, 0.3))
    assert page.run("document.querySelector('#curves .readout .when').textContent") == "epoch 7"


def test_pairs_follow_the_runs_chosen_and_open_their_case(page: Chromium) -> None:
    selects = "[...document.querySelectorAll('#cases select')]"
    before = page.run("document.querySelector('#cases .cards').textContent")
    page.run(f"(() => {{ const to = {selects}.at(-1); to.value = '2'; to.dispatchEvent(new Event('change')); }})()")
    after = page.run("document.querySelector('#cases .cards').textContent")
    assert after != before and "gdl_hausdorff_w has the better value in" in after
    assert "nothing can be concluded in Dice of lesion" in after  # two cases
    shown = page.run(f"{FIRST_SELECT}.value")
    page.run("[...document.querySelectorAll('#cases .pair')].map((p) => p.dispatchEvent(new Event('click')))")
    names = page.run("[...document.querySelectorAll('#cases .pair')].map((p) => p.dataset.case)")
    chosen = page.run(f"{FIRST_SELECT}.selectedOptions[0].textContent")
    assert names[-1] in chosen, shown


def test_theme_button_and_system_theme(browser: Chromium, study: Path) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    browser.open(study / "report.html", dark=True)
    assert browser.run(paper) == "rgb(22, 24, 28)"
    press(browser, "Theme: auto")
    assert browser.run(paper) == "rgb(255, 255, 255)"
    press(browser, "Theme: light")
    browser.open(study / "report.html")
    assert browser.run(paper) == "rgb(255, 255, 255)"


@pytest.mark.parametrize("width", [320, 390, 820])
def test_no_sideways_scroll_on_a_phone(browser: Chromium, study: Path, width: int) -> None:
    browser.open(study / "report.html", width=width, height=700, phone=True)
    browser.frame()
    assert browser.run("document.documentElement.scrollWidth") == width
    browser.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    browser.frame()
    assert browser.run("document.documentElement.scrollWidth") == width
    assert browser.errors == []


def test_everything_to_press_has_a_name(page: Chromium) -> None:
    nameless = page.run(
        "[...document.querySelectorAll('button, select, input, canvas[role=img], svg:not([aria-hidden]), a')]"
        ".filter((each) => !(each.textContent.trim() || each.getAttribute('aria-label') || each.closest('label')))"
        ".map((each) => each.outerHTML.slice(0, 80))"
    )
    assert nameless == []
    assert page.run("[...document.querySelectorAll('h1, h2')].map((h) => h.tagName).join('').startsWith('H1H2')")


def test_without_scripts_the_tables_remain(browser: Chromium, study: Path) -> None:
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.send("Page.navigate", url=(study / "report.html").resolve().as_uri())
        text = "document.body ? document.body.innerText : ''"
        browser.wait(f"({text}).includes('with scripts off, tables and text remain')")
        assert "gdl_surface_steal" in browser.run(text)
    finally:
        browser.send("Emulation.setScriptExecutionDisabled", value=False)


def test_the_gallery_of_view_and_the_index(browser: Chromium, study: Path, call: Call) -> None:
    runs = [study / name for name in ("gdl", "gdl_hausdorff_w")]
    call(view.main, "--data", study.parent.parent / "TOY", "--runs", *runs, "--slices", "case_5_00_0002")
    browser.open(study / "view" / "gallery.html")
    assert "case_5_00_0002" in browser.run("document.querySelector('#gallery canvas').getAttribute('aria-label')")
    assert browser.run("document.querySelectorAll('#gallery .panel').length") == 4
    assert browser.errors == []
    call(index.main, study.parent, "--archives", study.parent / "none")
    browser.open(study.parent / "index.html")
    assert browser.run("document.querySelector('#studies a').getAttribute('href')") == "toy/report.html"
    assert browser.errors == []
