"""own.make and new-study through make itself, in a copy of the repository."""

import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import soak
from ownsets import as_tar, write_decathlon, write_nnunet, write_pictures
from PIL import Image

from boundary_loss.files import read_json

TINY = ["EPC=1", "LR=1e-2", f"CC={sys.executable}"]


def make(where: Path, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        ["make", *words], cwd=where, env=kept | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert done.returncode == status, f"{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return soak.copy_repository(tmp_path_factory.mktemp("clone") / "boundary-loss")


def test_a_dry_run_writes_nothing_and_says_what_comes(where: Path, tmp_path: Path) -> None:
    root = write_decathlon(tmp_path / "Task09_Dry")
    done = make(where, "-f", "own.make", f"DATASET={root}", "-n", "--warn-undefined-variables", *TINY)
    assert "boundary_loss.own data/Task09_Dry" in done.stdout and "undefined variable" not in done.stderr
    assert not (where / "data" / "Task09_Dry").exists()


def test_a_tar_of_the_decathlon_to_predictions(where: Path, tmp_path: Path) -> None:
    dataset = as_tar(write_decathlon(tmp_path / "Task01_Toy"), tmp_path / "Task01_Toy.tar")
    rows = ["NET=VNet(kernel=3,width=2,levels=1-1)", "BS=4", "RUNS=3d_boundary"]
    done = make(where, "-f", "own.make", f"DATASET={dataset}", *rows, *TINY, "train", "pred")
    assert "3D is trained: 16 planes" in done.stdout
    run = where / "results" / "Task01_Toy" / "3d_boundary"
    record = read_json(run / "run.json")
    assert record["losses"] == ["ce", "dice", "boundary"] and record["phantom"] is False
    assert "dice:1@1,2" in (run / "arguments.txt").read_text()
    (held_out,) = (run / "pred").glob("*.nii.gz")
    image = nib.load(tmp_path / "Task01_Toy" / "imagesTr" / held_out.name)
    predicted = nib.load(held_out)
    np.testing.assert_array_equal(predicted.affine, image.affine)
    assert predicted.shape == image.shape and set(np.unique(predicted.dataobj)) <= {0, 1, 2}

    done = make(where, "-f", "own.make", f"DATASET={dataset}", *rows, *TINY, "predict")
    assert "boundary_loss.own data" not in done.stdout and "boundary_loss.train " not in done.stdout
    assert sorted(path.name for path in (run / "pred_imagesTs").glob("*.gz")) == ["case_05.nii.gz", "case_06.nii.gz"]

    write_decathlon(tmp_path / "Task01_Toy", cases=6)
    as_tar(tmp_path / "Task01_Toy", dataset)
    done = make(where, "-f", "own.make", f"DATASET={dataset}", *rows, *TINY, "data", status=2)
    assert "bytes: made with" in done.stderr and "FRESH=1" in done.stderr


def test_pictures_of_nnunet_are_predicted_as_pictures(where: Path, tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "Dataset006_Roads", colour=True)
    rows = ["NET=Dimwit(width=2)", "BS=4", "RUNS=2d_ce_dice"]
    done = make(where, "-f", "own.make", f"DATASET={root}/", *rows, *TINY, "predict")
    assert "2D is trained: each case is one plane" in done.stdout
    folder = where / "results" / "Dataset006_Roads" / "2d_ce_dice" / "pred_imagesTs"
    assert sorted(path.name for path in folder.glob("*.png")) == ["case_05.png", "case_06.png"]
    assert np.asarray(Image.open(folder / "case_05.png")).shape == (40, 30)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "own.make needs a data set"),
        (["DATASET=none"], "no data set at none"),
        (["DATASET=a$$b"], "names the study"),
        (["DATASET=none", "DIM=4"], "DIM=4 is 2 or 3"),
    ],
)
def test_what_make_refuses(where: Path, words: list[str], told: str) -> None:
    assert told in make(where, "-f", "own.make", f"CC={sys.executable}", *words, status=2).stderr


def test_faults_end_in_one_message_and_nothing_is_written(where: Path, tmp_path: Path) -> None:
    root = write_nnunet(tmp_path / "Dataset007_Faulty", numTraining=9, file_ending=None)
    done = make(where, "-f", "own.make", f"DATASET={root}", f"CC={sys.executable}", "train", status=2)
    assert "does not say 'file_ending'" in done.stderr and "Traceback" not in done.stderr
    assert not list((where / "data").glob("Dataset007*"))


@pytest.mark.parametrize("kind", ["volumes", "slices"])
def test_a_new_study_runs_at_once_and_is_never_written_over(where: Path, kind: str) -> None:
    name = f"brain_{kind}"
    done = make(where, "new-study", f"NAME={name}", f"KIND={kind}", f"CC={sys.executable}")
    script = "prepare" if kind == "volumes" else "slice"
    paths = [f"{name}.make", f"preprocess/{script}_{name}.py", f"lineage/{name}.lineage", f"data/{name}-example.zip"]
    assert all(f"written: {path}" in done.stdout for path in paths)
    before = [(where / path).read_bytes() for path in paths]
    assert (
        f"preprocess/{script}_{name}.py"
        in make(where, "new-study", f"NAME={name}", f"KIND={kind}", f"CC={sys.executable}", status=2).stderr
    )
    assert [(where / path).read_bytes() for path in paths] == before
    make(where, "-f", f"{name}.make", f"CC={sys.executable}", "EPC=1", "RUNS=ce_dice", "train")
    assert read_json(where / "results" / name / "ce_dice" / "run.json")["phantom"] is True


@pytest.mark.parametrize("name", ["", "Brain", "../brain", "brain study", "isles"])
def test_a_name_that_no_study_can_have(where: Path, name: str) -> None:
    make(where, "new-study", f"NAME={name}", f"CC={sys.executable}", status=2)
