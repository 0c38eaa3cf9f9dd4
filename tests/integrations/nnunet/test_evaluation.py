"""surface_summary.json: its numbers, its structure, what it refuses, and how it survives being killed."""

import json
import shutil
import sys

import numpy as np
import pytest
from integrations.nnunet.folders import (
    AFFINE,
    IGNORED,
    LABELS,
    REGIONS,
    SPACING,
    content,
    prediction,
    truth,
    write_dataset,
    write_nnunet,
)

from boundary_loss import measure
from boundary_loss.command import Stop
from boundary_loss.integrations.nnunet.__main__ import main
from boundary_loss.integrations.nnunet.evaluation import Evaluation
from boundary_loss.integrations.nnunet.layout import Labels
from boundary_loss.integrations.nnunet.measuring import Job, Settings
from boundary_loss.integrations.nnunet.summary import FILE
from boundary_loss.volumes import write_volume

TRAINER = "nnUNetTrainer__nnUNetPlans__3d_fullres"


@pytest.fixture
def fold(tmp_path):
    """fold_0 of a trainer, whose validation is of the cases 0 and 2."""
    return write_nnunet(tmp_path, {"nnUNetTrainer": 1}) / TRAINER / "fold_0"


def run(call, *words):
    call(main, "evaluate", *words, "--workers", 1)


def test_it_is_measure_for_each_label(fold, call):
    run(call, fold, "--metrics", "dsc", "hd95", "hd99", "assd", "nsd", "nsd1mm")
    found = content(fold / "validation" / FILE)
    assert [case["prediction_file"] for case in found["metric_per_case"]] == ["case_00.nii.gz", "case_02.nii.gz"]
    for i, case in zip((0, 2), found["metric_per_case"]):
        expected = measure(prediction(i, 1), truth(i), SPACING, {"1": 1, "2": 2},
                           ["dsc", "hd95", "hd99", "assd", "nsd", "nsd1mm"])  # fmt: skip
        for name, values in expected.items():
            for key, value in values.items():
                assert case["metrics"][key][name] == pytest.approx(value), (name, key)
        assert case["metrics"]["2"]["n_ref"] == (truth(i) == 2).sum()
    assert found["labels"] == {"1": "rim", "2": "core"}


def test_means_are_nnunets(fold, call):
    run(call, fold)
    found = content(fold / "validation" / FILE)
    per_case = [case["metrics"] for case in found["metric_per_case"]]
    for key in ("1", "2"):
        for name, mean in found["mean"][key].items():
            assert mean == pytest.approx(np.mean([case[key][name] for case in per_case]))
    for name, mean in found["foreground_mean"].items():
        assert mean == pytest.approx(np.mean([found["mean"][key][name] for key in ("1", "2")]))


def test_nothing_in_it_names_a_folder(fold, call, tmp_path):
    run(call, fold)
    assert str(tmp_path) not in (fold / "validation" / FILE).read_text()
    assert content(fold / "validation" / "summary.json")["metric_per_case"]  # theirs stays


def test_regions_are_measured_as_one(fold, call):
    write_dataset(fold.parent, REGIONS)
    run(call, fold)
    case = content(fold / "validation" / FILE)["metric_per_case"][0]["metrics"]
    assert list(case) == ["(1, 2)", "2"]
    whole = measure(prediction(0, 1) > 0, truth(0) > 0, SPACING, metrics=["hd95", "nsd"])
    assert [case["(1, 2)"][name] for name in ("hd95", "nsd")] == pytest.approx([v[1] for v in whole.values()])


@pytest.mark.parametrize("labels", [LABELS, REGIONS])
def test_ignored_voxels_count_nowhere(tmp_path, call, labels):
    labels = labels | {"ignore": IGNORED}
    fold = write_nnunet(tmp_path, {"nnUNetTrainer": 1}, labels=labels, ignore=True) / TRAINER / "fold_0"
    run(call, fold)
    gt, pred = truth(0, ignore=True), prediction(0, 1)
    expected = measure(pred == 2, gt == 2, SPACING, metrics=["dsc", "assd"], mask=gt != IGNORED)
    case = content(fold / "validation" / FILE)["metric_per_case"][0]["metrics"]
    assert [case["2"][name] for name in ("dsc", "assd")] == pytest.approx([v[1] for v in expected.values()])
    assert case["2"]["n_pred"] == ((pred == 2) & (gt != IGNORED)).sum()


