"""The makefiles alone, with a stand-in for Python that notes the words of each command."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from toys import REPOSITORY

STAND_IN = """\
#!/bin/bash
case "$1" in *check_python.py) echo ready; exit ;; esac
printf '%s\\0' "$@" $'\\n' >> words
case "$2" in *.train) mkdir -p "$3" && touch "$3"/{tra,val}_{loss,dice}.npy ;; esac
"""
Done = tuple[subprocess.CompletedProcess[str], list[list[str]]]


def write_checkout(where: Path) -> Path:
    """The makefiles, and the table of metrics that they read."""
    (where / "src" / "boundary_loss" / "native").mkdir(parents=True)
    (where / "src" / "boundary_loss" / "native" / "edt.c").touch()
    table = REPOSITORY / "src" / "boundary_loss" / "metric_definitions.py"
    for path in (*REPOSITORY.glob("*.make"), REPOSITORY / "Makefile", *REPOSITORY.glob("src/*.mk"), table):
        shutil.copy(path, where / path.relative_to(REPOSITORY))
    (where / "python").write_text(STAND_IN)
    (where / "python").chmod(0o755)
    return where


def run_make(checkout: Path, words: Sequence[str], *, study: str, environment: Mapping[str, str]) -> Done:
    """How a study's make ended, and the words of each command."""
    words = ("make", "-f", f"{study}.make", "CC=./python", *words)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    (checkout / "words").unlink(missing_ok=True)
    done = subprocess.run(words, cwd=checkout, capture_output=True, text=True, env=env | environment)
    noted = (checkout / "words").read_text() if (checkout / "words").exists() else ""
    return done, [command.split("\0")[:-1] for command in noted.split("\n\0")[:-1]]


def follows(commands: list[list[str]], option: str) -> list[list[str]]:
    """What comes after an option in the commands that have it."""
    return [words[words.index(option) + 1 :] for words in commands if option in words]
