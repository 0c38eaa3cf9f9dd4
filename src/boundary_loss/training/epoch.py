"""One epoch of training or validation: the network, the losses, and what is measured on the way.

Axis letters as in :mod:`boundary_loss.shapes`; T = the loss terms.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from boundary_loss.command import Stop
from boundary_loss.data import MapNeed, Slices
from boundary_loss.encoding import probs2class
from boundary_loss.experiment import Experiment
from boundary_loss.losses import gradient_norms
from boundary_loss.metrics import dice_from_counts, slice_counts
from boundary_loss.naming import by_volume
from boundary_loss.shapes import IGNORED, Probs
from boundary_loss.training.clock import Clock
from boundary_loss.training.predictions import PredictionWriter


@dataclass(frozen=True)
class ActiveTerm:
    """A loss at work: its module and the map that it reads, if it reads one."""

    text: str
    loss: nn.Module
    need: MapNeed | None
    reads: str = "probs"
    """``probs``, or ``distances``: the network's distance head."""

    def __call__(self, probs: Probs, batch: dict[str, Any]) -> Tensor:
        if self.reads == "distances":
            probs = batch["head"]
        if self.need is None:
            return self.loss(probs, batch["gt"])
        distances = batch["maps"][self.need]
        return self.loss(probs, batch["gt"], distances) if self.need.measure else self.loss(probs, distances)


def activate(experiment: Experiment) -> list[ActiveTerm]:
    """The modules of the experiment's terms, with the maps they need."""
    terms = []
    for term in experiment.terms:
        loss: Any = term.build()  # a module of the user's own may lack `target`: it gets the one-hot labels
        need = None
        if getattr(loss, "target", "one_hot") == "distance":
            options = getattr(loss, "distance_options", {})
            need = MapNeed.of(getattr(loss, "map", "2d"), term.classes, options)
        elif hasattr(loss, "measure_target"):
            need = MapNeed("target", term.classes, measure=loss.measure_target)
        terms.append(ActiveTerm(term.text, loss, need, term.reads))
    return terms


@dataclass
class EpochLog:
    """What an epoch leaves: per batch, per slice, per volume."""

    losses: np.ndarray  # (batches, T) float32, unweighted
    dice: np.ndarray  # (N, K) float32
    volume_dice: np.ndarray  # (P, K) float32
    foreground: int
    """Voxels predicted as any class but the background."""
    gradients: np.ndarray  # (T,) mean over the batches of each term's gradient norm; empty where not asked for
    clock: Clock = field(default_factory=Clock)

    def total_loss(self, weights: Sequence[float]) -> float:
        return float((self.losses.mean(axis=0) * np.asarray(weights)).sum())


def shuffled_batches(num_slices: int, batch_size: int, seed: int) -> list[Tensor]:
    order = torch.randperm(num_slices, generator=torch.Generator().manual_seed(seed))
    return list(order.split(batch_size))


def ordered_batches(slices: Slices, batch_size: int, *, group: bool) -> list[Tensor]:
    """Slices in order; with ``group`` one batch a volume."""
    if not group:
        return list(torch.arange(len(slices)).split(batch_size))
    row = {stem: i for i, stem in enumerate(slices.stems)}
    return [torch.tensor([row[stem] for stem in stems]) for stems in by_volume(slices.stems).values()]


