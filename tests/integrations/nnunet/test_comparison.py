"""Several trainers in our statistics: the sentences are those of a study whose values were known before."""

import csv

import numpy as np
import pytest
from integrations.nnunet.folders import LABELS, write_nnunet

from boundary_loss.files import read_json, write_json
from boundary_loss.folders.run import RunFolder
from boundary_loss.integrations.nnunet.__main__ import main
from boundary_loss.integrations.nnunet.catalogue import FOLDER
from boundary_loss.integrations.nnunet.comparison import trainings, write_runs
from boundary_loss.integrations.nnunet.summary import FILE
from boundary_loss.statistics.paired import signed_rank

GOOD, BAD = "nnUNetTrainerBoundary", "nnUNetTrainer"
CASES = 12


def write_summaries(results, hd95, *, cases=CASES, labels=LABELS, home="{}__nnUNetPlans__3d_fullres"):
    """Folds of trainers without images: the summaries that evaluate would have written, ``{trainer: HD95 of i}``."""
    for trainer, value in hd95.items():
        for fold in (0, 1):
            entries = [
                {"prediction_file": f"pat{i // 2}_{i}.nii.gz", "reference_file": f"pat{i // 2}_{i}.nii.gz",
                 "fingerprint": str(i), "metrics": {"1": {"hd95": value(i), "dsc": 0.5}}}
                for i in range(fold, cases, 2)
            ]  # fmt: skip
            folder = results / home.format(trainer) / f"fold_{fold}"
            content = {"metric_per_case": entries, "labels": {"1": "rim"}, "settings": {"metrics": ["hd95", "dsc"]}}
            write_json(folder / "validation" / FILE, content)
            write_json(folder / "debug.json", {"num_epochs": "5", "batch_size": "2", "initial_lr": "0.01"})
    return [results / home.format(trainer) for trainer in hd95]


@pytest.fixture
def values():
    draw = np.random.default_rng(0)
    first = draw.uniform(5, 9, CASES)
    return {BAD: first, GOOD: first - draw.uniform(0.5, 2, CASES)}


@pytest.fixture
def pair(tmp_path, values):
    return write_summaries(tmp_path / "Dataset001_Toy", {name: own.__getitem__ for name, own in values.items()})


def said(capsys):
    return " ".join(capsys.readouterr().out.split())


def test_folds_are_joined_and_the_better_trainer_is_named(pair, values, call, capsys):
    call(main, "compare", *pair, "--test", "val_3d_hd95")
    text, gain = said(capsys), values[BAD] - values[GOOD]
    assert f"The networks of {GOOD} are better than those of {BAD} in HD95 by {gain.mean():.2f} mm [" in text
    assert signed_rank(gain).p < 0.001 and "12 patients, p < 0.001: these 4 networks; other seeds may turn it." in text
    assert "SEEDS=" not in text and "Seeds are repeated trainings" in text
    for name, own in values.items():
        assert f"{name} {own.mean():.2f} ± {own.std(ddof=1):.2f}" in text


def test_cases_of_a_patient_are_averaged(pair, call, capsys):
    call(main, "compare", *pair, "--test", "val_3d_hd95", "--patient", r"(pat\d+)_")
    assert "6 patients (12 volumes)" in said(capsys)
    with pytest.raises(ValueError, match="--patient xyz does not fit the case pat0_0"):
        call(main, "compare", *pair, "--patient", "xyz")


def test_folders_of_one_name_are_repeated_trainings(tmp_path, values, call, capsys):
    draw = np.random.default_rng(1)
    folders = []
    for root in "abc":
        noisy = {name: (own + draw.normal(0, 0.02, CASES)).__getitem__ for name, own in values.items()}
        folders += write_summaries(tmp_path / root / "Dataset001_Toy", noisy)
    call(main, "compare", *folders, "--test", "val_3d_hd95")
    text = said(capsys)
    assert f"{GOOD} is better than {BAD} in HD95 by" in text and "12 patients, 3 seeds" in text


def test_settings_in_which_trainers_differ_are_said(pair, call, capsys):
    for fold in (0, 1):
        write_json(pair[1] / f"fold_{fold}" / "debug.json", {"num_epochs": "250", "batch_size": "2"})
    call(main, "compare", *pair, "--test", "val_3d_hd95")
    text = said(capsys)
    assert "; they differ in number of epochs and learning rate too." in text
    assert f"The runs differ in number of epochs (5: {BAD}; 250: {GOOD})" in text


