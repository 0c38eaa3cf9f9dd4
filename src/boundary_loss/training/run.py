"""Runs a whole training from its last saved epoch to the end, and saves everything after each epoch."""

import csv
import io
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from boundary_loss.command import Stop
from boundary_loss.data import Samples
from boundary_loss.files import sweep, write_array, write_text
from boundary_loss.folders.run import BEST_EPOCH, BEST_WEIGHTS, CSV, RunFolder, iteration
from boundary_loss.losses import propose_weight
from boundary_loss.metric_definitions import POINTS, SLICES, TRAINING_ARRAYS
from boundary_loss.owncode import lacks_memory
from boundary_loss.training.checkpoint import CheckpointWriter, load_checkpoint, save_midway
from boundary_loss.training.clock import hours
from boundary_loss.training.epoch import EpochRunner
from boundary_loss.training.epoch_sums import EpochLog, foreground_mean
from boundary_loss.training.fitting import Fitting, identity
from boundary_loss.training.interruption import Interruption
from boundary_loss.training.mid_epoch import Midway, Watch
from boundary_loss.training.optimisers import set_rate
from boundary_loss.training.predictions import WRITERS, PredictionWriter, keep_best
from boundary_loss.training.tracking import Track, untracked
from boundary_loss.training.weights import save_weights

_ALARM_AFTER = 3  # epochs in a row that predict only background


class History:
    """All measurements so far, one entry an epoch, as the checkpoint holds them."""

    def __init__(self) -> None:
        self.arrays: dict[str, list[np.ndarray]] = {name: [] for name in TRAINING_ARRAYS}
        self.lines: list[dict[str, float]] = []
        self.scores: list[float] = []
        """The score that the best epoch maximises."""
        self.foreground: list[int] = []

    def add(self, line: dict[str, float], train: EpochLog, val: EpochLog, score: float) -> None:
        for name, array in zip(TRAINING_ARRAYS, (train.losses, val.losses, train.dice, val.dice), strict=True):
            self.arrays[name].append(array)
        self.lines.append(line)
        self.scores.append(score)
        self.foreground.append(val.foreground)

    @property
    def epochs(self) -> int:
        return len(self.scores)

    @property
    def best(self) -> int:
        """Return the first epoch with the highest score."""
        return self.best_of(self.epochs - 1)

    def best_of(self, last: int) -> int:
        """Return the best of the epochs up to ``last``; -1 if there is none."""
        return int(np.argmax(self.scores[: last + 1])) if last >= 0 else -1

    def collapsed(self) -> bool:
        """Return True in the epoch in which only background has been predicted for several epochs in a row."""
        last = self.foreground[-_ALARM_AFTER - 1 :]
        return (
            self.epochs >= _ALARM_AFTER and not any(last[-_ALARM_AFTER:]) and (len(last) == _ALARM_AFTER or last[0] > 0)
        )

    def state(self) -> dict[str, Any]:
        arrays = {name: torch.from_numpy(np.stack(rows)) for name, rows in self.arrays.items() if rows}
        return {"arrays": arrays, "lines": self.lines, "scores": self.scores, "foreground": self.foreground}

    @classmethod
    def restore(cls, state: dict[str, Any]) -> "History":
        history = cls()
        history.arrays |= {name: list(array.numpy()) for name, array in state["arrays"].items()}
        history.lines, history.scores, history.foreground = state["lines"], state["scores"], state["foreground"]
        return history

    def write(self, run: Path) -> None:
        for name, rows in self.arrays.items():
            write_array(run / f"{name}.npy", np.stack(rows))
        table = io.StringIO()
        columns = dict.fromkeys(name for line in self.lines for name in line)
        writer = csv.DictWriter(table, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: round(value, 6) for key, value in line.items()} for line in self.lines)
        write_text(run / CSV, table.getvalue())


