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


@needs_compiler
def test_compiles_and_loads(tmp_path):
    target = tmp_path / "kernels.so"
    assert build.compile_kernels(target).startswith("compiled the kernels")
    assert ctypes.CDLL(str(target)).bl_interface() == native.INTERFACE
    assert [path.name for path in tmp_path.iterdir()] == ["kernels.so"]


@needs_compiler
def test_a_failing_compiler_leaves_what_was_there(tmp_path, monkeypatch):
    target = tmp_path / "kernels.so"
    target.write_bytes(b"before")
    monkeypatch.setattr(build, "OPTIONS", ("-no-such-option",))
    assert "not compiled" in build.compile_kernels(target) and "no-such-option" in build.compile_kernels(target)
    assert target.read_bytes() == b"before" and [path.name for path in tmp_path.iterdir()] == ["kernels.so"]


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


@needs_compiler
def test_kernels_of_another_version(elsewhere, monkeypatch):
    build.compile_kernels(elsewhere / "kernels.so")
    monkeypatch.setattr(native, "INTERFACE", native.INTERFACE + 1)
    with pytest.warns(UserWarning, match="another version"):
        assert native.library() is None


@needs_compiler
def test_what_was_compiled_last_is_taken(elsewhere):
    pips = elsewhere / f"kernels{importlib.machinery.EXTENSION_SUFFIXES[0]}"
    pips.write_bytes(b"older")
    os.utime(pips, (1, 1))
    build.compile_kernels(elsewhere / "kernels.so")
    assert native.library() is not None


def test_says_which():
    words = [sys.executable, "-m", "boundary_loss.native"]
    environment = {"PYTHONPATH": str(ROOT / "src")}
    said = subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout
    assert said.startswith("the compiled kernels are in use" if native.library() else "no compiled kernels;")