def test_a_missed_object_counts_by_the_rule_and_is_left_out_as_nan(fold, call, capsys):
    write_volume(fold / "validation" / "case_00.nii.gz", np.zeros((14, 12, 8), np.uint8), AFFINE)
    run(call, fold)
    by_rule = content(fold / "validation" / FILE)
    assert by_rule["metric_per_case"][0]["metrics"]["2"]["hd95"] == pytest.approx(
        np.linalg.norm(np.multiply((14, 12, 8), SPACING))
    )
    assert [line.split()[-3:] for line in capsys.readouterr().out.splitlines() if line.startswith("core")] == [
        ["1", "0", "0"]
    ]
    run(call, fold, "--empty", "nan")
    left_out = content(fold / "validation" / FILE)
    assert np.isnan(left_out["metric_per_case"][0]["metrics"]["2"]["hd95"])
    assert left_out["mean"]["2"]["hd95"] == left_out["metric_per_case"][1]["metrics"]["2"]["hd95"]
    assert left_out["metric_per_case"][0]["metrics"]["2"]["dsc"] == 0


def test_a_volume_of_one_slice_is_measured_in_2d(tmp_path, call):
    for folder, shift in (("truth", 0), ("predicted", 1)):
        write_volume(tmp_path / folder / "a.nii.gz", prediction(0, shift)[:, :, 3:4], AFFINE)
    write_dataset(tmp_path / "predicted", LABELS)
    run(call, tmp_path / "predicted", "--truth", tmp_path / "truth")
    expected = measure(prediction(0, 1)[:, :, 3], truth(0)[:, :, 3], SPACING[:2], metrics=["hd95", "assd"])
    case = content(tmp_path / "predicted" / FILE)["metric_per_case"][0]["metrics"]["1"]
    assert [case[name] for name in expected] == pytest.approx([values[1] for values in expected.values()])


def test_all_folds_of_a_trainer_at_once_and_by_several_processes(fold, call):
    run(call, fold.parent)
    alone = [(fold.parent / f"fold_{i}/validation/{FILE}").read_text() for i in (0, 1)]
    for i in (0, 1):
        (fold.parent / f"fold_{i}/validation/{FILE}").unlink()
    call(main, "evaluate", fold.parent, "--workers", 2)
    assert [(fold.parent / f"fold_{i}/validation/{FILE}").read_text() for i in (0, 1)] == alone


def evaluation(fold, **options):
    folder = fold / "validation"
    gt = fold.parents[3] / "preprocessed/Dataset001_Toy/gt_segmentations"
    labels = Labels.read(fold.parent / "dataset.json")
    return Evaluation(predictions=folder, truth=gt, labels=labels, settings=Settings(**options))


def test_an_interrupted_evaluation_goes_on_where_it_stopped(fold, at, monkeypatch):
    whole = evaluation(fold)
    expected = whole.run(1)
    whole.target.unlink()

    def die():
        raise KeyboardInterrupt

    monkeypatch.setattr("boundary_loss.integrations.nnunet.evaluation.PORTION", 1)
    at(f"writing */{FILE}_tmp", die, 2)  # the first case is kept, the second is measured and lost
    with pytest.raises(KeyboardInterrupt):
        whole.run(1)
    assert not whole.target.exists()
    measured = []
    monkeypatch.setattr(
        "boundary_loss.integrations.nnunet.measuring.metrics_of",
        lambda *given, real=Job.__call__.__globals__["metrics_of"]: measured.append(1) or real(*given),
    )
    assert json.dumps(whole.run(1)) == json.dumps(expected)
    assert len(measured) == 1
    assert not [path.name for path in whole.predictions.iterdir() if "tmp" in path.name or "lock" in path.name]


def test_what_is_up_to_date_stays_and_what_is_not_is_kept_under_a_date(fold):
    first = evaluation(fold)
    first.run(1)
    before = first.target.stat()
    first.run(1)
    assert first.target.stat().st_mtime_ns == before.st_mtime_ns
    write_volume(fold / "validation" / "case_00.nii.gz", prediction(0, 2), AFFINE)
    first.run(1)
    assert len(list(first.predictions.glob(f"{FILE}_2*"))) == 1
    evaluation(fold, metrics=("assd",)).run(1)
    assert len(list(first.predictions.glob(f"{FILE}_2*"))) == 2
    assert content(first.target)["settings"]["metrics"] == ["assd"]


