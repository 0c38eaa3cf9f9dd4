"""Compare the runs of a study.

    python -m boundary_loss.report results/isles --runs results/isles/gdl results/isles/gdl_surface_steal

Prints tables and paired comparisons, and writes ``report.html``, ``report.tex``, ``report.csv``, ``comparisons.csv``
and ``comparisons.txt`` (a sentence for every pair) in the folder. The runs of a row's seeds and folds are pooled.
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from boundary_loss import command
from boundary_loss.files import write_text
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.report import comparisons, report_data, table
from boundary_loss.report.findings import conventions, differences, sentences, unverified
from boundary_loss.report.latex import to_latex
from boundary_loss.report.options import BESIDE, arguments, collected
from boundary_loss.report.page import page
from boundary_loss.report.table import Scores
from boundary_loss.statistics.claims import Statistics
from boundary_loss.statistics.comparison import warnings_of


def other_data(scores: Scores, data: list[Path]) -> list[str]:
    """Return a note for each run whose data is in none of the folders any more, because it was sliced anew."""
    folders = [PreparedFolder.open(path) for path in data if PreparedFolder.is_at(path)]
    found = []
    for run in scores.runs:
        faults = []
        for folder in folders:
            try:
                run.refuse_other_data(folder.path, folder.classes, folder.about.checksum)
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
    print(f"\n{comparisons.to_text(statistics)}\n")
    unsure = unverified(run.record for run in scores.runs)
    for text in (
        *unsure, *differences(scores.runs), *conventions(scores), *other_data(scores, data), *scores.missing,
    ):  # fmt: skip
        print(f"note: {text}")


def write(words: Sequence[str]) -> None:
    """Write the files of a report that has these options, and print nothing."""
    args = arguments(words)
    _write(args, *collected(args), words)


def _write(args: argparse.Namespace, scores: Scores, statistics: Statistics, words: Sequence[str]) -> None:
    shaping = command.settings(words, BESIDE)
    seen = report_data.take_or_kept(scores, args.data, args.modality, args.folder, shaping)
    write_text(args.folder / "report.csv", table.to_csv(scores))
    write_text(args.folder / "comparisons.csv", comparisons.to_csv(statistics))
    write_text(args.folder / "comparisons.txt", comparisons.to_sentences(statistics))
    write_text(args.folder / "report.tex", to_latex(scores, statistics))
    write_text(args.folder / "report.html", page(scores, statistics, seen))


def main() -> None:
    args = arguments()
    scores, statistics = collected(args)
    if not args.quiet:
        say(scores, statistics, args.data)
    if args.show:
        return
    _write(args, scores, statistics, sys.argv[1:])
    print(f"\n{args.folder / 'report.html'}  report.tex  report.csv  comparisons.csv  comparisons.txt")


if __name__ == "__main__":
    command.run(main)
