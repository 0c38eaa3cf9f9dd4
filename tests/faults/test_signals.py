"""SIGTERM and Ctrl-C at any moment of a training: the step is finished and saved, and nothing changes by it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from toys import REPOSITORY
from trainings import DROPPER, ROW, command, environment, same_run, train_here

from boundary_loss import signals, train
from boundary_loss.command import run as run_command
from boundary_loss.command import say
from boundary_loss.signals import GOES_ON, MEETING, Interrupted
from boundary_loss.training import checkpoint, epoch_sums, folder, run
from boundary_loss.training.interruption import Interruption

Arrange = Callable[..., None]


def send(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("place", "name", "call", "saved"),
    [
        (epoch_sums, "slice_counts", 1, "epoch 0 up to step 1 of 4 is saved"),
        (epoch_sums, "slice_counts", 4, "epoch 0 up to step 4 of 4 is saved"),
        (epoch_sums, "slice_counts", 5, "the training of epoch 0 is saved"),  # validation
        (epoch_sums, "slice_counts", 10, "epoch 1 up to step 3 of 4 is saved"),
        (epoch_sums, "slice_counts", 14, "the training of epoch 1 is saved"),
        (run, "write_array", 2, "epoch 1 up to step 1 of 4 is saved"),  # while epoch 0 is recorded
        (checkpoint, "save_checkpoint", 2, "of epoch 2|epoch 2 up to step . of 4"),  # while epoch 2 begins
        (train, "activate", 1, "what is finished is kept"),  # before the first step
        (folder, "publish", 1, "what is finished is kept"),  # after the last
    ],
)
def test_sigterm_saves_the_step_and_the_rest_is_as_if_it_had_not_been(
    finished: Path, data: Path, tmp_path: Path, at_call: Arrange, place: Any, name: str, call: int, saved: str
) -> None:
    at_call(place, name, call, send(signal.SIGTERM))
    stopped = train_here(tmp_path / "run", data, *DROPPER)
    assert stopped.status == 75 and stopped.err.count("\n") == 1, stopped
    assert stopped.err.startswith("error: terminated; ") and re.search(saved, stopped.err), stopped.err
    assert not (tmp_path / "run").exists()
    assert train_here(tmp_path / "run", data, *DROPPER).status == 0
    same_run(finished, tmp_path / "run")


def test_ctrl_c_at_every_step_of_a_run(finished: Path, data: Path, tmp_path: Path, at_call: Arrange) -> None:
    """Each attempt gets one step further than the one before, and the last finds it all done."""
    at_call(epoch_sums, "slice_counts", 1, send(signal.SIGINT))
    assert train_here(tmp_path / "run", data, *DROPPER).status == 130
    for step in range(2, 5):
        at_call(epoch_sums, "slice_counts", 1, send(signal.SIGINT))
        stopped = train_here(tmp_path / "run", data, *DROPPER)
        assert stopped.status == 130
        assert stopped.err == (
            f"error: interrupted; epoch 0 up to step {step} of 4 is saved, and the same command goes on from there\n"
        )
        assert f"going on at step {step - 1} of epoch 0" in stopped.out
    assert train_here(tmp_path / "run", data, *DROPPER).status == 0
    same_run(finished, tmp_path / "run")


def test_the_last_epoch_is_finished_rather_than_left(
    finished: Path, data: Path, tmp_path: Path, at_call: Arrange
) -> None:
    at_call(run, "save_weights", 1, send(signal.SIGTERM))
    assert train_here(tmp_path / "run", data, *DROPPER, "--epochs", "1").status == 0
    assert train_here(tmp_path / "run", data, *DROPPER).status == 0
    same_run(finished, tmp_path / "run")


def test_a_second_signal_does_not_wait_but_one_told_twice_does(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt), Interruption() as interruption:
        for _ in range(3):
            send(signal.SIGTERM)()
        assert interruption.is_asked()
        monkeypatch.setattr(signals, "ONE_CALL", 0.0)
        send(signal.SIGINT)()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_signal_while_a_command_ends_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    def called_off(stop: Interrupted) -> int:
        send(signal.SIGTERM)()
        send(signal.SIGINT)()
        return say(stop)

    def main() -> None:
        try:
            send(signal.SIGINT)()
        finally:
            send(signal.SIGTERM)()

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit, match="75"):
        run_command(main, called_off)
    assert capsys.readouterr().err == f"error: terminated; {GOES_ON}\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_was_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            send(signal.SIGINT)()
            assert not interruption.is_asked()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_network_with_fewer_draws_would_show(finished: Path, data: Path, tmp_path: Path, at_call: Arrange) -> None:
    """The comparison above sees it when the generators are not put back."""
    at_call(epoch_sums, "slice_counts", 2, send(signal.SIGTERM))
    assert train_here(tmp_path / "run", data, *DROPPER).status == 75
    path = tmp_path / "run_tmp" / "midway_checkpoint.pt"
    state = torch.load(path, weights_only=True)
    state["midway"]["random"]["cpu"] = torch.Generator().manual_seed(1).get_state()[None]
    torch.save(state, path)
    assert train_here(tmp_path / "run", data, *DROPPER).status == 0
    with pytest.raises(AssertionError):
        same_run(finished, tmp_path / "run")


@pytest.mark.parametrize(
    ("number", "status", "program", "of_several"),
    [
        (signal.SIGTERM, 75, ["-m", "boundary_loss.evaluate"], False),
        (signal.SIGINT, 130, ["-m", "boundary_loss.evaluate"], False),
        (signal.SIGTERM, 75, ["preprocess/slice_acdc.py"], False),
        (signal.SIGTERM, 75, ["-m", "boundary_loss.train"], True),
        (signal.SIGINT, 130, ["-m", "boundary_loss.train"], True),
    ],
)
def test_while_the_libraries_load_a_signal_ends_in_one_line_too(
    number: int, status: int, program: list[str], of_several: bool, tmp_path: Path
) -> None:
    """A module that takes for ever to import stands for torch. Of one of several ranks, the parent says the line."""
    (tmp_path / "tqdm.py").write_text("print('loading', flush=True)\nimport time\ntime.sleep(60)\n")
    path = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    group = {MEETING: str(tmp_path)} if of_several else {}
    with subprocess.Popen(
        [sys.executable, *program], env=environment() | {"PYTHONPATH": path} | group, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=REPOSITORY,
    ) as loading:  # fmt: skip
        assert loading.stdout is not None and loading.stdout.readline() == "loading\n"
        loading.send_signal(number)
        _, err = loading.communicate()
    assert loading.returncode == status
    if of_several:
        assert not err
    else:
        assert err.startswith("error: ") and err.count("\n") == 1 and "the same command goes on" in err


def test_other_programs_keep_their_answers_to_signals() -> None:
    code = """