def refused(fold, call, *words):
    with pytest.raises((ValueError, FileNotFoundError, Stop)) as error:
        run(call, fold, *words)
    return str(error.value)


def test_missing_cases_are_named_all_at_once(fold, call):
    predictions, truths = fold / "validation", evaluation(fold).truth
    (predictions / "case_00.nii.gz").unlink()
    shutil.copy(predictions / "case_02.nii.gz", predictions / "stray.nii.gz")
    message = refused(fold, call)
    assert "stray.nii.gz has no ground truth in" in message
    assert "case_00.nii.gz is not predicted (--chill leaves it out)" in message and "case_01" not in message
    (predictions / "stray.nii.gz").unlink()
    run(call, fold, "--chill")
    assert len(content(predictions / FILE)["metric_per_case"]) == 1
    (truths.parent / "splits_final.json").unlink()
    assert "case_01.nii.gz is not predicted" in refused(fold, call)  # without a split every ground truth is expected


def test_grids_that_differ_are_named_all_at_once(fold, call):
    folder = fold / "validation"
    write_volume(folder / "case_00.nii.gz", prediction(0, 1)[1:], AFFINE)
    write_volume(folder / "case_02.nii.gz", prediction(2, 1), AFFINE * [[1], [1.2], [1], [1]])
    message = refused(fold, call)
    assert "case_00.nii.gz: prediction of 13 x 12 x 8 voxels, ground truth of 14 x 12 x 8" in message
    assert "case_02.nii.gz: voxels differ: prediction of 1 x 1.8 x 2.5 mm" in message and "mm apart" in message
    write_volume(folder / "case_00.nii.gz", prediction(0, 1), AFFINE)
    run(call, fold, "--by-index")
    expected = measure(prediction(2, 1), truth(2), SPACING, metrics=["assd"])["assd"][1]
    assert content(folder / FILE)["metric_per_case"][1]["metrics"]["1"]["assd"] == pytest.approx(expected)


def test_a_volume_elsewhere_is_refused(fold, call):
    moved = AFFINE.copy()
    moved[2, 3] = 5
    write_volume(fold / "validation" / "case_00.nii.gz", prediction(0, 1), moved)
    assert "case_00.nii.gz: their corners lie 5 mm apart" in refused(fold, call)


def test_a_spoilt_file_is_named(fold, call):
    (fold / "validation" / "case_00.nii.gz").write_bytes(b"no volume")
    assert "case_00.nii.gz cannot be read as a NIfTI volume" in refused(fold, call)
    write_volume(fold / "validation" / "case_00.nii.gz", prediction(0, 1) * np.float32(0.3), AFFINE)
    assert "case_00.nii.gz must hold integer classes" in refused(fold, call)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"background": 0}, "declares no label"),
        ({"background": 0, "rim": "one"}, "label 'rim' is 'one'"),
        (None, "does not say 'labels' and 'file_ending'"),
    ],
)
def test_a_dataset_without_labels_is_refused(fold, call, labels, message):
    write_dataset(fold.parent, labels)
    assert message in refused(fold, call)


def test_what_is_not_there_is_said_with_the_option_that_names_it(fold, call, tmp_path):
    assert "no folder of predictions at" in refused(tmp_path / "nowhere", call)
    (fold.parent / "dataset.json").unlink()
    assert "--dataset names it" in refused(fold, call)
    write_dataset(fold.parent, LABELS)
    shutil.rmtree(fold.parents[3] / "preprocessed")
    assert "--truth names the folder" in refused(fold, call)
    (fold / "validation" / "summary.json").unlink()
    assert "--truth names the folder" in refused(fold, call)


def test_a_format_that_only_nnunet_reads_needs_nnunet(tmp_path, call, monkeypatch):
    monkeypatch.setitem(sys.modules, "nnunetv2", None)
    for folder in ("truth", "predicted"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.mha").write_bytes(b"")
    write_dataset(tmp_path / "predicted", LABELS, ".mha")
    assert "pip install nnunetv2" in refused(tmp_path / "predicted", call, "--truth", tmp_path / "truth")
