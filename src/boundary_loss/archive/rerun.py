"""Print the commands that made an archive, or run them again.

    python -m boundary_loss.archive rerun archives/boundary-loss-261121-0a1b2c3-host-isles.tar.gz

prints the commit to check out, the archives of the data with their checksums, and a make command with every setting.
With --run that command is run here, into a folder of its own, and the new arrays are compared with the packed ones.

An archive may come from anybody, so everything in it that is printed or run is checked (:mod:`.settings`). The ledger
that make runs is this checkout's own file of that name.
"""

import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from boundary_loss.archive.reading import unpack
from boundary_loss.archive.settings import PLAIN, read_variables, shown
from boundary_loss.command import Stop
from boundary_loss.files import read_array, read_json
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.run import RunFolder
from boundary_loss.folders.run_record import RunRecord
from boundary_loss.metric_definitions import AREA_ARRAYS, METRICS
from boundary_loss.provenance import commit
from boundary_loss.statistics.comparison import find_runs, runs_in

MADE_WITH = "made_with.json"
"""``{"ledger": "isles.make", "data": ["data/ISLES"], "variables": {"EPC": "100", ...}}``; written by pack."""

_LEDGER = re.compile(r"\w[\w.-]*\.make")
_DATA = re.compile(r"data/\w[\w.-]*")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How an archive was made, as it records it, checked."""

    name: str
    ledger: str
    variables: dict[str, str]
    data: list[str]
    runs: tuple[RunFolder, ...]
    records: tuple[RunRecord, ...]
    """The run.json of each run, checked."""
    imports: list[str]
    """Networks and losses named by import path, ``mypackage.nets:TinyNet``: a training imports and calls them."""

    @classmethod
    def of(cls, folder: Path, given: Sequence[str] = ()) -> "Recipe":
        """Read an unpacked archive.

        Args:
            given: names of variables that the user sets; the archive's values of these are not read.

        Raises:
            ValueError: an entry is missing, or holds what must not reach make or the shell.
        """
        path = folder / MADE_WITH
        if not path.is_file():
            raise Stop(f"the archive has no {MADE_WITH}: it was packed by an older version, or not by make")
        content = read_json(path)
        ledger, data, variables = (_part(content, key, kind) for key, kind in _PARTS.items())
        runs = tuple(find_runs(runs_in(folder)))
        if not runs:
            raise ValueError(f"the archive holds no run with a readable run.json: {shown(folder.name)}")
        records = tuple(run.record for run in runs)
        checked, imports = read_variables({name: variables[name] for name in variables if name not in given})
        return cls(
            name=_matching(PLAIN, folder.name, "name of a study, as isles"),
            ledger=own_ledger(ledger),
            variables=checked,
            data=[_matching(_DATA, path, "data folder, as data/ISLES") for path in data],
            runs=runs,
            records=records,
            imports=imports,
        )

    @property
    def commits(self) -> list[str | None]:
        """The different commits that made the runs, in order."""
        return list(dict.fromkeys(record.commit for record in self.records))

    @property
    def commit(self) -> str | None:
        """The commit that made the last run; None if it is not known."""
        said = self.commits[-1]
        return None if said == "unknown" else said

    @property
    def checksums(self) -> list[str | None]:
        """The different checksums of the runs' data, in order."""
        return list(dict.fromkeys(record.data_checksum for record in self.records))

    @property
    def results(self) -> str:
        return f"results/{self.name}-rerun"

    def make(self, *goals: str, given: Sequence[str] = ()) -> list[str]:
        """Return the words of make's command line; ``$`` is doubled, because make would expand a single one."""
        words = [f"{name}={value}" for name, value in self.variables.items()]
        words = [word.replace("$", "$$") for word in (*words, f"RD={self.results}", *given)]
        return ["make", "-f", self.ledger, *goals, *words]


_PARTS = {"ledger": str, "data": list, "variables": dict}


def _part(content: Any, key: str, kind: type) -> Any:
    found = content.get(key) if isinstance(content, dict) else None
    if not isinstance(found, kind):
        raise ValueError(f"{MADE_WITH} of the archive has no {key} that can be read")
    return found


def _matching(pattern: re.Pattern[str], text: Any, what: str) -> str:
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise ValueError(f"'{shown(text)}' is no {what}; the archive is refused")
    return text


def own_ledger(name: str) -> str:
    """Return the name if this checkout has a study's file of that name: make runs what is in it."""
    if not _LEDGER.fullmatch(name) or not Path(name).is_file():
        here = ", ".join(sorted(path.name for path in Path().glob("*.make"))) or "none"
        raise ValueError(f"the archive was made with '{shown(name)}', which is no study of this checkout; here: {here}")
    return name


