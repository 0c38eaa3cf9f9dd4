import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from boundary_loss import command
from boundary_loss.evaluate.__main__ import main
from boundary_loss.files import read_json, write_array, write_json, write_text
from boundary_loss.folders.epoch import write_packed
from boundary_loss.folders.naming import by_volume
from boundary_loss.folders.pictures import read_png, write_png
from boundary_loss.folders.run import RunFolder
from boundary_loss.folders.sliced import SlicedFolder
from boundary_loss.metric_definitions import AREA_ARRAYS, EVALUATION_ARRAYS, METRIC_SETS
from boundary_loss.metrics import dice, surface_distances

SHAPE, SPACING = (18, 24), (0.8, 1.2, 5.0)
STEMS = [f"case_{case}_00_{z:04d}" for case in (10, 2) for z in range(3)]  # sorted by name, as rows.json has them
CLASSES = ["background", "ring", "cavity"]


def blobs(seed):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 2)
    return np.digitize(noise, [0.05, 0.15]).astype(np.uint8)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    write_json(folder / "slicing.json", {"study": "toy", "classes": CLASSES, "modalities": [], "checksum": "0" * 64})
    extra = [*STEMS, "case_3_00_0000"]  # a debug run sees fewer slices than there are
    write_json(folder / "spacing_3d.json", dict.fromkeys(by_volume(extra), SPACING))
    write_json(folder / "train" / "spacing.json", {})
    write_json(folder / "val" / "spacing.json", dict.fromkeys(extra, SPACING[:2]))
    (folder / "val" / "gt").mkdir()
    for seed, stem in enumerate(extra):
        labels = blobs(seed)
        if seed == 1:
            labels[:] = 0
        if seed == 2:
            labels[2:6, 3:9] = 255
        write_png(folder / "val" / "gt" / f"{stem}.png", labels)
    return SlicedFolder.open(folder)


def write_predictions(run, folder, epoch):
    (run / folder / "val").mkdir(parents=True)
    for seed, stem in enumerate(STEMS):
        write_png(run / folder / "val" / f"{stem}.png", blobs(seed if epoch == 2 else 100 * epoch + seed))


def make_run(path, *, epochs=(0, 1, 2, 3), num_epochs=4, best=2):
    for epoch in epochs:
        write_predictions(path, f"iter{epoch:03d}", epoch)
    write_predictions(path, "best_epoch", best)
    write_json(path / "rows.json", {"val": STEMS, "volumes": list(by_volume(STEMS)), "classes": CLASSES})
    write_array(path / "val_dice.npy", np.zeros((num_epochs, len(STEMS), len(CLASSES)), np.float32))
    write_text(path / "best_epoch.txt", f"{best}\n")
    return path


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "results" / "toy" / "gdl")


def call(run, data, *options, workers=1):
    main([str(run), "--data", str(data.path), "--workers", str(workers), *options])


def bytes_of(run):
    return {path.name: path.read_bytes() for path in sorted(run.glob("val_*.npy"))}


def test_arrays_are_the_metrics_in_named_rows(run, data, capsys):
    call(run, data)
    folder = RunFolder.find(run)
    for name in EVALUATION_ARRAYS:
        array = folder.array(name)
        assert array.dtype == np.float32
        assert array.shape == (4, len(folder.row_names(name)), 3)
        assert np.isfinite(array[..., 1:]).all()
    epoch, volume, k = 3, "case_2", 1
    gt = np.stack([data.labels("val", stem) for stem in STEMS[3:]], -1)
    pred = np.stack([blobs(300 + seed) for seed in range(3, 6)], -1)
    row = folder.row_names("val_3d_dsc").index(volume)
    assert folder.array("val_3d_dsc")[epoch, row] == pytest.approx(dice(pred, gt, 3))
    distances = surface_distances(pred == k, gt == k, SPACING)
    found = [folder.array(f"val_3d_{name}")[epoch, row, k] for name in ("hausdorff", "hd95", "assd")]
    assert found == pytest.approx([distances.hausdorff, distances.hd95, distances.assd])
    in_slice = surface_distances(pred[..., 1] == k, gt[..., 1] == k, SPACING[:2]).hausdorff
    assert folder.array("val_hausdorff")[epoch, folder.row_names("val_hausdorff").index(STEMS[4]), k] == (
        pytest.approx(in_slice)
    )
    assert (folder.array("val_hausdorff")[2, [0, 2, 3, 4, 5], 1] == 0).all()  # epoch 2 predicts the ground truth
    printed = capsys.readouterr().out
    assert "4 of 4 epochs measured; best epoch 2" in printed and "empty-mask rule" in printed