@dataclass
class Training:
    """Trains in the folder ``run`` until ``experiment.epochs`` epochs are done."""

    run: Path
    runner: EpochRunner
    train: Samples
    val: Samples
    about_network: dict[str, Any]
    queue: Sequence[Path] = ()
    """The study's runs that are not trained yet, this one included: for the estimate of the time left."""
    save_minutes: float = 0
    """Between two checkpoints within an epoch; 0 for none but at a signal."""
    track: Track = untracked
    """Shows the epochs that are done somewhere else too."""

    def __post_init__(self) -> None:
        self.history, self.interruption = History(), Interruption(self.runner.ranks)
        self.checkpoints = CheckpointWriter(self.run)
        self.begun: Midway | None = None
        if self.runner.ranks.is_first:
            sweep(self.run)
        self.identity = identity(self.runner.experiment, self.train.folder.about.checksum)
        state = load_checkpoint(self.run, self._fitting())
        if state is not None:
            try:
                self._restore(state)
            except RuntimeError as error:  # a network of the user's own may raise further errors
                if lacks_memory(error):
                    raise
                raise Stop(f"{self.run} cannot go on from its checkpoint: {error}") from error

    def _fitting(self) -> Fitting:
        """Return the fields, types and sizes of a state of this run."""
        runner, terms = self.runner, len(self.runner.terms)
        experiment, classes = runner.experiment, self.train.num_classes
        train = self.train.shuffled(experiment.batch_size, 0)
        val = self.val.in_order(experiment.batch_size, group=experiment.group)
        losses = [(len(train), terms), (len(val), terms)]
        shapes = [*losses, (len(self.train.names), classes), (len(self.val.names), classes)]
        return Fitting(
            net=runner.net,
            optimiser=runner.optimiser,
            scaler=runner.arithmetic.scaler.state_dict(),
            run=self.identity,
            epochs=experiment.epochs,
            shapes=dict(zip(TRAINING_ARRAYS, shapes, strict=True)),
        )

    def _restore(self, state: dict[str, Any]) -> None:
        self.runner.restore(state)
        self.history = History.restore(state["history"])
        places, epochs = [], self.history.epochs
        if epochs:
            places.append(f"after epoch {epochs - 1}")
            if self.runner.ranks.is_first:
                keep_best(self.run, self.history.best)
        if "midway" in state:
            self.begun = Midway(**state["midway"])
            places.append(f"at step {self.begun.tally['done']} of epoch {epochs}")
        print(f"going on {', '.join(places)}", flush=True)

    def __call__(self) -> None:
        """Train to the last epoch.

        Raises:
            Interrupted: by SIGTERM or Ctrl-C, after the current step, when everything is saved.
        """
        with self.interruption, self.checkpoints:
            self.track(self.history.lines)
            for epoch in range(self.history.epochs, self.runner.experiment.epochs):
                self._epoch(epoch)
                self.track(self.history.lines)
            self.checkpoints.wait()
            if self.runner.ranks.is_first:
                self._remove_predictions(self.history.epochs - 1)

    def _epoch(self, epoch: int) -> None:
        experiment, runner = self.runner.experiment, self.runner
        weights = experiment.weights(epoch, self.history.scores)
        rate = experiment.rate_rule.at(epoch, experiment.learning_rate, self.history.scores)
        set_rate(runner.optimiser, rate)
        start = time.perf_counter()
        begun, self.begun = self.begun, None
        write = WRITERS[experiment.predictions] if self.val.items == SLICES else PredictionWriter
        with write(self.run, epoch, keep=begun is not None, ranks=runner.ranks) as writer:

            def save(here: Midway) -> None:
                writer.flush()
                if runner.ranks.is_first:
                    self.checkpoints.wait()
                    save_midway(self.run, self._state() | {"midway": here.state()})
                runner.ranks.wait()

            watch = Watch(self.interruption, save, epoch, self.save_minutes, begun)
            train = runner.train(self.train, epoch, weights, writer, begun=begun, after_step=watch.training)
            val = runner.validate(self.val, epoch, weights, writer, after_step=watch.validation)
            if not self.val.keeps_validated and self._stays(epoch, val):
                runner.predict(self.val, epoch, writer, after_item=watch.prediction)
        self._record(epoch, rate, weights, train, val)
        self._say(epoch, time.perf_counter() - start)

    def _stays(self, epoch: int, val: EpochLog) -> bool:
        """Return True if the epoch's predictions are kept: a new best, one that KEEP names, or the last."""
        experiment = self.runner.experiment
        is_best = self._score(val) > max(self.history.scores, default=-1)
        return is_best or experiment.keeps(epoch) or epoch == experiment.epochs - 1

    def _score(self, val: EpochLog) -> float:
        """Return the score that the best epoch maximises."""
        return foreground_mean(val.volume_dice if self.runner.experiment.best == "volume" else val.dice)

    def _record(self, epoch: int, rate: float, weights: Sequence[float], train: EpochLog, val: EpochLog) -> None:
        line = {
            "epoch": epoch,
            "tra_loss": train.total_loss(weights),
            "val_loss": val.total_loss(weights),
            "tra_dice": foreground_mean(train.dice),
            "val_dice": foreground_mean(val.dice),
            "val_dice_volume": foreground_mean(val.volume_dice),
            "lr": rate,
            "skipped": train.skipped,
        }
        line |= {f"weight_{i}": weight for i, weight in enumerate(weights)}
        line |= {f"gradient_{i}": float(norm) for i, norm in enumerate(train.gradients)}
        self.history.add(line, train, val, self._score(val))
        if self.runner.ranks.is_first:
            self._write(epoch)

    def _write(self, epoch: int) -> None:
        """Write all of the epoch; the checkpoint comes last and makes the epoch count."""
        self.checkpoints.wait()
        self._remove_predictions(epoch - 1, best_before=True)
        if self.history.best == epoch:
            save_weights(self.run / BEST_WEIGHTS, self.runner.net, self.about_network | {"epoch": epoch})
            keep_best(self.run, epoch)
            write_text(self.run / BEST_EPOCH, f"{epoch}\n")
        self.history.write(self.run)
        self.checkpoints.write(self._state())

    def _remove_predictions(self, last: int, *, best_before: bool = False) -> None:
        """Remove what KEEP leaves out of the epochs up to ``last``, whose checkpoint is on the disk.

        Args:
            best_before: also keep the best of the epochs before ``last``, because a run whose last checkpoint is spoilt
                continues from the one before.
        """
        bests = {self.history.best_of(last), self.history.best_of(last - 1) if best_before else last}
        for epoch in range(last):
            if not (self.runner.experiment.keeps(epoch) or epoch in bests):
                shutil.rmtree(self.run / iteration(epoch), ignore_errors=True)

    def _state(self) -> dict[str, Any]:
        return self.runner.state() | {"history": self.history.state(), "run": self.identity}

    def _say(self, epoch: int, seconds: float) -> None:
        """Print one line an epoch, with the time that is left of this run and of the study."""
        line, experiment = self.history.lines[-1], self.runner.experiment
        left = (experiment.epochs - epoch - 1) * seconds
        others = max(len(self.queue) - 1, 0) * experiment.epochs * seconds
        name = RunFolder(self.run).name
        study = f", of the study about {hours(left + others)}" if others else ""
        score = f"(best {max(self.history.scores):.3f} at epoch {self.history.best})"
        print(
            f"{name}  epoch {epoch} ({epoch + 1}/{experiment.epochs})"
            f"  loss {line['tra_loss']:.4f}, val {line['val_loss']:.4f}"
            f"  Dice {'on points' if self.val.items == POINTS else 'per volume'} {line['val_dice_volume']:.3f} {score}"
            f"{self._skipped()}  {seconds:.1f} s, left {hours(left)}{study}",
            flush=True,
        )
        if experiment.gradients and len(self.runner.terms) > 1:
            print(f"{name}  {self._balance()}", flush=True)
        if self.history.collapsed():
            print(
                f"{name}  warning: nothing but background predicted for {_ALARM_AFTER} epochs; "
                "a boundary or Hausdorff term may weigh too much, or the rate be too high",
                flush=True,
            )

    def _skipped(self) -> str:
        """Return the number of batches of the last epoch that were not finite, as text, if any."""
        steps = int(self.history.lines[-1]["skipped"])
        last = self.history.arrays["val_loss"][-1]
        batches = int((~np.isfinite(last)).any(axis=1).sum())
        training = f"  skipped {steps} steps that were not finite" if steps else ""
        return training + (f"  validation loss not finite on {batches} of {len(last)} batches" if batches else "")

    def _balance(self) -> str:
        """Return the terms' gradient norms, and the weights that would make each as long as the first, as text."""
        line, terms = self.history.lines[-1], self.runner.terms
        norms = {str(i): line[f"gradient_{i}"] for i in range(len(terms))}
        first = terms[0].text.split(":")[0]
        pulls = [f"{term.text} {line[f'weight_{i}'] * norms[str(i)]:.3g}" for i, term in enumerate(terms)]
        equal = [f"{propose_weight(norms, str(i), '0') * line['weight_0']:.3g}" for i in range(1, len(terms))]
        return f"gradients, weighted: {', '.join(pulls)}; weights that pull as {first} does: {', '.join(equal)}"
