"""Training: what a run folder holds, and that a killed run ends as an undisturbed one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from toys import write_sliced
from trainings import ROW, same_run, train, train_here, train_killed

from boundary_loss.files import sole_maker, write_array
from boundary_loss.folders.naming import by_volume
from boundary_loss.folders.run import RunFolder
from boundary_loss.networks import LOGITS, outputs
from boundary_loss.training.weights import Weights


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "gdl_surface"
    train(folder, data, *ROW, "--epochs", "4")
    return folder


def test_a_run_folder_holds_what_the_scheme_says(finished: Path) -> None:
    run = RunFolder.find(finished)
    assert run.array("tra_dice").shape == (4, 12, 2)
    assert run.array("val_dice").shape == (4, 8, 2)
    assert run.array("tra_loss").shape == (4, 4, 2)
    assert run.epochs == [0, 1, 2, 3]
    assert run.column_names("tra_loss") == ["gdl", "boundary"]
    assert run.row_names("val_3d_dsc") == ["case_4", "case_5"] == list(by_volume(run.row_names("val_dice") or []))
    assert all(len(run.predictions(epoch, run.names["val"])) == 8 for epoch in (None, 0, 3))
    assert 0 <= run.best_epoch < 4
    assert run.record.phantom and run.record.data_checksum == "0" * 64
    lines = (finished / "metrics.csv").read_text().splitlines()
    assert lines[0].startswith("epoch,tra_loss,val_loss,tra_dice,val_dice") and len(lines) == 5
    assert "HOME" not in (finished / "run.json").read_text()


def test_the_schedule_moves_the_weights(finished: Path) -> None:
    last = (finished / "metrics.csv").read_text().splitlines()[-1].split(",")
    assert [float(x) for x in last[-2:]] == pytest.approx([0.97, 0.04])


def test_one_seed_one_result_another_seed_another(finished: Path, data: Path, tmp_path: Path) -> None:
    train(tmp_path / "again", data, *ROW, "--epochs", "4")
    same_run(finished, tmp_path / "again")
    train(tmp_path / "other", data, *ROW, "--epochs", "1", "--seed", "1")
    assert not np.array_equal(np.load(tmp_path / "other" / "val_dice.npy"), np.load(finished / "val_dice.npy")[:1])


def test_killed_at_any_moment_it_ends_the_same(finished: Path, data: Path, tmp_path: Path) -> None:
    """kill -9 at each kind of moment, one after the other on the same run; the last make completes it."""
    folder = tmp_path / "killed"
    moments = [
        ("writing */arguments.txt", 1),  # before the run has begun
        ("writing */iter000_tmp/val/*.png", 3),
        ("writing */checkpoint.pt", 1),  # everything written but the checkpoint
        ("keeping epoch 0 as the best", 1),
        ("writing */tra_dice.npy", 2),  # the second epoch, between two arrays
        ("settling *", 2),  # the third epoch's checkpoint is written and has no name yet
        ("writing */iter003_tmp/val/*.png", 5),
        ("publishing *", 1),
    ]
    for moment, nth in moments:
        train_killed(folder, data, *ROW, "--epochs", "4", at=moment, nth=nth)
        assert not folder.exists(), moment
    train(folder, data, *ROW, "--epochs", "4")
    same_run(finished, folder)
    assert sorted(p.name for p in folder.glob("iter*")) == ["iter000", "iter001", "iter002", "iter003"]
    assert not list(tmp_path.glob("*_tmp"))


def test_the_slow_weights_of_lookahead_survive_a_kill(data: Path, tmp_path: Path) -> None:
    row = [*ROW, "--epochs", "3", "--optimiser", "lookahead", "--rate", "steps(2)"]
    train(tmp_path / "whole", data, *row)
    train_killed(tmp_path / "killed", data, *row, at="settling *", nth=1)
    train(tmp_path / "killed", data, *row)
    same_run(tmp_path / "whole", tmp_path / "killed")


def test_keep_leaves_out_epochs_killed_or_extended(finished: Path, data: Path, tmp_path: Path) -> None:
    """Those of every second epoch, of the best and of the last stay; all else is as if all did."""
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    words = [*ROW, "--keep", "2"]
    train_here(straight, data, *words, "--epochs", "4")
    kept = RunFolder.find(straight).epochs
    assert kept == sorted({1, 3, RunFolder.find(straight).best_epoch})
    same_run(finished, straight, leave_out=[f"iter00{epoch}" for epoch in range(4) if epoch not in kept])
    for moment, nth in (("settling *", 2), ("publishing *", 1)):
        train_killed(killed, data, *words, "--epochs", "3", at=moment, nth=nth)
    for epochs in ("3", "4"):
        train_here(killed, data, *words, "--epochs", epochs)
    same_run(straight, killed)
    train_here(tmp_path / "none", data, *ROW, "--keep", "0", "--epochs", "4")
    assert RunFolder.find(tmp_path / "none").epochs == sorted({RunFolder.find(straight).best_epoch, 3})


def test_a_spoilt_checkpoint_falls_back_to_the_one_before(finished: Path, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(folder, data, *ROW, "--epochs", "2")
    (folder / "checkpoint.pt").write_bytes(b"not a checkpoint")
    done = train(folder, data, *ROW, "--epochs", "4")
    assert "trying the one before" in done.stdout and "going on after epoch 0" in done.stdout
    same_run(finished, folder)
    assert len(list(tmp_path.glob("run_2*"))) == 1, "the run with two epochs is kept"


def test_a_finished_run_is_not_trained_again_nor_silently_reused(finished: Path, data: Path) -> None:
    before = (finished / "val_dice.npy").stat().st_mtime_ns
    assert "complete" in train(finished, data, *ROW, "--epochs", "4").stdout
    refused = train(finished, data, *ROW, "--epochs", "3", check=False)
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert "epochs: made with 4, now 3" in refused.stderr and "FRESH=1" in refused.stderr
    assert (finished / "val_dice.npy").stat().st_mtime_ns == before


def test_a_fresh_run_goes_on_when_killed_and_leaves_the_old_one(finished: Path, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(folder, data, *ROW, "--epochs", "1", "--seed", "5")
    old = np.load(folder / "val_dice.npy")
    again = [*ROW, "--epochs", "4", "--fresh"]
    train_killed(folder, data, *again, at="writing */iter002_tmp/val/*.png", nth=4)
    np.testing.assert_array_equal(np.load(folder / "val_dice.npy"), old)
    assert "going on after epoch" in train(folder, data, *again).stdout
    same_run(finished, folder)
    assert len(list(tmp_path.glob("run_2*"))) == 1


def test_predictions_and_scores_agree(finished: Path, data: Path) -> None:
    """The PNGs are what the recorded Dice was measured on."""
    from boundary_loss.folders.sliced import SlicedFolder

    run, folder = RunFolder.find(finished), SlicedFolder.open(data)
    for i, stem in enumerate(run.names["val"]):
        (classes,) = run.predictions(3, [stem])
        predicted, true = classes == 1, folder.labels("val", stem) == 1
        size = predicted.sum() + true.sum()
        expected = 2 * (predicted & true).sum() / size if size else 1.0
        assert run.array("val_dice")[3, i, 1] == pytest.approx(expected, abs=1e-6)


def test_weights_start_another_run(finished: Path, data: Path, tmp_path: Path) -> None:
    train(tmp_path / "warm", data, *ROW, "--epochs", "1", "--weights", str(finished / "best.pkl"))
    misfit = train(
        tmp_path / "misfit", data, *ROW, "--epochs", "1", "--network", "UNet(width=2)",
        "--weights", str(finished / "best.pkl"), check=False,
    )  # fmt: skip
    assert misfit.returncode == 2 and "does not fit" in misfit.stderr


def test_a_row_with_a_distance_term_gives_the_network_a_second_output(
    finished: Path, data: Path, tmp_path: Path
) -> None:
    row = ["--losses", "gdl:1", "sdf:1@1", "foreground(norm=l1):0.1", "--network", "Dimwit", "--batch_size", "3"]
    assert train_here(tmp_path / "run", data, *row, "--epochs", "1", "--gradients").status == 0
    run = RunFolder.find(tmp_path / "run")
    lines = (run.path / "metrics.csv").read_text().splitlines()
    measured = dict(zip(lines[0].split(","), map(float, lines[1].split(","))))
    assert measured["gradient_0"] > 0 and measured["gradient_1"] > 0 and measured["gradient_2"] > 0
    weights = Weights.read(run.path / "best.pkl")
    assert weights.network == "Dimwit+distances" == run.record.network
    answer = outputs(weights.build()(torch.zeros(1, 2, 20, 24)))
    assert answer[LOGITS].shape == (1, 2, 20, 24), "what predicts sees the segmentation"
    warm = train_here(tmp_path / "warm", data, *row, "--epochs", "1", "--weights", str(run.path / "best.pkl"))
    assert warm.status == 0
    misfit = train_here(tmp_path / "misfit", data, *row, "--epochs", "1", "--weights", str(finished / "best.pkl"))
    assert misfit.status == 2 and "does not fit Dimwit+distances (they are of Dimwit)" in misfit.err


def test_options_of_the_loop(data: Path, tmp_path: Path) -> None:
    """SGD, temperature, grouped validation, training predictions, best epoch per slice, debug."""
    options = ["--optimiser", "sgd", "--temperature", "2", "--group", "--save_train", "--best", "slice", "--debug"]
    assert train_here(tmp_path / "run", data, *ROW, "--epochs", "1", *options).status == 0
    run = RunFolder.find(tmp_path / "run")
    assert len(list((run.path / "iter000" / "train").iterdir())) == 10 == len(run.names["train"])
    assert run.array("val_loss").shape == (1, 2, 2), "one batch a volume"
    assert run.record.debug


def test_a_loss_that_is_not_finite_stops_with_the_slices_named(data: Path, tmp_path: Path) -> None:
    done = train_here(tmp_path / "run", data, *ROW, "--epochs", "2", "--lr", "1e30")
    assert done.status == 2 and "not finite" in done.err and "case_" in done.err


def test_two_trainings_of_one_run_at_once(data: Path, tmp_path: Path) -> None:
    with sole_maker(tmp_path / "run"):
        done = train_here(tmp_path / "run", data, *ROW, "--epochs", "1")
    assert done.status == 2 and "another process is making" in done.err


def test_unknown_device_and_missing_data(data: Path, tmp_path: Path) -> None:
    for options, says in [(["--device", "gpuu"], "DEVICE=gpuu"), (["--network", "UNot"], "UNet")]:
        done = train_here(tmp_path / "run", data, *ROW, *options)
        assert done.status == 2 and says in done.err and "Traceback" not in done.err
    done = train_here(tmp_path / "run", tmp_path / "nowhere", *ROW)
    assert done.status == 2 and "no sliced data" in done.err


def test_a_class_that_no_training_slice_has_is_said(tmp_path: Path) -> None:
    sliced = write_sliced(tmp_path / "TOY", num_classes=3)
    for path in (sliced / "train" / "gt_npy").iterdir():
        write_array(path, np.load(path) % 2)
    done = train_here(tmp_path / "run", sliced, *ROW, "--epochs", "1")
    assert done.status == 0
    assert done.out.startswith("run  warning: no training slice has the class core (2): it cannot be learned\n")
