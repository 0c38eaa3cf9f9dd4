"""Errors without a traceback, settings recorded and compared."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from boundary_loss import command
from boundary_loss.command import Stop


def test_settings_leave_out_the_folder_and_what_does_not_count() -> None:
    losses = ["--losses", "gdl:1", "boundary(map=3d):0.01@1"]
    argv = ["results/a", *losses, "--device", "cpu", "--queue", "a", "b", "--debug"]
    expected = [*losses, "--debug"]
    assert command.settings(argv, ("--device", "--queue")) == expected


def test_record_round_trip_with_shell_characters(tmp_path: Path) -> None:
    words = ["--network", "UNet(width=8)", "--drop", "*CT_4DPWI*", "it's"]
    command.record(tmp_path, words)
    assert command.recorded(tmp_path) == words
    assert command.recorded(tmp_path / "none") is None


def test_differences_name_option_then_and_now() -> None:
    old, new = ["--epochs", "100", "--debug"], ["--epochs", "200", "--lr", "1e-3"]
    assert command.differences(old, new) == {
        "epochs": ("100", "200"),
        "lr": ("not given", "1e-3"),
        "debug": ("yes", "not given"),
    }


def test_other_settings_are_refused_with_both_ways_on(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert not command.refuse_other_settings(folder, ["--a", "1"], fresh=False)
    folder.mkdir()
    command.record(folder, ["--a", "1"])
    assert command.refuse_other_settings(folder, ["--a", "1"], fresh=False)
    with pytest.raises(Stop, match=r"a: made with 1, now 2[\s\S]*FRESH=1[\s\S]*RD="):
        command.refuse_other_settings(folder, ["--a", "2"], fresh=False, in_results=True)
    with pytest.raises(Stop, match=r"FRESH=1 makes it anew and keeps the old one beside it\.$"):
        command.refuse_other_settings(folder, ["--a", "2"], fresh=False)  # of data: RD would not move it
    assert not command.refuse_other_settings(folder, ["--a", "2"], fresh=True)
    assert folder.exists(), "it stays until its successor is complete"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("bad label"), 2),
        (FileNotFoundError("no data"), 2),
        (OSError(28, "No space left on device", "x.npy"), 2),
        (KeyboardInterrupt(), 130),
    ],
)
def test_run_ends_in_one_line(error: BaseException, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as stop:
        command.run(main)
    assert stop.value.code == status
    assert capsys.readouterr().err.startswith("error: ")


def test_our_own_slips_keep_their_traceback() -> None:
    def main() -> None:
        raise AssertionError

    with pytest.raises(AssertionError):
        command.run(main)


def test_parser_takes_no_abbreviations() -> None:
    parser = command.parser("x")
    parser.add_argument("--epochs")
    with pytest.raises(SystemExit):
        parser.parse_args(["--epoch", "3"])


def test_a_wrong_option_is_answered_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    parser = command.parser("x")
    parser.add_argument("--amp", choices=["off", "bf16"])
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(["--amp", "bf6"])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: --amp: invalid choice: 'bf6'") and said.count("\n") == 1


def test_a_process_ends_with_the_parent_that_was_killed() -> None:
    child = (
        "import os, time; from boundary_loss.command import die_with; die_with(os.getppid()); print(1); time.sleep(60)"
    )
    parent = "import subprocess, sys; subprocess.run([sys.executable, '-u', '-c', sys.argv[1]])"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", parent, child], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None and process.stdout.readline() == b"1\n"
        process.kill()
        assert process.stdout.read() == b"", "the child, which holds the other end of the pipe, has ended"