def test_empty_masks_of_the_best_epoch_are_counted(run, data, capsys):
    call(run, data)
    counted = json.loads((run / "evaluation.json").read_text())
    one = {"cases": 2, "values": [32.1994]}  # a slice without ground truth, two classes: its diagonal
    last = counted["val_hausdorff"].pop("last")
    assert counted["val_hausdorff"] == {"touched": 2, "of": 12, "one_empty": one} and last["of"] == 12
    assert counted["val_3d_dsc"] == {"touched": 0, "of": 4, "last": {"touched": 0, "of": 4}}
    without_rule = {"val_boundary", "val_3d_volume_error", "val_3d_lesion_difference"}
    assert set(counted) == set(EVALUATION_ARRAYS) - without_rule
    assert "2 of 12: 2 one empty (32.2 mm)" in capsys.readouterr().out


def test_processes_change_nothing(run, data):
    call(run, data)
    alone = bytes_of(run)
    call(run, data, workers=2)
    assert bytes_of(run) == alone and len(alone) == 1 + len(EVALUATION_ARRAYS)


def test_epochs_without_predictions_are_nan(tmp_path, data):
    run = make_run(tmp_path / "gdl", epochs=(0, 3))
    call(run, data)
    hd95 = RunFolder.find(run).array("val_3d_hd95")
    assert np.isfinite(hd95[[0, 2, 3], :, 1:]).all()  # the best epoch from its own folder
    assert np.isnan(hd95[1]).all()


@pytest.mark.parametrize(
    ("epochs", "measured"),
    [(["best"], [2]), (["all"], [0, 1, 2, 3]), (["every", "3"], [0, 2, 3]), (["every", "4"], [0, 2, 3])],
)
def test_chosen_epochs(run, data, epochs, measured):
    call(run, data, "--metrics", "3d_dsc", "val_boundary", "--epochs", *epochs)
    dsc = RunFolder.find(run).array("val_3d_dsc")
    assert np.flatnonzero(np.isfinite(dsc).all((1, 2))).tolist() == measured
    assert set(bytes_of(run)) == {"val_dice.npy", "val_3d_dsc.npy", "val_boundary.npy"}


def test_counts_of_earlier_metrics_are_kept(run, data):
    call(run, data, "--metrics", "3d_dsc")
    call(run, data, "--metrics", "hausdorff")
    assert set(json.loads((run / "evaluation.json").read_text())) == {"val_3d_dsc", "val_hausdorff"}


def test_no_array_is_there_without_its_counts(run, data, monkeypatch):
    """Killed between the files of an evaluation, the next make finds an array missing and measures again."""

    def killed(path, array):
        raise KeyboardInterrupt

    monkeypatch.setattr("boundary_loss.evaluate.__main__.write_array", killed)
    with pytest.raises(KeyboardInterrupt):
        call(run, data, "--metrics", "3d_dsc")
    assert set(json.loads((run / "evaluation.json").read_text())) == {"val_3d_dsc"}
    assert not (run / "val_3d_dsc.npy").exists()


def test_an_interrupted_run_is_measured_where_it_lies(tmp_path, data):
    make_run(tmp_path / "gdl_tmp", epochs=(0, 1, 2), num_epochs=3)
    (tmp_path / "gdl_tmp" / "iter003" / "val").mkdir(parents=True)  # the epoch it was interrupted in
    call(tmp_path / "gdl", data)
    assert RunFolder.find(tmp_path / "gdl").array("val_3d_assd").shape == (3, 2, 3)


def drop(name):
    return lambda run, data: (run / name).unlink()


