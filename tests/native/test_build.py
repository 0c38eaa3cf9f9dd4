"""The kernels in C: compiled where there is a compiler, done without where there is none."""

import ctypes
import errno
import importlib
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from boundary_loss import native, signed_distance
from boundary_loss.distance import euclidean_distance
from boundary_loss.native import build
from boundary_loss.native import distances as compiled

ROOT = Path(__file__).parents[2]
needs_compiler = pytest.mark.skipif(not any(map(shutil.which, build.COMPILERS)), reason="needs a C compiler")


def test_pip_compiles_the_same():
    """pyproject.toml says again what build.py says: what pip installs is what make compiles."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["ext-modules"][0]
    assert settings["optional"]
    assert sorted(settings["sources"]) == [str(path.relative_to(ROOT)) for path in build.sources()]
    headers = Path(build.__file__).parent.glob("*.h")
    assert sorted(settings["depends"]) == sorted(str(path.relative_to(ROOT)) for path in headers)
    assert set(build.OPTIONS) <= set(settings["extra-compile-args"])


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    """The kernels, compiled once."""
    target = tmp_path_factory.mktemp("native") / "kernels.so"
    said = build.compile_kernels(target)
    if not target.exists():
        pytest.skip(said)
    assert said.startswith("compiled the kernels")
    return target


def test_compiles_and_loads(kernels):
    assert ctypes.CDLL(str(kernels)).bl_interface() == native.INTERFACE
    assert [path.name for path in kernels.parent.iterdir()] == ["kernels.so"]


@needs_compiler
def test_a_failing_compiler_leaves_what_was_there(tmp_path, monkeypatch):
    target = tmp_path / "kernels.so"
    target.write_bytes(b"before")
    monkeypatch.setattr(build, "OPTIONS", ("-no-such-option",))
    assert "not compiled" in build.compile_kernels(target) and "no-such-option" in build.compile_kernels(target)
    assert target.read_bytes() == b"before" and [path.name for path in tmp_path.iterdir()] == ["kernels.so"]


def compiler(folder, script):
    """A compiler of ours, the only one."""
    folder.mkdir()
    (folder / "cc").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "cc").chmod(0o755)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("exit 1", "cc: exit status 1"),
        ("printf '\\374ber\\n' >&2; exit 1", "cc: \ufffdber"),
        ("exit 0", "what it made does not load"),
        ('while [ "$1" != -o ]; do shift; done; echo nothing > "$2"', "what it made does not load"),
        ("exec sleep 9", "no end within 0.1 s"),
    ],
)
def test_a_compiler_that_makes_nothing(tmp_path, monkeypatch, script, says):
    compiler(tmp_path / "bin", script)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(build, "COMPILERS", ("cc",))
    monkeypatch.setattr(build, "_PATIENCE", 0.1 if "sleep" in script else 60)
    (tmp_path / "target").mkdir()
    assert says in build.compile_kernels(tmp_path / "target" / "kernels.so")
    assert not list((tmp_path / "target").iterdir())


def test_a_broken_compiler_leaves_it_to_the_next(tmp_path, monkeypatch):
    for name in ("cc", "gcc"):
        compiler(tmp_path / name, "")
    monkeypatch.setattr(build, "COMPILERS", (str(tmp_path / "cc" / "cc"), str(tmp_path / "gcc" / "cc")))
    monkeypatch.setattr(build, "_compile", lambda path, made: made.touch() if "/gcc/" in path else "broken")
    assert build.compile_kernels(tmp_path / "kernels.so").startswith("compiled the kernels")
    assert (tmp_path / "kernels.so").exists()


@needs_compiler
@pytest.mark.parametrize(("before", "says"), [(b"before", "compiled before are used"), (None, "the slower way")])
def test_a_folder_that_cannot_be_written_stops_nobody(tmp_path, monkeypatch, before, says):
    """A clone that several users share, whose kernels are older than its sources."""

    def refuse(**options):
        raise PermissionError(errno.EACCES, "Permission denied", options["dir"])

    target = tmp_path / "kernels.so"
    if before:
        target.write_bytes(before)
    monkeypatch.setattr(build.tempfile, "TemporaryDirectory", refuse)
    assert says in build.compile_kernels(target) and "Permission denied" in build.compile_kernels(target)
    assert not before or target.read_bytes() == before


def test_no_compiler(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "no C compiler" in build.compile_kernels(tmp_path / "kernels.so")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Another folder to load the kernels from."""
    monkeypatch.setattr(native, "_beside_this_file", lambda suffix: tmp_path / ("kernels" + suffix))
    native.library.cache_clear()
    yield tmp_path
    native.library.cache_clear()


def test_without_kernels_all_goes_on(elsewhere):
    assert native.library() is None and not compiled.available()
    np.testing.assert_allclose(euclidean_distance(np.eye(3)), [[0, 1, 2**0.5], [1, 0, 1], [2**0.5, 1, 0]])
    labels = torch.tensor([[0, 0, 1]])
    assert signed_distance(labels, num_classes=2, spatial_dims=1)[0, 1].tolist() == [2, 1, 0]


def test_kernels_of_another_machine(elsewhere):
    (elsewhere / "kernels.so").write_bytes(b"not for this processor")
    with pytest.warns(UserWarning, match="do not load, the slower way"):
        assert native.library() is None
    assert native.library() is None  # said once


def test_kernels_that_were_cut_or_are_others(elsewhere, kernels):
    """A file that ends too early would kill the process at its first use."""
    path, content = elsewhere / "kernels.so", kernels.read_bytes()
    for cut in range(0, len(content), len(content) // 7):
        path.write_bytes(content[:cut])
        native.library.cache_clear()
        with pytest.warns(UserWarning, match="do not load, the slower way"):
            assert native.library() is None
    source = elsewhere / "other.c"
    source.write_text("int other(void) { return 1; }\n")
    compilers = filter(None, map(shutil.which, build.COMPILERS))
    subprocess.run([next(compilers), "-shared", "-fPIC", "-o", path, source], check=True)
    native.library.cache_clear()
    with pytest.warns(UserWarning, match="holds other code"):
        assert native.library() is None


def test_a_worker_does_not_repeat_the_warning(elsewhere, monkeypatch):
    (elsewhere / "kernels.so").write_bytes(b"not for this processor")
    monkeypatch.setattr("multiprocessing.process.parent_process", lambda: object())
    assert native.library() is None


def test_kernels_of_another_version(elsewhere, kernels, monkeypatch):
    shutil.copy(kernels, elsewhere)
    monkeypatch.setattr(native, "INTERFACE", native.INTERFACE + 1)
    with pytest.warns(UserWarning, match="another version"):
        assert native.library() is None


def test_what_was_compiled_last_is_taken(elsewhere, kernels):
    pips = elsewhere / f"kernels{importlib.machinery.EXTENSION_SUFFIXES[0]}"
    pips.write_bytes(b"older")
    os.utime(pips, (1, 1))
    shutil.copy(kernels, elsewhere)
    assert native.library() is not None
    os.utime(elsewhere / "kernels.so", (0, 0))  # what was compiled last does not load: the other does
    native.library.cache_clear()
    assert native.library() is not None


def test_says_which():
    words = [sys.executable, "-m", "boundary_loss.native"]
    environment = {"PYTHONPATH": str(ROOT / "src")}
    said = subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout
    assert said.startswith("the compiled kernels are in use" if native.library() else "no compiled kernels;")
