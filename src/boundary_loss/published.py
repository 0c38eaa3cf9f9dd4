"""Compare our numbers with published ones: which agree, which do not, and which cannot be compared.

    python -m boundary_loss.published lineage/isles.published --runs results/isles/gdl results/isles/gdl_surface_steal

A ``.published`` file has comments, headers ``# Source NAME: ...`` and ``# Note NAME: ...``, and a line per number:

    # row  metric    class   mean   sd     patients  convention  source
    gdl    val_dice  lesion  0.575  0.028  20        inferred    midl2019

``row`` and ``metric`` are names of this project; ``-`` is an unknown sd. ``convention`` compares how the number was
computed with our metric: ``same``; ``inferred``, if only the paper's values suggest that it is the same; ``differs``.
Two more headers are optional: ``# Trained NAME: 16``, the volumes that the source's networks were trained on, and
``# Voxel NAME: 0.625``, the side in mm of the voxels in which it gives distances; these are then compared in mm.
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import argparse
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from boundary_loss import command
from boundary_loss.folders.naming import by_volume
from boundary_loss.folders.run import RunFolder
from boundary_loss.metric_definitions import SLICES, metric
from boundary_loss.report.table import Score, collect
from boundary_loss.statistics import tables
from boundary_loss.statistics.comparison import find_runs, group, number, short_label

CONVENTIONS = ("same", "inferred", "differs")
TOLERANCE = 0.05
"""Relative difference from a published mean that still counts as agreement, because the held-out patients differ."""


@dataclass(frozen=True, kw_only=True)
class Number:
    """One published mean."""

    row: str
    metric: str
    column: str
    mean: float
    sd: float
    """Standard deviation over runs, as published; NaN if unknown."""
    patients: int
    """Number of held-out patients in the mean."""
    convention: str
    source: str
    trained: int | None = None
    """Volumes that the network was trained on, where the source says it."""
    voxels: float | None = None
    """The mean in voxels, of a distance that was published so; ``mean`` and ``sd`` are in mm."""

    def tolerance(self, ours: Score) -> float:
        """Return the largest of twice their sd over runs, twice ours, and :data:`TOLERANCE` of the mean."""
        spreads = [2 * sd for sd in (self.sd, ours.sd_seeds) if not math.isnan(sd)]
        return max(*spreads, TOLERANCE * abs(self.mean)) if spreads else TOLERANCE * abs(self.mean)


@dataclass(frozen=True, kw_only=True)
class Published:
    """A ``.published`` file."""

    numbers: tuple[Number, ...]
    sources: dict[str, str]
    notes: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> "Published":
        """Parse the file; it may list no number, if none was published of the study.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a line that is neither a comment nor a number, or a source that no header names.
        """
        if not path.is_file():
            raise FileNotFoundError(f"no published numbers at {path}; boundary_loss/published.py says what it may hold")
        sources, notes, numbers = {}, [], []
        facts: dict[str, dict[str, float]] = {"Trained": {}, "Voxel": {}}
        for place, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            header = re.fullmatch(r"#\s*(Source|Note|Trained|Voxel)\s*(\S*):\s*(.+)", line)
            if header and header[1] == "Source":
                sources[header[2]] = header[3]
            elif header and header[1] in facts:
                facts[header[1]][header[2]] = _above_0(header[3], f"{path}, line {place}")
            elif header:
                notes.append(header[3])
            elif line.strip() and not line.startswith("#"):
                numbers.append(_parse(line, f"{path}, line {place}"))
        for name in dict.fromkeys([*(found.source for found in numbers), *facts["Trained"], *facts["Voxel"]]):
            if name not in sources:
                raise ValueError(f"{path} names no source '{name}'; add a line '# Source {name}: ...'")
        complete = tuple(_with_facts(found, facts["Trained"], facts["Voxel"]) for found in numbers)
        return cls(numbers=complete, sources=sources, notes=tuple(notes))


def _above_0(text: str, where: str) -> float:
    with suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise ValueError(f"{where}: expected a number above 0, got {text!r}")


def _with_facts(found: Number, trained: dict[str, float], voxel_mm: dict[str, float]) -> Number:
    """Return the number with what the headers say of its source: training volumes, and a distance in mm."""
    found = replace(found, trained=round(trained[found.source])) if found.source in trained else found
    side = voxel_mm.get(found.source)
    if side is None or metric(found.metric).unit != "mm":
        return found
    return replace(found, voxels=found.mean, mean=side * found.mean, sd=side * found.sd)


def _parse(line: str, where: str) -> Number:
    words = line.split()
    if len(words) != 8:
        raise ValueError(f"{where}: expected row, metric, class, mean, sd, patients, convention, source; found: {line}")
    row, name, column, mean, sd, patients, convention, source = words
    if convention not in CONVENTIONS:
        raise ValueError(f"{where}: unknown convention '{convention}'; known: {', '.join(CONVENTIONS)}")
    try:
        metric(name)
        spread = math.nan if sd == "-" else float(sd)
        if not math.isfinite(float(mean)) or (sd != "-" and not 0 <= spread < math.inf) or int(patients) < 1:
            raise ValueError(f"expected a finite mean, an sd of 0 or more or '-', and 1 patient or more; found: {line}")
        return Number(row=row, metric=name, column=column, mean=float(mean), sd=spread, patients=int(patients),
                      convention=convention, source=source)  # fmt: skip
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def why_not_comparable(published: Number, runs: Sequence[RunFolder]) -> list[str]:
    """Return the reasons why these runs cannot be compared with the published number; empty if they can."""
    reasons = []
    if any(run.record.phantom for run in runs):
        reasons.append("synthetic data")
    if any(run.record.debug for run in runs):
        reasons.append("debug run")
    if any(_unknown_archives(run) for run in runs):
        reasons.append("archives of unknown checksum (TRUST=1)")
    held_out = len({patient for run in runs for patient in run.patients.values()})
    if held_out < published.patients:
        reasons.append(f"{held_out} held-out patient{'' if held_out == 1 else 's'}, theirs {published.patients}")
    trained = sorted({_training_volumes(run) for run in runs})
    if published.trained and any(abs(count - published.trained) > 0.1 * published.trained for count in trained):
        reasons.append(f"trained on {' or '.join(map(str, trained))} volumes, theirs on {published.trained}")
    if published.convention == "differs":
        reasons.append("another convention of the metric")
    return reasons


def _training_volumes(run: RunFolder) -> int:
    names = run.names["train"]
    return len(by_volume(names)) if run.items == SLICES else len(names)


def _unknown_archives(run: RunFolder) -> bool:
    source = run.record.data_source
    return source is not None and any(archive.trusted for archive in source.archives)


def verdict(published: Number, ours: Score | None, runs: Sequence[RunFolder]) -> str:
    """Return ``agrees (within 0.056)``, ``higher by 0.081`` or ``not comparable: ...``."""
    if not runs:
        return f"not trained here: RUNS={published.row}"
    if ours is None or not ours.n:
        return "not measured here: make metrics"
    reasons = why_not_comparable(published, runs)
    if reasons:
        return f"not comparable: {', '.join(reasons)}"
    difference, tolerance = ours.mean - published.mean, published.tolerance(ours)
    doubt = ", if their convention is ours" if published.convention == "inferred" else ""
    if abs(difference) <= tolerance:
        return f"agrees (within {number(published.metric, tolerance)}){doubt}"
    word = "higher" if difference > 0 else "lower"
    return f"{word} by {number(published.metric, abs(difference))}{doubt}"


def to_text(published: Published, runs: Sequence[RunFolder]) -> str:
    """Return a line per published number, with ours at the best and last epoch and a verdict; then the sources."""
    rows = group(runs)
    asked = [found for found in published.numbers if _belongs(found, rows)]
    names = list(dict.fromkeys(found.metric for found in asked if any(run.has(found.metric) for run in runs)))
    scores = collect(runs, names) if names else None
    lines = [["run", "metric", "class", "published", "ours, best epoch", "ours, last epoch", ""]]
    for found in published.numbers:
        label = _belongs(found, rows)
        best, last = (scores.get(label, found.metric, found.column, when) if scores and label else None
                      for when in ("best", "last"))  # fmt: skip
        in_voxels = "" if found.voxels is None else f" ({found.voxels:g} voxels)"
        theirs = f"{number(found.metric, found.mean)}{_spread(found.metric, found.sd)}{in_voxels} [{found.source}]"
        lines.append([found.row, short_label(found.metric), found.column, theirs, _ours(best), _ours(last),
                      verdict(found, best, rows.get(label, ()))])  # fmt: skip
    items = {found.metric: rows[_belongs(found, rows)][0].items for found in reversed(asked)}
    table = tables.aligned(lines) if len(lines) > 1 else ""
    return "\n\n".join(filter(None, [table, *_explained(published, items)]))


def _belongs(found: Number, rows: dict[str, tuple[RunFolder, ...]]) -> str:
    """Return the label of our runs of that row; empty if there are none."""
    return next((label for label, own in rows.items() if own[0].row == found.row), "")


def _spread(name: str, sd: float) -> str:
    return "" if math.isnan(sd) else f" ± {number(name, sd)}"


def _ours(score: Score | None) -> str:
    if score is None or not score.n:
        return "–"
    return number(score.metric, score.mean) + _spread(score.metric, score.sd_seeds)


def _explained(published: Published, items: Mapping[str, str]) -> list[str]:
    """Return paragraphs with sources, conventions and notes; ``items``: what our runs were measured on, by metric."""
    named = "\n".join(f"[{name}] {text}" for name, text in published.sources.items())
    measured = dict.fromkeys(found.metric for found in published.numbers)
    ours = "\n".join(f"{short_label(name)}: our {metric(name, items.get(name, SLICES)).label}" for name in measured)
    how = (
        "± standard deviation over runs, where known. Agrees: within twice that, or "
        f"{TOLERANCE:.0%} of the published mean. They held out other patients than we do."
    )
    notes = "\n".join(f"note: {text}" for text in published.notes)
    return [ours, how if published.numbers else "No published number of this study is known.", named, notes]


def arguments() -> argparse.Namespace:
    parser = command.parser("Set our numbers beside the published ones.")
    parser.add_argument("published", type=Path, help="as lineage/isles.published")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run folders, as results/isles/gdl")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    print(to_text(Published.read(args.published), find_runs(args.runs)))


if __name__ == "__main__":
    command.run(main)
