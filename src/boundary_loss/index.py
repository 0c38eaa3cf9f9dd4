"""Write ``results/index.html``: every study with its best numbers and its report, and every archive.

    python -m boundary_loss.index results --archives archives

The page is a single file, like the reports that it links to. A study is listed if it has a finished run. A study that
cannot be read is listed with the reason.
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import argparse
import csv
import math
import os
import sys
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from boundary_loss import command
from boundary_loss.files import write_text
from boundary_loss.folders.run import RunFolder
from boundary_loss.metric_definitions import metric
from boundary_loss.report.html import count, tidy
from boundary_loss.report.page import document
from boundary_loss.statistics.claims import TESTED
from boundary_loss.statistics.comparison import find_runs, group, runs_in, warnings_of

NOTHING: dict[str, Any] = {"study": "", "runs": [], "metrics": [], "differences": [], "gallery": None}


@dataclass(frozen=True, kw_only=True)
class StudyResults:
    """A folder of results, with what the index shows of it."""

    folder: Path
    runs: tuple[RunFolder, ...]

    @property
    def rows(self) -> list[str]:
        return list(group(self.runs))

    @property
    def marks(self) -> list[str]:
        """Warnings that the index must show beside the numbers: ``synthetic data``, ``debug run``."""
        return [text.split(":")[0].split(" (")[0].lower() for text in warnings_of(self.runs)]

    @property
    def made(self) -> str:
        """Commits, networks and epochs of the runs, without repeats."""
        words = {
            "commit": [(run.record.commit or "unknown")[:9] for run in self.runs],
            "network": [run.record.network or "unknown" for run in self.runs],
            "epochs": ["unknown" if run.record.epochs is None else str(run.record.epochs) for run in self.runs],
        }
        return "; ".join(f"{word} {', '.join(dict.fromkeys(found))}" for word, found in words.items())


def lines(results: Path) -> list[str]:
    """Return a row of the table for each folder with finished runs or with an error, sorted by name."""
    found = []
    for folder in sorted(path for path in results.iterdir() if path.is_dir() and not path.name.startswith(".")):
        try:
            paths = runs_in(folder)
            if paths:
                found.append(_study(results, StudyResults(folder=folder, runs=tuple(find_runs(paths)))))
        except (OSError, ValueError, csv.Error) as error:
            print(f"warning: {folder} is not listed: {error}", file=sys.stderr)
            found.append(_unreadable(folder, str(error).replace(str(folder), folder.name)))
    return found


def best_mean(study: StudyResults, name: str) -> str:
    """Return the best mean over the classes at the best epochs, ``0.762 gdl_hausdorff_w``, from report.csv, if any."""
    path = study.folder / "report.csv"
    if not path.is_file():
        return ""
    means: dict[str, list[float]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in ("run", "metric", "when", "mean") if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{path} has no column {', '.join(missing)}; delete it, and make writes the report anew")
        for line in reader:
            if line.get("metric") == name and line.get("when") == "best" and line.get("mean"):
                means.setdefault(line.get("run") or "", []).append(_mean_in(path, line["mean"]))
    if not means:
        return ""
    pick = min if metric(name).lower_is_better else max
    run, values = pick(means.items(), key=lambda item: sum(item[1]) / len(item[1]))
    value = sum(values) / len(values)
    return f"{value:.2f} mm {run}" if metric(name).unit else f"{value:.3f} {run}"


def _mean_in(path: Path, text: str) -> float:
    try:
        mean = float(text)
    except ValueError:
        mean = math.nan
    if math.isnan(mean):
        raise ValueError(f"{path} has the mean {text!r:.40}; delete it, and make writes the report anew")
    return mean


def page(results: Path, archives: Path) -> str:
    sections = [
        ("studies", "Studies", _studies(lines(results))),
        ("archives", "Archives", _archives(results, archives)),
    ]
    words = "Best means over all classes, at the runs' best epochs; the reports say what they are worth."
    return document("Studies and archives", f'<p class="faint">{words}</p>', sections, NOTHING, [])


def _studies(rows: list[str]) -> str:
    if not rows:
        return "<p>No finished run yet: <code>make demo</code>, or <code>make -f isles.make</code>.</p>"
    names = "".join(
        f'<th scope="col" data-sort="text">{word}</th>' for word in ("study", "runs", "Dice", "HD95", "made by")
    )
    return _table(f"<tr>{names}</tr>", "".join(rows))


def _unreadable(folder: Path, why: str) -> str:
    told = escape(" ".join(tidy(word) for word in why.split()))
    return (
        f'<tr><th scope="row">{escape(folder.name)}</th><td class="long" colspan="4">cannot be read: {told}</td></tr>'
    )


def _study(results: Path, study: StudyResults) -> str:
    name = escape(study.folder.name)
    report = study.folder / "report.html"
    link = f'<a href="{_link(report, results)}">{name}</a>' if report.is_file() else f"{name} (no report yet)"
    marks = "".join(f' <span class="mark">{escape(mark)}</span>' for mark in study.marks)
    cells = "".join(f"<td>{escape(best_mean(study, name)) or '–'}</td>" for name in TESTED)
    return (
        f'<tr><th scope="row">{link}{marks}</th><td class="long">{escape(", ".join(study.rows))}</td>{cells}'
        f'<td class="long">{escape(study.made)}</td></tr>'
    )


def _archives(results: Path, archives: Path) -> str:
    found = sorted(archives.glob("*.tar.gz")) if archives.is_dir() else []
    if not found:
        return "<p>None yet: <code>make -f isles.make pack</code>.</p>"
    rows = "".join(
        f'<tr><th scope="row"><a href="{_link(path, results)}">{escape(path.name)}</a></th>'
        f'<td data-value="{path.stat().st_size}">{path.stat().st_size / 1e6:.1f} MB</td></tr>'
        for path in found
    )
    head = '<tr><th scope="col" data-sort="text">archive</th><th scope="col" data-sort="down">size</th></tr>'
    words = "Check one with <code>make -f isles.make verify ARCHIVE=…</code>, make it again with <code>rerun</code>."
    return f'<p class="faint">{count(len(found), "archive")}. {words}</p>{_table(head, rows)}'


def _table(head: str, rows: str) -> str:
    return f'<div class="wide"><table class="sortable"><thead>{head}</thead><tbody>{rows}</tbody></table></div>'


def _link(path: Path, results: Path) -> str:
    return quote(Path(os.path.relpath(path, results)).as_posix())


def arguments() -> argparse.Namespace:
    parser = command.parser("Write an index of all studies and archives.")
    parser.add_argument("results", type=Path, help="the folder of results; index.html goes there")
    parser.add_argument("--archives", type=Path, default=Path("archives"), help="the folder of archives")
    parser.add_argument("--quiet", action="store_true", help="print nothing")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    if not args.results.is_dir():
        raise FileNotFoundError(f"no results at {args.results}; train with make, or check the folder's name")
    path = args.results / "index.html"
    write_text(path, page(args.results, args.archives))
    if not args.quiet:
        print(path)


if __name__ == "__main__":
    command.run(main)
