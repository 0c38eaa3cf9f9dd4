"""Saves an epoch between two steps, and continues it with the same result."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from boundary_loss.events import reached
from boundary_loss.training.epoch_sums import Tally
from boundary_loss.training.interruption import Interruption

AfterStep = Callable[[Tally], None]


def nothing(_: Tally) -> None:
    """Default callback after a step: does nothing."""


@dataclass(frozen=True)
class Midway:
    """The progress within the training part of an epoch; the checkpoint also holds network and optimiser."""

    tally: dict[str, Any]
    random: dict[str, torch.Tensor]
    """The states of torch's generators, which the network's dropout draws from, one a rank: (ranks, bytes)."""

    @classmethod
    def of(cls, tally: Tally) -> "Midway":
        device = tally.losses.device
        random = {"cpu": tally.ranks.gather(torch.get_rng_state())}
        if device.type == "cuda":
            random["cuda"] = tally.ranks.gather(torch.cuda.get_rng_state(device))
        return cls(tally.state(), random)

    def restore(self, tally: Tally, device: torch.device) -> None:
        """Bring an epoch's tally, and torch's generators, to this point.

        With another number of ranks the generators stay as they are.
        """
        tally.restore(self.tally)
        rank, size = tally.ranks.rank, tally.ranks.size
        if len(self.random["cpu"]) == size:
            torch.set_rng_state(self.random["cpu"][rank].clone())  # torch.load gives a view the start of its base
        if device.type == "cuda" and len(self.random.get("cuda", ())) == size:
            torch.cuda.set_rng_state(self.random["cuda"][rank].clone(), device)

    def state(self) -> dict[str, Any]:
        return {"tally": self.tally, "random": self.random}


class Watch:
    """Called between the steps of an epoch: saves every few minutes, and when a signal asks for the end.

    Args:
        interruption: the signals.
        save: writes a checkpoint with this point of the epoch in it.
        epoch: its number, for the message.
        minutes: between two checkpoints within the epoch; 0: only at a signal.
        begun: the point from which the epoch is continued.
    """

    def __init__(
        self,
        interruption: Interruption,
        save: Callable[[Midway], None],
        epoch: int,
        minutes: float,
        begun: Midway | None,
    ) -> None:
        self._interruption, self._save, self._epoch = interruption, save, epoch
        self._seconds, self._saved = 60 * minutes, time.monotonic()
        self._here = begun

    def training(self, tally: Tally) -> None:
        """Save after a training step if it is time, and end if a signal asks for it."""
        reached("training step {} of epoch {}", tally.done, self._epoch)
        due = self._seconds > 0 and time.monotonic() - self._saved >= self._seconds
        due, ending = tally.ranks.greatest(due) > 0, self._interruption.is_asked()
        complete = tally.done == len(tally.batches)
        if not (ending or due or complete):
            return
        self._here = Midway.of(tally)
        if due or ending:
            self._save(self._here)
            self._saved = time.monotonic()
        if ending:
            raise self._interruption.end(f"epoch {self._epoch} up to step {tally.done} of {len(tally.batches)}")

    def validation(self, tally: Tally) -> None:
        """End after a validation step if a signal asks for it. Nothing is saved: the validation starts anew."""
        reached("validation step {} of epoch {}", tally.done, self._epoch)
        self._end_if_asked()

    def prediction(self, done: int) -> None:
        """End between two predicted items if a signal asks for it; these predictions start anew too."""
        reached("prediction {} of epoch {}", done, self._epoch)
        self._end_if_asked()

    def _end_if_asked(self) -> None:
        if self._interruption.is_asked():
            assert self._here is not None
            self._save(self._here)
            raise self._interruption.end(f"the training of epoch {self._epoch}")
