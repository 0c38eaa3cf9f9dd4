"""Metrics over epochs: python -m boundary_loss.evaluate results/isles/gdl --data data/ISLES

Reads the predictions that training saved, and writes into the run folder (see boundary_loss.folders.run)
float32 arrays, NaN for an epoch without predictions on disk:
    val_3d_*.npy             (E, volumes, K)    each metric of boundary_loss.metric_definitions
    val_hausdorff.npy val_boundary.npy          (E, slices, K)
    val_ejection_error.npy   (E, patients, K)   where patients have two volumes; NaN but for the ventricles
    evaluation.json      how many values of the best epoch the empty-mask rule decided, and what they became
Rows are in the order of rows.json. Distances are in mm; they and lesions are NaN for the background (class 0).
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from boundary_loss import command
from boundary_loss.empty_masks import RULE, Touched
from boundary_loss.evaluate.assembling import EJECTION, EJECTS, assemble, short, touched, ventricles
from boundary_loss.evaluate.measuring import jobs_of, measure
from boundary_loss.files import sweep, write_array, write_json
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.run import BEST_EPOCH, EVALUATION, RunFolder
from boundary_loss.metric_definitions import AREA_ARRAYS, EVALUATION_ARRAYS, METRIC_SETS, PAIR_ARRAYS, SLICES, metric
from boundary_loss.metrics.volume import SLICE_METRICS


def main(argv: Sequence[str] | None = None) -> None:
    parser = command.parser("Measure a run's saved predictions over the epochs, in 3D and 2D, in millimetres.")
    parser.add_argument("run", type=Path, help="run folder, finished or interrupted, as results/isles/gdl")
    parser.add_argument("--data", type=Path, required=True, help="sliced data that the run was validated on")
    parser.add_argument("--metrics", nargs="+", default=["all"], metavar="NAME",
                        help=f"all, sets ({' '.join(METRIC_SETS)}), or some of: "
                        f"{' '.join(map(short, (*EVALUATION_ARRAYS, *AREA_ARRAYS, *PAIR_ARRAYS)))}")  # fmt: skip
    parser.add_argument("--epochs", nargs="+", default=["all"], metavar="WHICH",
                        help="all, best, or every N (also the best and the last)")  # fmt: skip
    parser.add_argument("--workers", type=int, default=command.num_cores(), help="processes that measure at once")
    args = parser.parse_args(argv)
    run, data = RunFolder.find(args.run), PreparedFolder.open(args.data)
    metrics = _parse_metrics(args.metrics, run)
    evaluate(run, data, metrics, args.epochs, args.workers)


def evaluate(run: RunFolder, data: PreparedFolder, metrics: Sequence[str], epochs: Sequence[str], workers: int) -> None:
    """Measure, write the arrays, print the best epoch."""
    if workers < 1:
        raise ValueError(f"--workers must be at least 1, got {workers}")
    sweep(run.path)
    best = run.best_epoch
    num_epochs = len(run.array("val_dice"))
    if best >= num_epochs:
        raise ValueError(
            f"{run.path / BEST_EPOCH} says {best}, but val_dice.npy has {num_epochs} epochs, counted from 0"
        )
    places = _places(run, best, num_epochs, epochs)
    results = measure(jobs_of(run, data, metrics, places), workers)
    arrays = assemble(run, results, metrics, list(places), num_epochs)
    rule = touched(run, results, arrays, list(places), best)
    if rule:  # before the arrays: make measures again where one is missing, and never where only the counts are
        counted = run.counted | rule
        write_json(run.path / EVALUATION, {name: found.to_json() for name, found in counted.items()})
    for name, array in arrays.items():
        write_array(run.path / f"{name}.npy", array)
    _report(run, arrays, rule, len(places))


def _places(run: RunFolder, best: int, num_epochs: int, which: Sequence[str]) -> dict[int, int | None]:
    """``{epoch: where its predictions are}`` of the epochs asked for: its own folder, or None = the best epoch's."""
    on_disk: dict[int, int | None] = {epoch: epoch for epoch in run.epochs}
    if run.has_best_predictions:
        on_disk.setdefault(best, None)
    places = {epoch: on_disk[epoch] for epoch in _parse_epochs(which, num_epochs, best) if epoch in on_disk}
    if not places:
        raise FileNotFoundError(f"{run.path} holds no predictions of the epochs asked for ({' '.join(which)})")
    return places


def _parse_epochs(which: Sequence[str], num_epochs: int, best: int) -> list[int]:
    match list(which):
        case ["all"]:
            return list(range(num_epochs))
        case ["best"]:
            return [best]
        case ["every", step] if step.isdigit() and int(step) > 0:
            return sorted({*range(0, num_epochs, int(step)), best, num_epochs - 1})
    raise ValueError(f"--epochs {' '.join(which)} is not understood; known: all, best, every N")


def _parse_metrics(words: Sequence[str], run: RunFolder) -> list[str]:
    """Metric names without ``val_``, in the order of the run folder's list; ``all``: those that the run can have,
    but for those of areas."""
    can_eject = bool(ventricles(run))
    known = [short(array) for array in (*EVALUATION_ARRAYS, *AREA_ARRAYS, *PAIR_ARRAYS)]
    sliced = run.items == SLICES  # of whole volumes no metric of single slices is measured, unless it is named
    by_area = {short(array) for array in AREA_ARRAYS}
    possible = [
        name
        for name in known
        if name not in by_area and (name != EJECTION or can_eject) and (sliced or name not in SLICE_METRICS)
    ]
    asked: set[str] = set()
    for word in words:
        if word not in METRIC_SETS and short(word) not in known:
            raise ValueError(f"unknown metric '{word}'; known: {', '.join(METRIC_SETS)}; {', '.join(known)}")
        asked |= set(possible) if word == "all" else {short(array) for array in METRIC_SETS.get(word, (word,))}
    if EJECTION in asked and not can_eject:
        raise ValueError(f"{EJECTION} needs classes named '... {EJECTS}', {run.path} has "
                         f"{', '.join(run.names['classes'])}")  # fmt: skip
    return [name for name in known if name in asked]


def _report(run: RunFolder, arrays: dict[str, np.ndarray], rule: dict[str, Touched], num_measured: int) -> None:
    """Mean ± standard deviation over cases at the best epoch, per foreground class; what the empty-mask rule did."""
    classes = run.names["classes"]
    num_epochs = len(next(iter(arrays.values())))
    print(f"{run.path}: {num_measured} of {num_epochs} epochs measured; best epoch {run.best_epoch}, mean ± sd:")
    print(_line("", classes[1:], "cases", "empty masks"))
    for name, array in arrays.items():
        values = array[run.best_epoch, :, 1:]
        spread = values.std(0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1])
        means = values.mean(0) if len(values) else np.full(values.shape[1], np.nan)
        unit, decimals = metric(name).unit, metric(name).decimals
        cells = [
            "–" if np.isnan(mean) else f"{mean:.{decimals}f} ± {sd:.{decimals}f}" for mean, sd in zip(means, spread)
        ]
        by_rule = rule[name].text(unit) if name in rule else "-"
        print(_line(f"{name} {f'({unit})' if unit else ''}", cells, str(len(values)), by_rule))
    print(textwrap.fill(f"empty-mask rule: {RULE}", 118, subsequent_indent="  "))


def _line(name: str, cells: Iterable[str], cases: str, empty: str) -> str:
    return f"  {name:38}" + "".join(f"  {cell:>18}" for cell in cells) + f"{cases:>8}  {empty}"


if __name__ == "__main__":
    command.run(main)
