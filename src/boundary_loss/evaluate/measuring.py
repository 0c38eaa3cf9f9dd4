"""The volumes of a run side by side: each measured over all epochs by one process, which reads its files itself."""

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from tqdm import tqdm

from boundary_loss.folders.naming import by_volume
from boundary_loss.folders.prepared import PreparedFolder
from boundary_loss.folders.run import RunFolder
from boundary_loss.metrics.volume import VolumeMeasures, VolumeTruth
from boundary_loss.processes import end_with_parent, pool_of, submit_all
from boundary_loss.signals import begin_worker


@dataclass(frozen=True)
class Job:
    """One volume over all epochs: what a worker does."""

    volume: str
    stems: tuple[str, ...]
    run: Path
    data: Path
    epochs: tuple[int | None, ...]
    """Those to measure; None = the predictions of the best epoch."""
    num_classes: int
    metrics: tuple[str, ...]

    def __call__(self) -> list[VolumeMeasures]:
        """A comparison for each epoch."""
        truth, run = self._truth(), RunFolder(self.run)
        known: dict[bytes, VolumeMeasures] = {}  # epochs often repeat a prediction, above all an empty one
        return [self._compare(truth, run, epoch, known) for epoch in self.epochs]

    def _truth(self) -> VolumeTruth:
        data = PreparedFolder.open(self.data)
        spacing = data.spacing_3d(self.volume)
        slice_spacing = [data.spacing("val", stem) for stem in self.stems]
        labels = [data.labels("val", stem) for stem in self.stems]
        return VolumeTruth(labels, self.num_classes, spacing, slice_spacing)

    def _compare(
        self, truth: VolumeTruth, run: RunFolder, epoch: int | None, known: dict[bytes, VolumeMeasures]
    ) -> VolumeMeasures:
        try:
            slices = run.predictions(epoch, self.stems)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error}; delete an epoch's folder to leave that epoch out") from None
        for stem, labels, expected in zip(self.stems, slices, truth.slices, strict=True):
            self._check(f"epoch {'best' if epoch is None else epoch}, slice {stem}", labels, expected.shape)
        digest = blake2b(b"".join(labels.tobytes() for labels in slices)).digest()
        if digest not in known:
            known[digest] = truth.compare(slices, self.metrics)
        return known[digest]

    def _check(self, what: str, labels: np.ndarray, shape: tuple[int, ...]) -> None:
        if labels.shape != shape:
            raise ValueError(f"{what} has shape {labels.shape}, its ground truth {shape}: other data than --data?")
        if labels.max() >= self.num_classes:
            raise ValueError(f"{what} holds class {labels.max()}; the run has classes 0..{self.num_classes - 1}")


def jobs_of(run: RunFolder, data: PreparedFolder, metrics: Sequence[str], places: dict[int, int | None]) -> list[Job]:
    stems = run.slices
    unknown = sorted(set(stems) - set(data.stems("val")))
    if unknown:
        raise ValueError(
            f"{data.path}/val has no slice {unknown[0]}, which {run.path} predicted "
            f"({len(unknown)} of {len(stems)} are not there): the run belongs to other data or another fold"
        )
    run.refuse_other_data(data.path, data.classes, data.about.checksum)
    shared = (tuple(places.values()), len(data.classes), tuple(metrics))
    return [Job(volume, tuple(own), run.path, data.path, *shared) for volume, own in by_volume(stems).items()]


def measure(jobs: Sequence[Job], workers: int) -> dict[str, list[VolumeMeasures]]:
    """``{volume: its comparisons, one an epoch}``, in the jobs' order, however many processes there are."""
    results: dict[str, list[VolumeMeasures]] = {}
    finished = _in_processes(jobs, workers) if min(workers, len(jobs)) > 1 else _in_turn(jobs)
    for job, comparisons in tqdm(finished, total=len(jobs), desc="metrics", unit="volume", disable=None):
        results[job.volume] = comparisons
    return {job.volume: results[job.volume] for job in jobs}


def _run(job: Job) -> list[VolumeMeasures]:
    try:
        return job()
    except (ValueError, FileNotFoundError) as error:
        raise ValueError(f"{job.volume}: {error}") from error
    except Exception as error:
        error.add_note(f"while measuring {job.volume} of {job.run}")
        raise


def _in_turn(jobs: Sequence[Job]) -> Iterator[tuple[Job, list[VolumeMeasures]]]:
    return ((job, _run(job)) for job in jobs)


def _in_processes(jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, list[VolumeMeasures]]]:
    # A fork of this process could inherit a lock held by one of its threads; a fork server has no threads.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    if "boundary" in jobs[0].metrics and method == "forkserver":  # so that each worker need not load it
        context.set_forkserver_preload(["boundary_loss.metrics.volume", "boundary_loss.distance"])
    pool = pool_of(min(workers, len(jobs)), mp_context=context, initializer=_start_worker)
    futures = submit_all(pool, _run, jobs) if pool is not None else None
    if pool is None or futures is None:
        yield from _in_turn(jobs)
        return
    try:
        job_of: dict[Future[list[VolumeMeasures]], Job] = dict(zip(futures, jobs, strict=True))
        for future in as_completed(job_of):
            yield job_of[future], future.result()
    except BrokenProcessPool:
        raise ValueError("a process that measures was killed, perhaps for lack of memory; try --workers 1") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """End at once and without a word at Ctrl-C, and with the parent when it is killed."""
    begin_worker(signal.SIG_DFL)
    end_with_parent()
