"""The whole pipeline on synthetic archives, through make itself, in a copy of the repository."""

import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import soak
from toys import REPOSITORY
from trainings import same_run

from boundary_loss import goals
from boundary_loss.files import read_json
from boundary_loss.metric_definitions import EVALUATION_ARRAYS, METRIC_SETS, PAIR_ARRAYS, TRAINING_ARRAYS

SMALL = ["SRC=phantom", "PHANTOM=--cases 5 --size 32", "RETAIN=2", "NET=Dimwit", "EPC=2", f"CC={sys.executable}"]
ISLES = ["-f", "isles.make", *SMALL, "RUNS=gdl gdl_3d_surface_steal"]
RD = Path("results/isles-phantom")


def make(where: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run make there; one thread a process, so that -j1 and -j2 compute alike on any machine."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        ["make", *words], cwd=where, env=environment | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    if check and done.returncode:
        raise AssertionError(f"make {' '.join(words)} ended in {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def arrays(run: Path) -> dict[str, np.ndarray]:
    return {name: np.load(run / f"{name}.npy") for name in (*TRAINING_ARRAYS, *EVALUATION_ARRAYS)}


def times(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*") if "view" not in p.parts}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = soak.copy_repository(tmp_path_factory.mktemp("clone") / "boundary-loss")
    make(where, *ISLES)
    return where


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    where = soak.copy_repository(tmp_path / "clone")
    before = times(where)
    for name in ("isles", "wmh", "acdc", "atria", "brats", "lits"):
        done = make(where, "-f", f"{name}.make", "-n", "--warn-undefined-variables")
        assert "boundary_loss.train results/" in done.stdout
        assert "nothing makes" not in done.stdout
        assert "undefined variable" not in done.stderr
    assert times(where) == before


def test_the_study_ends_with_everything(study: Path) -> None:
    results = study / RD
    for run in ("gdl", "gdl_3d_surface_steal"):
        for name, array in arrays(results / run).items():
            assert array.shape[0] == 2, name
        assert read_json(results / run / "run.json")["phantom"] is True
    for name in ("val_dice.png", "val_3d_hd95.png", "val_3d_hd95_boxplot.png", "val_dice_hist.png", "report.html"):
        assert (results / name).stat().st_size > 1000, name
    archives = list((study / "archives").glob("*-isles-phantom.tar.gz"))
    assert len(archives) == 1 and not archives[0].stat().st_mode & 0o222


def test_the_score_of_training_is_the_metric_of_the_predictions(study: Path) -> None:
    for run in ("gdl", "gdl_3d_surface_steal"):
        folder = study / RD / run
        lines = (folder / "metrics.csv").read_text().splitlines()
        column = lines[0].split(",").index("val_dice_volume")
        scores = [float(line.split(",")[column]) for line in lines[1:]]
        np.testing.assert_allclose(scores, np.load(folder / "val_3d_dsc.npy")[:, :, 1].mean(axis=1), atol=1e-5)
        assert int((folder / "best_epoch.txt").read_text()) == int(np.argmax(scores))


def test_a_second_make_only_reports(study: Path) -> None:
    before = times(study / RD), times(study / "data"), times(study / "archives")
    done = make(study, *ISLES)
    assert "boundary_loss.train " not in done.stdout and "Dice per volume" in done.stdout
    assert "checked: " not in done.stdout  # there is nothing to check where nothing is trained
    assert (times(study / RD), times(study / "data"), times(study / "archives")) == before


def test_deleted_files_of_a_report_are_written_again(study: Path) -> None:
    names = ("report.csv", "report.tex", "comparisons.csv")
    before = [(study / RD / name).read_bytes() for name in names]
    for name in names:
        (study / RD / name).unlink()
    done = make(study, *ISLES, "report")
    assert [(study / RD / name).read_bytes() for name in names] == before
    assert "boundary_loss.train " not in done.stdout and "boundary_loss.plot" not in done.stdout
    make(study, *ISLES)


def test_a_deleted_plot_is_redrawn_alone(study: Path) -> None:
    (study / RD / "val_dice.png").unlink()
    done = make(study, *ISLES, "plot")
    assert done.stdout.count("-m boundary_loss") == 1 and "boundary_loss.plot" in done.stdout
    make(study, *ISLES)


def test_a_deleted_run_is_trained_alone_and_the_same(study: Path) -> None:
    before = arrays(study / RD / "gdl")
    shutil.rmtree(study / RD / "gdl")
    done = make(study, *ISLES)
    assert done.stdout.count("-m boundary_loss.train ") == 1
    for name, array in arrays(study / RD / "gdl").items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("EPC=1", "epochs: made with 2, now 1"),
        ("NET=Dimwit()", r"network: made with Dimwit, now Dimwit()"),
        ("gdl.losses=gdl:1 ce:1", "losses: made with gdl:1, now gdl:1 ce:1"),
        ("RETAIN=1", "retain: made with 2, now 1"),
        ("SEED=3", "seed: made with 0, now 3"),
    ],
)
def test_a_changed_setting_is_said_and_nothing_is_touched(study: Path, change: str, says: str) -> None:
    before = times(study / RD), times(study / "data")
    done = make(study, *ISLES, change, check=False)
    assert done.returncode == 2 and says in done.stderr and "FRESH=1" in done.stderr
    assert (times(study / RD), times(study / "data")) == before


def test_fresh_keeps_the_old_run_beside_the_new(study: Path, tmp_path: Path) -> None:
    where = tmp_path / "study"
    shutil.copytree(study, where)
    make(where, *ISLES, "BS=4", "FRESH=1", "plot")
    beside = sorted(p.name[:5] for p in (where / RD).glob("gdl_2*"))
    assert beside == ["gdl_2"]
    assert "4" in (where / RD / "gdl" / "arguments.txt").read_text().split()


def test_data_that_changed_after_training_is_said(study: Path, tmp_path: Path) -> None:
    where = tmp_path / "study"
    shutil.copytree(study, where)
    done = make(where, *ISLES, "RETAIN=1", "FRESH=1", "data", "report")
    assert "was trained on other data than data/ISLES-phantom now holds" in done.stdout
    (where / RD / "gdl" / "val_3d_dsc.npy").unlink()
    refused = make(where, *ISLES, "RETAIN=1", "metrics", check=False)
    assert (
        refused.returncode == 2 and "has no slice" in refused.stderr
    ) or "was trained on other data" in refused.stderr


def test_more_epochs_go_on_where_the_run_stopped(study: Path, tmp_path: Path) -> None:
    where = tmp_path / "study"
    shutil.copytree(study, where)
    (where / RD / "gdl" / "pred").mkdir(exist_ok=True)  # of another best epoch, soon
    done = make(where, *ISLES, "EPC=3", "RUNS=gdl", "metrics")
    assert "going on after epoch 1" in done.stdout
    longer = arrays(where / RD / "gdl")
    for name, array in arrays(study / RD / "gdl").items():
        np.testing.assert_array_equal(longer[name][:2], array, err_msg=name)
        assert len(longer[name]) == 3
    assert not (where / RD / "gdl" / "pred").exists()


def test_seeds_and_folds_are_runs_of_their_own_and_pooled(study: Path, tmp_path: Path) -> None:
    where = tmp_path / "study"
    shutil.copytree(study, where)
    home = Path("results/repeated")
    words = [*ISLES, "RUNS=gdl", "EPC=1", "SEEDS=0 1", "FOLDS=0 1", f"RD={home}"]
    cheap = ["report", "pack", "curves=val_3d_dsc", "boxplots=", "hists="]
    parts = ("fold0_seed0", "fold0_seed1", "fold1_seed0", "fold1_seed1")
    make(where, *words, f"{home}/gdl/fold1_seed1")
    assert [path.name for path in (where / home / "gdl").iterdir() if path.name[0] != "."] == ["fold1_seed1"]
    make(where, *words, "-j2", *cheap)
    for part in parts:
        about = read_json(where / home / "gdl" / part / "run.json")
        assert (about["name"], about["seed"]) == (f"gdl/{part}", int(part[-1]))
        assert read_json(where / home / "gdl" / part / "rows.json")["patients"]
    again = make(where, *words, *cheap).stdout
    assert "boundary_loss.train " not in again and "boundary_loss.plot " not in again
    assert "over seeds" in again and "4 volumes of the validation set" in again  # two of each fold
    shutil.rmtree(where / home / "gdl" / "fold0_seed1")
    planned = make(where, *words, "-n", f"{home}/gdl").stdout
    assert planned.count("boundary_loss.train ") == 1 and f"train {home}/gdl/fold0_seed1 " in planned
    shown = make(where, *words, "-n", "view", f"{home}/gdl/fold1_seed0/case_1_00_0000.gif").stdout
    assert f"--data data/ISLES-phantom --runs {home}/gdl/fold0_seed0 " in shown
    assert "case_1_00_0000.gif' --data data/ISLES-phantom-fold1" in shown
    (archive,) = (where / "archives").glob("*-repeated-phantom.tar.gz")
    with tarfile.open(archive) as tar:
        assert {name.split("/")[2] for name in tar.getnames() if name.startswith("repeated/gdl/")} == set(parts)


def test_a_plain_run_becomes_a_seed_as_the_message_says(study: Path, tmp_path: Path) -> None:
    where = tmp_path / "study"
    shutil.copytree(study, where)
    one = [*ISLES, "RUNS=gdl", "train"]
    refused = make(where, *one, "SEEDS=0 1", check=False)
    assert refused.returncode == 2 and "RD=another/folder" in refused.stderr
    (commands,) = re.findall(r"keep it as one of them:  (.*)", refused.stderr)
    subprocess.run(["bash", "-c", commands], check=True, cwd=where)
    planned = make(where, *one, "SEEDS=0 1", "-n").stdout
    assert planned.count("boundary_loss.train ") == 1 and f"train {RD}/gdl/seed1 " in planned
    back = make(where, *one, check=False)
    assert back.returncode == 2 and "holds seed0 and cannot be a run of its own" in back.stderr


def test_two_at_a_time_give_the_same(study: Path, tmp_path: Path) -> None:
    where = tmp_path / "study"
    shutil.copytree(study, where)
    shutil.rmtree(where / "results")
    make(where, *ISLES, "-j2")
    for run in ("gdl", "gdl_3d_surface_steal"):
        expected = arrays(study / RD / run)
        for name, array in arrays(where / RD / run).items():
            np.testing.assert_array_equal(array, expected[name], err_msg=f"{run} {name}")


def test_any_words_launch_each_training(study: Path, tmp_path: Path) -> None:
    """As `LAUNCH='srun ...'` would: once a training, with all its words, its result and its exit status."""
    where = tmp_path / "study"
    shutil.copytree(study, where)
    shutil.rmtree(where / RD / "gdl")
    launcher = where / "launcher"
    launcher.write_text('#!/bin/sh\necho "$@" >> launched\nshift\nexec "$@"\n')
    launcher.chmod(0o755)
    make(where, *ISLES, "train", "LAUNCH=./launcher --gres=gpu:1")
    launched = (where / "launched").read_text().splitlines()
    assert len(launched) == 1 and launched[0].startswith("--gres=gpu:1 env PYTHONPATH=src")
    expected = arrays(study / RD / "gdl")
    for name in TRAINING_ARRAYS:
        np.testing.assert_array_equal(np.load(where / RD / "gdl" / f"{name}.npy"), expected[name], err_msg=name)
    launcher.write_text("#!/bin/sh\nexit 75\n")
    stopped = make(where, *ISLES, "EPC=3", "RUNS=gdl", "train", "LAUNCH=./launcher", check=False)
    assert stopped.returncode == 2 and stopped.stderr.rstrip().endswith("Error 75")


def test_trainings_side_by_side_are_told_how_many_they_are(study: Path) -> None:
    for given, share in {"": 1, "-j3": 3, "-j": 2, "-j3 LAUNCH=srun": 1}.items():
        assert make(study, *ISLES, "-n", "-B", "train", *given.split()).stdout.count(f"--share {share} ") == 2, given
    done = make(study, *ISLES, "-n", "-B", "train", "GPUS=0,1", "NPROC=2")
    assert done.stdout.count("--gpus '0,1' --nproc 2") == 2


def test_killed_again_and_again_it_trains_the_same(study: Path, tmp_path: Path) -> None:
    """The short form of benchmarks/soak.py, which kills twenty times."""
    where = tmp_path / "study"
    shutil.copytree(study, where)
    shutil.rmtree(where / "results")
    words = ["make", *ISLES, "train"]
    soak.disturb(words, where, kills=3, longest=4, chance=random.Random(0))
    soak.finish(words, where)
    for run in ("gdl", "gdl_3d_surface_steal"):
        same_run(study / RD / run, where / RD / run, leave_out=EVALUATION_ARRAYS)


def test_an_archive_comes_back_and_is_redrawn(study: Path, tmp_path: Path) -> None:
    where = tmp_path / "study"
    shutil.copytree(study, where)
    shutil.rmtree(where / "results" / "isles-phantom")
    archive = next((where / "archives").glob("*.tar.gz")).relative_to(where)
    said = make(where, *ISLES, "verify", f"ARCHIVE={archive}").stdout
    assert "report.html drawn again, the same byte for byte" in said and "10 of them the same" in said
    make(where, *ISLES, "unpack", f"ARCHIVE={archive}")
    (where / RD / "val_dice.png").unlink()
    done = make(where, *ISLES, "plot")
    assert "boundary_loss.train " not in done.stdout and (where / RD / "val_dice.png").is_file()


def test_predictions_go_back_to_the_scanner(study: Path) -> None:
    """As the training saved them, and by the network again from the source volumes: the same."""
    run = study / RD / "gdl"
    make(study, *ISLES, "pred", "predict", "RUNS=gdl", "CASES=data/isles-phantom/TRAINING", "PREDICT=--softmax")
    volumes = read_json(run / "rows.json")["volumes"]
    assert sorted(path.name for path in (run / "pred").glob("*.nii.gz")) == sorted(f"{v}.nii.gz" for v in volumes)
    assert len(list((run / "pred_TRAINING").glob("*.nii.gz"))) == 5
    for volume in volumes:
        (source,) = (study / "data" / "isles-phantom" / "TRAINING" / volume).glob("*.OT.*/*.nii")
        images = [
            nib.load(path) for path in (source, *(run / f / f"{volume}.nii.gz" for f in ("pred", "pred_TRAINING")))
        ]
        labels = [np.asarray(image.dataobj) for image in images]
        assert all(each.shape == labels[0].shape for each in labels)
        assert all(np.array_equal(image.affine, images[0].affine) for image in images)
        assert (labels[1] != labels[2]).mean() < 1e-3  # a tie may fall otherwise in a batch of another size
        lesion = nib.load(run / "pred_TRAINING" / "softmax" / f"{volume}_1_lesion.nii.gz")
        np.testing.assert_array_equal(np.asarray(lesion.dataobj) > 0.5, labels[2] == 1)


def test_the_testing_set_is_predicted_once_and_never_taken_for_a_training(study: Path) -> None:
    first = make(study, *ISLES, "predict", "RUNS=gdl")
    assert "results/isles-phantom/gdl/pred_TESTING: 1 case" in first.stdout
    second = make(study, *ISLES, "pred", "predict", "RUNS=gdl")
    assert "boundary_loss.train " not in second.stdout and "is complete: 1 case" in second.stdout


def test_predictions_of_an_epoch_and_of_nothing(study: Path) -> None:
    make(study, *ISLES, f"{RD}/gdl/pred")
    refused = make(study, *ISLES, f"{RD}/gdl/pred", "EPOCH=0", check=False)
    assert refused.returncode == 2 and "epoch: made with best, now 0" in refused.stderr
    missing = make(study, "-f", "wmh.make", *SMALL, "predict", check=False)
    assert missing.returncode == 2 and "predict needs CASES=" in missing.stderr


def test_an_archive_says_what_made_it_and_is_made_again(study: Path, tmp_path: Path) -> None:
    where = tmp_path / "study"
    shutil.copytree(study, where)
    archive = next((where / "archives").glob("*.tar.gz")).relative_to(where)
    said = make(where, "-f", "isles.make", f"CC={sys.executable}", "rerun", f"ARCHIVE={archive}").stdout
    assert "make -f isles.make SRC=phantom 'PHANTOM=--cases 5 --size 32' RETAIN=2" in said
    said = make(where, "-f", "isles.make", f"CC={sys.executable}", "rerun", f"ARCHIVE={archive}", "RUN=1").stdout
    assert len(re.findall(r"^gdl\S*: \d\d arrays are the same$", said, re.M)) == 2
    assert (where / "results" / "isles-phantom-rerun" / "report.html").is_file()


def test_the_index_lists_the_study_and_its_archive(study: Path) -> None:
    text = (study / "results" / "index.html").read_text()
    assert 'href="isles-phantom/report.html"' in text and "-isles-phantom.tar.gz" in text


def test_pictures_of_slices(study: Path) -> None:
    stem = read_json(study / RD / "gdl" / "rows.json")["val"][0]
    make(study, *ISLES, "view", f"SLICES={stem}", "SAVE=overlays")
    assert list((study / "overlays").glob("*.png"))
    make(study, *ISLES, "view", f"SLICES={stem}")
    assert stem in (study / RD / "view" / "gallery.html").read_text()
    make(study, *ISLES, f"{RD}/gdl/{stem}.gif")
    assert (study / RD / "gdl" / f"{stem}.gif").read_bytes()[:4] == b"GIF8"


def test_every_row_of_the_ledger_trains(study: Path) -> None:
    ledger = (study / "isles.make").read_text() + (study / "src" / "lesion_rows.mk").read_text()
    rows = re.findall(r"^(\w+)\.losses", ledger, flags=re.M)
    assert len(rows) > 15
    make(study, *ISLES, "EPC=1", "TRAIN=--gradients", "DEBUG=--debug", f"RUNS={' '.join(rows)}", "train", "-j2")
    for row in rows:
        lines = (study / "results" / "isles-phantom-debug" / row / "metrics.csv").read_text().splitlines()
        assert len(lines) == 2 and "gradient_0" in lines[0]
    shutil.rmtree(study / "results" / "isles-phantom-debug")


def test_debug_runs_without_assertions_in_a_folder_of_their_own(study: Path) -> None:
    make(study, *ISLES, "DEBUG=--debug", "CFLAGS=-O", "RUNS=hausdorff", "metrics")
    run = study / "results" / "isles-phantom-debug" / "hausdorff"
    assert len(read_json(run / "rows.json")["train"]) == 10
    assert np.load(run / "val_3d_hd95.npy").shape[0] == 2


@pytest.mark.parametrize(
    ("name", "runs", "slicing"), [("wmh", "gdl_surface_add", "--ignore"), ("acdc", "ce boundary", "--n_augment 1")]
)
def test_the_other_studies(study: Path, name: str, runs: str, slicing: str) -> None:
    make(study, "-f", f"{name}.make", *SMALL, f"PREPARE=--shape 32 32 {slicing}", f"RUNS={runs}", "EPC=1")
    results = study / "results" / f"{name}-phantom"
    assert (results / "report.html").is_file() and (results / "archive.txt").is_file()


def test_whole_volumes_are_located_trained_measured_and_put_back(study: Path) -> None:
    words = [
        "-f",
        "atria.make",
        *SMALL,
        "NET=Dimwit3D",
        "EPC=1",
        "BS=2",
        "locator.epc=4",
        "locator.lr=0.05",
        "RUNS=hybrid",
    ]
    made = make(study, *words, "all", "results/atria-phantom/hybrid/pred", "predict").stdout
    order = [
        made.index(text)
        for text in (
            "checked: ",
            "train results/atria-phantom/locator",
            "boundary_loss.locate",
            "train results/atria-phantom/hybrid",
        )
    ]
    assert order == sorted(order)
    results = study / "results" / "atria-phantom"
    boxes = (study / "data" / "ATRIA_CROP-phantom" / "boxes.csv").read_text().splitlines()
    assert len(boxes) == 6 and (results / "report.html").is_file() and (results / "archive.txt").is_file()
    about = read_json(results / "hybrid" / "run.json")
    assert about["fit"] == [] and read_json(results / "locator" / "run.json")["fit"] == ["reduce(2,2,1)"]
    held = read_json(results / "hybrid" / "rows.json")["val"]
    assert {path.stem for path in (results / "hybrid" / "pred").glob("*.nrrd")} == {*held} and len(held) == 2
    assert len(list((results / "hybrid" / "pred_test").glob("*.nrrd"))) == 1
    assert "boundary_loss" not in make(study, *words, "train").stdout


def test_missing_archives_are_named_with_where_to_get_them(study: Path) -> None:
    done = make(study, "-f", "isles.make", f"CC={sys.executable}", check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    for words in ("ISLES2018_Training.zip", "ISLES2018_Testing.zip", "Zenodo", "SRC=phantom"):
        assert words in done.stderr
    assert not (study / "data" / "isles").exists() and not (study / "results" / "isles").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["RUNS=gld"], "RUNS names no row of the ledger: gld. The rows are: .*gdl"),
        ([f"{RD}/gld"], "the runs of the ledger are: .*gdl"),
        (["results/isles/gdl"], "the results are in results/isles-phantom"),
        (["data/ISLES"], "the data is data/isles-phantom and data/ISLES-phantom"),
        (["SRC=moon"], "SRC=moon is unknown"),
        (["SEED=1", "SEEDS=0 1"], "SEED=1 is one seed, SEEDS=0 1 several"),
        (["FOLD=1", "FOLDS=0 1"], "FOLD=1 is one fold, FOLDS=0 1 several"),
        (["SEEDS=0 0"], "SEEDS='0 0' or .* names a number twice"),
        (["SEEDS=0 x"], "SEEDS='0 x' .* are whole numbers"),
        (["FOLDS=0 9"], "--fold 9: 5 patients, 2 held out at a time, make folds 0 to 2"),
        (["RUNS="], "RUNS is empty; the rows of the ledger are: .*gdl"),
        (["RUNS=gdl gdl"], "RUNS='gdl gdl' names a row twice"),
        (["BS=0", "RUNS=ce"], "BS=0 does not fit"),
        (["SEEDS=0 1", f"{RD}/gdl/seed7"], "the parts of each: seed0 seed1"),
        (["NET=UNot", "RUNS=ce"], "unknown network 'UNot'; known: Dimwit"),
        (["unpack"], "needs ARCHIVE="),
    ],
)
def test_wrong_words_are_answered_with_the_right_ones(study: Path, words: list[str], says: str) -> None:
    done = make(study, *ISLES, *words, check=False)
    assert done.returncode == 2 and re.search(says, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert not [*(study / RD / "gdl").glob("fold*"), *(study / RD / "gdl").glob("seed*")]  # said before any training


def test_the_rows_are_checked_before_the_first_is_trained(study: Path) -> None:
    fixed = "surface.losses=boundary(map=2d):1@1"
    words = [*ISLES[:-1], "RUNS=hausdorff surface ce", fixed, "AUGMENT=rotate(5)", "NET=Dimwit", "-j2", "train"]
    done = make(study, *words, check=False)
    assert done.returncode == 2 and "error: 1 of 3 rows cannot be trained, and nothing was begun" in done.stderr
    assert "surface: a map computed beforehand" in done.stderr and "RUNS='ce hausdorff' trains" in done.stderr
    assert "boundary_loss.train " not in done.stdout and not list((study / RD).glob("hausdorff*"))


@pytest.mark.parametrize(
    ("words", "checked"),
    [
        (["train"], []),  # both are there
        (["train", "RUNS=gdl ce"], []),  # one alone is checked by its training
        (["report", "RUNS=gdl ce focal"], ["ce", "focal"]),
        ([f"{RD}/ce", f"{RD}/focal/tra_loss.npy"], ["ce", "focal"]),
        ([f"{RD}/ce", "SEEDS=0 1", "RD=results/new"], []),
        (["results/new/ce", "results/new/gdl/seed1", "SEEDS=0 1", "RD=results/new"], ["ce/seed0", "gdl/seed1"]),
        (["train", "-B"], ["gdl", "gdl_3d_surface_steal"]),
        (["check-ledger"], ["gdl", "gdl_3d_surface_steal"]),
        (["data", "help"], []),
    ],
)
def test_the_rows_that_will_be_trained_are_checked(
    study: Path, words: list[str], checked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = make(study, *ISLES, "-n", *words).stdout
    (command,) = re.findall("boundary_loss.goals (.*)", planned) or [""]
    monkeypatch.chdir(study)
    due = goals.to_check(goals.read(shlex.split(command))) if command else []
    assert [str(run.folder).split("/", 2)[2] for run in due] == checked


def test_help_lists_targets_ledger_and_variables(study: Path) -> None:
    text = make(study, *ISLES, "help").stdout
    for words in ("metrics", "* gdl: gdl:1", "gdl_surface_steal: gdl:1 boundary:0.01@1 steal(0.01)", "EPC = 2"):
        assert words in text


@pytest.mark.parametrize("name", ["isles", "wmh", "acdc", "atria"])
def test_make_knows_every_array_and_set_of_metrics(name: str) -> None:
    words = ["-s", "-f", f"{name}.make", "--eval", "print: ; @echo '$(trained)|$(evaluated)|$(metric_sets)'", "print"]
    trained, evaluated, sets = make(REPOSITORY, *words).stdout.strip().split("|")
    assert trained.split() == list(TRAINING_ARRAYS)
    of_slices = ("val_hausdorff", "val_boundary") if name == "atria" else ()
    of_all = [array for array in EVALUATION_ARRAYS if array not in of_slices]
    assert evaluated.split() == [*of_all, *(PAIR_ARRAYS if name == "acdc" else ())]
    assert sets.split() == list(METRIC_SETS)
    done = make(REPOSITORY, "-n", "-f", f"{name}.make", "METRICS=wmh dice", check=False)
    assert done.returncode == 2 and "METRICS names nothing that" in done.stderr and "dice. Sets: default" in done.stderr


def test_the_report_shows_the_metrics_asked_for(study: Path) -> None:
    for asked, shown, absent in (("wmh", "lesion F1", "HD95 ("), ("default", "HD95", "lesion F1")):
        text = make(study, *ISLES, "report", f"METRICS={asked}").stdout
        page = (study / RD / "report.html").read_text()
        assert f"validation {shown} per volume" in text and shown in page
        assert f"validation {absent} per volume" not in text
    make(study, *ISLES, str(RD / "val_3d_lesion_f1.png"))
    assert (study / RD / "val_3d_lesion_f1.png").stat().st_size > 1000
    (study / RD / "val_3d_lesion_f1.png").unlink()
