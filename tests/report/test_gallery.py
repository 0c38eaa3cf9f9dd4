"""What a page shows of the data: which cases, how they are encoded, what is left out, what is counted."""

import base64
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from toyruns import write_runs
from toys import write_sliced

from boundary_loss.distance import signed_distance
from boundary_loss.figures.contrast import windows
from boundary_loss.figures.overlays import upright
from boundary_loss.files import read_json, write_array, write_json
from boundary_loss.folders.pictures import write_png
from boundary_loss.folders.run import BEST_PREDICTIONS, RunFolder
from boundary_loss.folders.sliced import SlicedFolder
from boundary_loss.labels import IGNORED
from boundary_loss.report import absent, gallery, gallery_cases, pixels, slicemaps
from boundary_loss.report.excerpt import excerpt
from boundary_loss.statistics.comparison import find_runs, group, names_of

maps = arrays(
    np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 12)), elements=st.sampled_from([0, 0, 0, 1, 2, 255])
)


def read_runs(text: str, shape: tuple[int, int]) -> np.ndarray:
    """As assets/masks.js reads them."""
    content, flat, place = base64.b64decode(text), np.zeros(shape[0] * shape[1], np.uint8), 0
    numbers, value, shift = [], 0, 0
    for byte in content:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(value)
            value, shift = 0, 0
    for gap, length, label in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True):
        place += gap
        flat[place : place + length] = label
        place += length
    return flat.reshape(shape)


def decoded(address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))


@given(maps)
def test_class_maps_come_back_from_their_runs(classes: np.ndarray) -> None:
    np.testing.assert_array_equal(read_runs(pixels.runs(classes), classes.shape), classes)


def test_long_runs_take_several_groups_of_bits() -> None:
    classes = np.zeros((300, 400), np.uint8)
    classes[100:290] = 3
    assert len(pixels.runs(classes)) < 16
    np.testing.assert_array_equal(read_runs(pixels.runs(classes), classes.shape), classes)


def test_distances_are_fine_near_the_border_and_keep_their_sign() -> None:
    true = np.linspace(-80, 80, 2001).reshape(1, -1)
    codes = pixels.distances(true, 80).astype(float)
    share = (codes - 128) / 127
    back = np.sign(share) * share**2 * 80
    near = np.abs(true) < 5
    assert np.abs(back - true)[near].max() < 0.2 and np.abs(back - true).max() < 0.7
    assert (np.sign(back)[np.abs(true) > 0.1] == np.sign(true)[np.abs(true) > 0.1]).all()


def test_worst_median_and_best_are_of_the_first_run(tmp_path: Path) -> None:
    sliced = write_sliced(tmp_path / "data", depth=2)
    (run,) = write_runs(tmp_path / "results", sliced, {"gdl": 3})
    names = read_json(run / "rows.json")
    write_json(
        run / "rows.json",
        names | {"val": [f"case_{i}_00_0000" for i in range(5)], "volumes": [f"case_{i}" for i in range(5)]},
    )
    dice = np.zeros((3, 5, 2), np.float32)
    dice[1, :, 1] = [0.5, 0.9, np.nan, 0.1, 0.7]
    write_array(run / "val_3d_dsc.npy", dice)
    found = gallery_cases.cases(RunFolder(run))
    assert {word: volume for word, (volume, _) in found.items()} == {
        "worst": "case_3",
        "median": "case_0",
        "best": "case_1",
    }


def test_what_is_shown_is_what_lies_on_the_disk(runs: list[Path], sliced: Path) -> None:
    data, found = SlicedFolder.open(sliced), find_runs(runs)
    shown = gallery.build(found, [data], "ct")
    assert shown["modalities"] == ["ct", "mtt"] and shown["leftOut"] == []
    assert [each["best"] for each in shown["runs"]] == [run.best_epoch for run in found]
    assert shown["seeds"] == [] and shown["mapsOf"] == "volume"
    for case in shown["cases"]:
        size = (case["height"], case["width"])
        assert size == (20, 24) and case["aspect"] == pytest.approx(0.8 / 1.2)
        assert case["between"] == pytest.approx(5 / 1.2) and not case["lastOnTop"] and case["planes"] == []
        for s in case["slices"]:
            labels = data.labels("val", s["name"])
            np.testing.assert_array_equal(read_runs(s["truth"], size), labels)
            for modality, address in s["images"].items():
                image = data.image("val", s["name"])[data.modalities.index(modality)]
                grey = windows(data, case["name"])[modality].grey_and_brighter(image)
                np.testing.assert_array_equal(decoded(address), grey)
            for run, predictions in zip(found, s["predictions"], strict=True):
                assert sorted(map(int, predictions)) == run.epochs
                for epoch, text in predictions.items():
                    kept = None if int(epoch) == run.best_epoch else int(epoch)
                    (classes,) = run.predictions(kept, [s["name"]])
                    np.testing.assert_array_equal(read_runs(text, size), classes, err_msg=f"{run.path} {epoch}")
            share = (decoded(s["maps"]["lesion"]).astype(float) - 128) / 127
            signed = np.sign(share) * share**2 * case["limits"]["lesion"]
            np.testing.assert_allclose(signed, data.map_3d("val", s["name"])[1], atol=0.5)
        dice = np.load(runs[1] / "val_3d_dsc.npy")[:, ["case_4", "case_5"].index(case["name"]), 1]
        assert case["dice"]["1"]["3"] == pytest.approx(dice[3], rel=1e-4)


