"""How the network is computed: the same training to rounding, whatever the precision or layout, and resumable."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from trainings import same_run

from boundary_loss import train
from boundary_loss.command import Stop
from boundary_loss.files import read_json
from boundary_loss.networks.pade import PadeUnit
from boundary_loss.training import arithmetic
from boundary_loss.training.optimisers import LookaheadRAdam

LOSSES = ["--losses", "gdl:1", "boundary(map=step):0.01@1"]
ROW = [*LOSSES, "--network", "UNet(width=2)", "--batch_size", "3", "--seed", "1"]
Call = Callable[..., None]


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """The process's settings, as they were."""
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = torch.backends.cudnn.benchmark = False


def run(call: Call, folder: Path, data: Path, *options: str) -> np.ndarray:
    """The losses of the training."""
    call(train.main, folder, "--data", data, *ROW, "--device", "cpu", *options)
    return np.load(folder / "tra_loss.npy")


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [(["--layout", "first"], 2e-3), (["--amp", "bf16"], 0.1), (["--amp", "fp16"], 0.1), (["--deterministic"], 0)],
    ids=["layout", "bf16", "fp16", "deterministic"],
)
def test_the_losses_are_those_of_plain_float32(
    call: Call, sliced: Path, tmp_path: Path, options: list[str], tolerance: float
) -> None:
    plain = run(call, tmp_path / "plain", sliced, "--epochs", "1")
    other = run(call, tmp_path / "other", sliced, "--epochs", "1", *options)
    np.testing.assert_allclose(other, plain, rtol=tolerance, atol=tolerance)
    assert tolerance == 0 or not np.array_equal(plain, other), "the option did nothing"


def test_a_run_goes_on_where_it_stopped_augmented_and_in_float16(call: Call, sliced: Path, tmp_path: Path) -> None:
    options = ["--augment", "flip", "rotate(20)", "elastic(2,6)", "noise(0.05)", "--amp", "fp16"]
    run(call, tmp_path / "straight", sliced, "--epochs", "2", *options)
    for epochs in ("1", "2"):
        run(call, tmp_path / "extended", sliced, "--epochs", epochs, *options)
    same_run(tmp_path / "straight", tmp_path / "extended")
    about = read_json(tmp_path / "straight" / "run.json")
    assert about["augment"][1] == "rotate(20)" and about["amp"] == "fp16" and about["layout"] == "last"


def test_the_scale_of_float16_is_in_the_checkpoint(sliced: Path, tmp_path: Path, call: Call) -> None:
    run(call, tmp_path / "run", sliced, "--epochs", "1", "--amp", "fp16")
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert state["scaler"]["scale"] > 0 and state["scaler"]["_growth_tracker"] > 0


def test_weights_are_saved_as_if_nothing_were_special(call: Call, sliced: Path, tmp_path: Path) -> None:
    """Layout and precision are of the run, not of the weights: another loads them."""
    run(call, tmp_path / "a", sliced, "--epochs", "1", "--amp", "bf16")
    weights = torch.load(tmp_path / "a" / "best.pkl", weights_only=True)["weights"]
    assert all(t.dtype in (torch.float32, torch.int64) for t in weights.values())
    run(
        call,
        tmp_path / "b",
        sliced,
        "--epochs",
        "1",
        "--layout",
        "first",
        "--weights",
        str(tmp_path / "a" / "best.pkl"),
    )


def test_what_does_not_go_together_is_refused_before_anything_is_made(call: Call, sliced: Path, tmp_path: Path) -> None:
    for options, says in (
        (["--augment", "flip", "--save_train"], "save_train"),
        (["--augment", "flop"], "known: flip"),
        (["--augment", "flip(xyz)"], "slices have the axes x and y"),
        (["--augment", "rotate(3)", "--losses", "gdl:1", "boundary(map=2d):0.01@1"], "boundary without map"),
    ):
        with pytest.raises(ValueError, match=says):
            run(call, tmp_path / "run", sliced, "--epochs", "1", *options)
    assert not (tmp_path / "run_tmp").exists()


def test_without_a_compiler_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(function: object) -> object:
        raise RuntimeError("no C++ compiler\nmore")

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(Stop, match=r"COMPILE=1 does not work here \(no C\+\+ compiler\)"):
        arithmetic.check_compiler(torch.device("cpu"))


def test_an_optimiser_of_either_kind_passes_over_all_weights_at_once() -> None:
    net = torch.nn.Linear(2, 2)
    for kind in ("adam", "sgd"):
        experiment = type("Row", (), {"learning_rate": 1e-3, "optimiser": kind})
        optimiser = arithmetic.make_optimiser(experiment, net, torch.device("cpu"))  # type: ignore[arg-type]
        assert optimiser.param_groups[0]["fused"] and optimiser.param_groups[0]["lr"] == 1e-3


def test_lookahead_moves_pade_units_at_a_rate_of_their_own() -> None:
    experiment = type("Row", (), {"learning_rate": 3e-4, "optimiser": "lookahead"})
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), PadeUnit())
    optimiser = arithmetic.make_optimiser(experiment, net, torch.device("cpu"))  # type: ignore[arg-type]
    assert isinstance(optimiser, LookaheadRAdam)
    assert [group["lr"] for group in optimiser.param_groups] == pytest.approx([3e-4, 1e-2])


@pytest.mark.parametrize(("device", "alone", "mode"), [
    ("cuda", True, "reduce-overhead"), ("cuda", False, "default"), ("cpu", True, "default"),
])  # fmt: skip
def test_cuda_graphs_hold_the_network_of_one_process(
    monkeypatch: pytest.MonkeyPatch, device: str, alone: bool, mode: str
) -> None:
    net, asked = torch.nn.Conv2d(1, 1, 1), []
    monkeypatch.setattr(arithmetic, "check_compiler", lambda device: None)
    monkeypatch.setattr(net, "compile", lambda mode: asked.append(mode))
    made = arithmetic.Arithmetic(torch.device(device), None, channels_last=False, compiled=True)
    made.prepare(net, alone=alone)
    assert asked == [mode]
