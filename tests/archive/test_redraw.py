"""An archive alone is enough: arrays read, plots and report drawn again, the commands that made it said and run."""

import gzip
import hashlib
import io
import re
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from boundary_loss import boxplot, hist, plot
from boundary_loss.archive import __main__ as archive
from boundary_loss.archive import rerun
from boundary_loss.archive.hashing import MANIFEST
from boundary_loss.archive.redraw import check
from boundary_loss.command import Stop
from boundary_loss.files import read_json, write_json
from boundary_loss.report import __main__ as report

Call = Callable[..., None]
SETTINGS = ("SRC=phantom", "PHANTOM=--cases 5 --size 32", "EPC=2", "gdl.losses=gdl:1")


@pytest.fixture
def packed(runs: list[Path], sliced: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study with plots and a report, its runs in an order of their own, packed as make packs it."""
    folder = runs[0].parent
    monkeypatch.chdir(tmp_path)
    ordered = [runs[2], runs[0], runs[1]]
    call(report.main, folder, "--runs", *ordered, "--data", sliced, "--study", "toy", "--baseline", "gdl", "--quiet")
    for main, name in ((plot.main, "val_dice"), (boxplot.main, "val_3d_hd95_boxplot"), (hist.main, "val_dice_hist")):
        call(main, folder / f"{name}.png", "--runs", *ordered, "--study", "toy")
    Path("toy.make").write_text("gdl.losses := gdl:1\n")
    call(archive.main, "pack", "archives", "--folder", folder, "--runs", *ordered, "--stamp", folder / "archive.txt",
         "--ledger", "toy.make", "--data", sliced.relative_to(tmp_path), "--made_with", *SETTINGS)  # fmt: skip
    return Path((folder / "archive.txt").read_text().strip())


def repacked(source: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """The archive with members changed or left out, and a manifest that fits."""
    sums = []
    with tarfile.open(source) as old, gzip.open(target, "wb") as zipped, tarfile.open(fileobj=zipped, mode="w|") as new:
        for info in old:
            file = old.extractfile(info)
            assert file is not None
            content = change(info.name, file.read()) if not info.name.endswith(MANIFEST) else "".join(sums).encode()
            if content is None:
                continue
            info.size = len(content)
            new.addfile(info, io.BytesIO(content))
            sums.append(f"{hashlib.sha256(content).hexdigest()}  {info.name.partition('/')[2]}\n")
    return target


def test_all_is_drawn_again_the_same(
    packed: Path, sliced: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    sliced.rename(sliced.with_name("gone"))  # nothing but the archive is needed
    call(archive.main, "verify", packed)
    said = capsys.readouterr().out
    assert "all as they were packed" in said
    assert re.search(r"^\d\d arrays of 3 runs can be read", said, re.M)
    assert "3 plots drawn again, 3 of them the same byte for byte" in said
    assert "report.html drawn again, the same byte for byte" in said
    call(archive.main, "verify", packed, "--quick")
    assert "drawn again," not in capsys.readouterr().out


def test_another_report_or_none_is_said(packed: Path, tmp_path: Path) -> None:
    other = repacked(packed, tmp_path / "other.tar.gz", lambda name, content: (
        content.replace(b"SYNTHETIC", b"REAL") if name.endswith("report.html") else content))  # fmt: skip
    assert check(other)[2] == "report.html drawn again, not the same: other versions?"
    bare = repacked(packed, tmp_path / "bare.tar.gz", lambda name, content: (
        None if name.endswith("report_data.json") else content))  # fmt: skip
    assert "not what it was made from" in check(bare)[2]
    none = repacked(packed, tmp_path / "none.tar.gz", lambda name, content: (
        None if name.endswith(("report.html", ".png")) and "iter" not in name else content))  # fmt: skip
    assert check(none)[1:] == ["0 plots drawn again, 0 of them the same byte for byte", "no report.html in it"]


def test_an_array_that_does_not_fit_is_named(packed: Path, tmp_path: Path) -> None:
    def shorter(name: str, content: bytes) -> bytes:
        if not name.endswith("gdl/val_3d_dsc.npy"):
            return content
        file = io.BytesIO()
        np.save(file, np.zeros((6, 1, 2), np.float32))
        return file.getvalue()

    with pytest.raises(ValueError, match=r"val_3d_dsc.npy has shape \(6, 1, 2\), expected"):
        check(repacked(packed, tmp_path / "shape.tar.gz", shorter))
    broken = repacked(packed, tmp_path / "broken.tar.gz", lambda name, content: (
        b"no array" if name.endswith("gdl/tra_dice.npy") else content))  # fmt: skip
    with pytest.raises(ValueError, match=r"tra_dice.npy cannot be read as a NumPy array"):
        check(broken)


def test_rerun_prints_commit_data_and_one_line_of_make(
    packed: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    call(archive.main, "rerun", packed)
    said = capsys.readouterr().out
    assert "git checkout 0123456789abcdef0123456789abcdef01234567" in said
    assert f"checksum must be {'0' * 64}" in said
    assert said.splitlines()[-1] == (
        "make -f toy.make SRC=phantom 'PHANTOM=--cases 5 --size 32' EPC=2 gdl.losses=gdl:1 RD=results/toy-rerun"
    )


def test_rerun_refuses_another_commit_other_data_and_old_archives(
    packed: Path, sliced: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Stop, match=r"made by commit 0123456789abcdef\w*, here is"):
        rerun.rerun(packed, run=True)
    about = read_json(sliced / "slicing.json")
    write_json(sliced / "slicing.json", about | {"checksum": "1" * 64})
    monkeypatch.setattr(rerun, "commit", lambda: "0123456789abcdef0123456789abcdef01234567")
    called: list[list[str]] = []
    monkeypatch.setattr(rerun, "call", called.append)
    with pytest.raises(Stop, match=rf"came out with the checksum {'1' * 64}, the archive's is {'0' * 64}"):
        rerun.rerun(packed, run=True, make=["ZIPS=elsewhere"])
    assert called[0][:4] == ["make", "-f", "toy.make", "data"] and called[0][-1] == "ZIPS=elsewhere"
    old = repacked(packed, tmp_path / "old.tar.gz", lambda name, content: (
        None if name.endswith("made_with.json") else content))  # fmt: skip
    with pytest.raises(Stop, match=r"no made_with.json: it was packed by an older version"):
        rerun.rerun(old, run=False)


def test_rerun_compares_the_new_arrays_with_the_packed(
    packed: Path, runs: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def make(words: list[str]) -> None:
        if "report" in words:  # what a rerun would leave, one array of it other
            again = Path("results/toy-rerun")
            again.parent.mkdir(exist_ok=True)
            again.symlink_to(runs[0].parent)
            np.save(runs[1] / "val_dice.npy", np.load(runs[1] / "val_dice.npy") + np.float32(0.25))

    monkeypatch.setattr(rerun, "commit", lambda: "0123456789abcdef0123456789abcdef01234567")
    monkeypatch.setattr(rerun, "call", make)
    rerun.rerun(packed, run=True)
    lines = capsys.readouterr().out.splitlines()
    number = len(list(runs[0].glob("*.npy")))
    assert f"gdl: {number} arrays are the same" in lines
    assert f"gdl_surface_steal: {number} arrays are different, by 0.25 at most" in lines


def test_a_make_that_fails_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rerun.subprocess, "run", lambda words, **options: subprocess.CompletedProcess(words, 2))
    with pytest.raises(Stop, match=r"make failed: make -f toy.make data"):
        rerun.call(["make", "-f", "toy.make", "data"])
