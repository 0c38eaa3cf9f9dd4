"""The CUDA kernels compile, for all that they are called with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from toys import REPOSITORY


def test_the_kernels_compile_for_a_gpu(tmp_path: Path) -> None:
    pytest.importorskip("triton")
    script = Path(__file__).with_name("compiled_kernels.py")
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment |= {
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "src"), *sys.path]),
        "TRITON_CACHE_DIR": str(tmp_path),
    }
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    variants = dict(line.split() for line in done.stdout.splitlines())
    assert variants.keys() == {
        "_scan_lines", "_min_plus", "_sums_kernel", "_gradient_kernel", "_pade_kernel", "_pade_gradient_kernel",
    }  # fmt: skip
    assert all(int(count) >= 5 for count in variants.values()), "as many as kinds of calls"
