"""The commands that made an archive, and running them again.

    python -m boundary_loss.archive rerun archives/boundary-loss-261121-0a1b2c3-host-isles.tar.gz

prints the commit to check out, the archives of the data with their checksums, and one line of make with every setting.
With --run that line is run here, into a folder of its own, and the new arrays are compared with the packed ones.
"""

import os
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from boundary_loss.archive.reading import unpack
from boundary_loss.command import Stop
from boundary_loss.comparison import find_runs, runs_in
from boundary_loss.files import read_array, read_json
from boundary_loss.provenance import commit
from boundary_loss.runfolder import EVALUATION_ARRAYS, TRAINING_ARRAYS, RunFolder
from boundary_loss.slicedfolder import SLICING

MADE_WITH = "made_with.json"
"""``{"ledger": "isles.make", "data": ["data/ISLES"], "variables": {"EPC": "100", ...}}``; written by pack."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What an archive says of how it was made."""

    name: str
    ledger: str
    variables: dict[str, str]
    data: list[str]
    runs: tuple[RunFolder, ...]

    @classmethod
    def of(cls, folder: Path) -> "Recipe":
        path = folder / MADE_WITH
        if not path.is_file():
            raise Stop(f"the archive has no {MADE_WITH}: it was packed by an older version, or not by make")
        content = read_json(path)
        runs = tuple(find_runs(runs_in(folder)))
        return cls(name=folder.name, ledger=content["ledger"], variables=content["variables"], data=content["data"],
                   runs=runs)  # fmt: skip

    def abouts(self, key: str) -> list[Any]:
        """The different values of a setting of the runs, in order."""
        found: list[Any] = []
        for run in self.runs:
            if run.about.get(key) not in found:
                found.append(run.about.get(key))
        return found

    @property
    def results(self) -> str:
        return f"results/{self.name}-rerun"

    def make(self, *goals: str) -> list[str]:
        words = [f"{name}={value}" for name, value in self.variables.items()]
        return ["make", "-f", self.ledger, *goals, *words, f"RD={self.results}"]


def describe(recipe: Recipe) -> str:
    """Shell commands, with what cannot be a command as comments."""
    lines = [f"# {recipe.name}: {len(recipe.runs)} runs"]
    made_by = recipe.abouts("commit")[-1]
    known = made_by not in (None, "unknown")
    lines.append(f"git checkout {made_by}" if known else "# the commit is not known: it was made outside a repository")
    if len(recipe.abouts("commit")) > 1:
        lines.insert(1, f"# the runs are of several commits: {', '.join(map(str, recipe.abouts('commit')))}")
    diffs = {run.name: run.path / "repo.diff" for run in recipe.runs}
    changed = [name for name, path in diffs.items() if path.is_file() and path.stat().st_size]
    if changed:
        lines.append(f"# with the changes in {', '.join(f'{name}/repo.diff' for name in changed)} of the archive")
    for source in recipe.abouts("data_source"):
        for archive in (source or {}).get("archives", []):
            if not source.get("phantom"):
                lines.append(f"# data: {archive['name']}  {archive['algorithm']} {archive['checksum']}")
    lines += [f"# the sliced data's checksum must be {value}" for value in recipe.abouts("data_checksum")]
    return "\n".join([*lines, shlex.join(recipe.make())])


def rerun(archive: Path, *, run: bool, make: Sequence[str] = ()) -> None:
    """Print the commands; with ``run``, run them and compare.

    Args:
        make: further words for make, as ``ZIPS=/where/the/zips/are``.

    Raises:
        Stop: another commit is checked out, other data came out of the slicing, or make failed.
    """
    with tempfile.TemporaryDirectory(prefix="archive-") as place:
        recipe = Recipe.of(unpack(archive, Path(place))[0])
        print(describe(recipe))
        if not run:
            return
        check_commit(recipe)
        call([*recipe.make("data"), *make])
        check_data(recipe)
        call([*recipe.make("report"), *make])
        print("\n".join(compare(recipe, Path(recipe.results))))


def check_commit(recipe: Recipe) -> None:
    here, wanted = commit(), recipe.abouts("commit")[-1]
    if here != wanted:
        raise Stop(f"the archive was made by commit {wanted}, here is {here}; git checkout {wanted} first")


def call(words: list[str]) -> None:
    """Run make on its own: nothing of a make that may have started this one is handed on."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    if subprocess.run(words, check=False, env=environment).returncode:
        raise Stop(f"make failed: {shlex.join(words)}")


def check_data(recipe: Recipe) -> None:
    found = [str(read_json(Path(path) / SLICING)["checksum"]) for path in recipe.data]
    wanted = [str(value) for value in recipe.abouts("data_checksum")]
    if sorted(found) != sorted(wanted):
        here = ", ".join(recipe.data)
        raise Stop(f"{here} came out with the checksum {', '.join(found)}, the archive's is {', '.join(wanted)}")


def compare(recipe: Recipe, results: Path) -> list[str]:
    """A line a run: whether its arrays came out the same, or by how much they differ."""
    lines = []
    for before in recipe.runs:
        after = RunFolder.find(results / before.name)
        worst = 0.0
        names = [name for name in (*TRAINING_ARRAYS, *EVALUATION_ARRAYS) if before.has(name)]
        for name in names:
            old, new = read_array(before.path / f"{name}.npy"), after.array(name)
            if old.shape != new.shape:
                raise Stop(f"{name} of {before.name} had the shape {old.shape}, now {new.shape}")
            gap = np.abs(np.nan_to_num(old.astype(float)) - np.nan_to_num(new.astype(float)))
            worst = max(worst, float(gap.max(initial=0)))
        verdict = "the same" if worst == 0 else f"different, by {worst:.3g} at most"
        lines.append(f"{before.name}: {len(names)} arrays are {verdict}")
    return lines
