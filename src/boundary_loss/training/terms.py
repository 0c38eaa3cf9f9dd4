"""The losses of an experiment at work: their modules, and the distance maps that they read."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from boundary_loss.data import MapNeed
from boundary_loss.experiment import Experiment
from boundary_loss.shapes import Probs


@dataclass(frozen=True)
class ActiveTerm:
    """A loss at work: its module and the map that it reads, if it reads one."""

    text: str
    loss: nn.Module
    need: MapNeed | None
    reads: str = "probs"
    """``probs``, or ``distances``: the network's distance head, in the batch as ``head``."""
    over_items: bool = False
    """Whether the value on a batch is the mean of its items' values."""
    takes_spacing: bool = False
    """Whether the loss measures distances by itself, and so needs each item's spacing."""
    takes_mask: bool = False
    """Whether the loss leaves out by itself what is ignored; others get zeros there, in probabilities and target."""

    def __call__(self, probs: Probs, batch: dict[str, Any]) -> Tensor:
        if self.reads == "distances":
            probs = batch["head"]
        more = {"spacing_mm": batch["spacings"]} if self.takes_spacing else {}
        if self.takes_mask:
            more["mask"] = batch.get("mask")
        if self.need is None:
            return self.loss(probs, batch["gt"], **more)
        distances = batch["maps"][self.need]
        if self.need.measure:
            return self.loss(probs, batch["gt"], distances, **more)
        if self.takes_mask and more["mask"] is None:
            more["mask"] = torch.ones_like(distances[:, :1], dtype=torch.bool)  # maps alone may be 0 at edges too
        return self.loss(probs, distances, **more)


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
        takes = {name: getattr(loss, name, False) for name in ("over_items", "takes_spacing", "takes_mask")}
        terms.append(ActiveTerm(term.text, loss, need, term.reads, **takes))
    return terms
