"""A benchmark is run by hand, often on another machine: what it imports from here must not be missing by then."""

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(path.name for path in BENCHMARKS.glob("*.py"))


def test_that_there_are_benchmarks() -> None:
    assert {"turns.py", "gpu.py", "dice.py"} <= set(SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_name_imported_from_here_exists(script: str) -> None:
    tree = ast.parse((BENCHMARKS / script).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        names = {alias.name for alias in node.names}
        if node.module.split(".")[0] == "boundary_loss":
            module = import_module(node.module)
            missing = {name for name in names if not hasattr(module, name) and not is_part(module, name)}
        elif f"{node.module}.py" in SCRIPTS:
            missing = names - defined(BENCHMARKS / f"{node.module}.py")
        else:
            continue
        assert not missing, f"{script}:{node.lineno} imports {sorted(missing)} from {node.module}"


def is_part(module: ModuleType, name: str) -> bool:
    """Return whether the name is a module of a package that has not been imported yet."""
    return hasattr(module, "__path__") and find_spec(f"{module.__name__}.{name}") is not None


def defined(script: Path) -> set[str]:
    """Return the names that a script defines or imports at its top."""
    names: set[str] = set()
    for node in ast.parse(script.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        else:
            names |= {
                part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
            }
    return names
