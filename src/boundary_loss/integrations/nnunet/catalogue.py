"""The trainers that nnU-Net can be pointed at: their names, read without nnU-Net, and the line that points it there."""

import ast
import shlex
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent / "trainers"
VARIABLE = "nnUNet_extTrainer"


def trainers() -> Iterator[tuple[str, str]]:
    """Yield the name of each trainer and the first line of its docstring."""
    for path in sorted(FOLDER.glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                yield node.name, (ast.get_docstring(node) or "").partition("\n")[0]


def export_line() -> str:
    """Return the line for a shell that adds the folder to those that nnU-Net searches for trainers."""
    return f'export {VARIABLE}="${{{VARIABLE}:+${VARIABLE}:}}"{shlex.quote(str(FOLDER))}'
