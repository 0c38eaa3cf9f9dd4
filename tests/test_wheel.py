"""What pip builds: a wheel named by whether it holds the kernels, and one version everywhere."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
from toys import REPOSITORY

import boundary_loss

pytest.importorskip("setuptools.command.bdist_wheel", reason="needs setuptools 70 or newer")
BUILD = "import sys; from setuptools.build_meta import build_wheel; print('made', build_wheel(sys.argv[1]))"
TRAINERS = "integrations/nnunet/trainers"
"""The folder that nnU-Net is pointed at."""
FAILS = "#!/bin/sh\nexit 1\n"
WRITES = '#!/bin/sh\nwhile [ $# -gt 1 ]; do [ "$1" != -o ] || : > "$2"; shift; done\n'


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pip reads of the repository."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, folder)
    kept = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info", ".*")
    shutil.copytree(REPOSITORY / "src", folder / "src", ignore=kept)
    return folder


def build(source: Path, compiler: str) -> tuple[Path, str]:
    """The wheel that a compiler of ours, a shell script, leads to, and what was said."""
    path = source / "compiler"
    path.write_text(compiler)
    path.chmod(0o755)
    words = [sys.executable, "-c", BUILD, str(source)]
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        words, cwd=source, env=environment | {"CC": str(path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return source / done.stdout.split("made ")[1].strip(), done.stdout + done.stderr


@pytest.mark.skipif(os.name == "nt", reason="the compiler is a shell script")
def test_the_wheels_name_says_whether_there_are_kernels(source: Path) -> None:
    kernels = f"boundary_loss/native/kernels{EXTENSION_SUFFIXES[-1]}"
    with_kernels, said = build(source, WRITES)
    assert with_kernels.name.startswith(f"boundary_loss-{boundary_loss.__version__}-py3-none-")
    assert "none-any" not in with_kernels.name and "no kernels" not in said
    assert kernels in zipfile.ZipFile(with_kernels).namelist()
    (source / "src/boundary_loss/native/edt.c").touch()  # so that it is compiled again, which fails
    without, said = build(source, FAILS)
    assert without.name == f"boundary_loss-{boundary_loss.__version__}-0nokernels-py3-none-any.whl"
    assert [line for line in said.splitlines() if "no kernels" in line] == [
        "boundary-loss: no kernels in C were compiled, so the CPU takes the slower way"
    ]
    files = zipfile.ZipFile(without).namelist()
    assert kernels not in files  # nor the one compiled before
    others = ("py.typed", "native/edt.c", "report/assets/page.css", f"{TRAINERS}/boundary_loss_trainers.py")
    assert {f"boundary_loss/{name}" for name in others} <= {*files}
