"""Sums up what an epoch measures, on the device until the epoch ends, so that no step waits for a number.

Axis letters as in :mod:`boundary_loss.shapes`; M = batches of the epoch, T = loss terms.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from boundary_loss.command import Stop
from boundary_loss.data import Samples
from boundary_loss.metric_definitions import SLICES
from boundary_loss.metrics import dice_from_counts, slice_counts
from boundary_loss.shapes import IGNORED, Labels
from boundary_loss.training.clock import Clock
from boundary_loss.training.ranks import Ranks

_LOOK_EVERY = 64  # batches; on a GPU reading a number waits for all work before it


@dataclass
class EpochLog:
    """The measurements of an epoch: per batch, per item, per volume."""

    losses: np.ndarray  # (M, T) float32, unweighted
    dice: np.ndarray  # (N, K) float32
    volume_dice: np.ndarray  # (P, K) float32
    foreground: int
    """Voxels predicted as any class but the background."""
    gradients: np.ndarray  # (T,) mean over the batches of each term's gradient norm; empty where not asked for
    skipped: int = 0
    """Steps that were left out, for their loss or gradient was not finite."""
    clock: Clock = field(default_factory=Clock)

    def total_loss(self, weights: Sequence[float]) -> float:
        """Return the mean over the finite batches; NaN if there are none."""
        finite = self.losses[np.isfinite(self.losses).all(axis=1)]
        return float((finite.mean(axis=0) * np.asarray(weights)).sum()) if len(finite) else math.nan


class Tally:
    """The measurements so far; grows batch by batch.

    Args:
        samples: what the epoch runs over.
        batches: the samples (B,) of each batch.
        terms: the losses as the ledger has them, for messages.
        device: where the numbers are kept.
        ranks: each measures its part; losses are added up when they are read, the rest at the end.
        skip_nan: continue if a loss is not finite.
    """

    def __init__(
        self,
        samples: Samples,
        batches: Sequence[Tensor],
        terms: Sequence[str],
        device: torch.device,
        ranks: Ranks,
        *,
        skip_nan: bool = False,
    ) -> None:
        self.samples, self.batches, self.terms, self.skip_nan = samples, batches, terms, skip_nan
        self.ranks = ranks
        self.losses = torch.zeros(len(batches), len(terms), device=device)
        # intersection, predicted, true
        self.counts = torch.zeros(3, len(samples.names), samples.num_classes, dtype=torch.int64, device=device)
        self.gradients: list[Tensor] = []
        """Norms of the terms' gradients (T,), one a batch; empty where not asked for."""
        self.done = 0
        """Batches whose losses are here."""
        self.skipped: list[int] = []
        """Batches whose step was left out."""
        self._checked = 0

    @property
    def looks(self) -> bool:
        """Return True if numbers may be read now: always on a CPU, every few batches on a GPU."""
        due = self.samples.is_dealt or self.done % _LOOK_EVERY == 0 or self.done == len(self.batches)
        return due or self.losses.device.type == "cpu"

    def add_losses(self, values: Sequence[Tensor], place: int = 0, count: int = 1) -> None:
        """The losses of one of the next batches, one scalar a term; none of a rank that has no batch at this step.

        Args:
            place: of the batch, among those that the ranks have at this step.
            count: of these.
        """
        if values:
            self.losses[self.done + place] = torch.stack([value.detach() for value in values])
        self.done += count
        if self.looks:
            self.check_finite()

    def add_counts(self, rows: Tensor, classes: Labels, labels: Labels) -> None:
        """Predicted and true classes (B, ...) of samples of the items ``rows`` (B,), all on the device.

        An item may have several samples in an epoch: what they count adds up.
        """
        counted = labels != IGNORED if self.samples.has_ignored else None
        found = slice_counts(classes, labels, self.samples.num_classes, mask=counted)
        self.counts.index_add_(1, rows, torch.stack(list(found)))

    def state(self) -> dict[str, Any]:
        """Return what is measured so far, for a checkpoint within the epoch."""
        self.check_finite()
        numbers = {"losses": self.losses.cpu(), "counts": self.ranks.add_up(self.counts.clone()).cpu()}
        return numbers | {"gradients": self._gradients().tolist(), "done": self.done, "skipped": self.skipped}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what :meth:`state` returned."""
        self.losses.copy_(state["losses"])
        if self.ranks.is_first:  # the other ranks start from 0; the sums of all are added
            self.counts.copy_(state["counts"])
        self.gradients = list(torch.tensor(state["gradients"]).to(self.losses.device))
        self.done, self.skipped = state["done"], state["skipped"]
        self._checked = self.done

    def check_finite(self) -> None:
        """Stop if a loss so far is NaN or infinite; the message names the first such batch."""
        fresh, first = self.losses[self._checked : self.done], self._checked
        if not len(fresh):
            return
        self.ranks.add_up(fresh)
        self._checked = self.done
        if self.skip_nan:
            return
        fresh = fresh.cpu()
        bad = (~torch.isfinite(fresh)).any(dim=1).nonzero()
        if len(bad):
            batch = first + int(bad[0])
            found = fresh[int(bad[0])].tolist()
            values = ", ".join(f"{term} = {value:g}" for term, value in zip(self.terms, found, strict=True))
            raise Stop(
                f"the loss is not finite ({values}) on batch {batch} of {len(self.batches)}, the {self.samples.which} "
                f"{self._noun} {', '.join(self.samples.names_of(self.batches[batch]))}; what was saved before is kept. "
                "A lower LR or another SEED may help; SKIP_NAN=1 leaves such steps out and goes on"
            )

    @property
    def _noun(self) -> str:
        return SLICES if self.samples.items == SLICES else "cases"

    def _gradients(self) -> Tensor:
        """Return (M, T) gradient norms on the host; (0, T) if not asked for."""
        return torch.stack(self.gradients).cpu() if self.gradients else torch.zeros(0, len(self.terms))

    def dice_so_far(self) -> list[float]:
        """Return the Dice of each foreground class over the items so far, taken as one volume."""
        return _dice(self.counts.sum(dim=1, keepdim=True).cpu().numpy())[0, 1:].tolist()

    def log(self, clock: Clock) -> EpochLog:
        """Return the finished epoch's measurements, on the host."""
        self.check_finite()
        counts = self.ranks.add_up(self.counts).cpu().numpy()
        gradients = self._gradients().double().numpy()
        gradients = gradients[np.isfinite(gradients).all(axis=1)]
        return EpochLog(
            losses=self.losses.cpu().numpy(),
            dice=_dice(counts),
            volume_dice=_dice(_by_volume(counts, list(self.samples.volumes.values()))),
            foreground=int(counts[1, :, 1:].sum()),
            gradients=gradients.mean(axis=0) if len(gradients) else np.zeros(0),
            skipped=len(self.skipped),
            clock=clock,
        )


def _dice(counts: np.ndarray) -> np.ndarray:
    """Return the Dice (rows, K) float32 of (3, rows, K) counts."""
    intersection, predicted, true = counts
    return np.asarray(dice_from_counts(intersection, predicted, true), np.float32)


def _by_volume(counts: np.ndarray, volumes: Sequence[Sequence[int]]) -> np.ndarray:
    """Sum the counts of each volume's rows: (3, N, K) -> (3, P, K)."""
    return np.stack([counts[:, rows].sum(axis=1) for rows in volumes], axis=1)


def foreground_mean(dice: np.ndarray) -> float:
    """Return the mean over rows and all classes but the background."""
    value = float(np.nanmean(dice[:, 1:]))
    return 0.0 if math.isnan(value) else value
