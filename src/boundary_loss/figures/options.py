"""The options that plot, boxplot and hist share, and reading what they name."""

import argparse
from pathlib import Path

from boundary_loss import command
from boundary_loss.metric_definitions import METRICS
from boundary_loss.statistics.comparison import Comparison, find_runs


def parser(description: str, suffix: str = "") -> argparse.ArgumentParser:
    found = command.parser(description)
    found.add_argument("png", type=Path, help=f"the picture to make, as results/isles/val_dice{suffix}.png")
    found.add_argument("--runs", type=Path, nargs="+", required=True, help="run folders, as results/isles/gdl")
    found.add_argument("--metric", choices=METRICS, help="what is drawn; without it, the picture's name says")
    found.add_argument(
        "--columns", nargs="+", default=[], help="class numbers or names, or losses; default: foreground"
    )
    found.add_argument("--study", default="", help="for the title; default: what the runs say")
    found.add_argument("--title", help="instead of study and metric")
    found.add_argument("--legend-names", nargs="+", default=[], help="a name for each run; default: the folders'")
    found.add_argument("--xlim", type=float, nargs=2, metavar=("FROM", "TO"))
    found.add_argument("--ylim", type=float, nargs=2, metavar=("FROM", "TO"))
    found.add_argument("--ylabel", help="instead of the metric and its unit")
    return found


def comparison(args: argparse.Namespace, suffix: str = "") -> Comparison:
    """Read what the options of :func:`parser` name."""
    if args.png.suffix.lower() != ".png":
        raise ValueError(f"{args.png} should end in .png: pictures are written as PNG")
    name = args.metric or args.png.stem.removesuffix(suffix)
    if name not in METRICS:
        raise ValueError(
            f"{args.png.name} names no metric; call it METRIC{suffix}.png or give --metric, one of {', '.join(METRICS)}"
        )
    runs = find_runs(args.runs)
    return Comparison.of(name, runs, columns=args.columns, labels=args.legend_names, study=args.study)


def title_of(shown: Comparison) -> str:
    """Return a title, ``ISLES: validation HD95 per volume, pooled (mm)``."""
    unit = f" ({shown.metric.unit})" if shown.metric.unit else ""
    return f"{shown.study}: {shown.metric.label}{unit}"
