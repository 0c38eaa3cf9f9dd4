"""The report's scripts by themselves: they parse, no name is declared twice or unused, and their functions compute."""

import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from toys import REPOSITORY

from boundary_loss.report.pixels import runs

ASSETS = REPOSITORY / "src" / "boundary_loss" / "report" / "assets"
SCRIPTS = sorted(ASSETS.glob("*.js"))
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="needs node")


def node(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(NODE), *words], capture_output=True, text=True, check=False)


@needs_node
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_it_parses(script: Path) -> None:
    done = node("--check", str(script))
    assert done.returncode == 0, done.stderr


def test_the_scripts_share_one_scope_without_declaring_a_name_twice() -> None:
    text = [path.read_text(encoding="utf-8") for path in SCRIPTS]
    names = re.findall(r"^(?:async )?(?:function|const|let|class) (\w+)", "\n".join(text), re.MULTILINE)
    assert len(names) > 100
    assert not [name for name, times in Counter(names).items() if times > 1]
    words = Counter(re.findall(r"\w+", "\n".join(text)))
    assert not [name for name in names if words[name] == 1]


@needs_node
def test_the_functions_compute() -> None:
    done = node("--test", str(Path(__file__).with_name("scripts.test.js")))
    assert done.returncode == 0, done.stdout
    assert int(re.findall(r"^(?:#|ℹ) pass (\d+)$", done.stdout, re.MULTILINE)[0]) > 10


@needs_node
def test_class_maps_are_read_back_as_they_were_written() -> None:
    maps = np.random.default_rng(0).integers(0, 4, (3, 17, 300)).astype(np.uint8)
    maps[0], maps[1, :, :200] = 0, 2  # empty, and a run whose length needs several bytes
    calls = ",".join(f"Array.from(readRuns({json.dumps(runs(each))}, {each.size}))" for each in maps)
    script = (ASSETS / "masks.js").read_text(encoding="utf-8") + f"console.log(JSON.stringify([{calls}]))"
    done = subprocess.run([str(NODE)], input=script, capture_output=True, text=True, check=True)
    np.testing.assert_array_equal(json.loads(done.stdout), maps.reshape(3, -1))
