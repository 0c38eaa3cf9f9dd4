"""contest.make itself on two tiny synthetic sets, in a copy of the repository: trainings, metrics, report, the page."""

import os
import subprocess
import sys
from pathlib import Path

import soak

RD = Path("results/contest-phantom")
SMALL = [
    "SRC=phantom", "SETS=atria acdc", "PHANTOM=--cases 4 --size 32", "RETAIN=2", "SEEDS=0", "EPC=1", "BS=2",
    "acdc.small=PREPARE='--shape 32 32' NET=Dimwit", "atria.small=NET=Dimwit3D", f"CC={sys.executable}",
]  # fmt: skip


def make(where: Path, *words: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    words = ("make", "-f", "contest.make", *SMALL, *words)
    done = subprocess.run(words, cwd=where, env=environment | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_two_sets_and_two_rows_end_in_one_report_and_a_second_make_trains_nothing(tmp_path: Path) -> None:
    where = soak.copy_repository(tmp_path / "clone")
    said = make(where, "ROWS=ce_gdl")
    assert said.count("boundary_loss.train ") == 4 and "SYNTHETIC DATA" in said
    files = ("html", "md", "csv", "tex", "txt")
    assert all((where / RD / f"contest.{kind}").stat().st_size > 100 for kind in files)
    assert (where / RD / "contest_gains.png").is_file() and (where / RD / "contest_ranks.png").is_file()
    text = (where / RD / "contest.txt").read_text()
    assert text.count("\n") == 4 and all(f"{name}: " in text for name in ("acdc", "atria"))  # Dice and HD95 of each
    again = make(where, "ROWS=ce_gdl", "page")
    assert "boundary_loss.train " not in again
    page = (where / "docs" / "contest.md").read_text()
    assert "### Over all sets" in page and "| ce_gdl |" in page and page.rstrip().endswith("ce_dice_boundary'`.")
    assert (where / "docs" / "contest_ranks.png").is_file()
