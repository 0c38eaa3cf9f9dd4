"""Several processes train as one: the same arrays to rounding, one message where one of them ends, resume."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from toys import REPOSITORY, write_sliced

from boundary_loss.command import Stop
from boundary_loss.encoding import class2one_hot
from boundary_loss.folders.run import RunFolder
from boundary_loss.losses import LOSSES, build
from boundary_loss.metric_definitions import TRAINING_ARRAYS
from boundary_loss.signals import TERMINATED
from boundary_loss.train import main
from boundary_loss.training.ranks import Ranks

# Twelve training slices: batches of 11 are shared unevenly (6 and 5), and the last one has fewer slices than processes.
# Cross-entropy of one class is no mean over slices. SGD, for Adam makes steps of the rounding in zero gradients.
ROW = ["--losses", "gdl:1", "boundary:0.01@1", "ce:0.1@1", "--network", "UNet(width=2)", "--batch_size", "11"]
OPTIONS = [*ROW, "--optimiser", "sgd", "--gradients", "--save_train"]


def start(folder: Path, data: Path, *options: str, path: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "boundary_loss.train", str(folder), "--data", str(data), *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([path, str(REPOSITORY / "src")]), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def train(folder: Path, data: Path, *options: str) -> str:
    with start(folder, data, *options) as process:
        said, complaints = process.communicate()
    assert process.returncode == 0 and not complaints, complaints
    return said


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sliced(tmp_path_factory.mktemp("data") / "TOY", size=(32, 32))


def test_two_ranks_are_one_process_to_the_rounding_of_doubles(tmp_path: Path) -> None:
    script = Path(__file__).with_name("two_ranks.py")
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1"}
    commands = [[sys.executable, script, tmp_path, str(rank)] for rank in range(2)]
    ranks = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment) for words in commands]
    for rank in ranks:
        _, complaints = rank.communicate(timeout=200)
        assert rank.returncode == 0, complaints


TWO_GPUS = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, TWO_GPUS])])
def test_two_processes_train_as_one_also_after_a_signal(data: Path, tmp_path: Path, device: str) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    options = [*OPTIONS, "--device", device, "--epochs", "6"]
    train(one, data, *options)
    with start(two, data, *options, "--nproc", "2") as parent:
        assert parent.stdout is not None and "epoch 0" in parent.stdout.readline()
        for process in (*children(parent.pid), parent.pid):  # as a cluster does it, which tells all of a job
            os.kill(process, signal.SIGTERM)
        _, told = parent.communicate()
    assert parent.returncode == TERMINATED and told.count("\n") == 1 and "is saved" in told
    said = train(two, data, *options, "--nproc", "2")
    assert ", at step " in said and said.count("\ntwo  epoch 5 ") == 1, "only the first process speaks"
    for name in TRAINING_ARRAYS:
        expected, found = (np.load(run / f"{name}.npy") for run in (one, two))
        slack = 0.02 if "dice" in name else 1e-3  # a voxel where two classes are level may go to either
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=slack, err_msg=name)
    weights = [torch.load(run / "best.pkl", weights_only=True)["weights"] for run in (one, two)]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, rtol=1e-3, atol=1e-4, msg=name)
    lines = [np.genfromtxt(run / "metrics.csv", delimiter=",", names=True) for run in (one, two)]
    for name in ("gradient_0", "gradient_1", "gradient_2", "tra_loss", "val_dice_volume"):
        np.testing.assert_allclose(lines[1][name], lines[0][name], rtol=1e-2, atol=2e-3, err_msg=name)
    assert RunFolder.find(two).record.num_processes == 2
    for pictures in ("iter001/train", "iter001/val", "best_epoch/val"):
        expected, found = (sorted(path.name for path in (run / pictures).iterdir()) for run in (one, two))
        assert found == expected


SLOW_TO_GO = """
import atexit, os, time
if "BOUNDARY_LOSS_MEETING" in os.environ:
    atexit.register(time.sleep, 2)
"""


@pytest.mark.parametrize("at_start", ["", SLOW_TO_GO], ids=["", "slow to go"])
def test_one_killed_process_ends_all_with_one_message(data: Path, tmp_path: Path, at_start: str) -> None:
    """Also where the launcher's signal finds the other one on its way out."""
    (tmp_path / "sitecustomize.py").write_text(at_start)
    options = [*OPTIONS, "--epochs", "5000", "--nproc", "2"]
    with start(tmp_path / "run", data, *options, path=str(tmp_path)) as parent:
        assert parent.stdout is not None and "epoch 0" in parent.stdout.readline()
        first, second = children(parent.pid)
        os.kill(second, signal.SIGKILL)
        _, said = parent.communicate()
    assert parent.returncode == 2
    assert said.startswith("error: process 1 of 2 was ended by SIGKILL, perhaps for lack of memory")
    assert said.count("\n") == 1
    wait_for_end([first])
    assert (tmp_path / "run_tmp" / "checkpoint.pt").is_file()


def children(parent: int) -> list[int]:
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    assert len(found) == 2
    return [int(child) for child in found]


def lives(process: int) -> bool:
    """Whether it runs; one that ended and that nobody has asked after does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False


def wait_for_end(processes: list[int]) -> None:
    patience = time.monotonic() + 30
    while any(map(lives, processes)):
        assert time.monotonic() < patience, "it goes on"
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--nproc", "12"], "NPROC=12 does not fit"),
        (["--nproc", "0"], "NPROC=0 does not fit"),
        (["--nproc", "2", "--device", "cuda:1"], "name them with GPUS=0,1"),
        (["--nproc", "2", "--gpus", "0"], "fewer than the NPROC=2"),
        (["--save_minutes", "nan"], "SAVE_MINUTES=nan does not fit"),
        (["--save_minutes", "-1"], "SAVE_MINUTES=-1 does not fit"),
        (["--lr", "inf"], "LR=inf does not fit"),
    ],
)
def test_numbers_that_cannot_work(
    call: Callable[..., None], data: Path, tmp_path: Path, options: list[str], says: str
) -> None:
    with pytest.raises((Stop, ValueError), match=says):
        call(main, tmp_path / "run", "--data", data, *ROW, *options)


def test_the_parts_of_the_ranks_are_the_batch() -> None:
    for length in range(1, 10):
        for size in (1, 2, 3):
            parts = [Ranks(rank, size).part(torch.arange(length)) for rank in range(size)]
            assert sum(part.share for part in parts) == pytest.approx(1)
            reported = torch.cat([part.rows for part in parts if part.reports])
            assert reported.tolist() == list(range(length)), "each slice is counted once"
            assert all(len(part.rows) for part in parts)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_loss_over_items_is_the_mean_of_its_parts(name: str) -> None:
    loss = build(name, classes=[1])
    generator = torch.Generator().manual_seed(0)
    probs = torch.rand(5, 2, 12, 9, generator=generator, dtype=torch.float64).softmax(1)
    labels = (torch.rand(5, 12, 9, generator=generator) > torch.linspace(0.4, 1, 5).view(5, 1, 1)).long()
    one_hot = class2one_hot(labels, 2).double()
    if getattr(loss, "target", "one_hot") == "distance":
        one_hot = torch.rand(one_hot.shape, generator=generator, dtype=torch.float64) * 4 - 2
    whole = loss(probs, one_hot)
    parts = 0.6 * loss(probs[:3], one_hot[:3]) + 0.4 * loss(probs[3:], one_hot[3:])
    assert bool(torch.isclose(whole, parts, rtol=1e-6)) == getattr(loss, "over_items", False)
