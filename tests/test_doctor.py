"""The page of ``python -m boundary_loss doctor``."""

import os
import platform
import re
import subprocess
import sys
import tomllib
import warnings
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from toys import REPOSITORY

import boundary_loss
from boundary_loss import doctor
from boundary_loss.doctor import OPTIONAL, REQUIRED, Machine, page, slow

FAST = Machine(
    cores=4, threads=4, gpus=("H100",), cuda="12.8", has_driver=True, has_triton=True, compiler="cc", has_kernels=True,
    fault="",
)  # fmt: skip


def ask(*words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    called = [sys.executable, "-m", "boundary_loss", *words]
    return subprocess.run(called, env=environment, capture_output=True, text=True, check=False)


def test_the_command_answers_without_a_word_on_this_machine() -> None:
    done = ask("doctor")
    assert done.returncode == 0 and not done.stderr
    assert done.stdout.startswith(f"boundary-loss {boundary_loss.__version__}, Python {platform.python_version()}")
    for title in ("kernels ", "what will be slow", "optional packages"):
        assert f"\n{title}" in done.stdout
    private = {str(REPOSITORY), str(Path.home()), sys.prefix, platform.node()} - {"/", ""}
    assert not [word for word in private if word in done.stdout]


@pytest.mark.parametrize("words", [[], ["nurse"], ["doctor", "--all"]])
def test_other_questions_are_refused_in_a_line(words: list[str]) -> None:
    done = ask(*words)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and not done.stdout


def test_nothing_is_slow_on_a_fast_machine() -> None:
    assert list(slow(FAST)) == []
    assert "nothing that is known of" in page(FAST)


@pytest.mark.parametrize(
    ("machine", "cause", "remedy"),
    [
        (replace(FAST, has_kernels=False), "not compiled", "; python -m boundary_loss.native.build"),
        (
            replace(FAST, has_kernels=False, gpus=(), cuda=None, has_driver=False, compiler=None),
            "not compiled",
            "clang",
        ),
        (replace(FAST, has_kernels=False, fault="they do not load"), "they do not load", ""),
        (replace(FAST, threads=1), "1 of 4 cores", "OMP_NUM_THREADS"),
        (replace(FAST, has_triton=False), "on the GPU", "pip install triton"),
        (replace(FAST, compiler=None), "Triton needs a C compiler", "gcc"),
        (replace(FAST, gpus=()), "finds no GPU", ""),
        (replace(FAST, gpus=(), cuda=None), "without CUDA", "pytorch.org"),
        (replace(FAST, gpus=("mps",), cuda=None, has_driver=False, has_triton=False), "mps", ""),
    ],
)
def test_each_cause_has_a_sentence(machine: Machine, cause: str, remedy: str) -> None:
    (sentence,) = slow(machine)
    assert cause in sentence and remedy in sentence
    assert sentence in page(machine)


def test_missing_packages_are_named_with_what_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "version", lambda name: None if name in ("torch", "h5py") else "1.0")
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    rows = page(None).splitlines()
    (row,) = [row for row in rows if "h5py" in row]
    assert row.split()[:2] == ["h5py", "missing"] and row.endswith("python -m pip install h5py")
    assert "what will be slow" not in rows
    assert doctor.main() == 1
    monkeypatch.setattr(doctor, "version", lambda name: "1.0")
    assert doctor.main() == 0


def test_the_packages_are_those_of_pyproject() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert [package.name for package in REQUIRED] == [name.split(">")[0] for name in project["dependencies"]]
    extras = project["optional-dependencies"]
    listed = {(re.split("[>=]", name)[0], extra) for extra, names in extras.items() for name in names}
    assert {(package.name, package.extra) for package in OPTIONAL} == listed | {("triton", "")}


def test_kernels_that_do_not_load_are_explained_without_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Path(doctor.__file__).parent / "native" / "kernels.so"

    @cache  # as the true one, which warns once
    def library() -> None:
        warnings.warn(f"the compiled kernels do not load ({broken}: no such thing)", stacklevel=1)

    monkeypatch.setattr(doctor, "library", library)
    machine = doctor.look()
    assert not machine.has_kernels
    assert machine.fault == "the compiled kernels do not load (boundary_loss/native/kernels.so: no such thing)"


def test_it_lists_what_is_missing_where_no_package_is_installed(tmp_path: Path) -> None:
    source = str(Path(doctor.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-S", "-m", "boundary_loss", "doctor"],  # -S: without site-packages
        capture_output=True, text=True, check=False, cwd=tmp_path, env=os.environ | {"PYTHONPATH": source},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    assert "numpy                   missing         arrays; python -m pip install numpy" in done.stdout
