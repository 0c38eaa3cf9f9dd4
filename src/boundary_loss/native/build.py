"""Compile the C files of this folder: ``python -m boundary_loss.native.build``.

What the makefiles run. ``pip install`` compiles the same files by the settings of pyproject.toml, of which a test keeps
the options equal to those here.
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import shutil
import subprocess
import tempfile
from pathlib import Path

from boundary_loss import command
from boundary_loss.native import load

OPTIONS = ("-std=gnu11", "-O3", "-fvisibility=hidden", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")
"""No contraction to fused multiply-adds: the bits do not depend on the processor."""
COMPILERS = ("cc", "gcc", "clang")
_PATIENCE = 600.0  # seconds; it takes three
TARGET = Path(__file__).with_name("kernels.so")


def sources() -> list[Path]:
    return sorted(Path(__file__).parent.glob("*.c"))


def compile_kernels(target: Path) -> str:
    """Compile into ``target``, all or nothing; returns what became of it, in a sentence."""
    faults = []
    for compiler in filter(None, map(shutil.which, COMPILERS)):
        name = Path(compiler).name
        try:
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".kernels") as folder:
                fault = _compile(compiler, Path(folder) / target.name)
                if not fault:
                    (Path(folder) / target.name).replace(target)
                    return f"compiled the kernels for the CPU with {name}"
        except OSError as error:  # a shared clone that others may only read, a full disk
            fault = f"{error.strerror or error}: {error.filename or target.parent}"
        faults.append(f"{name}: {fault}")
    if faults:
        left = "the kernels compiled before are used" if target.exists() else "the slower way is taken on the CPU"
        return f"the kernels were not compiled, {left} ({faults[0]})"
    return "no C compiler found: distances and fused losses take the slower way on the CPU"


def _compile(compiler: str, made: Path) -> str:
    """Compile, and load what came of it; what went wrong, or nothing."""
    words = [compiler, *OPTIONS, "-fPIC", "-shared", "-pthread", "-o", str(made), *map(str, sources()), "-lm"]
    try:
        done = subprocess.run(words, capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        return f"no end within {_PATIENCE:g} s"
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        return said.splitlines()[0] if said else f"exit status {done.returncode}"
    try:
        load(made)
    except (OSError, ValueError) as error:  # compiled for another machine, or nothing was written
        return f"what it made does not load, {error}"
    return ""


def main() -> None:
    command.parser(__doc__.splitlines()[0]).parse_args()
    print(compile_kernels(TARGET))


if __name__ == "__main__":
    command.run(main)