@pytest.mark.parametrize(
    ("spoil", "options", "message"),
    [
        (drop("best_epoch.txt"), [], "has not finished an epoch"),
        (lambda run, data: (run / "best_epoch.txt").write_text("4"), [], "best_epoch.txt says 4, but .* has 4 epochs"),
        (drop("rows.json"), [], "no run at"),
        (drop(f"iter001/val/{STEMS[4]}.png"), [], "case_2: .*iter001/val/case_2_00_0001.png is missing"),
        (lambda run, data: (run / f"iter001/val/{STEMS[0]}.png").write_bytes(b"x"), [], "case_10: .*cannot be read"),
        (lambda run, data: write_png(run / "iter001/val" / f"{STEMS[0]}.png", np.full(SHAPE, 3, np.uint8)), [],
         "case_10: epoch 1, slice .*holds class 3; the run has classes 0..2"),
        (lambda run, data: write_png(run / "iter001/val" / f"{STEMS[0]}.png", np.zeros((4, 4), np.uint8)), [],
         r"has shape \(4, 4\), its ground truth \(18, 24\)"),
        (lambda run, data: (data.path / "val/gt" / f"{STEMS[0]}.png").unlink(), [],
         f"gt/{STEMS[0]}.png is missing .1 of the .* slice it again"),
        (lambda run, data: write_json(data.path / "val/spacing.json", {}), [], "another fold"),
        (lambda run, data: write_json(data.path / "spacing_3d.json", {}), [],
         "case_10: .*spacing_3d.json has no entry of case_10; .*slice it again"),
        (lambda run, data: write_json(run / "rows.json", RunFolder.find(run).names | {"classes": ["a", "b"]}), [],
         "was trained on the classes"),
        (lambda run, data: None, ["--metrics", "dsc"], "unknown metric .dsc.; known: default, isles, wmh, acdc, vol"),
        (lambda run, data: None, ["--epochs", "some"], "known: all, best, every N"),
        (lambda run, data: None, ["--epochs", "every", "0"], "known: all, best, every N"),
        (lambda run, data: None, ["--workers", "0"], "at least 1"),
    ],
)  # fmt: skip
def test_faults_are_named_and_nothing_is_written(run, data, spoil, options, message):
    spoil(run, data)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        call(run, data, *options)
    assert set(bytes_of(run)) == {"val_dice.npy"}


def test_a_fault_in_a_process_is_named_too(run, data):
    drop(f"iter001/val/{STEMS[4]}.png")(run, data)
    with pytest.raises(ValueError, match=r"case_2: .*case_2_00_0001\.png is missing"):
        call(run, data, workers=2)
    assert set(bytes_of(run)) == {"val_dice.npy"}