PARTS = {"ce/fold0_seed0": 3, "ce/fold0_seed1": 4, "gdl/fold0_seed0": 2, "gdl/fold0_seed1": 3}
OTHERS = {name.replace("fold0", "fold1"): epochs for name, epochs in PARTS.items()}


def test_every_seed_and_fold_is_there_to_be_chosen(tmp_path: Path) -> None:
    data = [SlicedFolder.open(write_sliced(tmp_path / "data" / str(fold), fold=fold, depth=2)) for fold in (0, 1)]
    paths = [write_runs(tmp_path / "toy", d.path, part) for d, part in zip(data, (PARTS, OTHERS), strict=True)]
    runs = find_runs([run for pair in zip(*paths, strict=True) for run in pair])  # rows and folds in a mixed order
    shown = gallery.build(runs, data)
    assert shown["shown"] == ["ce", "gdl"] and shown["seeds"] == ["seed0", "seed1"] and shown["leftOut"] == []
    assert [(each["part"], each["row"]) for each in shown["runs"]] == [(run.part, run.row == "gdl") for run in runs]
    assert [(case["name"], case["fold"]) for case in shown["cases"]] == sorted(
        [("case_4", "fold0"), ("case_5", "fold0"), ("case_2", "fold1"), ("case_3", "fold1")],
        key=lambda pair: (pair[1], [case["name"] for case in shown["cases"]].index(pair[0])),
    )
    for case in shown["cases"]:
        for s in case["slices"]:
            for run, predictions in zip(runs, s["predictions"], strict=True):
                assert sorted(map(int, predictions)) == (run.epochs if run.fold == case["fold"] else [])
                for epoch, text in predictions.items():
                    kept = None if int(epoch) == run.best_epoch else int(epoch)
                    np.testing.assert_array_equal(read_runs(text, (20, 24)), run.predictions(kept, [s["name"]])[0])
    with pytest.raises(ValueError, match="was trained on other data than"):
        gallery.build(runs, data[:1])
    one = gallery.build(runs[:1], data)
    assert one["shown"] == ["ce/fold0_seed0"] and one["seeds"] == []


def test_with_little_room_each_row_has_its_first_seed(tmp_path: Path) -> None:
    data = SlicedFolder.open(write_sliced(tmp_path / "data", depth=2))
    runs = find_runs(write_runs(tmp_path / "toy", data.path, PARTS))
    seen = []
    for room in range(1000, 6000, 200):
        shown = gallery.build(runs, [data], room=room)
        for case in shown["cases"]:
            has = [bool(predictions) for predictions in case["slices"][0]["predictions"]]
            left = {f"{word} of {case['name']}" for word in ("other seeds", "predictions")}
            assert has[1] or left & set(shown["leftOut"])
            seen.append(has)
    assert [True, False, True, False] in seen and all(has[0] == has[2] >= has[1] == has[3] for has in seen)


