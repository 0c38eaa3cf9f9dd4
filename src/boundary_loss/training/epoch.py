"""Runs one epoch of training or validation: network, losses and measurements.

Axis letters as in :mod:`boundary_loss.shapes`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from boundary_loss.data import Batch, Samples
from boundary_loss.experiment import Experiment
from boundary_loss.losses.balance import norms_on_device
from boundary_loss.networks.outputs import LOGITS, Outputs
from boundary_loss.shapes import Probs
from boundary_loss.training.arithmetic import Arithmetic
from boundary_loss.training.clock import Clock
from boundary_loss.training.epoch_sums import EpochLog, Tally
from boundary_loss.training.mid_epoch import AfterStep, Midway, nothing
from boundary_loss.training.predictions import PredictionWriter
from boundary_loss.training.ranks import Part, Ranks
from boundary_loss.training.skipping import is_finite, recall, remember
from boundary_loss.training.terms import PROBS, ActiveTerm


@dataclass
class EpochRunner:
    """Runs the epochs of one experiment on one device, or one rank's part of them."""

    net: nn.Module
    terms: list[ActiveTerm]
    optimiser: torch.optim.Optimizer
    experiment: Experiment
    device: torch.device
    skip_nan: bool = False
    """Leave out a step whose loss or gradient is not finite, instead of stopping."""
    ranks: Ranks = field(default_factory=Ranks)
    new_clock: Callable[[], Clock] = Clock
    """What times the sections; a benchmark's waits for the GPU at their ends, and slows the epoch."""

    def __post_init__(self) -> None:
        self.arithmetic = Arithmetic.of(self.experiment, self.device)
        self.arithmetic.prepare(self.net, alone=self.ranks.size == 1)
        self.model = self.ranks.parallel(self.net)
        """The network as a training step calls it."""

    def train(
        self,
        samples: Samples,
        epoch: int,
        weights: Sequence[float],
        writer: PredictionWriter,
        *,
        begun: Midway | None = None,
        after_step: AfterStep = nothing,
    ) -> EpochLog:
        """Train on all samples once; the order and every random draw follow from (seed, epoch) alone.

        Args:
            begun: where to continue; None starts at the first batch.
            after_step: called after each batch; an exception from it ends the epoch there.
        """
        seed = self.experiment.seed * 1_000_003 + epoch
        self.net.train()
        tally = self._tally(samples, samples.shuffled(self.experiment.batch_size, seed))
        torch.manual_seed(seed + self.ranks.rank)
        if begun is not None:
            begun.restore(tally, self.device)
        keep = writer if self.experiment.save_train else None
        return self._run(tally, weights, f"{epoch:3d} training", keep, after_step, seed=seed, learn=True)

    def validate(
        self,
        samples: Samples,
        epoch: int,
        weights: Sequence[float],
        writer: PredictionWriter,
        *,
        after_step: AfterStep = nothing,
    ) -> EpochLog:
        self.net.eval()
        tally = self._tally(samples, samples.in_order(self.experiment.batch_size, group=self.experiment.group))
        keep = writer if samples.keeps_validated else None
        with torch.no_grad():
            return self._run(tally, weights, f"{epoch:3d} validation", keep, after_step, learn=False)

    def predict(
        self, samples: Samples, epoch: int, writer: PredictionWriter, *, after_item: Callable[[int], None]
    ) -> None:
        """Predict and write the items of a set whose validation predicts only parts of them; each rank does some."""
        self.net.eval()
        mine = samples.names[self.ranks.rank :: self.ranks.size]
        longest = -(-len(samples.names) // self.ranks.size)
        for number in tqdm(range(longest), desc=f"{epoch:3d} prediction", leave=False, disable=None):
            if number < len(mine):
                with self.arithmetic.autocast(), torch.no_grad():
                    classes = samples.predict(self.net, mine[number], self.device)
                writer.write(samples.which, [mine[number]], classes[None])
            after_item(number + 1)

    def _tally(self, samples: Samples, batches: list[Tensor]) -> Tally:
        return Tally(
            samples, batches, [term.text for term in self.terms], self.device, self.ranks, skip_nan=self.skip_nan
        )

    def state(self) -> dict[str, Any]:
        """Return what the next epoch starts from, for a checkpoint."""
        return {
            "net": self.net.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.arithmetic.scaler.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to what :meth:`state` returned."""
        self.net.load_state_dict(state["net"])
        groups = self.optimiser.state_dict()["param_groups"]  # this run's own settings
        self.optimiser.load_state_dict({"state": state["optimiser"]["state"], "param_groups": groups})
        self.arithmetic.scaler.load_state_dict(state.get("scaler", {}))

    def _run(
        self,
        tally: Tally,
        weights: Sequence[float],
        title: str,
        writer: PredictionWriter | None,
        after_step: AfterStep,
        *,
        seed: int = 0,
        learn: bool,
    ) -> EpochLog:
        """Run the batches that the tally does not have yet."""
        samples, batches = tally.samples, tally.batches
        clock = self.new_clock()
        with tqdm(
            total=len(batches), initial=tally.done, desc=title, leave=False, disable=None, mininterval=0.5
        ) as bar:
            for part, batch in self._load(samples, batches[tally.done :], seed, clock):
                if batch is None:
                    tally.add_losses([], part.place, part.num_batches)
                else:
                    self._do(tally, part, batch, weights, writer, clock, learn=learn)
                bar.update(part.num_batches)
                if tally.looks and not bar.disable:
                    bar.set_postfix_str("Dice " + " ".join(f"{d:.3f}" for d in tally.dice_so_far()), refresh=False)
                after_step(tally)
        return tally.log(clock)

    def _do(
        self, tally: Tally, part: Part, batch: Batch, weights: Sequence[float], writer: PredictionWriter | None,
        clock: Clock, *, learn: bool,
    ) -> None:  # fmt: skip
        """Predict, measure, learn from and keep one batch, or this rank's part of it."""
        samples = tally.samples
        self.ranks.begin(self.net, part)
        before = remember(self.net) if learn and self.skip_nan else []
        outputs, probs = self._forward(samples, batch, clock)
        with clock("loss"):
            values = [self.ranks.value(term, outputs | {PROBS: probs}, batch, part) for term in self.terms]
            tally.add_losses(values, part.place, part.num_batches)
        if learn and self.experiment.gradients:
            with clock("gradients"):
                norms = norms_on_device(values, list(outputs.values()))
                tally.gradients.append(self.ranks.norms(norms, part))
        if learn and not self._step(values, weights, clock):
            recall(self.net, before)
            tally.skipped.append(tally.done - 1)
        with clock("metrics"):
            predicted, true = samples.classes(probs.detach(), batch)
            if part.reports:
                tally.add_counts(batch.index, predicted, true)
        with clock("writing"):
            if writer is not None and part.reports:
                writer.write(samples.which, batch.names, predicted)

    def _load(
        self, samples: Samples, batches: Sequence[Tensor], seed: int, clock: Clock
    ) -> Iterator[tuple[Part, Batch | None]]:
        """Yield this rank's part of each step and its batch; None at a last step in which it has no rows."""
        parts = self.ranks.dealt(batches) if samples.is_dealt else [self.ranks.part(rows) for rows in batches]
        mine = [part.rows for part in parts if len(part.rows)]
        arriving = samples.batches(mine, self.device, seed, None if samples.is_dealt else batches)
        for part in parts:
            with clock("data"):
                batch = next(arriving) if len(part.rows) else None
            yield part, batch

    def _forward(self, samples: Samples, batch: Batch, clock: Clock) -> tuple[Outputs, Probs]:
        """Return outputs and probabilities, (B, K, ...) float32, the latter zero in every class at ignored labels."""
        with clock("forward"):
            net = self.model if self.net.training else self.net
            outputs = samples.forward(partial(self.arithmetic.outputs, net), batch)
            logits, temperature = outputs[LOGITS], self.experiment.temperature
            probs = torch.softmax(logits if temperature == 1 else logits / temperature, dim=1)
            if batch.mask is not None:
                probs = probs * batch.mask  # so that no loss counts ignored voxels
            return outputs, probs

    def _step(self, values: list[Tensor], weights: Sequence[float], clock: Clock) -> bool:
        """Update the weights; return False if the step was skipped."""
        scaler = self.arithmetic.scaler
        with clock("backward"):
            self.optimiser.zero_grad(set_to_none=True)
            total = torch.stack([weight * value for weight, value in zip(weights, values, strict=True)]).sum()
            total = self.ranks.size * total  # the ranks' gradients are averaged, their losses add up
            scaler.scale(total).backward()
        if self.skip_nan:
            good = is_finite(total, self.net, scaled=scaler.is_enabled())
            if self.ranks.greatest(not good):
                return False
        with clock("optimiser"):
            scaler.step(self.optimiser)
            scaler.update()
        return True
