"""From a folder of predictions to surface_summary.json: in parallel, and from where an interrupted evaluation stopped.

Measured cases are kept in ``surface_summary.json_tmp`` until all are. A case is measured again only if one of its files
has changed; a summary of other files or settings is set aside under a dated name.
"""

import json
import os
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tqdm import tqdm

from boundary_loss.command import Stop
from boundary_loss.files import read_json, set_aside, sole_maker, sweep, unfinished, write_json
from boundary_loss.integrations.nnunet.layout import Labels, expected_cases
from boundary_loss.integrations.nnunet.measuring import Entry, Job, Settings
from boundary_loss.integrations.nnunet.summary import FILE, read_summary, summary
from boundary_loss.processes import end_with_parent, pool_of, submit_all
from boundary_loss.signals import begin_worker

PORTION = 4
"""Cases for each process between two writes of what has been measured."""
SHOWN = 10
"""Faulty cases that a message lists."""
Known = Mapping[str, Mapping[str, Any]]
"""Entries of an earlier time by the prediction's file."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One folder of predictions beside its ground truths."""

    predictions: Path
    truth: Path
    labels: Labels
    settings: Settings
    chill: bool = False
    """Whether ground truths without a prediction are left out instead of refused: nnU-Net's word."""

    @property
    def target(self) -> Path:
        return self.predictions / FILE

    def run(self, workers: int) -> dict[str, Any]:
        """Measure what has not been measured, write the summary and return it.

        Raises:
            ValueError: cases that lack a file or cannot be compared, all of them in one message.
        """
        cases = self._cases()
        with sole_maker(self.target):
            sweep(self.predictions)
            entries = self._measured(cases, workers)
            content = summary(entries, self.labels, self.settings)
            if not self.target.is_file() or json.dumps(read_json(self.target)) != json.dumps(content):  # NaN is not NaN
                self._publish(content)
        return content

    def _publish(self, content: dict[str, Any]) -> None:
        grown = unfinished(self.target)
        write_json(grown, content)
        aside = set_aside(self.target)
        grown.rename(self.target)
        if aside is not None:
            print(f"{self.target}: the one before is kept as {aside.name}")

    def _cases(self) -> list[str]:
        """Return the files to measure; refuse predictions without ground truth, and the other way round."""
        found = _files(self.predictions, self.labels.ending)
        if not found:
            raise FileNotFoundError(f"{self.predictions} holds no predictions, files ending in {self.labels.ending}")
        truths = set(_files(self.truth, self.labels.ending))
        split = expected_cases(self.predictions, self.truth)
        expected = truths if split is None else {f"{case}{self.labels.ending}" for case in split}
        faults = [f"{name} has no ground truth in {self.truth}" for name in found if name not in truths]
        if not self.chill:
            lacking = sorted(expected - set(found))
            faults += [f"{name} is not predicted (--chill leaves it out)" for name in lacking]
        _refuse(self.predictions, faults)
        return found

    def _measured(self, cases: Sequence[str], workers: int) -> list[Entry]:
        known = self._known()
        jobs = [
            Job(
                prediction=self.predictions / name, truth=self.truth / name, labels=self.labels,
                settings=self.settings, known=known.get(name),
            )
            for name in cases
        ]  # fmt: skip
        entries: dict[str, Entry] = {}
        faults = []
        with _map(min(workers, len(jobs))) as over:
            bar = tqdm(total=len(jobs), desc=self.predictions.parent.name, unit="case", disable=None, leave=False)
            for some in _portions(jobs, PORTION * workers):
                for job, found in zip(some, over(some)):
                    bar.update()
                    if isinstance(found, str):
                        faults.append(found)
                    else:
                        entries[job.prediction.name] = found
                if any(
                    entry["fingerprint"] != known.get(name, {}).get("fingerprint") for name, entry in entries.items()
                ):
                    write_json(unfinished(self.target), summary(list(entries.values()), self.labels, self.settings))
            bar.close()
        _refuse(self.predictions, faults)
        return [entries[name] for name in cases]

    def _known(self) -> Known:
        """Return what was measured before with the same settings and labels, finished or not."""
        known: dict[str, Mapping[str, Any]] = {}
        for path in (self.target, unfinished(self.target)):
            if path.is_file():
                content = read_summary(path)
                if (content["settings"], content["labels"]) == (self.settings.as_json(), self.labels.names):
                    known |= {entry["prediction_file"]: entry for entry in content["metric_per_case"]}
        return known


def _files(folder: Path, ending: str) -> list[str]:
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder at {folder}")
    return sorted(path.name for path in folder.iterdir() if path.name.endswith(ending) and path.name[0] != ".")


def _refuse(folder: Path, faults: Sequence[str]) -> None:
    if faults:
        more = [f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
        lines = "\n".join(f"    {fault}" for fault in [*faults[:SHOWN], *more])
        raise ValueError(f"{folder} cannot be evaluated:\n{lines}")


def _portions(jobs: Sequence[Job], size: int) -> Iterator[Sequence[Job]]:
    return (jobs[start : start + size] for start in range(0, len(jobs), size))


@contextmanager
def _map(workers: int) -> Iterator[Any]:
    """A map of jobs over processes, in order; in this process if there is one worker."""
    method = "forkserver" if os.name == "posix" else "spawn"
    pool = pool_of(workers, mp_context=get_context(method), initializer=_begin) if workers > 1 else None
    if pool is None:
        yield lambda jobs: map(_call, jobs)
        return

    def spread(jobs: Sequence[Job]) -> Iterable[Entry | str]:
        futures = submit_all(pool, _call, jobs)
        if futures is None:
            return map(_call, jobs)
        try:
            return [future.result() for future in futures]
        except BrokenProcessPool:
            raise Stop("a process that measures was killed, perhaps for lack of memory; try --workers 1") from None

    try:
        yield spread
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _call(job: Job) -> Entry | str:
    return job()


def _begin() -> None:
    begin_worker(signal.SIG_DFL)
    end_with_parent()