def test_maps_that_slicing_did_not_save_are_those_of_the_slices(
    runs: list[Path], sliced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for which in ("train", "val"):
        shutil.rmtree(sliced / which / "3d_distmap")
    data = SlicedFolder.open(sliced)
    shown = gallery.build(find_runs(runs), [data])
    assert shown["mapsOf"] == "slice"
    for case in shown["cases"]:
        for s in case["slices"]:
            share = (decoded(s["maps"]["lesion"]).astype(float) - 128) / 127
            signed = np.sign(share) * share**2 * case["limits"]["lesion"]
            expected = signed_distance(data.labels("val", s["name"]), (0.8, 1.2), num_classes=2)
            np.testing.assert_allclose(signed, expected[1], atol=0.5)
    monkeypatch.setattr(slicemaps, "can_measure", lambda: False)
    without = gallery.build(find_runs(runs), [data])
    assert without["mapsOf"] == "" and "limits" not in without["cases"][0]


@given(maps)
def test_maps_of_slices_are_the_librarys(classes: np.ndarray) -> None:
    expected = signed_distance(classes, (0.7, 2.5), num_classes=3, classes=[1, 2], ignore_index=IGNORED)
    np.testing.assert_allclose(slicemaps.signed_maps(classes, (0.7, 2.5), 3), expected, rtol=1e-5, atol=1e-6)


def test_a_case_opens_at_its_largest_slice_and_around_its_content(runs: list[Path], sliced: Path) -> None:
    data = SlicedFolder.open(sliced)
    for stem in data.stems("val"):
        picture = np.zeros((20, 24), np.uint8)
        picture[3:11, 5:20] = 90
        write_png(sliced / "val" / "mtt" / f"{stem}.png", picture)
    (first, *_) = gallery.build(find_runs(runs), [data])["cases"]
    sizes = [int((data.labels("val", s["name"]) > 0).sum()) for s in first["slices"]]
    assert first["start"] == int(np.argmax(sizes))
    assert first["content"] == [5, 3, 19, 10]
    assert gallery_cases.content_box([np.zeros((4, 6), np.uint8)]) == [0, 0, 5, 3]


def test_slices_are_turned_upright_as_in_the_other_pictures(runs: list[Path], sliced: Path) -> None:
    about = read_json(sliced / "slicing.json")
    write_json(sliced / "slicing.json", about | {"orientation": {"case_4": "LP", "case_5": "LP"}})
    data = SlicedFolder.open(sliced)
    case = gallery.build(find_runs(runs[:1]), [data])["cases"][0]
    assert (case["height"], case["width"]) == (24, 20) and case["aspect"] == pytest.approx(1.2 / 0.8)
    s = case["slices"][0]
    np.testing.assert_array_equal(read_runs(s["truth"], (24, 20)), data.labels("val", s["name"]).T)


def test_what_has_no_room_is_left_out_and_said(runs: list[Path], sliced: Path) -> None:
    data, found = SlicedFolder.open(sliced), find_runs(runs)
    whole = gallery.build(found, [data])
    small = gallery.build(found, [data], room=6000)
    assert not small["lossless"] and small["cases"][0]["slices"][0]["images"]["mtt"].startswith("data:image/jpeg")
    assert small["leftOut"] and len(str(small)) < len(str(whole))
    assert all("case_" in text or "further cases" in text for text in small["leftOut"])
    few = gallery.build(found, [data], num_epochs=3)
    for run, number in zip(found, range(3), strict=True):
        epochs = sorted(map(int, few["cases"][0]["slices"][0]["predictions"][number]))
        assert len(epochs) <= 4 and {0, run.best_epoch, run.epochs[-1]} <= set(epochs) | {0}


def test_a_case_without_common_predictions_is_refused(runs: list[Path], sliced: Path) -> None:
    names = read_json(runs[1] / "rows.json")
    write_json(runs[1] / "rows.json", names | {"val": [stem for stem in names["val"] if "case_5" in stem]})
    with pytest.raises(ValueError, match="not every run predicted case_4"):
        gallery.build(find_runs(runs), [SlicedFolder.open(sliced)], wanted=["case_4"])


def test_empty_slices_and_missed_cases_are_counted(runs: list[Path], sliced: Path) -> None:
    data, found = SlicedFolder.open(sliced), find_runs(runs)
    stems = data.stems("val")
    for i, run in enumerate(found):
        for stem in stems:
            classes = np.zeros((20, 24), np.uint8)
            if i == 1 or (i == 0 and stem.startswith("case_4")):
                classes[:2, :3] = 1
            write_png(run.path / BEST_PREDICTIONS / "val" / f"{stem}.png", classes)
    ignored = data.labels("val", stems[3]).copy()
    assert not ignored.any()
    ignored[0, :2] = 255  # counts nowhere, in ground truth and predictions
    write_array(sliced / "val" / "gt_npy" / f"{stems[3]}.npy", ignored)
    labels = names_of(found)
    (counts,) = absent.count(labels, [(data, found)])
    assert (counts.name, counts.slices, counts.empty, counts.volumes) == ("lesion", 8, 2, 2)
    assert counts.false == [1, 2, 0]
    assert counts.voxels == [4, 10, 0]
    assert counts.listed == [(stems[3], [4, 4, 0]), (stems[7], [0, 6, 0])]
    assert counts.absent == []
    assert [(volume, names) for volume, _, names in counts.missed] == [
        ("case_4", ["gdl_hausdorff_w"]),
        ("case_5", ["gdl", "gdl_hausdorff_w"]),
    ]
    for stem in stems[4:]:
        write_array(sliced / "val" / "gt_npy" / f"{stem}.npy", np.zeros((20, 24), np.uint8))
    (counts,) = absent.count(labels, [(data, found)])
    assert counts.absent == [("case_5", [0, 24, 0])]


def test_cases_of_all_folds_are_counted_with_one_seed_each(tmp_path: Path) -> None:
    data = [SlicedFolder.open(write_sliced(tmp_path / "data" / str(fold), fold=fold)) for fold in (0, 1)]
    paths = [write_runs(tmp_path / "r", each.path, names) for each, names in zip(data, (PARTS, OTHERS), strict=True)]
    runs = find_runs([*paths[0], *paths[1]])
    rows = group(runs)
    folds = absent.one_of_each_row(rows.values(), gallery.trained_on(runs, data))
    assert [[run.name for run in own] for _, own in folds] == [
        ["ce/fold0_seed0", "gdl/fold0_seed0"],
        ["ce/fold1_seed0", "gdl/fold1_seed0"],
    ]
    apart = [absent.count(list(rows), [fold]) for fold in folds]
    for together, first, second in zip(absent.count(list(rows), folds), *apart, strict=True):
        for number in ("slices", "empty", "volumes"):
            assert getattr(together, number) == getattr(first, number) + getattr(second, number) > 0
        for numbers in ("false", "voxels"):
            assert getattr(together, numbers) == list(np.add(getattr(first, numbers), getattr(second, numbers)))
        for cases in ("listed", "absent", "missed"):
            assert sorted(getattr(together, cases)) == sorted([*getattr(first, cases), *getattr(second, cases)])
    lacking = [own[:1] if label == "gdl" else own for label, own in rows.items()]
    kept = gallery.trained_on([run for own in lacking for run in own], data)
    assert absent.one_of_each_row(lacking, kept) == folds[:1]
    assert absent.count(list(rows), []) == []


def test_images_outlines_and_maps_of_a_large_case_are_cut_alike(
    runs: list[Path], sliced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery_cases, "MOST_VOXELS", 100)
    monkeypatch.setattr("boundary_loss.report.excerpt.MARGIN", 1)
    about = read_json(sliced / "slicing.json")
    write_json(sliced / "slicing.json", about | {"orientation": {"case_5": "LPS"}})  # lies across the page
    data, found = SlicedFolder.open(sliced), find_runs(runs)
    shown = gallery.build(found, [data], "ct")
    assert {case["name"] for case in shown["cases"]} == {"case_4", "case_5"}
    for case in shown["cases"]:
        volumes = {stem: data.labels("val", stem) for stem in data.stems("val") if stem.startswith(case["name"])}
        best = [run.predictions(None, list(volumes)) for run in found]
        part = excerpt(list(zip(volumes.values(), *best)))
        size, orientation = (case["height"], case["width"]), data.orientation(case["name"])
        assert case["isCut"] and [s["name"] for s in case["slices"]] == list(volumes)[part.slices]
        assert case["start"] in range(len(case["slices"]))
        for s in case["slices"]:
            place = list(volumes).index(s["name"])
            grey = windows(data, case["name"])["ct"].grey_and_brighter(data.image("val", s["name"])[0])
            texts = [s["truth"], *(p[str(run.best_epoch)] for run, p in zip(found, s["predictions"]))]
            for text, array in zip(texts, [volumes[s["name"]], *(own[place] for own in best)], strict=True):
                np.testing.assert_array_equal(read_runs(text, size), upright(array[part.plane], orientation))
            np.testing.assert_array_equal(decoded(s["images"]["ct"]), upright(grey[part.plane], orientation))
            assert all(decoded(text).shape == size for text in s["maps"].values())
    gallery.begin_at(shown, f"{shown['cases'][0]['name']}_00_9999", None)
    assert shown["cases"][0]["start"] == len(shown["cases"][0]["slices"]) - 1
    whole = SlicedFolder.open(sliced)
    monkeypatch.setattr(gallery_cases, "MOST_VOXELS", 1 << 22)
    assert not any(case["isCut"] for case in gallery.build(found, [whole])["cases"])
