"""Check the rows of a ledger that the goals of make would train, if they are several, before the first is trained.

    python -m boundary_loss.goals --goals report results/isles/surface --rows ce gdl \\
        --part seed0 --data data/ISLES --seed 0 --part seed1 --data data/ISLES --seed 1 \\
        --run results/isles/ce --losses ce:1 --run results/isles/gdl --losses gdl:1 --run results/isles/surface ...

``--rows`` are those in RUNS; ``--locator`` names the row that is trained before all others, whose boxes they take
(``--boxes``), and which has none itself. Every ``--run`` is trained once for each ``--part``, with the words of both;
without parts it is trained once. ``--anew`` is make's ``-B``: finished runs are trained again. torch is imported only
if there is something to check, by :mod:`boundary_loss.ledgercheck`.
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from boundary_loss import command
from boundary_loss.command import Stop

CHECK = "check-ledger"
WITHOUT_RUNS = frozenset(("data", "help", "index", "unpack", "verify", "rerun"))
GOALS, ROWS, LOCATOR, ANEW, PART, RUN = MARKS = ("--goals", "--rows", "--locator", "--anew", "--part", "--run")
BOXES = "--boxes"


@dataclass(frozen=True)
class Run:
    """One training that make could start."""

    row: Path
    """The folder of its row, as results/isles/gdl."""
    part: str
    """As fold1_seed0; empty if the row is trained once."""
    words: tuple[str, ...]
    """The options of the training."""

    @property
    def folder(self) -> Path:
        return self.row / self.part

    def is_finished(self) -> bool:
        """True if its folder was made with these options."""
        try:
            made_with = command.recorded(self.folder)
        except ValueError:
            return False  # an unreadable record is reported by the check
        wanted = command.settings([str(self.folder), *self.words], beside=("--fresh",))
        return made_with is not None and not command.differences(made_with, wanted)


@dataclass(frozen=True)
class Request:
    """What make was called for."""

    goals: Sequence[str]
    runs: Sequence[Run]
    rows: frozenset[str]
    """The names in RUNS; the other rows are named by a goal, or are the locator."""
    locator: frozenset[str]
    """The name of the row whose boxes the others take, if there is one."""
    anew: bool

    @property
    def usual(self) -> list[Run]:
        """The runs of RUNS, which most goals need."""
        return [run for run in self.runs if run.row.name in self.rows]

    @property
    def first(self) -> list[Run]:
        """The runs that find boxes: of the locator, as many as there are parts."""
        return [run for run in self.runs if run.row.name in self.locator]


def read(words: Sequence[str]) -> Request:
    """Read the command line described at the head of this module."""
    if not words or words[0] not in MARKS:
        raise Stop(f"begin with {GOALS}, then the goals of make (see the head of goals.py)")
    sections: list[tuple[str, list[str]]] = []
    for word in words:
        if word in MARKS:
            sections.append((word, []))
        else:
            sections[-1][1].append(word)
    found = {mark: [own for other, own in sections if other == mark] for mark in MARKS}
    locator = frozenset(chain(*found[LOCATOR]))
    return Request(
        goals=list(chain(*found[GOALS])),
        runs=[
            Run(Path(row), part, _words((*of_part, *of_row), boxes=Path(row).name not in locator))
            for row, *of_row in found[RUN]
            for part, *of_part in found[PART] or [[""]]
        ],
        rows=frozenset(chain(*found[ROWS])),
        locator=locator,
        anew=bool(found[ANEW]),
    )


def _words(words: Sequence[str], *, boxes: bool) -> tuple[str, ...]:
    """The options of a training, without ``--boxes`` where it has none."""
    return tuple(words) if boxes else tuple(command.settings(["", *words], beside=(BOXES,)))


def needed(goal: str, request: Request) -> list[Run]:
    """The runs that make trains for a goal, finished or not."""
    if goal.split("/")[0] in WITHOUT_RUNS:
        return []
    if goal == "view":  # the gallery shows the first part of each row
        return one_of_each_row(request.usual)
    inside = [run for run in request.runs if Path(goal).is_relative_to(run.folder)]
    return inside or [run for run in request.runs if Path(goal).is_relative_to(run.row)] or request.usual


def one_of_each_row(runs: Sequence[Run]) -> list[Run]:
    """The first run of each row, in the order given."""
    first: dict[Path, Run] = {}
    for run in runs:
        first.setdefault(run.row, run)
    return list(first.values())


def to_check(request: Request) -> list[Run]:
    """One run of each row that will be trained; none if that is a single row, for its training checks it as early.

    One is enough, for the seeds and folds of a row differ in nothing that can be wrong.
    """
    if CHECK in request.goals:
        return one_of_each_row([*request.first, *request.usual])
    asked = {run for goal in request.goals for run in needed(goal, request)}
    if asked:
        asked.update(one_of_each_row(request.first))
    due = one_of_each_row([run for run in request.runs if run in asked and (request.anew or not run.is_finished())])
    return due if len(due) > 1 else []


def main() -> None:
    due = to_check(read(sys.argv[1:]))
    if due:
        from boundary_loss import ledgercheck  # here, for it imports torch, which takes seconds

        ledgercheck.report([[str(run.folder), *run.words] for run in due])


if __name__ == "__main__":
    command.run(main)