def test_other_cases_are_not_compared(tmp_path, values, call, capsys):
    folders = write_summaries(tmp_path / "Dataset001_Toy", {BAD: values[BAD].__getitem__})
    folders += write_summaries(tmp_path / "Dataset001_Toy", {GOOD: values[GOOD].__getitem__}, cases=10)
    call(main, "compare", *folders)
    assert "validated on different patients (10 of nnUNetTrainerBoundary, 12 of nnUNetTrainer, 10 of both)" in said(
        capsys
    )


def test_configurations_of_one_trainer_keep_their_names(tmp_path, values, call, capsys):
    folders = []
    for name, own in zip(("2d", "3d_fullres"), values.values()):
        home = "{}__nnUNetPlans__" + name
        folders += write_summaries(tmp_path / "Dataset001_Toy", {BAD: own.__getitem__}, home=home)
    call(main, "compare", *folders)
    assert "nnUNetTrainer__nnUNetPlans__2d" in said(capsys)


def test_the_report_is_a_results_folder(pair, tmp_path, call, capsys):
    call(main, "compare", *pair, "--report", tmp_path / "report", "--baseline", BAD)
    folder = tmp_path / "report"
    assert str(folder / "report.html") in capsys.readouterr().out
    page = (folder / "report.html").read_text()
    assert "best epoch" not in page.partition('<script type="application/json"')[0].partition("<main>")[2]
    assert str(tmp_path) not in page and "_tmp" not in page
    with (folder / "comparisons.csv").open() as file:
        assert {row["when"] for row in csv.DictReader(file)} == {"last"}
    run = RunFolder.find(folder / GOOD / "fold1")
    assert run.array("val_3d_hd95").shape == (1, CASES // 2, 2) and run.record.recorded["configuration"] == "3d_fullres"
    call(main, "compare", *pair, "--report", tmp_path / "report")  # the one before is kept
    assert len(list(tmp_path.glob("report*"))) == 2


def test_predictions_of_new_cases_are_compared_too(tmp_path, call, capsys):
    results = write_nnunet(tmp_path, {"A": 1, "B": 2}, cases=8)
    for name in "AB":
        call(main, "evaluate", results / f"{name}__nnUNetPlans__3d_fullres", "--workers", 1)
    fold_0 = [results / f"{name}__nnUNetPlans__3d_fullres/fold_0/validation" for name in "AB"]
    folders = [folder.rename(tmp_path / f"predicted_{name}") for folder, name in zip(fold_0, "AB")]
    call(main, "compare", *folders)
    text = said(capsys)
    assert "predicted_A, predicted_B" in text and "4 patients" in text and "too few" in text


def test_what_cannot_be_compared_is_refused(pair, tmp_path):
    (pair[0] / "fold_0/validation" / FILE).unlink()
    (pair[1] / "fold_1/validation" / FILE).unlink()
    with pytest.raises(FileNotFoundError, match=r"fold_0/validation, .*fold_1/validation: evaluate"):
        trainings(pair)


def test_a_training_without_a_split_is_refused(pair):
    (pair[0] / "fold_0").rename(pair[0] / "fold_all")
    with pytest.raises(ValueError, match="validated on the cases that it was trained on"):
        trainings(pair)


@pytest.mark.parametrize(("what", "other"), [("labels", {"1": "core"}), ("settings", {"metrics": ["hd95"]})])
def test_what_was_evaluated_otherwise_is_refused(pair, tmp_path, what, other):
    path = pair[1] / "fold_0/validation" / FILE
    write_json(path, read_json(path) | {what: other})
    with pytest.raises(ValueError, match=f"has other {what} than"):
        write_runs(tmp_path / "runs", trainings(pair))


def test_a_spoilt_summary_is_named(pair, tmp_path):
    path = pair[1] / "fold_0/validation" / FILE
    path.write_text("{")
    with pytest.raises(ValueError, match=f"{FILE} is not valid JSON.*evaluate again"):
        write_runs(tmp_path / "runs", trainings(pair))


def test_without_a_command_the_line_and_the_names_are_printed(call, capsys):
    call(main)
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith("export nnUNet_extTrainer=") and str(FOLDER) in first
    assert all(line.startswith("# nnUNetTrainer") for line in others) and len(others) > 5