def describe(recipe: Recipe) -> str:
    """Return the shell commands, with everything that is not a command as comments."""
    lines = [f"# {recipe.name}: {len(recipe.runs)} runs"]
    if len(recipe.commits) > 1:
        lines.append(f"# the runs are of several commits: {', '.join(map(str, recipe.commits))}")
    unknown = "# the commit is not known: it was made outside a repository"
    lines.append(f"git checkout {recipe.commit}" if recipe.commit else unknown)
    diffs = {run.name: run.path / "repo.diff" for run in recipe.runs}
    changed = [name for name, path in diffs.items() if path.is_file() and path.stat().st_size]
    if changed:
        lines.append(f"# with the changes in {', '.join(f'{name}/repo.diff' for name in changed)} of the archive")
    lines += [f"# data: {name}" for name in source_archives(recipe)]
    lines += [f"# the sliced data's checksum must be {value}" for value in recipe.checksums]
    if recipe.imports:
        lines.append(f"# this imports, from this checkout's Python path: {', '.join(recipe.imports)}")
    return "\n".join([*map(shown, lines), shlex.join(recipe.make())])


def source_archives(recipe: Recipe) -> list[str]:
    """Return name and checksum of each archive of the data; none if the data were synthetic."""
    sources = dict.fromkeys(record.data_source for record in recipe.records)
    return [
        f"{archive.name}  {archive.algorithm} {archive.checksum}"
        for source in sources
        if source is not None and not source.phantom
        for archive in source.archives
    ]


def rerun(archive: Path, *, run: bool, make: Sequence[str] = (), trust_code: bool = False) -> None:
    """Print the commands; with ``run``, also run them and compare the results.

    Args:
        make: further words for make, as ``ZIPS=/where/the/zips/are``; a variable here replaces the archive's.
        trust_code: also if the archive names networks or losses by import path, whose code would run.

    Raises:
        ValueError: an entry must not reach make, or names code and ``trust_code`` is not given.
        Stop: another commit is checked out, other data came out of the slicing, or make failed.
    """
    with tempfile.TemporaryDirectory(prefix="archive-") as place:
        recipe = Recipe.of(unpack(archive, Path(place))[0], [word.partition("=")[0] for word in make])
        if recipe.imports and not trust_code:
            raise ValueError(
                f"the commands of {archive} would import and call {', '.join(recipe.imports)}, from this checkout's "
                "Python path. If you know that code: --trust_code (with make: RERUN=--trust_code)"
            )
        print(describe(recipe))
        if not run:
            return
        check_commit(recipe)
        call(recipe.make("data", given=make))
        check_data(recipe)
        call(recipe.make("report", given=make))
        print("\n".join(compare(recipe, Path(recipe.results))))


def check_commit(recipe: Recipe) -> None:
    here, wanted = commit(), recipe.commit or "unknown"
    if here != wanted:
        raise Stop(f"the archive was made by commit {wanted}, here is {here}; git checkout {wanted} first")


def call(words: list[str]) -> None:
    """Run make without the environment variables of a make that may have started this command."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    if subprocess.run(words, check=False, env=environment).returncode:
        raise Stop(f"make failed: {shlex.join(words)}")


def check_data(recipe: Recipe) -> None:
    found = [PreparedFolder.open(Path(path)).about.checksum for path in recipe.data]
    wanted = [str(value) for value in recipe.checksums]
    if sorted(found) != sorted(wanted):
        here, archived = ", ".join(recipe.data), shown(", ".join(wanted))
        raise Stop(f"{here} came out with the checksum {', '.join(found)}, the archive's is {archived}")


def compare(recipe: Recipe, results: Path) -> list[str]:
    """Return a line for each run: its arrays are the same, or the largest difference."""
    return [_compared(before, RunFolder.find(results / before.name)) for before in recipe.runs]


def _compared(before: RunFolder, after: RunFolder) -> str:
    """Compare every array that the archive holds; those by area are only measured where METRICS names them."""
    unmeasured = [name for name in AREA_ARRAYS if before.has(name) and not after.has(name)]
    names = [name for name in METRICS if before.has(name) and name not in unmeasured]
    worst = max((_gap(name, before, after) for name in names), default=0.0)
    verdict = "the same" if worst == 0 else f"different, by {worst:.3g} at most"
    line = f"{shown(before.name)}: {len(names)} arrays are {verdict}"
    return f"{line}; not measured again: {' '.join(unmeasured)} (give METRICS)" if unmeasured else line


def _gap(name: str, before: RunFolder, after: RunFolder) -> float:
    """Return the largest difference of an array; infinite where only one of both holds NaN."""
    old, new = read_array(before.path / f"{name}.npy"), after.array(name)
    if old.shape != new.shape:
        raise Stop(f"{name} of {shown(before.name)} had the shape {old.shape}, now {new.shape}")
    other = (old != new) & ~(np.isnan(old) & np.isnan(new))
    gaps = np.abs(old[other].astype(float) - new[other])
    return float(np.where(np.isnan(gaps), np.inf, gaps).max(initial=0))