def start(run, data, *options):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    words = [sys.executable, "-m", "boundary_loss.evaluate", str(run), "--data", str(data.path), *options]
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_command_ends_with_one_line_and_status_2(run, data):
    process = start(run.with_name("gld"), data)
    _, errors = process.communicate()
    assert process.returncode == 2
    assert errors.startswith("error: no run at") and errors.count("\n") == 1


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads /proc")
def test_a_killed_process_is_reported(run, data):
    make_long(run)
    process = start(run, data, "--workers", "2")
    os.kill(wait_for_children(process.pid)[-1], signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == 2 and "was killed, perhaps for lack of memory" in errors
    assert set(bytes_of(run)) == {"val_dice.npy"}


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads /proc")
def test_killed_half_way_it_leaves_no_half_array_and_no_process(run, data):
    make_long(run)
    process = start(run, data, "--workers", "2")
    children = wait_for_children(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert set(bytes_of(run)) == {"val_dice.npy"}
    assert waited_for(lambda: not any(is_running(pid) for pid in children)), f"{children} outlived the command"


def make_long(run):
    """Give the run enough epochs to be killed in."""
    for epoch in range(4, 4000):
        (run / f"iter{epoch:03d}").symlink_to(run / f"iter{epoch % 4:03d}")
    write_array(run / "val_dice.npy", np.zeros((4000, len(STEMS), 3), np.float32))


def wait_for_children(pid):
    """Process ids of the resource tracker, the fork server and two workers."""
    assert waited_for(lambda: len(descendants(pid)) >= 4), f"only {descendants(pid)} were started"
    return descendants(pid)


def waited_for(event, seconds=60):
    """Whether it comes in time; the time is that of a machine with much other work."""
    end = time.monotonic() + seconds
    while not (come := event()) and time.monotonic() < end:
        time.sleep(0.05)
    return come


def descendants(pid):
    try:
        own = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [*own, *(grandchild for child in own for grandchild in descendants(child))]


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0] != "Z"
    except OSError:
        return False


def test_help_names_the_metrics(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "3d_hd95" in capsys.readouterr().out
    assert command.parser("x").allow_abbrev is False


def test_packed_predictions_measure_the_same(run, data, tmp_path):
    call(run, data)
    packed = make_run(tmp_path / "packed", best=2)
    for epoch in range(4):
        folder = packed / f"iter{epoch:03d}"
        slices = {path.stem: read_png(path) for path in (folder / "val").glob("*.png")}
        shutil.rmtree(folder / "val")
        write_packed(folder, "val", slices)
    assert RunFolder.find(packed).epochs == [0, 1, 2, 3]
    call(packed, data)
    assert bytes_of(packed) == bytes_of(run)


def test_sets_by_name(run, data):
    call(run, data, "--metrics", "wmh", "3d_dsc")
    written = {f"{name}.npy" for name in METRIC_SETS["wmh"]}
    assert set(bytes_of(run)) == {"val_dice.npy", *written}
    with pytest.raises(ValueError, match=r"ejection_error needs classes named '\.\.\. ventricle'"):
        call(run, data, "--metrics", "acdc")


def test_surfaces_by_area_are_measured_only_if_asked_for(run, data):
    """And beside what was measured before, which stays."""
    call(run, data, "--epochs", "best")
    before = bytes_of(run)
    assert not {f"{name}.npy" for name in AREA_ARRAYS} & set(before)
    call(run, data, "--epochs", "best", "--metrics", "val_3d_assd_mesh", "3d_nsd_smooth")
    after = bytes_of(run)
    assert set(after) - set(before) == {"val_3d_assd_mesh.npy", "val_3d_nsd_smooth.npy"}
    assert all(after[name] == before[name] for name in before)
    folder = RunFolder.find(run)
    found, best = folder.array("val_3d_assd_mesh"), folder.best_epoch
    assert found.shape == folder.array("val_3d_assd").shape and np.isfinite(found[best, :, 1:]).all()
    assert {"val_3d_assd", "val_3d_assd_mesh"} <= folder.counted.keys()


def test_ejection_fractions_of_patients_with_two_volumes(run, data):
    names = RunFolder.find(run).names | {"classes": ["background", "left ventricle", "myocardium"]}
    write_json(run / "rows.json", names | {"patients": ["patient1", "patient1"]})
    write_json(data.path / "slicing.json", read_json(data.path / "slicing.json") | {"classes": names["classes"]})
    call(run, SlicedFolder.open(data.path), "--metrics", "all")
    folder = RunFolder.find(run)
    found = folder.array("val_ejection_error")
    assert folder.row_names("val_ejection_error") == ["patient1"] and found.shape == (4, 1, 3)
    assert np.isnan(found[..., [0, 2]]).all()
    truths = [[data.labels("val", stem) for stem in stems] for stems in (STEMS[:3], STEMS[3:])]
    gt = sorted(np.count_nonzero(np.array(labels) == 1) for labels in truths)
    order = 1 if np.count_nonzero(np.array(truths[0]) == 1) == gt[1] else -1
    pred = [sum(np.count_nonzero((blobs(100 + seed) == 1) & (data.labels("val", STEMS[seed]) != 255))
                for seed in range(first, first + 3)) for first in (0, 3)][::order]  # fmt: skip
    expected = 100 * abs((pred[0] - pred[1]) / pred[0] - (gt[1] - gt[0]) / gt[1])
    assert found[1, 0, 1] == pytest.approx(expected, rel=1e-5)
    counted = json.loads((run / "evaluation.json").read_text())["val_ejection_error"]
    assert (counted["touched"], counted["of"]) == (0, 1)


def test_no_pair_no_ejection_fraction(run, data):
    names = RunFolder.find(run).names | {"classes": ["background", "left ventricle", "myocardium"]}
    write_json(run / "rows.json", names)
    write_json(data.path / "slicing.json", read_json(data.path / "slicing.json") | {"classes": names["classes"]})
    call(run, SlicedFolder.open(data.path), "--metrics", "acdc")
    assert RunFolder.find(run).array("val_ejection_error").shape == (4, 0, 3)
