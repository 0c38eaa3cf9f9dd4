"""What a borrower imports needs no more than it says."""

import subprocess
import sys

import pytest
from toys import REPOSITORY

import boundary_loss

BORROWED = "boundary_loss.losses, boundary_loss.distance, boundary_loss.metrics, boundary_loss.encoding"
DRAWN = (
    "boundary_loss.plot, boundary_loss.boxplot, boundary_loss.hist, boundary_loss.report.__main__, "
    "boundary_loss.archive, boundary_loss.statistics.claims, boundary_loss.published"
)


@pytest.mark.parametrize(
    ("wanted", "absent"),
    [
        (BORROWED, ("nibabel", "skimage", "matplotlib", "PIL", "tqdm")),
        (DRAWN, ("torch", "nibabel", "skimage", "scipy")),
        ("boundary_loss.unpack, boundary_loss.evaluate.__main__", ("torch", "skimage", "matplotlib")),
    ],
)
def test_imports_stay_light(wanted: str, absent: tuple[str, ...]) -> None:
    blocked = "; ".join(f"sys.modules['{name}'] = None" for name in absent)
    code = f"import sys; sys.path.insert(0, 'src'); {blocked}; import {wanted}"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


def test_the_import_changes_nothing_in_a_program() -> None:
    """Neither its answers to signals nor its hooks, also where it is called as a command of ours is."""
    code = """
import signal, sys
sys.path.insert(0, "src")
sys.orig_argv[1:] = ["-m", "boundary_loss.train"]
before = [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT), sys.excepthook, *sys.meta_path]
import boundary_loss
from boundary_loss import loading, train
assert before == [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT), sys.excepthook, *sys.meta_path]
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


def test_the_public_names_are_there() -> None:
    for name in boundary_loss.__all__:
        assert callable(getattr(boundary_loss, name))
    assert set(boundary_loss.__all__) == set(dir(boundary_loss))
    with pytest.raises(AttributeError, match="BundaryLoss"):
        _ = boundary_loss.BundaryLoss
