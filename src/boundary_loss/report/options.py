"""The options of the report's command, read from its command line or from what an archive kept of it."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from boundary_loss import command
from boundary_loss.metric_definitions import METRIC_SETS
from boundary_loss.report.table import Scores, collect
from boundary_loss.statistics.claims import ALPHA, TESTED, Statistics, compare
from boundary_loss.statistics.comparison import find_runs, runs_in

BESIDE = ("--runs", "--data", "--modality", "--quiet", "--show")
"""Options that do not shape what is compared, or that are kept in another way."""


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse ``words``; None = the command line."""
    parser = command.parser("Compare the runs of a study: tables, paired comparisons, a page.")
    parser.add_argument("folder", type=Path, help="where the report goes, as results/isles")
    parser.add_argument("--runs", type=Path, nargs="+", help="run folders; default: all finished ones in the folder")
    _add_compared(parser)
    parser.add_argument("--data", type=Path, nargs="+", default=[], help="sliced data of the runs, for the gallery")
    parser.add_argument("--modality", help="image shown first; default: the last one")
    parser.add_argument("--quiet", action="store_true", help="write the files and print no table")
    parser.add_argument("--show", action="store_true", help="print the table and write nothing")
    return parser.parse_args(words)


def _add_compared(parser: argparse.ArgumentParser) -> None:
    """Add the options that decide what is compared."""
    parser.add_argument("--metrics", nargs="+", default=["default"],
                        help=f"arrays, as val_3d_dsc, or sets: {' '.join(METRIC_SETS)}")  # fmt: skip
    parser.add_argument("--columns", nargs="+", default=[], help="class numbers or names; default: foreground")
    parser.add_argument("--study", default="", help="for the title; default: what the runs say")
    parser.add_argument("--test", nargs="*", default=list(TESTED), help="metrics that are compared pair by pair")
    parser.add_argument("--baseline", help="compare every run with this one only; default: each with each")
    parser.add_argument("--alpha", type=float, default=ALPHA, help="chance of any false claim")


class _Refusing(argparse.ArgumentParser):
    """A parser that raises ValueError instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def kept_arguments(folder: Path, names: Sequence[str], words: Sequence[str]) -> argparse.Namespace:
    """Parse the words that a report kept; words that name a folder or would end the process are refused.

    Args:
        folder: of the report.
        names: of its runs, in that folder.
        words: options of :func:`arguments` that are not :data:`BESIDE`.

    Raises:
        ValueError: any other word.
    """
    parser = _Refusing(add_help=False, allow_abbrev=False)
    _add_compared(parser)
    args = parser.parse_args(list(words))
    args.folder, args.runs = folder, [folder / name for name in names]
    return args


def collected(args: argparse.Namespace) -> tuple[Scores, Statistics]:
    """Read the runs and compare them.

    Raises:
        FileNotFoundError: no finished run.
        ValueError: an unknown metric, class or baseline.
    """
    runs = find_runs(args.runs or runs_in(args.folder))
    if not runs:
        raise FileNotFoundError(f"no finished run in {args.folder}; train with make")
    scores = collect(runs, args.metrics, args.columns, args.study)
    return scores, compare(scores.comparisons, tested=args.test, baseline=args.baseline, alpha=args.alpha)
