"""Metrics over epochs: python -m boundary_loss.evaluate results/isles/gdl --data data/ISLES

Reads the predictions that training saved, and writes into the run folder (see boundary_loss.runfolder)
float32 arrays, NaN for an epoch without predictions on disk:
    val_3d_dsc.npy val_3d_hausdorff.npy val_3d_hd95.npy val_3d_assd.npy    (E, volumes, K)
    val_hausdorff.npy val_boundary.npy                                     (E, slices, K)
    evaluation.json      how many values of the best epoch the empty-mask rule decided, per metric
Rows are in the order of rows.json. Distances are in mm and NaN for the background (class 0).
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from boundary_loss import command
from boundary_loss.files import read_json, sweep, write_array, write_json
from boundary_loss.metrics.empty import RULE
from boundary_loss.metrics.volume import SLICE_METRICS, VOLUME_METRICS, Comparison, VolumeTruth
from boundary_loss.naming import by_volume
from boundary_loss.runfolder import BEST_PREDICTIONS, EVALUATION_ARRAYS, RunFolder, iteration, metric
from boundary_loss.slicedfolder import SlicedFolder, read_png

EVALUATION = "evaluation.json"


def main(argv: Sequence[str] | None = None) -> None:
    parser = command.parser("Measure a run's saved predictions over the epochs, in 3D and 2D, in millimetres.")
    parser.add_argument("run", type=Path, help="run folder, finished or interrupted, as results/isles/gdl")
    parser.add_argument("--data", type=Path, required=True, help="sliced data that the run was validated on")
    parser.add_argument("--metrics", nargs="+", default=["all"], metavar="NAME",
                        help=f"all, or some of: {' '.join(map(_short, EVALUATION_ARRAYS))}")  # fmt: skip
    parser.add_argument("--epochs", nargs="+", default=["all"], metavar="WHICH",
                        help="all, best, or every N (also the best and the last)")  # fmt: skip
    parser.add_argument("--workers", type=int, default=command.num_cores(), help="processes that measure at once")
    args = parser.parse_args(argv)
    metrics = _parse_metrics(args.metrics)
    run, data = RunFolder.find(args.run), SlicedFolder.open(args.data)
    evaluate(run, data, metrics, args.epochs, args.workers)


def evaluate(run: RunFolder, data: SlicedFolder, metrics: Sequence[str], epochs: Sequence[str], workers: int) -> None:
    """Measure, write the arrays, print the best epoch."""
    if workers < 1:
        raise ValueError(f"--workers must be at least 1, got {workers}")
    sweep(run.path)
    best = run.best_epoch
    num_epochs = len(run.array("val_dice"))
    folders = _prediction_folders(run, best, num_epochs, epochs)
    results = _measure(_jobs(run, data, metrics, folders), workers)
    arrays = _assemble(run, results, metrics, list(folders), num_epochs)
    touched = _count_touched(results, metrics, list(folders), best)
    for name, array in arrays.items():
        write_array(run.path / f"{name}.npy", array)
    if touched:
        path = run.path / EVALUATION
        write_json(path, (read_json(path) if path.is_file() else {}) | touched)
    _report(run, arrays, touched, len(folders))


@dataclass(frozen=True)
class Job:
    """One volume over all epochs: what a worker does."""

    volume: str
    stems: tuple[str, ...]
    run: Path
    data: Path
    folders: tuple[str, ...]
    """Prediction folders inside the run, one an epoch."""
    num_classes: int
    metrics: tuple[str, ...]

    def __call__(self) -> list[Comparison]:
        """A comparison for each folder."""
        truth = self._truth()
        known: dict[bytes, Comparison] = {}  # epochs often repeat a prediction, above all an empty one
        return [self._compare(truth, self.run / folder / "val", known) for folder in self.folders]

    def _truth(self) -> VolumeTruth:
        data = SlicedFolder.open(self.data)
        try:
            spacing = data.spacing_3d(self.volume)
            slice_spacing = [data.spacing("val", stem) for stem in self.stems]
        except KeyError as missing:
            raise ValueError(f"{data.path} states no spacing for {missing}; slice it anew") from None
        labels = [data.labels("val", stem) for stem in self.stems]
        return VolumeTruth(labels, self.num_classes, spacing, slice_spacing)

    def _compare(self, truth: VolumeTruth, folder: Path, known: dict[bytes, Comparison]) -> Comparison:
        paths = [folder / f"{stem}.png" for stem in self.stems]
        slices = [self._read(path, labels.shape) for path, labels in zip(paths, truth.slices)]
        digest = blake2b(b"".join(labels.tobytes() for labels in slices)).digest()
        if digest not in known:
            known[digest] = truth.compare(slices, self.metrics)
        return known[digest]

    def _read(self, path: Path, shape: tuple[int, ...]) -> np.ndarray:
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} is missing; delete the folder {path.parent.parent} to leave that epoch out"
            )
        labels = read_png(path)
        if labels.shape != shape:
            raise ValueError(f"{path} has shape {labels.shape}, its ground truth {shape}: other data than --data?")
        if labels.max() >= self.num_classes:
            raise ValueError(f"{path} holds class {labels.max()}; the run has classes 0..{self.num_classes - 1}")
        return labels


def _jobs(run: RunFolder, data: SlicedFolder, metrics: Sequence[str], folders: dict[int, str]) -> list[Job]:
    stems = run.names["val"]
    unknown = sorted(set(stems) - set(data.stems("val")))
    if unknown:
        raise ValueError(
            f"{data.path}/val has no slice {unknown[0]}, which {run.path} predicted "
            f"({len(unknown)} of {len(stems)} are not there): the run belongs to other data or another fold"
        )
    run.refuse_other_data(data.path, data.classes, data.about["checksum"])
    shared = (tuple(folders.values()), len(data.classes), tuple(metrics))
    return [Job(volume, tuple(own), run.path, data.path, *shared) for volume, own in by_volume(stems).items()]


def _prediction_folders(run: RunFolder, best: int, num_epochs: int, which: Sequence[str]) -> dict[int, str]:
    """``{epoch: folder of its predictions}`` for the epochs asked for whose predictions are on disk."""
    wanted = _parse_epochs(which, num_epochs, best)
    on_disk = {epoch: iteration(epoch) for epoch in run.epochs}
    if (run.path / BEST_PREDICTIONS / "val").is_dir():
        on_disk.setdefault(best, BEST_PREDICTIONS)
    folders = {epoch: on_disk[epoch] for epoch in wanted if epoch in on_disk}
    if not folders:
        raise FileNotFoundError(f"{run.path} holds no predictions of the epochs asked for ({' '.join(which)})")
    return folders


def _parse_epochs(which: Sequence[str], num_epochs: int, best: int) -> list[int]:
    match list(which):
        case ["all"]:
            return list(range(num_epochs))
        case ["best"]:
            return [best]
        case ["every", step] if step.isdigit() and int(step) > 0:
            return sorted({*range(0, num_epochs, int(step)), best, num_epochs - 1})
    raise ValueError(f"--epochs {' '.join(which)} is not understood; known: all, best, every N")


def _short(array: str) -> str:
    return array.removeprefix("val_")


def _parse_metrics(names: Sequence[str]) -> list[str]:
    """Metric names without ``val_``, in the order of the run folder's list."""
    known = [_short(array) for array in EVALUATION_ARRAYS]
    asked = known if list(names) == ["all"] else [_short(name) for name in names]
    for name in asked:
        if name not in known:
            raise ValueError(f"unknown metric '{name}'; known: all, {', '.join(known)}")
    return [name for name in known if name in asked]


