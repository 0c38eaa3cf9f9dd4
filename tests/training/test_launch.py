"""Processes that end, and that do not: what their parent makes of it. Toy modules stand for trainings."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from boundary_loss import signals
from boundary_loss.command import Stop, run
from boundary_loss.training import launch
from boundary_loss.training.ranks import LOST

DEAF = "import os, signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nrank = int(os.environ['RANK'])\n"


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module for the processes to run, to be written."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(launch, "_PATIENCE", 0.5)
    return tmp_path / "toy.py"


@pytest.mark.parametrize(
    ("end", "says"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "process 1 of 2 was ended by SIGKILL, perhaps for lack of memory"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "process 1 of 2 was ended by SIGSEGV"),
        ("os._exit(9)", "process 1 of 2 was ended with status 9"),
    ],
)
@pytest.mark.parametrize("other", ["time.sleep(600)", f"time.sleep(0.2); sys.exit({LOST})"], ids=["hangs", "is lost"])
def test_the_one_that_ended_first_is_named(toy: Path, end: str, says: str, other: str) -> None:
    toy.write_text(f"{DEAF}if rank == 1: {end}\n{other}")
    with pytest.raises(Stop, match=f"^{says}, and the others with it"):
        launch.launch(2, "toy", [])


def test_what_the_one_said_that_failed_is_said(toy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    toy.write_text(
        f"{DEAF}if rank == 1: sys.exit(print('error: no such loss', file=sys.stderr) or 2)\n"
        f"time.sleep(0.2); print('lost', file=sys.stderr); sys.exit({LOST})"
    )
    with pytest.raises(SystemExit, match="2"):
        launch.launch(2, "toy", [])
    assert capfd.readouterr().err.splitlines() == [
        "lost",
        "error: no such loss",
    ]  # only the first one's own is passed on


def test_the_first_speaks_and_all_get_the_words(toy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    toy.write_text("import os, sys\nprint(os.environ['RANK'], os.environ['WORLD_SIZE'], *sys.argv[1:])")
    launch.launch(3, "toy", ["--epochs", "3"])
    assert capfd.readouterr() == ("0 3 --epochs 3\n", "")


@pytest.mark.parametrize(
    ("number", "status", "word"), [(signal.SIGTERM, 75, "terminated"), (signal.SIGINT, 130, "interrupted")]
)
def test_a_second_signal_kills_those_that_do_not_listen(
    toy: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, number: int, status: int, word: str
) -> None:
    monkeypatch.setattr(signals, "ONE_CALL", 0.1)
    toy.write_text(f"{DEAF}time.sleep(600)")
    for seconds in (1.0, 1.5):
        threading.Timer(seconds, os.kill, [os.getpid(), number]).start()
    start = time.monotonic()
    with pytest.raises(SystemExit, match=str(status)):
        run(lambda: launch.launch(2, "toy", []))
    assert 1.4 < time.monotonic() - start < 60
    assert capfd.readouterr().err == f"error: {word}; {signals.GOES_ON}\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("number", "status", "word"), [(signal.SIGTERM, 75, "terminated"), (signal.SIGINT, 130, "interrupted")]
)
def test_the_parent_says_which_signal_it_was_and_the_first_what_is_kept(
    toy: Path, capfd: pytest.CaptureFixture[str], number: int, status: int, word: str
) -> None:
    toy.write_text(
        "import os, signal, time\nfrom boundary_loss import command\nfrom boundary_loss.signals import Interrupted\n"
        "from boundary_loss.training.launch import leave_to_parent\n"
        "if os.environ['RANK'] == '0':\n"
        "    def main():\n"
        "        try:\n            print('ready', flush=True); time.sleep(600)\n"
        "        except Interrupted: raise Interrupted(signal.SIGTERM, 'epoch 3 is saved')\n"
        "    command.run(main, leave_to_parent)\n"
        "time.sleep(600)"
    )
    os.environ["PYTHONPATH"] += os.pathsep + str(Path(signals.__file__).parents[1])

    def when_ready() -> None:
        said = ""
        while "ready" not in said:
            said += capfd.readouterr().out
            time.sleep(0.1)
        os.kill(os.getpid(), number)

    threading.Thread(target=when_ready).start()
    with pytest.raises(SystemExit, match=str(status)):
        run(lambda: launch.launch(2, "toy", []))
    assert capfd.readouterr().err == f"error: {word}; epoch 3 is saved\n"
