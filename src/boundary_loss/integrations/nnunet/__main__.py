"""nnU-Net's trainers and results: python -m boundary_loss.integrations.nnunet [evaluate | compare] ...

Without a command it prints the export line that makes nnU-Net find our trainers, and their names as comments:

    eval "$(python -m boundary_loss.integrations.nnunet)"
    nnUNetv2_train 4 3d_fullres 0 -tr nnUNetTrainerBoundary

``evaluate FOLDER ...`` writes surface_summary.json beside nnU-Net's summary.json; ``compare FOLDER FOLDER ...`` says
which trainer is better, and by how much.
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import argparse
import textwrap
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from boundary_loss import command
from boundary_loss.empty_masks import RULE
from boundary_loss.files import new_folder
from boundary_loss.folders.run import RunFolder
from boundary_loss.integrations.nnunet import comparison, layout
from boundary_loss.integrations.nnunet.catalogue import export_line, trainers
from boundary_loss.integrations.nnunet.evaluation import Evaluation
from boundary_loss.integrations.nnunet.measuring import DEFAULT, Settings
from boundary_loss.integrations.nnunet.summary import as_text
from boundary_loss.metrics.measure import EMPTY
from boundary_loss.report.__main__ import write as report
from boundary_loss.report.findings import differences
from boundary_loss.report.table import collect
from boundary_loss.statistics.claims import ALPHA, TESTED, compare

SEEDS = (
    "Seeds are repeated trainings: folders of one name, each in an nnUNet_results of its own. Each network is the last "
    "checkpoint, which nnU-Net validates."
)


def show_trainers(_: argparse.Namespace) -> None:
    """Print the line that points nnU-Net to the trainers, and what each of them does."""
    width = max(len(name) for name, _ in trainers())
    print(export_line())
    print("\n".join(f"# {name:{width}}  {what}" for name, what in trainers()))


def evaluate(args: argparse.Namespace) -> None:
    """Write a summary into each folder of predictions, and print its means."""
    if args.workers < 1:
        raise ValueError(f"--workers must be at least 1, got {args.workers}")
    settings = Settings(metrics=tuple(args.metrics), empty=args.empty, by_index=args.by_index)
    for folder in dict.fromkeys(folder for path in args.folders for folder in layout.prediction_folders(path)):
        found = Evaluation(
            predictions=folder, truth=args.truth or layout.truth_folder(folder),
            labels=layout.Labels.read(args.dataset or layout.dataset_file(folder)), settings=settings, chill=args.chill,
        )  # fmt: skip
        content = found.run(args.workers)
        print(f"{found.target}: mean of {len(content['metric_per_case'])} cases\n{as_text(content)}")
    if args.empty == "rule":
        print(textwrap.fill(f"empty-mask rule: {RULE}", 118, subsequent_indent="  "))


def compare_trainers(args: argparse.Namespace) -> None:
    """Print means and what can be concluded; with ``--report`` also write the report's page and tables."""
    given = comparison.trainings(args.folders)
    if args.report is None:
        with TemporaryDirectory() as folder:
            _say(comparison.write_runs(Path(folder) / "nnunet", given, args.patient), args)
        return
    with new_folder(args.report) as folder:
        runs = comparison.write_runs(folder, given, args.patient)
        _say(runs, args)
        words = ["--baseline", args.baseline] if args.baseline else []
        metrics = comparison.metrics_in(runs)
        report([str(folder), "--metrics", *metrics, "--alpha", str(args.alpha), "--test", *args.test, *words])
    print(f"\n{args.report / 'report.html'}  report.tex  report.csv  comparisons.csv")


def _say(places: list[Path], args: argparse.Namespace) -> None:
    scores = collect([RunFolder.find(place) for place in places], comparison.metrics_in(places))
    statistics = compare(scores.comparisons, tested=args.test, baseline=args.baseline, alpha=args.alpha)
    print(f"{scores.study}: {', '.join(scores.labels)}\n\n{comparison.table_of(scores)}\n")
    for text in statistics.sentences("last"):
        print(textwrap.fill(text, 118, subsequent_indent="  "))
    print(f"\n{textwrap.fill(f'{statistics.method} {SEEDS}', 118)}")
    for note in differences(scores.runs):
        print(f"note: {note}")


def arguments() -> argparse.Namespace:
    parser = command.parser("nnU-Net's trainers and results. Without a command: the line that points nnU-Net to ours.")
    parser.set_defaults(what=show_trainers)
    commands = parser.add_subparsers(metavar="COMMAND")
    form: Any = {"formatter_class": parser.formatter_class, "allow_abbrev": False}
    _add_evaluate(commands.add_parser("evaluate", help="surface metrics of predictions", **form))
    _add_compare(commands.add_parser("compare", help="which trainer is better, and by how much", **form))
    return parser.parse_args()


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(what=evaluate)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="a trainer's, a fold's, or predictions")
    parser.add_argument("--truth", type=Path, help="label images; default: those that summary.json names")
    parser.add_argument("--dataset", type=Path, help="dataset.json; default: the one in the folder or above")
    parser.add_argument("--metrics", nargs="+", default=list(DEFAULT),
                        help="as dsc hd95 hd99 assd nsd (surface Dice at 2 mm) nsd1mm (at 1 mm)")  # fmt: skip
    parser.add_argument("--empty", choices=EMPTY, default="rule",
                        help="what empty masks give: a value by one rule, or NaN, which means leave out")  # fmt: skip
    parser.add_argument("--by-index", action="store_true", help="compare voxel by voxel wherever headers place them")
    parser.add_argument("--chill", action="store_true", help="leave out ground truths that are not predicted")
    parser.add_argument("--workers", type=int, default=command.num_cores(), help="processes that measure at once")


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(what=compare_trainers)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="trainers', folds', or predictions")
    parser.add_argument("--test", nargs="*", default=list(TESTED), help="metrics that are compared pair by pair")
    parser.add_argument("--baseline", help="compare every trainer with this one only; default: each with each")
    parser.add_argument("--alpha", type=float, default=ALPHA, help="chance of any false claim")
    parser.add_argument("--patient", default="", metavar="REGEX",
                        help="the part of a case's name that names the patient, whose cases are averaged")  # fmt: skip
    parser.add_argument("--report", type=Path, metavar="FOLDER", help="new folder for report.html and tables")


def main() -> None:
    args = arguments()
    args.what(args)


if __name__ == "__main__":
    command.run(main)