def _measure(jobs: Sequence[Job], workers: int) -> dict[str, list[Comparison]]:
    """``{volume: its comparisons, one an epoch}``, in the jobs' order, however many processes there are."""
    results: dict[str, list[Comparison]] = {}
    finished = _in_processes(jobs, workers) if min(workers, len(jobs)) > 1 else ((job, _run(job)) for job in jobs)
    for job, comparisons in tqdm(finished, total=len(jobs), desc="metrics", unit="volume", disable=None):
        results[job.volume] = comparisons
    return {job.volume: results[job.volume] for job in jobs}


def _run(job: Job) -> list[Comparison]:
    try:
        return job()
    except (ValueError, FileNotFoundError) as error:
        raise ValueError(f"{job.volume}: {error}") from error
    except Exception as error:
        error.add_note(f"while measuring {job.volume} of {job.run}")
        raise


def _in_processes(jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, list[Comparison]]]:
    # A fork of this process could inherit a lock held by one of its threads; a fork server has no threads.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    if "boundary" in jobs[0].metrics and method == "forkserver":  # so that each worker need not load it
        context.set_forkserver_preload(["boundary_loss.metrics.volume", "boundary_loss.distance"])
    pool = ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context, initializer=_start_worker)
    try:
        job_of: dict[Future[list[Comparison]], Job] = {pool.submit(_run, job): job for job in jobs}
        for future in as_completed(job_of):
            yield job_of[future], future.result()
    except BrokenProcessPool:
        raise ValueError("a process that measures was killed, perhaps for lack of memory; try --workers 1") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """End at once and without a word at Ctrl-C, and with the parent when it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _assemble(
    run: RunFolder,
    results: dict[str, list[Comparison]],
    metrics: Sequence[str],
    epochs: Sequence[int],
    num_epochs: int,
) -> dict[str, np.ndarray]:
    """``{array name: (E, rows, K) float32}``, rows in the order of rows.json."""
    row_of = {stem: row for row, stem in enumerate(run.names["val"])}
    stems_of = by_volume(run.names["val"])
    num_classes = len(run.names["classes"])
    arrays: dict[str, np.ndarray] = {}
    for name in metrics:
        rows = run.names[metric(f"val_{name}").rows]
        array = np.full((num_epochs, len(rows), num_classes), np.nan, np.float32)
        for volume, comparisons in results.items():
            row: Any = rows.index(volume) if name in VOLUME_METRICS else [row_of[stem] for stem in stems_of[volume]]
            for epoch, comparison in zip(epochs, comparisons):
                array[epoch, row] = (comparison.of_volume | comparison.of_slices)[name]
        arrays[f"val_{name}"] = array
    return arrays


def _count_touched(
    results: dict[str, list[Comparison]], metrics: Sequence[str], epochs: Sequence[int], best: int
) -> dict[str, dict[str, int]]:
    """How many (case, foreground class) values of the best epoch the empty-mask rule decided; of how many."""
    if best not in epochs:
        return {}
    at_best = [comparisons[epochs.index(best)] for comparisons in results.values()]
    volumes = np.concatenate([comparison.empty_volume[1:] for comparison in at_best])
    slices = np.concatenate([comparison.empty_slices[:, 1:].ravel() for comparison in at_best])
    touched = {}
    for name in metrics:
        if name == "boundary":  # its formula needs no rule: an empty prediction and an absent class give 0
            continue
        empty = slices if name in SLICE_METRICS else volumes
        touched[f"val_{name}"] = {"touched": int(empty.sum()), "of": int(empty.size)}
    return touched


def _report(
    run: RunFolder, arrays: dict[str, np.ndarray], touched: dict[str, dict[str, int]], num_measured: int
) -> None:
    """Mean ± standard deviation over cases at the best epoch, per foreground class."""
    classes = run.names["classes"]
    num_epochs = len(next(iter(arrays.values())))
    print(f"{run.path}: {num_measured} of {num_epochs} epochs measured; best epoch {run.best_epoch}, mean ± sd:")
    print(_line("", classes[1:], "cases", "empty"))
    for name, array in arrays.items():
        values = array[run.best_epoch, :, 1:]
        spread = values.std(0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1])
        cells = [f"{mean:.3f} ± {sd:.3f}" for mean, sd in zip(values.mean(0), spread)]
        count = touched.get(name)
        unit = metric(name).unit
        by_rule = f"{count['touched']} of {count['of']}" if count else "-"
        print(_line(f"{name} {f'({unit})' if unit else ''}", cells, str(len(values)), by_rule))
    print(f"empty-mask rule: {RULE}")


def _line(name: str, cells: Iterable[str], cases: str, empty: str) -> str:
    return f"  {name:24}" + "".join(f"{cell:>20}" for cell in cells) + f"{cases:>8}{empty:>14}"


if __name__ == "__main__":
    command.run(main)
