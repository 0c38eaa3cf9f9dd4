"""Compare the runs of a study.

    python -m boundary_loss.report results/isles --runs results/isles/gdl results/isles/gdl_surface_steal

Prints tables and paired comparisons, and writes ``report.html``, ``report.tex``, ``report.csv`` and ``comparisons.csv``
in the folder. The runs of a row's seeds and folds are pooled.
"""

import argparse
from pathlib import Path

from boundary_loss import command
from boundary_loss.comparison import find_runs, runs_in, warnings_of
from boundary_loss.drawing import DARK, LIGHT
from boundary_loss.files import write_text
from boundary_loss.report import gallery, pairs, table
from boundary_loss.report.findings import differences, sentences
from boundary_loss.report.latex import to_latex
from boundary_loss.report.page import page
from boundary_loss.report.table import Scores, collect
from boundary_loss.slicedfolder import SLICING, SlicedFolder
from boundary_loss.statistics import ALPHA, TESTED, Statistics, compare


def arguments() -> argparse.Namespace:
    parser = command.parser("Compare the runs of a study: tables, paired comparisons, a page.")
    parser.add_argument("folder", type=Path, help="where the report goes, as results/isles")
    parser.add_argument("--runs", type=Path, nargs="+", help="run folders; default: all finished ones in the folder")
    parser.add_argument("--metrics", nargs="+", default=[], help="as val_3d_dsc val_3d_hd95; default: all there are")
    parser.add_argument("--columns", nargs="+", default=[], help="class numbers or names; default: foreground")
    parser.add_argument("--study", default="", help="for the title; default: what the runs say")
    parser.add_argument("--test", nargs="*", default=list(TESTED), help="metrics that are compared pair by pair")
    parser.add_argument("--baseline", help="compare every run with this one only; default: each with each")
    parser.add_argument("--alpha", type=float, default=ALPHA, help="chance of any false claim")
    parser.add_argument(
        "--data", type=Path, nargs="+", default=[], help="sliced data of the runs, for pictures of cases"
    )
    parser.add_argument("--modality", help="image in those pictures; default: the last one")
    parser.add_argument("--quiet", action="store_true", help="write the files and print no table")
    parser.add_argument("--show", action="store_true", help="print the table and write nothing")
    return parser.parse_args()


def pictures(scores: Scores, data: list[Path], modality: str | None) -> tuple[bytes, bytes] | str:
    """The gallery, or the reason why there is none: a report of old results needs no data."""
    if not data:
        return "no data were given (--data data/ISLES)"
    try:
        return gallery.draw(scores, data[0], modality, LIGHT), gallery.draw(scores, data[0], modality, DARK)
    except (FileNotFoundError, ValueError) as error:
        return str(error)


def other_data(scores: Scores, data: list[Path]) -> list[str]:
    """What is to be said where the data has changed since a run was trained: no folder is its own any more."""
    folders = [SlicedFolder.open(path) for path in data if (path / SLICING).is_file()]
    found = []
    for run in scores.runs:
        faults = []
        for folder in folders:
            try:
                run.refuse_other_data(folder.path, folder.classes, folder.about["checksum"])
            except ValueError as error:
                faults.append(str(error))
        if faults and len(faults) == len(folders):
            found.append(faults[0])
    return found


def say(scores: Scores, statistics: Statistics, data: list[Path]) -> None:
    for text in warnings_of(scores.runs):
        print(f"*** {text} ***")
    print(f"\n{scores.study}: {', '.join(scores.labels)}\n\n{table.to_text(scores)}\n")
    for text in sentences(scores):
        print(text)
    print(f"\n{pairs.to_text(statistics)}\n")
    for text in (*differences(scores.runs), *other_data(scores, data), *scores.missing):
        print(f"note: {text}")


def main() -> None:
    args = arguments()
    runs = find_runs(args.runs or runs_in(args.folder))
    if not runs:
        raise FileNotFoundError(f"no finished run in {args.folder}; train with make")
    scores = collect(runs, args.metrics, args.columns, args.study)
    statistics = compare(scores.comparisons, tested=args.test, baseline=args.baseline, alpha=args.alpha)
    if not args.quiet:
        say(scores, statistics, args.data)
    if not args.show:
        write_text(args.folder / "report.csv", table.to_csv(scores))
        write_text(args.folder / "comparisons.csv", pairs.to_csv(statistics))
        write_text(args.folder / "report.tex", to_latex(scores, statistics))
        write_text(args.folder / "report.html", page(scores, statistics, pictures(scores, args.data, args.modality)))
        print(f"\n{args.folder / 'report.html'}  report.tex  report.csv  comparisons.csv")


if __name__ == "__main__":
    command.run(main)
