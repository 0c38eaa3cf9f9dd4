"""Compile the C files of this folder: ``python -m boundary_loss.native.build``.

What the makefiles run. ``pip install`` compiles the same files by the settings of pyproject.toml, of which a test keeps
the options equal to those here.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from boundary_loss import command

OPTIONS = ("-std=gnu11", "-O3", "-fvisibility=hidden", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")
"""No contraction to fused multiply-adds: the bits do not depend on the processor."""
COMPILERS = ("cc", "gcc", "clang")
TARGET = Path(__file__).with_name("kernels.so")


def sources() -> list[Path]:
    return sorted(Path(__file__).parent.glob("*.c"))


def compile_kernels(target: Path) -> str:
    """Compile into ``target``, all or nothing; what became of it, in a sentence.

    A folder that cannot be written, as in a clone that several users share, stays as it is.
    """
    compiler = next((found for name in COMPILERS if (found := shutil.which(name))), None)
    if compiler is None:
        return "no C compiler found: distances and fused losses take the slower way on the CPU"
    try:
        return _compile(compiler, target)
    except OSError as error:
        left = "the kernels compiled before are used" if target.exists() else "the slower way is taken on the CPU"
        return f"the kernels were not compiled, {left} ({target.parent}: {error.strerror})"


def _compile(compiler: str, target: Path) -> str:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".kernels") as folder:
        made = Path(folder) / target.name
        words = [compiler, *OPTIONS, "-fPIC", "-shared", "-pthread", "-o", str(made), *map(str, sources()), "-lm"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            made.replace(target)
            return f"compiled the kernels for the CPU with {Path(compiler).name}"
    said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[0]
    return f"the kernels were not compiled, the slower way is taken on the CPU ({Path(compiler).name}: {said})"


def main() -> None:
    command.parser(__doc__.splitlines()[0]).parse_args()
    print(compile_kernels(TARGET))


if __name__ == "__main__":
    command.run(main)
