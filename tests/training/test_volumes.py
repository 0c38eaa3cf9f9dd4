"""Runs on whole volumes: killed, gone on with, by two ranks, and what is refused."""

import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from trainings import same_run, train, train_here, train_killed
from wholes import write_whole

from boundary_loss import ledgercheck
from boundary_loss.command import Stop
from boundary_loss.data.boxes import Boxes, CaseBox
from boundary_loss.data.frame import Box
from boundary_loss.evaluate.__main__ import main as evaluate
from boundary_loss.files import read_json
from boundary_loss.folders.run import RunFolder
from boundary_loss.training.weights import Weights

Arrange = Callable[..., None]

SHAPES = {f"case_{i}": (9 + i, 12, 6 + i % 3) for i in range(7)}
HELD_OUT = ("case_4", "case_5", "case_6")
LOSSES = ["--losses", "gdl:1", "boundary:0.01@1", "--epochs", "2", "--batch_size", "3"]
WHOLE = [*LOSSES, "--network", "UNet3D(width=2)", "--fit", "pad(4)"]
PATCHES = [
    *LOSSES, "--network", "toys:Dropper3D", "--sample", "patch(8,8,4,each=2)",
    "--augment", "flip(xyz)", "rotate(10,xyz)", "noise(0.1)",
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_whole(tmp_path_factory.mktemp("data") / "WHOLE", SHAPES, HELD_OUT)


@pytest.fixture(scope="module")
def patches(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("patches") / "run"
    assert train_here(run, data, *PATCHES).status == 0
    return run


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole") / "run"
    assert train_here(run, data, *WHOLE).status == 0
    return run


def test_rows_are_cases_and_planes_are_named_as_slices(whole: Path) -> None:
    run = RunFolder(whole)
    assert run.items == "volumes" and run.names["val"] == run.names["volumes"] == list(HELD_OUT)
    assert run.array("val_loss").shape == (2, 3, 2) and run.array("tra_loss").shape == (2, 2, 2)
    assert run.array("val_dice").shape == (2, 3, 2) and run.array("tra_dice").shape == (2, 4, 2)
    assert run.slices[:2] == ["case_4_00_0000", "case_4_00_0001"] and len(run.slices) == 7 + 8 + 6
    assert run.epochs == [0, 1] and run.has_best_predictions
    (plane,) = run.predictions(None, ["case_5_00_0003"])
    assert plane.shape == (14, 12) and sorted(p.name for p in (whole / "iter001/val").iterdir()) == [
        f"{case}.npz" for case in HELD_OUT
    ]
    assert (whole / "best_epoch/val/case_4.npz").is_file()


def test_what_is_kept_is_what_was_counted(whole: Path, data: Path) -> None:
    """Dice of the volumes read back is that of the run's table."""
    evaluate([str(whole), "--data", str(data), "--metrics", "volumes", "--workers", "1"])
    run = RunFolder(whole)
    np.testing.assert_allclose(run.array("val_3d_dsc")[:, :, 1], run.array("val_dice")[:, :, 1], rtol=1e-6)
    assert run.has("val_3d_assd") and not run.has("val_hausdorff")
    assert run.metric("val_dice").label == "validation Dice per volume"


def test_weights_say_how_a_new_case_is_shown(whole: Path, patches: Path) -> None:
    weights = Weights.read(whole / "best.pkl")
    assert weights.view is not None and weights.view.words == {"fit": ["pad(4)"], "sample": "whole", "infer": ""}
    weights = Weights.read(patches / "best.pkl")
    assert weights.view is not None and weights.view.words["sample"] == "patch(8,8,4,0.3,2)" and weights.box is None


def test_classes_can_be_those_of_the_best_expected_dice(whole: Path, data: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    assert train_here(run.path, data, *WHOLE, "--decision", "dice").status == 0
    assert Weights.read(run.path / "best.pkl").decision == "dice" and Weights.read(whole / "best.pkl").decision is None
    assert np.array_equal(run.array("val_loss"), RunFolder(whole).array("val_loss"))  # the network is the same
    assert not np.array_equal(run.array("val_dice"), RunFolder(whole).array("val_dice"))


def test_distances_of_patches_are_put_together_too(data: Path, tmp_path: Path) -> None:
    """A distance head, and a loss that measures distances by itself."""
    losses = ["--losses", "dice:1@1", "sdf:1", "hausdorff:0.1@1", "--gradients", "--epochs", "1", "--batch_size", "2"]
    run = RunFolder(tmp_path / "run")
    done = train_here(run.path, data, *losses, "--network", "UNet3D(width=2)", "--sample", "patch(8,8,4)")
    assert done.status == 0, done
    assert run.array("val_loss").shape == (1, 3, 3) and np.isfinite(run.array("val_loss")).all()
    assert (run.array("val_loss")[0, :, 1] > 0).all()


@pytest.mark.parametrize(
    ("moment", "saved"),
    [
        ("training step 2 of epoch 0", "epoch 0 up to step 2 of 3 is saved"),
        ("validation step 2 of epoch 1", "the training of epoch 1 is saved"),
    ],
)
def test_sigterm_saves_the_step_and_the_rest_is_as_if_it_had_not_been(
    patches: Path, data: Path, tmp_path: Path, at: Arrange, moment: str, saved: str
) -> None:
    at(moment, lambda: signal.raise_signal(signal.SIGTERM), 1)
    stopped = train_here(tmp_path / "run", data, *PATCHES)
    assert stopped.status == 75 and saved in stopped.err
    assert train_here(tmp_path / "run", data, *PATCHES).status == 0
    same_run(patches, tmp_path / "run")


def test_a_killed_run_ends_with_the_same_bytes(patches: Path, data: Path, tmp_path: Path) -> None:
    train_killed(tmp_path / "run", data, *PATCHES, at="writing */val/case_5.npz", nth=2)
    assert train_here(tmp_path / "run", data, *PATCHES).status == 0
    same_run(patches, tmp_path / "run")


def test_two_ranks_give_the_result_of_one(whole: Path, data: Path, tmp_path: Path) -> None:
    """Cases are dealt out, three to two ranks; unequal training volumes are filled up to one size on both."""
    train(tmp_path / "run", data, *WHOLE, "--nproc", "2")
    one, two = RunFolder(whole), RunFolder(tmp_path / "run")
    for name in ("tra_loss", "val_loss"):
        np.testing.assert_allclose(two.array(name), one.array(name), rtol=1e-4)
    for name in ("tra_dice", "val_dice"):
        np.testing.assert_allclose(two.array(name), one.array(name), atol=0.01)
    assert sorted(p.name for p in (tmp_path / "run/iter001/val").iterdir()) == [f"{case}.npz" for case in HELD_OUT]
    assert read_json(tmp_path / "run/rows.json") == read_json(whole / "rows.json")


def test_a_debug_run_takes_two_cases(data: Path, tmp_path: Path) -> None:
    assert train_here(tmp_path / "run", data, *WHOLE, "--epochs", "1", "--debug").status == 0
    assert RunFolder(tmp_path / "run").names["val"] == ["case_4", "case_5"]


def test_planes_of_whole_volumes_train_a_network_of_slices(tmp_path: Path) -> None:
    data = write_whole(tmp_path / "WHOLE", {f"case_{i}": (8, 10, 4 + i) for i in range(3)}, ["case_2"])
    done = train_here(tmp_path / "run", data, *LOSSES, "--network", "Dimwit", "--sample", "slices")
    run = RunFolder(tmp_path / "run")
    assert done.status == 0 and run.items == "slices" and len(run.slices) == 6
    evaluate([str(run.path), "--data", str(data), "--workers", "1"])
    assert run.has("val_hausdorff") and Weights.read(run.path / "best.pkl").view is None


def test_planes_of_unequal_volumes_are_filled_up_and_predicted_in_their_own_size(data: Path, tmp_path: Path) -> None:
    words = [*LOSSES, "--network", "Dimwit", "--sample", "slices", "--augment", "flip", "rotate(10)"]
    done = train_here(tmp_path / "run", data, *words)
    run = RunFolder(tmp_path / "run")
    assert done.status == 0, done
    assert np.isfinite(run.array("tra_loss")).all() and len(run.slices) == 7 + 8 + 6
    assert [run.predictions(None, [f"{case}_00_0003"])[0].shape for case in HELD_OUT] == [(13, 12), (14, 12), (15, 12)]
    evaluate([str(run.path), "--data", str(data), "--workers", "1"])
    np.testing.assert_allclose(run.array("val_3d_dsc").shape, (2, 3, 2))


def test_a_run_notes_its_boxes_and_does_not_go_on_with_others(data: Path, tmp_path: Path, at: Arrange) -> None:
    def boxes(kept: float) -> Boxes:
        return Boxes(
            size=(8, 8, 4), intensities={},
            cases={
                name: CaseBox("val" if name in HELD_OUT else "train", Box((0, 0, 0), (8, 8, 4)), True, kept)
                for name in SHAPES
            },
        )  # fmt: skip

    words = [*LOSSES, "--network", "UNet3D(width=2)", "--boxes", str(tmp_path / "boxes")]
    boxes(0.75).write(tmp_path / "boxes")
    at("training step 1 of epoch 1", lambda: signal.raise_signal(signal.SIGTERM))
    stopped = train_here(tmp_path / "run", data, *words)
    assert stopped.status == 75 and "warning: case_4 (val): the box leaves out 25 % of the object" in stopped.out
    boxes(0.5).write(tmp_path / "boxes")
    done = train_here(tmp_path / "run", data, *words)
    assert done.status == 2 and "began on other boxes (checksum" in done.err and "FRESH=1" in done.err
    boxes(0.75).write(tmp_path / "boxes")
    assert train_here(tmp_path / "run", data, *words).status == 0
    about = read_json(tmp_path / "run/run.json")
    assert about["boxes_checksum"] == boxes(0.75).checksum and about["boxes_kept"] == {"mean": 0.75, "least": 0.75}
    assert Weights.read(tmp_path / "run/best.pkl").box == (8, 8, 4)


REFUSED = {
    ("--sample", "slices", "--fit", "pad(4)"): "FIT (pad(4)) says what is shown of whole volumes",
    ("--sample", "whole", "--infer", "windows"): "INFER=windows(0.5,2GiB) puts patches together",
    ("--sample", "patch(4,4,4)", "--save_train"): "it does not go with SAMPLE=patch(4,4,4,0.3,1)",
    ("--sample", "slices", "--decision", "dice"): "--decision dice needs the probabilities of a whole volume at once",
    ("--fit", "reduce(4)"): "reduce needs a number for each axis",
    ("--losses", "boundary(map=2d):1"): "map=2d, which whole volumes and patches do not have",
    ("--network", "UNet"): "this network takes 2D images",
    ("--boxes", "nowhere"): "nowhere/stats.json is missing",
}


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_does_not_fit_is_refused_in_one_line_before_anything_is_written(
    data: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = train_here(tmp_path / "run", data, *WHOLE[:-2], *words)
    assert done.status == 2 and done.err.count("\n") == 1 and REFUSED[words] in done.err, done
    if "--boxes" in words:  # a ledger is checked before its locator is trained
        return
    with pytest.raises(Stop) as stop:
        ledgercheck.report([[str(tmp_path / "run"), "--data", str(data), *WHOLE[:-2], *words]])
    assert REFUSED[words] in str(stop.value)
    assert not list(tmp_path.iterdir())


def test_a_case_that_cannot_be_read_is_named_in_one_line(data: Path, tmp_path: Path) -> None:
    folder = write_whole(tmp_path / "WHOLE", SHAPES, HELD_OUT)
    path = folder / "mtt/case_5.npy"
    array = np.load(path).copy(order="F")
    array[2, 2, 2] = np.inf
    np.save(path, array)
    done = train_here(tmp_path / "run", folder, *WHOLE)
    assert done.status == 2 and done.err.count("\n") == 1
    assert "val/case_5 has NaN or infinite values in mtt" in done.err