@dataclass
class EpochRunner:
    """Runs epochs of one experiment on one device."""

    net: nn.Module
    terms: list[ActiveTerm]
    optimiser: torch.optim.Optimizer
    experiment: Experiment
    device: torch.device

    def train(self, slices: Slices, epoch: int, weights: Sequence[float], writer: PredictionWriter) -> EpochLog:
        """One pass over the shuffled slices; the order and every draw follow from (seed, epoch) alone."""
        seed = self.experiment.seed * 1_000_003 + epoch
        torch.manual_seed(seed)
        self.net.train()
        batches = shuffled_batches(len(slices), self.experiment.batch_size, seed)
        keep = writer if self.experiment.save_train else None
        return self._run(slices, batches, weights, f"{epoch:3d} training", keep, learn=True)

    def validate(self, slices: Slices, epoch: int, weights: Sequence[float], writer: PredictionWriter) -> EpochLog:
        self.net.eval()
        batches = ordered_batches(slices, self.experiment.batch_size, group=self.experiment.group)
        with torch.no_grad():
            return self._run(slices, batches, weights, f"{epoch:3d} validation", writer, learn=False)

    def _run(
        self,
        slices: Slices,
        batches: list[Tensor],
        weights: Sequence[float],
        title: str,
        writer: PredictionWriter | None,
        *,
        learn: bool,
    ) -> EpochLog:
        clock = Clock()
        losses = np.zeros((len(batches), len(self.terms)), np.float32)
        gradients = np.zeros((len(batches) if learn and self.experiment.gradients else 0, len(self.terms)))
        counts = np.zeros((3, len(slices), slices.num_classes), np.int64)  # intersection, predicted, true
        with tqdm(total=len(batches), desc=title, leave=False, disable=None, mininterval=0.5) as bar:
            for i, batch in enumerate(self._load(slices, batches, clock)):
                logits, probs = self._forward(batch, slices.has_ignored, clock)
                with clock("loss"):
                    values = [term(probs, batch) for term in self.terms]
                    losses[i] = self._finite(torch.stack([value.detach() for value in values]), batch)
                if len(gradients):
                    with clock("gradients"):
                        outputs = [logits, batch["head"]] if "head" in batch else logits
                        norms = gradient_norms({str(t): value for t, value in enumerate(values)}, outputs)
                        gradients[i] = list(norms.values())
                if learn:
                    self._step(values, weights, clock)
                with clock("metrics"):
                    classes = probs2class(probs.detach())
                    found = slice_counts(classes, batch["labels"], slices.num_classes)
                    counts[:, batch["index"].numpy()] = torch.stack(list(found)).cpu().numpy()
                with clock("writing"):
                    if writer is not None:
                        writer.write(slices.which, batch["filenames"], classes.to(torch.uint8).cpu().numpy())
                self._show(bar, counts, batches[: i + 1])
        return EpochLog(
            losses=losses,
            dice=_dice(counts),
            volume_dice=_dice(_by_volume(counts, slices.stems)),
            foreground=int(counts[1, :, 1:].sum()),
            gradients=gradients.mean(axis=0) if len(gradients) else np.zeros(0),
            clock=clock,
        )

    def _load(self, slices: Slices, batches: list[Tensor], clock: Clock) -> Iterator[dict[str, Any]]:
        for indices in batches:
            with clock("data"):
                batch = slices.batch(indices, self.device)
            yield batch

    def _forward(self, batch: dict[str, Any], has_ignored: bool, clock: Clock) -> tuple[Tensor, Probs]:
        """Logits and probabilities, (B, K, X, Y); these are zero in every class where the label is ignored."""
        with clock("forward"):
            if self.experiment.distance_head:
                logits, batch["head"] = (output.float() for output in self.net(batch["images"], distances=True))
            else:
                logits = self.net(batch["images"]).float()
            probs = torch.softmax(logits / self.experiment.temperature, dim=1)
            if has_ignored:
                probs = probs * (batch["labels"] != IGNORED).unsqueeze(1)  # so that no loss counts it
            return logits, probs

    def _step(self, values: list[Tensor], weights: Sequence[float], clock: Clock) -> None:
        with clock("backward"):
            self.optimiser.zero_grad(set_to_none=True)
            total = torch.stack([weight * value for weight, value in zip(weights, values, strict=True)]).sum()
            total.backward()
        with clock("optimiser"):
            self.optimiser.step()

    def _finite(self, values: Tensor, batch: dict[str, Any]) -> np.ndarray:
        found = values.float().cpu().numpy()
        if not np.isfinite(found).all():
            terms = ", ".join(f"{term.text} = {value:g}" for term, value in zip(self.terms, found, strict=True))
            raise Stop(
                f"the loss is not finite ({terms}) on the slices {', '.join(batch['filenames'])}; "
                "the epoch before is kept. A lower LR or another SEED may help"
            )
        return found

    def _show(self, bar: tqdm, counts: np.ndarray, done: list[Tensor]) -> None:
        """Dice of each foreground class over the slices so far, as one volume."""
        bar.update()
        if not bar.disable and (len(done) % 10 == 0 or len(done) == bar.total):
            dice = _dice(counts.sum(axis=1, keepdims=True))[0, 1:]
            bar.set_postfix_str("Dice " + " ".join(f"{value:.3f}" for value in dice), refresh=False)


def _dice(counts: np.ndarray) -> np.ndarray:
    """(3, rows, K) counts -> (rows, K) float32."""
    intersection, predicted, true = counts
    return np.asarray(dice_from_counts(intersection, predicted, true), np.float32)


def _by_volume(counts: np.ndarray, stems: Sequence[str]) -> np.ndarray:
    """Sum the counts of each volume's slices: (3, N, K) -> (3, P, K), volumes sorted."""
    row = {stem: i for i, stem in enumerate(stems)}
    volumes = by_volume(stems).values()
    return np.stack([counts[:, [row[stem] for stem in stems]].sum(axis=1) for stems in volumes], axis=1)


def foreground_mean(dice: np.ndarray) -> float:
    """Mean over rows and all classes but the background."""
    value = float(np.nanmean(dice[:, 1:]))
    return 0.0 if math.isnan(value) else value
