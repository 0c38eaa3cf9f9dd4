"""A command that cannot load its libraries ends in one message."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from toys import REPOSITORY


def start(*words: str, path: Path | None = None, megabytes: int | None = None) -> subprocess.CompletedProcess[str]:
    places = os.pathsep.join([str(REPOSITORY / "src"), *([str(path)] if path else [])])
    environment = os.environ | {"PYTHONPATH": places, "OMP_NUM_THREADS": "1"}
    limit = f"ulimit -v {megabytes * 1024}; " if megabytes else ""
    shell = ["sh", "-c", f'{limit}exec "$0" -m "$@"', sys.executable, *words]
    return subprocess.run(shell, capture_output=True, text=True, env=environment)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere address space is not limited")
@pytest.mark.parametrize("megabytes", [60, 200, 400])
def test_too_little_memory(megabytes: int) -> None:
    """At 400 MB torch would end the process from within C++."""
    stopped = start("boundary_loss.train", "--help", megabytes=megabytes)
    assert stopped.returncode == 2, stopped
    assert stopped.stderr == (
        f"error: too little memory to load the libraries; ulimit -v allows {megabytes} MB, "
        "and torch with its threads takes 1500\n"
    )


@pytest.mark.parametrize("name", ["signal", "queue", "random"])
def test_a_module_that_hides_pythons_own_is_named(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "with space"
    folder.mkdir()
    (folder / f"{name}.py").write_text("x = 1\n")
    stopped = start("boundary_loss.train", "--help", path=folder)
    assert stopped.returncode == 2 and stopped.stderr.count("\n") == 1, stopped
    assert stopped.stderr.startswith(f"error: {folder / name}.py hides Python's own module {name}; rename it")


def test_a_file_that_hides_a_module_is_not_blamed_for_an_absent_package(tmp_path: Path) -> None:
    stub = "import queue\nraise ModuleNotFoundError(\"No module named 'numpy'\", name='numpy')\n"
    (tmp_path / "numpy.py").write_text(stub)
    (tmp_path / "queue.py").write_text("x = 1\n")
    stopped = start("boundary_loss.boxplot", "--help", path=tmp_path)
    assert stopped.returncode == 2 and stopped.stderr.count("\n") == 1, stopped
    assert stopped.stderr.startswith("error: a library cannot be loaded: No module named 'numpy'"), stopped


def test_a_hiding_file_that_cannot_be_loaded_itself_is_named(tmp_path: Path) -> None:
    (tmp_path / "random.py").write_text("import no_such_package\n")
    stopped = start("boundary_loss.train", "--help", path=tmp_path)
    assert stopped.returncode == 2 and stopped.stderr.count("\n") == 1, stopped
    assert stopped.stderr.startswith(f"error: {tmp_path / 'random.py'} hides Python's own module random"), stopped


def test_a_library_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "tqdm.py").write_text("raise ModuleNotFoundError(\"No module named 'tqdm'\")\n")
    stopped = start("boundary_loss.evaluate", "--help", path=tmp_path)
    assert stopped.returncode == 2 and stopped.stderr.count("\n") == 1, stopped
    assert "a library cannot be loaded: No module named 'tqdm'" in stopped.stderr


def test_other_programs_keep_their_own_errors(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import boundary_loss\nimport no_such_module\n")
    stopped = start("program", path=tmp_path)
    assert stopped.returncode == 1 and "Traceback" in stopped.stderr