import signal, boundary_loss
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True)


KILLER = """
import os, signal
from boundary_loss import command, train
from boundary_loss.training import epoch_sums

original, calls = epoch_sums.slice_counts, []

def deadly(*arguments):
    calls.append(0)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments)

epoch_sums.slice_counts = deadly
command.run(train.main)
"""


def test_minutes_between_checkpoints_are_what_a_kill_costs(finished: Path, data: Path, tmp_path: Path) -> None:
    words = [*DROPPER, "--save_minutes", "1e-6"]
    killer = [sys.executable, "-c", KILLER, *command(tmp_path / "run", data, *words)[3:]]
    killed = subprocess.run(killer, env=environment(), capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    done = train_here(tmp_path / "run", data, *words)
    assert "going on at step 2 of epoch 0" in done.out
    same_run(finished, tmp_path / "run")


def test_a_spoilt_state_within_an_epoch_costs_the_epoch_alone(
    finished: Path, data: Path, tmp_path: Path, at_call: Arrange
) -> None:
    at_call(epoch_sums, "slice_counts", 10, send(signal.SIGTERM))
    assert train_here(tmp_path / "run", data, *DROPPER).status == 75
    (tmp_path / "run_tmp" / "midway_checkpoint.pt").write_bytes(b"")
    done = train_here(tmp_path / "run", data, *DROPPER)
    assert "trying the one before" in done.out and "going on after epoch 0\n" in done.out
    same_run(finished, tmp_path / "run")


def test_pictures_of_an_epoch_that_was_complete_but_not_counted_stay(
    finished: Path, data: Path, tmp_path: Path, at_call: Arrange
) -> None:
    """Left at a step, gone on with, killed between the last picture and the checkpoint, gone on with from the step."""
    at_call(epoch_sums, "slice_counts", 3, send(signal.SIGTERM))
    assert train_here(tmp_path / "run", data, *DROPPER).status == 75

    def killed() -> None:
        raise SystemExit(9)

    at_call(checkpoint, "settle", 1, killed)
    assert train_here(tmp_path / "run", data, *DROPPER).status == 9
    assert (tmp_path / "run_tmp" / "iter000").is_dir()
    done = train_here(tmp_path / "run", data, *DROPPER)
    assert "going on at step 3 of epoch 0" in done.out
    same_run(finished, tmp_path / "run")


def test_settings_that_do_not_shape_the_result_may_change(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert train_here(folder, data, *ROW, "--epochs", "1", "--save_minutes", "3").status == 0
    assert "complete" in train_here(folder, data, *ROW, "--epochs", "1", "--skip_nan", "--save_minutes", "0").out
