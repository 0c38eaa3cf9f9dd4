"""Where a trained network finds an object, as boxes.csv and stats.json; the network marks what is bright."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from toys import Threshold
from wholes import write_whole

from boundary_loss import locate
from boundary_loss.command import Stop
from boundary_loss.data.boxes import Boxes
from boundary_loss.data.frame import Box
from boundary_loss.data.view import View
from boundary_loss.files import read_json, write_array, write_json
from boundary_loss.folders.whole import WholeFolder
from boundary_loss.predict.inference import Predictor
from boundary_loss.training.weights import save_weights

PLACES = {"near": (2, 4, 1), "far": (18, 8, 3), "held": (10, 4, 6)}
SHAPES = {"near": (33, 22, 12), "far": (40, 30, 14), "held": (30, 26, 13)}
SIZE = (8, 8, 6)
"""Of the object, which is bright; the last case is held out."""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_study(tmp_path / "data" / "WHOLE", PLACES)


def write_study(folder: Path, places: Mapping[str, tuple[int, ...] | None]) -> Path:
    """A folder of whole volumes; a case without a place has an object that cannot be seen."""
    write_whole(folder)
    about = read_json(folder / "whole.json")
    entry = about["cases"]["case_1"]
    cases = {}
    for name, origin in places.items():
        shape = SHAPES[name]
        labels = np.zeros(shape, np.uint8)
        labels[Box(origin or (1, 1, 1), SIZE).slices] = 1
        image = np.where(labels > 0, 220, 20).astype(np.uint8) if origin else np.full(shape, 20, np.uint8)
        for kind, array in (("ct", image), ("gt", labels)):
            write_array(folder / kind / f"{name}.npy", np.asfortranarray(array))
        numbers = {"scale": [0.0, 1 / 255], "window": [0.0, 255.0], "moments": [image.size, 0.0, 1.0, 0.0, 220.0]}
        cases[name] = entry | {key: {"ct": value} for key, value in numbers.items()} | {
            "shape": list(shape), "grid": entry["grid"] | {"shape": list(shape)}, "patient": name,
            "digests": dict.fromkeys(("ct", "gt"), "0" * 64),
        }  # fmt: skip
    write_json(folder / "whole.json", about | {"modalities": ["ct"], "cases": cases})
    *train, held = places
    write_json(folder / "split.json", {"fold": 0, "folds": 3, "train": train, "val": [held]})
    return folder


def write_run(folder: Path, *, fit: tuple[str, ...] = (), sample: str = "whole", **about: object) -> Path:
    names = {"train": ["near", "far"], "val": ["held"], "volumes": ["held"], "classes": ["background", "lesion"]}
    write_json(folder / "rows.json", names | {"losses": ["dice"], "items": "volumes", "slices": ["held_00_0000"]})
    write_json(folder / "run.json", {"name": "locator", "data_checksum": "0" * 64, "debug": False} | about)
    view = {"fit": list(fit), "sample": sample, "infer": ""}
    told = {"network": "toys:Threshold", "in_channels": 1, "num_classes": 2, "view": view}
    save_weights(folder / "best.pkl", Threshold(1, 2), told)
    return folder


@pytest.fixture
def run(tmp_path: Path, study: Path, call: Callable[..., None]) -> Callable[..., Boxes]:
    """Find the boxes; what the folder then says."""

    def found(*words: object, found_by: str = "--epochs 3", **of_run: object) -> Boxes:
        locator = write_run(tmp_path / "results" / "toy" / "locator", **of_run)
        place = ("--run", locator, "--data", study, "--trust_network", "--device", "cpu", f"--found_by={found_by}")
        call(locate.main, tmp_path / "data" / "CROP", *place, "--least", 2, "--buffer", 2, "--multiple", 4, *words)
        return Boxes.read(tmp_path / "data" / "CROP")

    return found


@pytest.mark.parametrize("fit", [(), ("reduce(2,2,1)",), ("pad(16)",)])
def test_boxes_lie_around_the_objects(run: Callable[..., Boxes], fit: tuple[str, ...], capsys) -> None:
    boxes = run(fit=fit)
    assert boxes.size == (12, 12, 8)  # 8, 8 and 6 voxels and 2 more, up to a multiple of 4
    for name, row in boxes.cases.items():
        middle = np.add(row.box.origin, np.divide(row.box.shape, 2))
        assert row.found and row.kept == 1 and row.which == ("val" if name == "held" else "train")
        nearest = np.divide(boxes.size, 2)
        inside = np.clip(np.add(PLACES[name], np.divide(SIZE, 2)), nearest, np.subtract(SHAPES[name], nearest))
        assert np.abs(middle - inside).max() <= 1.5, name
    said = capsys.readouterr().out
    assert "boxes of 12 x 12 x 8 voxels, found in 3 of 3 cases; on validation they keep 100 % of the object" in said
    assert "warning" not in said


def test_what_is_brought_near_the_training_boxes_is_measured(run: Callable[..., Boxes], study: Path) -> None:
    boxes, data = run(), WholeFolder(study)
    shown = [data.volume(name, "ct")[boxes.cases[name].box.slices].ravel() for name in ("near", "far")]
    values = np.concatenate(shown).astype(np.float64)
    found = boxes.intensities["ct"]
    assert (found.mean, found.deviation) == pytest.approx((values.mean(), values.std()))


def test_where_nothing_is_seen_the_box_is_in_the_centre_and_that_is_said(
    run: Callable[..., Boxes], study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_study(study, PLACES | {"held": None})
    boxes = run()
    held = boxes.cases["held"]
    assert not held.found and held.box == Box((9, 7, 2), (12, 12, 8)) and held.kept == 0
    said = capsys.readouterr().out
    assert "warning: held (val): the locator found nothing; the box is in the volume's centre" in said
    assert "warning: held (val): the box leaves out 100 % of the object" in said


def test_a_locator_that_sees_nothing_is_refused_but_of_a_trial(
    run: Callable[..., Boxes], study: Path, tmp_path: Path
) -> None:
    write_study(study, dict.fromkeys(PLACES))
    with pytest.raises(ValueError, match="found nothing in any training case"):
        run()
    assert not (tmp_path / "data" / "CROP").exists()
    boxes = run(debug=True)
    assert boxes.size == (40, 30, 14) and boxes.cases["held"].box == Box((0, 0, 0), SHAPES["held"])
    assert not any(row.found for row in boxes.cases.values()) and all(row.kept == 1 for row in boxes.cases.values())
    assert boxes.intensities["ct"].deviation == 1  # of one grey level


def test_boxes_are_found_once_and_another_locator_is_noticed(
    run: Callable[..., Boxes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = run()
    assert run("--device", "cpu").checksum == before.checksum
    assert "is already there" in capsys.readouterr().out
    with pytest.raises(Stop, match=r"found_by: made with --epochs 3, now --epochs 4(?s:.*)FRESH=1"):
        run(found_by="--epochs 4")
    with pytest.raises(Stop, match="buffer: made with 2, now 6"):
        run("--buffer", 6)
    assert run("--fresh", found_by="--epochs 4").checksum == before.checksum
    assert len(list((tmp_path / "data").glob("CROP_2*"))) == 1


@pytest.mark.parametrize(
    ("of_run", "words", "message"),
    [
        ({"data_checksum": "1" * 64}, (), "was trained on other data than"),
        ({"sample": "slices"}, (), "is of a network of slices"),
        ({}, ("--least", 0), "must be above 0"),
        ({}, ("--least", "nan"), "must be above 0"),
        ({}, ("--multiple", 0), "at least 1"),
        ({}, ("--buffer", -1), "at least 0"),
    ],
)
def test_what_cannot_be_located_is_refused(run, of_run, words, message, tmp_path: Path, capsys) -> None:
    with pytest.raises((Stop, ValueError, SystemExit)) as refusal:
        run(*words, **of_run)
    assert message in str(refusal.value) + capsys.readouterr().err
    assert not (tmp_path / "data" / "CROP").exists()


def test_without_weights_or_volumes_nothing_is_found(tmp_path: Path, study: Path, sliced: Path, call) -> None:
    words = (tmp_path / "CROP", "--run", tmp_path / "locator", "--data")
    with pytest.raises(FileNotFoundError):
        call(locate.main, *words, study)
    with pytest.raises(ValueError, match="holds slices"):
        call(locate.main, *words, sliced)
    assert not (tmp_path / "CROP").exists()


def test_patches_are_put_together_as_the_whole(study: Path) -> None:
    """A locator that is shown windows finds what one finds that sees all at once."""
    data, cpu = WholeFolder(study), torch.device("cpu")
    found = [
        locate.locate_all(
            Predictor(
                net=Threshold(1, 2).eval(),
                view=View.parse((), sample, ""),
                num_classes=2,
                temperature=1.0,
                device=cpu,
                batch_size=1,
                softmax=False,
            ),
            data,
            2,
        )
        for sample in ("whole", "patch(8,8,8)")
    ]
    assert found[0] == found[1] and all(case.extent for case in found[0].values())
