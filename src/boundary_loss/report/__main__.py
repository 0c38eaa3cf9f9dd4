"""Compare the runs of a study.

    python -m boundary_loss.report results/isles --runs results/isles/gdl results/isles/gdl_surface_steal

Prints a table and writes ``report.csv`` and ``report.html`` in the folder.
"""

import argparse
from pathlib import Path

from boundary_loss import command
from boundary_loss.comparison import find_runs, runs_in, warnings_of
from boundary_loss.drawing import DARK, LIGHT
from boundary_loss.files import write_text
from boundary_loss.metrictable import METRIC_SETS
from boundary_loss.report import gallery
from boundary_loss.report.definitions import NO_SIGNIFICANCE
from boundary_loss.report.findings import conventions, differences, sentences
from boundary_loss.report.page import page
from boundary_loss.report.table import Scores, collect, to_csv, to_text
from boundary_loss.slicedfolder import SLICING, SlicedFolder


def arguments() -> argparse.Namespace:
    parser = command.parser("Compare the runs of a study: table, report.csv, report.html.")
    parser.add_argument("folder", type=Path, help="where the report goes, as results/isles")
    parser.add_argument("--runs", type=Path, nargs="+", help="run folders; default: all finished ones in the folder")
    parser.add_argument(
        "--metrics",
        nargs="+",
        default=[],
        help=f"as val_3d_dsc val_3d_hd95, or sets: {' '.join(METRIC_SETS)}; default: default",
    )
    parser.add_argument("--columns", nargs="+", default=[], help="class numbers or names; default: foreground")
    parser.add_argument("--study", default="", help="for the title; default: what the runs say")
    parser.add_argument("--data", type=Path, help="sliced data, for pictures of cases")
    parser.add_argument("--modality", help="image in those pictures; default: the last one")
    parser.add_argument("--quiet", action="store_true", help="write the files and print no table")
    parser.add_argument("--show", action="store_true", help="print the table and write nothing")
    return parser.parse_args()


def pictures(scores: Scores, data: Path | None, modality: str | None) -> tuple[bytes, bytes] | str:
    """The gallery, or the reason why there is none: a report of old results needs no data."""
    if data is None:
        return "no data were given (--data data/ISLES)"
    try:
        return gallery.draw(scores, data, modality, LIGHT), gallery.draw(scores, data, modality, DARK)
    except (FileNotFoundError, ValueError) as error:
        return str(error)


def other_data(scores: Scores, data: Path | None) -> list[str]:
    """What is to be said if the data has changed since the runs were trained."""
    if data is None or not (data / SLICING).is_file():
        return []
    folder, found = SlicedFolder.open(data), []
    for run in scores.runs:
        try:
            run.refuse_other_data(data, folder.classes, folder.about["checksum"])
        except ValueError as error:
            found.append(str(error))
    return found


def say(scores: Scores, data: Path | None) -> None:
    for text in warnings_of(scores.runs):
        print(f"*** {text} ***")
    print(f"\n{scores.study}: {', '.join(scores.labels)}\n\n{to_text(scores)}\n")
    found = sentences(scores)
    for text in (*found, *([NO_SIGNIFICANCE] if found else [])):
        print(text)
    for text in (*differences(scores.runs), *conventions(scores), *other_data(scores, data), *scores.missing):
        print(f"note: {text}")


def main() -> None:
    args = arguments()
    runs = find_runs(args.runs or runs_in(args.folder))
    if not runs:
        raise FileNotFoundError(f"no finished run in {args.folder}; train with make")
    scores = collect(runs, args.metrics, args.columns, args.study)
    if not args.quiet:
        say(scores, args.data)
    if not args.show:
        write_text(args.folder / "report.csv", to_csv(scores))
        write_text(args.folder / "report.html", page(scores, pictures(scores, args.data, args.modality)))
        print(f"\n{args.folder / 'report.html'}  {args.folder / 'report.csv'}")


if __name__ == "__main__":
    command.run(main)
